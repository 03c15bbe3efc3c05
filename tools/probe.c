/* What a file is, as far as a preload is concerned, and what is in it. Files are only read, never
 * run; nothing in them is trusted. Called by the command (probe_command.c) and by run.c. */
#include "probe.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "debug_places.h"
#include "defects.h"
#include "ordinary_file.h"
#include "text.h"

enum { SCRIPT_DEPTH = 4, LINE_MAX_LENGTH = 256 };

const char *ss_find_program(const char *name)
{
    if (strchr(name, '/'))
        return access(name, F_OK) == 0 ? name : NULL;
    const char *path = getenv("PATH"), *found = NULL;
    if (!path)
        path = "/bin:/usr/bin";
    for (const char *at = path; *name; at++) {
        size_t length = strcspn(at, ":");
        const char *candidate = length ? ss_text("%.*s/%s", (int)length, at, name) : name;
        struct stat status;
        if (stat(candidate, &status) == 0 && S_ISREG(status.st_mode)) {
            if (access(candidate, X_OK) == 0)
                return candidate;
            found = found ? found : candidate;
        }
        at += length;
        if (!*at)
            break;
    }
    return found;
}

static void unreadable(struct ss_probe *probe, const char *why)
{
    probe->readable = false;
    probe->verdict = why;
}

/* ---- secure execution ---- */

/* Why the loader would drop LD_PRELOAD for this file, NULL where it would not. */
static const char *secure_reason(const char *path, const struct stat *status)
{
    struct statvfs volume;
    if (statvfs(path, &volume) == 0 && (volume.f_flag & ST_NOSUID))
        return NULL;
    if ((status->st_mode & S_ISUID) && status->st_uid != getuid())
        return "it is setuid to another user";
    if ((status->st_mode & S_ISGID) && (status->st_mode & S_IXGRP) && status->st_gid != getgid())
        return "it is setgid to another group";
    if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        return "it has file capabilities";
    return NULL;
}

/* ---- ELF ---- */

/* One file, opened. */
struct image {
    int fd;
    uint64_t size;
    Elf *elf;
    GElf_Ehdr header;
    bool dynamic, pie_flag;
    const char *runpath;
    const char *strings; /* of the dynamic section: in the file, strings_size bytes */
    size_t strings_size;
};

/* Whether segments lie beyond the file's end. Sections may: nobody needs them to run it. */
static bool is_cut(Elf *elf, const GElf_Ehdr *header, uint64_t size)
{
    size_t count = 0;
    GElf_Phdr segment;
    if (ss_lies_beyond(header->e_phoff, (uint64_t)header->e_phnum * header->e_phentsize, size))
        return true;
    if (elf_getphdrnum(elf, &count) != 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (!gelf_getphdr(elf, (int)i, &segment) ||
            (segment.p_type == PT_LOAD && ss_lies_beyond(segment.p_offset, segment.p_filesz, size)))
            return true;
    return false;
}

static bool has_symbol_table(const struct image *image)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    while ((section = elf_nextscn(image->elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB && header.sh_size &&
            !ss_lies_beyond(header.sh_offset, header.sh_size, image->size))
            return true;
    return false;
}

/* Whether it looks annotations up: it imports what finds them, or one of them. What has no symbols
 * of its loader's that can be read may. */
static bool asks_for_annotations(Elf *elf)
{
    static const char *const names[] = {"dlsym", "dlvsym", "strayspan_annotate_new"};
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    GElf_Sym symbol;
    bool known = false;
    while ((section = elf_nextscn(elf, section))) {
        Elf_Data *data = gelf_getshdr(section, &header) && header.sh_type == SHT_DYNSYM
                             ? elf_getdata(section, NULL)
                             : NULL;
        known |= data != NULL;
        for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
            const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
            for (size_t j = 0; name && j < sizeof names / sizeof names[0]; j++)
                if (symbol.st_shndx == SHN_UNDEF && strcmp(name, names[j]) == 0)
                    return true;
        }
    }
    return !known;
}

/* The bytes of the file that are loaded at an address: up to the end of their segment. */
static const char *bytes_at(const struct image *image, uint64_t address, size_t *left)
{
    size_t count = 0, size = 0;
    GElf_Phdr segment;
    const char *file = elf_rawfile(image->elf, &size);
    if (elf_getphdrnum(image->elf, &count) != 0)
        return NULL;
    for (size_t i = 0; file && i < count && gelf_getphdr(image->elf, (int)i, &segment); i++) {
        uint64_t at = address - segment.p_vaddr;
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr || at >= segment.p_filesz ||
            ss_lies_beyond(segment.p_offset, segment.p_filesz, size))
            continue;
        *left = segment.p_filesz - at;
        return file + segment.p_offset + at;
    }
    return NULL;
}

