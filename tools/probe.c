/* `strayspan probe`: whether a preload reaches a program, and whether there is anything in it.
 * Files are only read, never run; nothing in them is trusted. Also used by run.c for its messages.
 */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "command_line.h"
#include "commands.h"
#include "text.h"

enum { SCRIPT_DEPTH = 4, LINE_MAX_LENGTH = 256 };

static const char build_dynamic[] =
    "build the same source for a gnu target once (cargo build --target x86_64-unknown-linux-gnu, "
    "without target-feature=+crt-static): what strays does not depend on the libc";

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

static void cannot(struct ss_probe *probe, const char *verdict, const char *advice)
{
    probe->reached = false;
    probe->verdict = verdict;
    probe->advice = advice;
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
    Elf *elf;
    const char *loader;
    bool dynamic, pie_flag;
    const char *needed[64];
    size_t needed_count;
    const char *runpath;
};

static bool file_holds(int fd, size_t size, const char *const *words)
{
    void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED)
        return false;
    bool found = false;
    for (; *words && !found; words++)
        found = memmem(map, size, *words, strlen(*words)) != NULL;
    munmap(map, size);
    return found;
}

/* The string at offset of the section that the dynamic section is linked to. */
static const char *dynamic_string(Elf *elf, size_t strings, size_t offset)
{
    const char *text = elf_strptr(elf, strings, offset);
    return text ? ss_text_copy(text, strnlen(text, 4096)) : NULL;
}

