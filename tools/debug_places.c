/* Separate debug files, before libdw and the shim's search look for them. A path that comes from a
 * binary can lead to a fifo or a device, where libdw, which opens whatever there is, waits for ever;
 * and neither of both says of a file that lies in the right place why it was passed over. Called by
 * symbolize.c and probe.c; one thread. */
#include "debug_places.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <libelf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "ordinary_file.h"
#include "text.h"

enum { PLACES_FIRST = 16 };

static const char global_directory[] = "/usr/lib/debug";

struct places {
    const char **paths;
    size_t count, room;
};

bool ss_lies_beyond(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset > size || length > size - offset;
}

/* ---- where it may be ------------------------------------------------------------------------- */

static void add(struct places *places, const char *path)
{
    if (places->count == places->room) {
        places->room = places->room ? 2 * places->room : PLACES_FIRST;
        const char **grown = ss_keep(places->room * sizeof *grown);
        for (size_t i = 0; i < places->count; i++)
            grown[i] = places->paths[i];
        places->paths = grown;
    }
    places->paths[places->count++] = path;
}

/* Beside the binary, in .debug there, and below /usr/lib/debug, in the folder of the binary's path
 * or of an end of it; what several debug files share is in .dwz. */
static void add_names(struct places *places, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *base = strrchr(name, '/');
    const char *folder = slash ? ss_text_copy(path, (size_t)(slash - path)) : ".";
    base = base ? base + 1 : name;
    add(places, ss_text("%s/%s", folder, name));
    add(places, ss_text("%s/.debug/%s", folder, name));
    for (const char *end = folder; end; end = strchr(end + 1, '/'))
        add(places, ss_text("%s%s%s/%s", global_directory, *end == '/' ? "" : "/", end, name));
    add(places, ss_text("%s/%s", global_directory, base));
    add(places, ss_text("%s/.dwz/%s", folder, base));
    add(places, ss_text("%s/.dwz/%s", global_directory, base));
    if (*name == '/')
        add(places, name);
}

static void add_links(struct places *places, const char *path, const char *link)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    add_names(places, path, link ? link : ss_text("%s.debug", base));
    if (!link)
        add_names(places, path, base);
}

bool ss_debug_places_are_files(const char *path, const char *link)
{
    struct places places = {.count = 0};
    char target[PATH_MAX];
    add_links(&places, path, link);
    if (realpath(path, target) && strcmp(path, target) != 0)
        add_links(&places, target, link);
    for (size_t i = 0; i < places.count; i++)
        if (!ss_is_file_or_none(places.paths[i]))
            return false;
    return true;
}

/* ---- what is there --------------------------------------------------------------------------- */

bool ss_sections_are_cut(Elf *elf, const GElf_Ehdr *header, uint64_t size)
{
    Elf_Scn *section = NULL;
    GElf_Shdr section_header;
    if (ss_lies_beyond(header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize, size))
        return true;
    while ((section = elf_nextscn(elf, section)))
        if (!gelf_getshdr(section, &section_header) ||
            (section_header.sh_type != SHT_NOBITS && section_header.sh_type != SHT_NULL &&
             ss_lies_beyond(section_header.sh_offset, section_header.sh_size, size)))
            return true;
    return false;
}

/* An ELF file that is open. */
struct opened {
    int fd;
    Elf *elf;
    struct stat status;
    const void *id;
    ssize_t id_length; /* none: not above 0 */
};

/* Opens an ELF file; NULL, or why it is none. It is to be closed either way. */
static const char *open_elf(const char *path, struct opened *file)
{
    GElf_Ehdr header;
    *file = (struct opened){.fd = -1};
    file->fd = ss_open_ordinary(path, &file->status);
    if (file->fd < 0)
        return errno == EMEDIUMTYPE ? "it is not an ordinary file" : strerror(errno);
    elf_version(EV_CURRENT);
    file->elf = elf_begin(file->fd, ELF_C_READ_MMAP, NULL);
    if (!file->elf || elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &header))
        return "it is no ELF file, or a cut one";
    if (ss_sections_are_cut(file->elf, &header, (uint64_t)file->status.st_size))
        return "it is cut: it has sections beyond its end";
    file->id_length = dwelf_elf_gnu_build_id(file->elf, &file->id);
    return NULL;
}

static void close_elf(struct opened *file)
{
    elf_end(file->elf);
    if (file->fd >= 0)
        close(file->fd);
}

static bool has_crc(Elf *elf, GElf_Word wanted)
{
    size_t size = 0;
    const char *bytes = elf_rawfile(elf, &size);
    return bytes && crc32_z(0, (const unsigned char *)bytes, size) == wanted;
}

/* Why the file at path cannot be the debug file of binary; NULL: it can, or there is none. */
static const char *problem_of(const char *path, const struct opened *binary, GElf_Word crc)
{
    struct opened file;
    struct stat status;
    if (stat(path, &status) != 0 ||
        (status.st_dev == binary->status.st_dev && status.st_ino == binary->status.st_ino))
        return NULL;
    const char *why = open_elf(path, &file);
    bool has_ids = !why && binary->id_length > 0 && file.id_length > 0;
    bool is_right = !why && (has_ids ? file.id_length == binary->id_length &&
                                           memcmp(file.id, binary->id, (size_t)file.id_length) == 0
                                     : has_crc(file.elf, crc));
    if (!why && !is_right)
        why = "it is of another build";
    close_elf(&file);
    return why ? ss_text("%s: not used: %s", path, why) : NULL;
}

const char *ss_debug_file_problem(const char *path)
{
    struct places places = {.count = 0};
    struct opened binary;
    const char *problem = NULL, *link = NULL;
    char absolute[PATH_MAX];
    GElf_Word crc = 0;
    if (!open_elf(path, &binary))
        link = dwelf_elf_gnu_debuglink(binary.elf, &crc);
    if (binary.id_length > 1) {
        const unsigned char *id = binary.id;
        char *place = ss_text("%s/.build-id/%02x/", global_directory, id[0]);
        for (ssize_t i = 1; i < binary.id_length; i++)
            place = ss_text("%s%02x", place, id[i]);
        add(&places, ss_text("%s.debug", place));
    }
    if (link && realpath(path, absolute))
        add_names(&places, absolute, link);
    for (size_t i = 0; i < places.count && !problem; i++)
        problem = problem_of(places.paths[i], &binary, crc);
    close_elf(&binary);
    return problem;
}
