/* Separate debug files: where the symbols of a stripped module may be, and whether a file there is
 * the right one. The places are those of gdb: by build id below /usr/lib/debug/.build-id; by the
 * name in .gnu_debuglink beside the module, in .debug beside it, and below /usr/lib/debug. A file
 * that is of another build is not used, and the first such is said.
 *
 * Called by elf_symbols.c, in its contexts; the files are as untrusted as any. */
#include "debug_file.h"

#include <stdatomic.h>
#include <string.h>

#include "prim.h"

enum {
    PATH_SIZE = 4096,
    NOTES_MAX = 4096,
    CRC_BYTES_MAX = 32 << 20, /* of a file without a build id; there it costs some 0.1 s */
};

static const char global_directory[] = "/usr/lib/debug";

/* ---- what files say of themselves ------------------------------------------------------------ */

/* The name of a section begins at an offset in the section of names. */
struct wanted_section {
    const struct ss_elf *elf;
    Elf64_Shdr names;
    const char *name;
};

static bool is_called(void *context, const Elf64_Shdr *section)
{
    const struct wanted_section *wanted = context;
    char name[32];
    size_t length = strlen(wanted->name) + 1;
    return section->sh_type == SHT_PROGBITS && length <= sizeof name &&
           section->sh_name < wanted->names.sh_size &&
           ss_elf_read(wanted->elf, wanted->names.sh_offset + section->sh_name, name, length) ==
               length &&
           memcmp(name, wanted->name, length) == 0;
}

/* A terminated name, zeros up to a multiple of four, the CRC. */
void ss_debug_link_read(const struct ss_elf *own, struct ss_debug_link *link)
{
    struct wanted_section wanted = {.elf = own, .name = ".gnu_debuglink"};
    Elf64_Shdr section;
    memset(link, 0, sizeof *link);
    if (!ss_elf_section(own, own->section_names, &wanted.names) ||
        wanted.names.sh_type != SHT_STRTAB ||
        !ss_elf_find_section(own, is_called, &wanted, &section) ||
        section.sh_size > sizeof link->name ||
        ss_elf_read(own, section.sh_offset, link->name, section.sh_size) != section.sh_size)
        return;
    size_t at = (strnlen(link->name, section.sh_size) + sizeof link->crc) & -sizeof link->crc;
    if (at + sizeof link->crc <= section.sh_size && !memchr(link->name, '/', at))
        memcpy(&link->crc, link->name + at, sizeof link->crc);
    else
        link->name[0] = 0;
    link->name[sizeof link->name - 1] = 0;
}

/* Looks for a build id in a section of notes. */
struct wanted_note {
    const struct ss_elf *elf;
    uint8_t id[SS_BUILD_ID_MAX];
    uint32_t length;
};

static bool has_build_id(void *context, const Elf64_Shdr *section)
{
    struct wanted_note *wanted = context;
    struct {
        Elf64_Nhdr header;
        char name[sizeof ELF_NOTE_GNU];
    } note;
    uint64_t at = section->sh_offset, left = section->sh_size < NOTES_MAX ? section->sh_size : 0;
    if (section->sh_type != SHT_NOTE)
        return false;
    while (left >= sizeof note && ss_elf_read(wanted->elf, at, &note, sizeof note) == sizeof note) {
        if (note.header.n_type == NT_GNU_BUILD_ID && note.header.n_namesz == sizeof note.name &&
            memcmp(note.name, ELF_NOTE_GNU, sizeof note.name) == 0 &&
            note.header.n_descsz <= sizeof wanted->id) {
            wanted->length = note.header.n_descsz;
            return ss_elf_read(wanted->elf, at + sizeof note, wanted->id, wanted->length) ==
                   wanted->length;
        }
        uint64_t size = sizeof note.header + (((uint64_t)note.header.n_namesz + 3) & ~UINT64_C(3)) +
                        (((uint64_t)note.header.n_descsz + 3) & ~UINT64_C(3));
        if (size > left)
            break;
        at += size;
        left -= size;
    }
    return false;
}