/* A text of the dynamic section's strings; NULL: it is not there. */
static const char *dynamic_string(const struct image *image, uint64_t offset)
{
    if (!image->strings || offset >= image->strings_size)
        return NULL;
    const char *text = image->strings + offset;
    return ss_text_copy(text, strnlen(text, image->strings_size - offset));
}

static void find_strings(struct image *image, Elf_Data *data, size_t count)
{
    GElf_Dyn entry;
    size_t size = 0;
    for (size_t i = 0; i < count && gelf_getdyn(data, (int)i, &entry); i++) {
        if (entry.d_tag == DT_STRTAB)
            image->strings = bytes_at(image, entry.d_un.d_ptr, &image->strings_size);
        else if (entry.d_tag == DT_STRSZ)
            size = entry.d_un.d_val;
        else if (entry.d_tag == DT_NULL)
            break;
    }
    if (size < image->strings_size)
        image->strings_size = size;
}

static void read_dynamic(struct image *image, const GElf_Phdr *header, struct ss_probe *probe)
{
    Elf_Data *data =
        elf_getdata_rawchunk(image->elf, (int64_t)header->p_offset, header->p_filesz, ELF_T_DYN);
    size_t count = data ? data->d_size / gelf_fsize(image->elf, ELF_T_DYN, 1, EV_CURRENT) : 0;
    GElf_Dyn entry;
    find_strings(image, data, count);
    for (size_t i = 0; i < count && gelf_getdyn(data, (int)i, &entry); i++) {
        const char *text;
        switch (entry.d_tag) {
        case DT_NEEDED:
            text = dynamic_string(image, entry.d_un.d_val);
            if (text && probe->needed_count < SS_NEEDED_MAX)
                probe->needed[probe->needed_count++] = text;
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            image->runpath = dynamic_string(image, entry.d_un.d_val);
            break;
        case DT_FLAGS_1:
            image->pie_flag = entry.d_un.d_val & DF_1_PIE;
            break;
        case DT_NULL:
            return;
        default:
            break;
        }
    }
}

static void read_headers(struct image *image, struct ss_probe *probe)
{
    static const char dlopen_name[] =
        "dlopen"; /* with its end; it may share that of another name */
    size_t count = 0;
    GElf_Phdr header;
    if (elf_getphdrnum(image->elf, &count) != 0)
        return;
    for (size_t i = 0; i < count && gelf_getphdr(image->elf, (int)i, &header); i++) {
        size_t size = 0;
        const char *file = elf_rawfile(image->elf, &size);
        if (header.p_type == PT_DYNAMIC) {
            image->dynamic = true;
            read_dynamic(image, &header, probe);
        } else if (header.p_type == PT_INTERP && file &&
                   !ss_lies_beyond(header.p_offset, header.p_filesz, size)) {
            probe->loader = ss_text_copy(file + header.p_offset,
                                         strnlen(file + header.p_offset, header.p_filesz));
        }
    }
    probe->loads_modules = image->strings && memmem(image->strings, image->strings_size,
                                                    dlopen_name, sizeof dlopen_name);
}

static const char *linkage_of(const struct image *image, const struct ss_probe *probe)
{
    if (probe->loader)
        return "dynamic";
    if (image->header.e_type == ET_DYN && !image->pie_flag)
        return "shared object";
    return image->dynamic ? "static-pie" : "static";
}

/* By its loader or, without one, by the libc that it needs. */
static const char *libc_of(const struct ss_probe *probe)
{
    static const struct {
        const char *prefix, *libc;
    } names[] = {{"ld-linux", "glibc"}, {"ld64.so", "glibc"},   {"ld.so", "glibc"},
                 {"ld-musl", "musl"},   {"libc.so.6", "glibc"}, {"libc.musl-", "musl"}};
    const char *slash = probe->loader ? strrchr(probe->loader, '/') : NULL;
    const char *loader = slash ? slash + 1 : probe->loader;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (loader && ss_text_starts(loader, names[i].prefix))
            return names[i].libc;
        for (size_t j = 0; !loader && j < probe->needed_count; j++)
            if (ss_text_starts(probe->needed[j], names[i].prefix))
                return names[i].libc;
    }
    return NULL;
}

static void read_linkage(struct image *image, const char *path, const struct stat *status,
                         struct ss_probe *probe)
{
    read_headers(image, probe);
    probe->linkage = linkage_of(image, probe);
    probe->libc = libc_of(probe);
    probe->secure = secure_reason(path, status);
    for (size_t i = 0; i < probe->needed_count; i++)
        if (ss_text_starts(probe->needed[i], "libasan.so") ||
            ss_text_starts(probe->needed[i], "libclang_rt.asan"))
            probe->sanitizer = probe->needed[i];
}