static void read_dynamic_section(struct image *image, Elf_Scn *section, size_t strings)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data ? data->d_size / gelf_fsize(image->elf, ELF_T_DYN, 1, EV_CURRENT) : 0;
    GElf_Dyn entry;
    for (size_t i = 0; i < count && gelf_getdyn(data, (int)i, &entry); i++) {
        const char *text;
        switch (entry.d_tag) {
        case DT_NEEDED:
            text = dynamic_string(image->elf, strings, entry.d_un.d_val);
            if (text && image->needed_count < sizeof image->needed / sizeof image->needed[0])
                image->needed[image->needed_count++] = text;
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            image->runpath = dynamic_string(image->elf, strings, entry.d_un.d_val);
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

static bool lies_beyond(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset > size || length > size - offset;
}

/* What of the file lies beyond its end, NULL where it is whole. */
static const char *cut_part(Elf *elf, const GElf_Ehdr *header, uint64_t size)
{
    size_t count = 0;
    GElf_Phdr segment;
    if (lies_beyond(header->e_phoff, (uint64_t)header->e_phnum * header->e_phentsize, size))
        return "segments";
    if (elf_getphdrnum(elf, &count) != 0)
        return "segments";
    for (size_t i = 0; i < count; i++)
        if (!gelf_getphdr(elf, (int)i, &segment) ||
            (segment.p_type == PT_LOAD && lies_beyond(segment.p_offset, segment.p_filesz, size)))
            return "segments";
    if (lies_beyond(header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize, size))
        return "sections";
    Elf_Scn *section = NULL;
    GElf_Shdr section_header;
    while ((section = elf_nextscn(elf, section)))
        if (!gelf_getshdr(section, &section_header) ||
            (section_header.sh_type != SHT_NOBITS && section_header.sh_type != SHT_NULL &&
             lies_beyond(section_header.sh_offset, section_header.sh_size, size)))
            return "sections";
    return NULL;
}

static bool has_symbol_table(Elf *elf)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    while ((section = elf_nextscn(elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB && header.sh_size)
            return true;
    return false;
}

static void read_image(struct image *image)
{
    size_t count = 0;
    GElf_Phdr header;
    if (elf_getphdrnum(image->elf, &count) != 0)
        return;
    for (size_t i = 0; i < count && gelf_getphdr(image->elf, (int)i, &header); i++) {
        if (header.p_type == PT_DYNAMIC)
            image->dynamic = true;
        if (header.p_type != PT_INTERP)
            continue;
        size_t size = 0;
        const char *file = elf_rawfile(image->elf, &size);
        if (file && header.p_offset < size && header.p_filesz <= size - header.p_offset)
            image->loader = ss_text_copy(file + header.p_offset,
                                         strnlen(file + header.p_offset, header.p_filesz));
    }
    Elf_Scn *section = NULL;
    GElf_Shdr section_header;
    while ((section = elf_nextscn(image->elf, section)))
        if (gelf_getshdr(section, &section_header) && section_header.sh_type == SHT_DYNAMIC)
            read_dynamic_section(image, section, section_header.sh_link);
}

static const char *const tracing_words[] = {"tracing_core", "tracing-core-", NULL};
static const char *const annotation_words[] = {"strayspan_annotate_new", NULL};

/* Whether a library that the program brings along, found by its run path, holds tracing. */
static bool libraries_hold_tracing(const struct image *image, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *origin = slash ? ss_text_copy(path, (size_t)(slash - path)) : ss_text(".");
    for (const char *at = image->runpath; at && *at;) {
        size_t length = strcspn(at, ":");
        char *directory = ss_text_copy(at, length);
        static const char *const names[] = {"$ORIGIN", "${ORIGIN}"};
        for (size_t i = 0; i < 2; i++)
            if (ss_text_starts(directory, names[i]))
                directory = ss_text("%s%s", origin, directory + strlen(names[i]));
        for (size_t i = 0; i < image->needed_count; i++) {
            struct stat status;
            int fd = open(ss_text("%s/%s", directory, image->needed[i]),
                          O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
            bool found = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                         file_holds(fd, (size_t)status.st_size, tracing_words);
            if (fd >= 0)
                close(fd);
            if (found)
                return true;
        }
        at += length;
        at += *at == ':';
    }
    return false;
}

static void judge_program(const struct image *image, const char *path, const struct stat *status,
                          int type, struct ss_probe *probe)
{
    const char *secure = secure_reason(path, status);
    bool library = type == ET_DYN && !image->loader && !image->pie_flag;
    probe->loader = image->loader;
    for (size_t i = 0; i < image->needed_count; i++)
        if (ss_text_starts(image->needed[i], "libasan.so") ||
            ss_text_starts(image->needed[i], "libclang_rt.asan"))
            probe->sanitizer = image->needed[i];
    probe->has_tracing = probe->has_tracing || libraries_hold_tracing(image, path);

    if (library) {
        probe->linkage = "shared object";
    } else if (!image->loader) {
        probe->linkage = image->dynamic ? "static-pie" : "static";
        cannot(probe,
               ss_text("it is %s linked: no library can be preloaded into it",
                       image->dynamic ? "statically (static-pie)" : "statically"),
               build_dynamic);
        return;
    } else {
        probe->linkage = "dynamic";
    }
    if (image->loader && access(image->loader, F_OK) != 0) {
        cannot(probe, ss_text("its loader %s is not on this machine", image->loader),
               "run strayspan where the program runs");
        return;
    }
    const char *base = image->loader ? strrchr(image->loader, '/') : NULL;
    base = base ? base + 1 : image->loader;
    if (base && !ss_text_starts(base, "ld-linux") && !ss_text_starts(base, "ld.so") &&
        !ss_text_starts(base, "ld64.so") && !ss_text_starts(base, "ld-musl")) {
        cannot(probe,
               ss_text("its loader is %s, of another libc than glibc or musl", image->loader),
               build_dynamic);
        return;
    }
    if (secure) {
        cannot(probe, ss_text("%s: the loader drops LD_PRELOAD for it", secure),
               "run a copy of it without that (cp keeps neither bit nor capabilities), or run "
               "strayspan as the user it changes to");
        return;
    }
    probe->reached = true;
    if (probe->stripped && !probe->annotated) {
        probe->verdict =
            "it is stripped: there is `tracing` in it, and no symbol table (.symtab) to "
            "find it by";
        probe->advice =
            "build it with strip = false or \"debuginfo\" in its profile; with its debug "
            "file at hand: eu-unstrip PROGRAM DEBUGFILE -o UNSTRIPPED";
    } else if (probe->has_tracing) {
        probe->verdict = "it can be diagnosed";
    } else if (probe->annotated) {
        probe->verdict = "it can be diagnosed: it has annotations";
    } else {
        probe->verdict = "there is no `tracing` in it";
        probe->advice = "it is no Rust program with tracing; what it loads or starts may be one";
    }
}

static void probe_elf(const char *path, int fd, const struct stat *status, struct ss_probe *probe)
{
    struct image image = {.elf = NULL};
    GElf_Ehdr header;
    const char *cut;
    elf_version(EV_CURRENT);
    image.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (!image.elf || elf_kind(image.elf) != ELF_K_ELF || !gelf_getehdr(image.elf, &header)) {
        probe->readable = false;
        probe->linkage = "ELF";
        cannot(probe, "it is a damaged ELF file", NULL);
    } else if ((cut = cut_part(image.elf, &header, (uint64_t)status->st_size))) {
        probe->readable = false;
        probe->linkage = "ELF";
        cannot(probe, ss_text("it is a cut ELF file: it has %s beyond its end", cut), NULL);
    } else if (header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64) {
        probe->linkage = "ELF";
        cannot(probe,
               ss_text("it is built for another machine (ELF machine %u), strayspan is for "
                       "x86-64",
                       header.e_machine),
               NULL);
    } else if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        probe->linkage = "ELF";
        cannot(probe, "it is an ELF file, but neither a program nor a shared object", NULL);
    } else {
        probe->has_tracing = file_holds(fd, (size_t)status->st_size, tracing_words);
        probe->annotated = file_holds(fd, (size_t)status->st_size, annotation_words);
        probe->stripped = probe->has_tracing && !has_symbol_table(image.elf);
        read_image(&image);
        judge_program(&image, path, status, header.e_type, probe);
    }
    elf_end(image.elf);
}

/* ---- scripts ---- */

static void probe_at_depth(const char *path, struct ss_probe *probe, int depth);

static void probe_script(const char *line, struct ss_probe *probe, int depth)
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
    struct ss_probe inner;
    if (depth >= SCRIPT_DEPTH) {
        cannot(probe, "it is a script of a script of a script", NULL);
        return;
    }
    probe_at_depth(interpreter, &inner, depth + 1);
    *probe = inner;
    probe->readable = true;
    probe->linkage = "script";
    probe->loader = interpreter;
    probe->verdict =
        ss_text("it is a script, and of its interpreter %s: %s", interpreter, inner.verdict);
}

static void probe_at_depth(const char *path, struct ss_probe *probe, int depth)
{
    *probe = (struct ss_probe){.readable = true, .linkage = "unknown"};
    struct stat status = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int problem = fd < 0 || fstat(fd, &status) != 0 ? errno : 0;
    char line[LINE_MAX_LENGTH + 1] = {0};
    if (problem || !S_ISREG(status.st_mode)) {
        probe->readable = false;
        cannot(probe,
               problem                   ? ss_text("it cannot be read: %s", strerror(problem))
               : S_ISDIR(status.st_mode) ? "it is a directory"
                                         : "it is not an ordinary file",
               NULL);
    } else if (pread(fd, line, LINE_MAX_LENGTH, 0) < 0) {
        probe->readable = false;
        cannot(probe, ss_text("it cannot be read: %s", strerror(errno)), NULL);
    } else if (memcmp(line, ELFMAG, SELFMAG) == 0) {
        probe_elf(path, fd, &status, probe);
    } else if (line[0] == '#' && line[1] == '!') {
        probe_script(line, probe, depth);
    } else {
        probe->linkage = "not ELF";
        cannot(probe, "it is neither an ELF program nor a script with an interpreter", NULL);
    }
    if (fd >= 0)
        close(fd);
}

void ss_probe_file(const char *path, struct ss_probe *probe)
{
    probe_at_depth(path, probe, 0);
}

/* ---- the command ---- */

static const struct ss_flag flags[] = {{NULL, NULL, NULL}};

static const struct ss_usage usage = {
    "probe",
    "FILE...",
    "Tells for each program or shared object whether strayspan can diagnose it.",
    flags,
    "exit status: 0 all can be diagnosed, 1 one cannot, 2 one is unreadable.",
    SS_EXIT_UNREADABLE,
};

int ss_probe(int argc, char **argv)
{
    int index = 0, result = 0;
    char *value;
    while (ss_next_flag(&usage, argc, argv, false, &index, &value) >= 0)
        ;
    if (index == argc)
        ss_usage_error(&usage, "no file given");
    for (int i = index; i < argc; i++) {
        struct ss_probe probe;
        ss_probe_file(argv[i], &probe);
        bool good = probe.reached && ((probe.has_tracing && !probe.stripped) || probe.annotated);
        if (!probe.readable) {
            fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(argv[i]),
                    ss_text_clean(probe.verdict));
            result = SS_EXIT_UNREADABLE;
            continue;
        }
        printf("%s: %s: %s\n", ss_text_clean(argv[i]), good ? "yes" : "NO",
               ss_text_clean(probe.verdict));
        printf("    linkage: %s%s%s\n", probe.linkage, probe.loader ? ", loader " : "",
               probe.loader ? ss_text_clean(probe.loader) : "");
        if (probe.sanitizer)
            printf("    sanitizer: %s, which `strayspan run` preloads first\n",
                   ss_text_clean(probe.sanitizer));
        if (probe.advice)
            printf("    to do: %s\n", ss_text_clean_to(probe.advice, 400));
        if (!good && result == 0)
            result = SS_EXIT_SOMETHING;
    }
    return fflush(stdout) == 0 ? result : SS_EXIT_UNREADABLE;
}