/* The CRC of the link: IEEE 802.3's, of the whole file. */
static bool has_crc(const struct ss_elf *elf, uint32_t wanted)
{
    enum { BYTES = 256, BITS = 8 };
    if (elf->size > CRC_BYTES_MAX)
        return false;
    uint32_t *table = (uint32_t *)elf->buffer, crc = ~0u;
    for (uint32_t i = 0; i < BYTES; i++) {
        table[i] = i;
        for (uint32_t bit = 0; bit < BITS; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320 : 0);
    }
    uint8_t *bytes = (uint8_t *)(table + BYTES);
    const size_t batch = SS_ELF_BUFFER_SIZE - BYTES * sizeof *table;
    size_t got = batch;
    for (uint64_t at = 0; got == batch; at += got) {
        got = ss_elf_read(elf, at, bytes, batch);
        for (size_t i = 0; i < got; i++)
            crc = crc >> BITS ^ table[(crc ^ bytes[i]) & 0xFF];
    }
    return ~crc == wanted;
}

/* ---- which file it is ------------------------------------------------------------------------ */

/* Whether the file was made from m. A build id decides where both have one; by the link alone the
 * CRC has to. */
static bool is_of(const struct ss_elf *elf, const struct ss_module *m,
                  const struct ss_debug_link *link)
{
    struct wanted_note note = {.elf = elf};
    Elf64_Shdr section;
    bool has_id = ss_elf_find_section(elf, has_build_id, &note, &section);
    if (has_id && m->build_id_length)
        return note.length == m->build_id_length && memcmp(note.id, m->build_id, note.length) == 0;
    return link && has_crc(elf, link->crc);
}

/* Puts pieces, up to a NULL, together into path. */
static bool put_path(char path[PATH_SIZE], const char *const pieces[], const char *last)
{
    size_t used = 0;
    for (bool more = true; more; pieces++) {
        const char *piece = *pieces ? *pieces : last;
        size_t length = strlen(piece);
        more = *pieces;
        if (length >= PATH_SIZE - used)
            return false;
        memcpy(path + used, piece, length + 1);
        used += length;
    }
    return true;
}

/* Opens the file at path as m's debug file. link: NULL where the path was made from the build id. */
static bool open_as(const struct ss_module *m, const char *path, const struct ss_debug_link *link,
                    struct ss_elf *elf)
{
    if (strcmp(path, m->path) == 0 || !ss_elf_open_path(path, elf))
        return false;
    elf->separate = true;
    bool right = is_of(elf, m, link);
    if (right && ss_elf_has_segments_of(elf, m) && ss_elf_find_symbols(elf))
        return true;
    static _Atomic bool said;
    if (!right && !atomic_exchange(&said, true))
        SS_WARN(path, ": not used: it is no debug file of ", m->path, ", but of another build");
    ss_elf_close(elf);
    return false;
}

static void put_hex(char *text, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        *text++ = "0123456789abcdef"[bytes[i] >> 4];
        *text++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *text = 0;
}

static bool open_by_build_id(const struct ss_module *m, char path[PATH_SIZE], struct ss_elf *elf)
{
    char first[3], rest[2 * SS_BUILD_ID_MAX];
    if (m->build_id_length < 2)
        return false;
    put_hex(first, m->build_id, 1);
    put_hex(rest, m->build_id + 1, m->build_id_length - 1);
    return put_path(path,
                    (const char *const[]){global_directory, "/.build-id/", first, "/", rest, NULL},
                    ".debug") &&
           open_as(m, path, NULL, elf);
}

static bool open_by_link(const struct ss_module *m, const struct ss_debug_link *link,
                         char path[PATH_SIZE], char directory[PATH_SIZE], struct ss_elf *elf)
{
    static const char *const before[] = {"", "", global_directory};
    static const char *const after[] = {"", ".debug/", ""};
    const char *slash = strrchr(m->path, '/');
    size_t length = slash ? (size_t)(slash - m->path) + 1 : 0;
    if (!link->name[0] || length == 0 || length >= PATH_SIZE)
        return false;
    memcpy(directory, m->path, length);
    directory[length] = 0;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (put_path(path, (const char *const[]){before[i], directory, after[i], NULL},
                     link->name) &&
            open_as(m, path, link, elf))
            return true;
    return false;
}

bool ss_debug_file_open(const struct ss_module *m, const struct ss_debug_link *link,
                        struct ss_elf *elf)
{
    /* Mapped, as paths are longer than what may be taken of the program's stack. */
    char *paths = ss_sys_map(2 * PATH_SIZE);
    if (!paths)
        return false;
    bool opened =
        open_by_build_id(m, paths, elf) || open_by_link(m, link, paths, paths + PATH_SIZE, elf);
    ss_sys_unmap(paths, 2 * PATH_SIZE);
    return opened;
}