static const char *machine_name(const GElf_Ehdr *header)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_386, "x86"},     {EM_AARCH64, "aarch64"},    {EM_ARM, "arm"},
                 {EM_RISCV, "riscv"}, {EM_PPC64, "powerpc64"},    {EM_S390, "s390"},
                 {EM_MIPS, "mips"},   {EM_LOONGARCH, "loongarch"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].machine == header->e_machine)
            return names[i].name;
    return ss_text("ELF machine %u", header->e_machine);
}

/* Why the file is not one that strayspan is for; NULL where it is. */
static const char *foreign_reason(const GElf_Ehdr *header)
{
    bool wide = header->e_ident[EI_CLASS] == ELFCLASS64;
    if (header->e_machine != EM_X86_64)
        return ss_text("it is built for another machine (%s%s), strayspan is for x86-64",
                       machine_name(header), wide ? "" : ", 32 bits");
    if (!wide)
        return "it is built for 32 bits, strayspan is for x86-64";
    if (header->e_ident[EI_DATA] != ELFDATA2LSB)
        return "it is built for another order of bytes, strayspan is for x86-64";
    if (header->e_type == ET_CORE)
        return "it is a core file, neither a program nor a shared object";
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return "it is an ELF file, but neither a program nor a shared object";
    return NULL;
}

/* Opens the ELF file and sees that what is loaded of it is there. Returns false, with the probe saying why, where it
 * is not. The image is to be closed either way. */
static bool open_elf(struct image *image, int fd, const struct stat *status, struct ss_probe *probe)
{
    *image = (struct image){.fd = fd, .size = (uint64_t)status->st_size};
    elf_version(EV_CURRENT);
    image->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    probe->linkage = "ELF";
    probe->elf = true;
    if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
        !gelf_getehdr(image->elf, &image->header)) {
        unreadable(probe, "it is a damaged ELF file");
        return false;
    }
    probe->foreign = foreign_reason(&image->header);
    if (!probe->foreign && is_cut(image->elf, &image->header, image->size)) {
        unreadable(probe, "it is a cut ELF file: it has segments beyond its end");
        return false;
    }
    return true;
}

/* Whether its call sites say of themselves whether they are events, whatever the others say. */
static bool marks_events(const struct ss_crates *crates)
{
    bool known = false;
    for (size_t i = 0; i < crates->count; i++) {
        if (strcmp(crates->crates[i].name, "tracing-core") != 0)
            continue;
        if (!crates->crates[i].version ||
            ss_compare_versions(crates->crates[i].version, "0.1.26") < 0)
            return false;
        known = true;
    }
    return known;
}

/* Notes what kept symbols from being read, where the search has not. */
static void note_symbols(const struct image *image, const char *path,
                         struct ss_probe_contents *contents)
{
    struct ss_probe_tables *tables = &contents->tables;
    bool by_debug_file = tables->tables && strcmp(tables->tables->evidence, "debug-file") == 0;
    if (ss_sections_are_cut(image->elf, &image->header, image->size))
        ss_probe_note(tables, "it has sections beyond its end: symbols in these are not read");
    for (size_t i = 0; i < SS_PROBE_NOTES && tables->notes[i]; i++)
        if (strstr(tables->notes[i], ": not used: "))
            return;
    if (contents->stripped && !by_debug_file)
        ss_probe_note(tables, ss_debug_file_problem(path));
}

static void read_contents(const struct image *image, const char *path, enum ss_probe_depth depth,
                          struct ss_probe_contents *contents)
{
    struct ss_probe_tables *tables = &contents->tables;
    contents->path = path;
    contents->stripped = !has_symbol_table(image);
    ss_probe_find_crates(image->fd, image->size, image->elf, &contents->crates);
    contents->own = contents->crates.annotated && !asks_for_annotations(image->elf);
    contents->crates.annotated &= !contents->own;
    ss_probe_find_tables(image->fd, image->size, path, depth == SS_PROBE_SITES,
                         marks_events(&contents->crates), tables);
    note_symbols(image, path, contents);
}

/* Adds a library that the program brings along, if it has tracing in it. Returns whether there is
 * such a file. */
static bool read_library(const char *path, enum ss_probe_depth depth, struct ss_probe *probe)
{
    struct stat status;
    struct image image = {.elf = NULL};
    struct ss_probe ignored = {.readable = true};
    int fd = ss_open_ordinary(path, &status);
    if (fd >= 0 && open_elf(&image, fd, &status, &ignored) && !ignored.foreign) {
        struct ss_probe_contents *contents = ss_keep(sizeof *contents);
        read_contents(&image, path, depth, contents);
        if (contents->crates.has_tracing || contents->tables.count)
            probe->libraries[probe->library_count++] = contents;
    }
    elf_end(image.elf);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The libraries that the program needs and finds by its run path: each in the first folder that has
 * it. */
static void read_libraries(const struct image *image, const char *path, enum ss_probe_depth depth,
                           struct ss_probe *probe)
{
    static const char *const names[] = {"$ORIGIN", "${ORIGIN}"};
    const char *slash = strrchr(path, '/');
    char *origin = slash ? ss_text_copy(path, (size_t)(slash - path)) : ss_text(".");
    bool found[SS_NEEDED_MAX] = {false};
    for (const char *at = image->runpath; at && *at;) {
        size_t length = strcspn(at, ":");
        char *directory = ss_text_copy(at, length);
        for (size_t i = 0; i < 2; i++)
            if (ss_text_starts(directory, names[i]))
                directory = ss_text("%s%s", origin, directory + strlen(names[i]));
        for (size_t i = 0; i < probe->needed_count; i++)
            if (!found[i] && probe->library_count < SS_PROBE_LIBRARIES_MAX)
                found[i] =
                    read_library(ss_text("%s/%s", directory, probe->needed[i]), depth, probe);
        at += length;
        at += *at == ':';
    }
}

static void probe_elf(const char *path, int fd, const struct stat *status,
                      enum ss_probe_depth depth, struct ss_probe *probe)
{
    struct image image = {.elf = NULL};
    if (open_elf(&image, fd, status, probe) && !probe->foreign) {
        read_linkage(&image, path, status, probe);
        if (depth != SS_PROBE_LINKAGE) {
            read_contents(&image, path, depth, &probe->contents);
            read_libraries(&image, path, depth, probe);
        }
    }
    elf_end(image.elf);
}

/* ---- scripts ---- */

static void probe_at(const char *path, enum ss_probe_depth depth, int level,
                     struct ss_probe *probe);

static void probe_script(const char *line, enum ss_probe_depth depth, int level,
                         struct ss_probe *probe)
{
    const char *at = line + 2 + strspn(line + 2, " \t");
    char *interpreter = ss_text_copy(at, strcspn(at, " \t\r\n"));
    const char *rest = at + strlen(interpreter);
    rest += strspn(rest, " \t");
    /* `env PROGRAM` stands for the program. */
    if (ss_text_ends(interpreter, "/env") && *rest && *rest != '\n' && *rest != '-') {
        const char *found = ss_find_program(ss_text_copy(rest, strcspn(rest, " \t\r\n")));
        interpreter = found ? ss_text("%s", found) : interpreter;
    }
    if (level < SCRIPT_DEPTH) {
        probe_at(interpreter, depth, level + 1, probe);
        if (!probe->readable)
            probe->foreign = ss_text("its interpreter cannot be looked at: %s", probe->verdict);
    } else {
        probe->foreign = "it is a script of a script of a script";
    }
    probe->readable = true;
    probe->elf = false;
    probe->linkage = "script";
    probe->loader = interpreter;
}

static void probe_at(const char *path, enum ss_probe_depth depth, int level, struct ss_probe *probe)
{
    *probe = (struct ss_probe){.readable = true, .linkage = "unknown"};
    struct stat status = {0};
    int fd = ss_open_ordinary(path, &status);
    char line[LINE_MAX_LENGTH + 1] = {0};
    if (fd < 0 && errno == EMEDIUMTYPE)
        unreadable(probe,
                   S_ISDIR(status.st_mode) ? "it is a directory" : "it is not an ordinary file");
    else if (fd < 0 || pread(fd, line, LINE_MAX_LENGTH, 0) < 0)
        unreadable(probe, ss_text("it cannot be read: %s", strerror(errno)));
    else if (status.st_size == 0)
        unreadable(probe, "it is empty");
    else if (memcmp(line, ELFMAG, SELFMAG) == 0)
        probe_elf(path, fd, &status, depth, probe);
    else if (line[0] == '#' && line[1] == '!')
        probe_script(line, depth, level, probe);
    else
        probe->foreign = "it is neither an ELF program nor a script with an interpreter";
    if (fd >= 0)
        close(fd);
}

void ss_probe_file(const char *path, enum ss_probe_depth depth, struct ss_probe *probe)
{
    probe_at(path, depth, 0, probe);
    if (probe->readable)
        ss_probe_judge(probe, depth);
}
