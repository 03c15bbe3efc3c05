/* What a loaded object is called: its path as well as it can be known, and whether it is one of the
 * system's libraries by its name.
 *
 * Called by modules.c, which holds its lock around ss_module_path_of. Reads /proc. */
#include "module_names.h"

#include <string.h>
#include <sys/auxv.h>

#include "maps.h"
#include "prim.h"

enum { PATH_SIZE = 4096 };

extern unsigned long getauxval(unsigned long type) __attribute__((weak));

static char path[PATH_SIZE];

static bool begins(const char *text, const char *with)
{
    while (*with && *text == *with) {
        text++;
        with++;
    }
    return !*with;
}

static char *put_hex(char *at, uintptr_t value)
{
    int shift = 60;
    while (shift > 0 && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[value >> shift & 15];
    return at;
}

/* Puts the path of the file that is mapped at address into `path`. Returns its length, 0 if
 * unknown. */
static size_t mapped_path(uintptr_t address)
{
    static const char directory[] = "/proc/self/map_files/";
    char link[sizeof directory + 2 * 16 + 1];
    struct ss_mapping mapping;
    if (!ss_mapping_find(address, &mapping))
        return 0;
    memcpy(link, directory, sizeof directory);
    char *at = put_hex(link + sizeof directory - 1, mapping.start);
    *at++ = '-';
    *put_hex(at, mapping.end) = 0;
    long length = ss_sys_readlink(link, path, sizeof path);
    return length > 0 ? (size_t)length : 0;
}

static const char *base_of(const char *file)
{
    const char *base = file;
    for (; *file; file++)
        if (*file == '/')
            base = file + 1;
    return base;
}

/* Puts a file's path, from the root on where that can be told, into `to`. Returns its length. */
static size_t absolute(const char *name, char *to, size_t size)
{
    size_t name_length = strlen(name), used = 0;
    if (name_length >= size)
        return 0;
    if (name[0] != '/') {
        /* The kernel counts the terminator, and says "(unreachable)" beyond a chroot. */
        long length = SS_SYSCALL_2(__NR_getcwd, to, size);
        if (length > 1 && to[0] == '/' && (size_t)length + name_length < size) {
            used = (size_t)length;
            to[used - 1] = '/';
        }
    }
    memcpy(to + used, name, name_length + 1);
    return used + name_length;
}

size_t ss_program_path(char *to, size_t size)
{
    long length = ss_sys_readlink("/proc/self/exe", to, size - 1);
    const char *file = NULL;
    if (length > 0) {
        to[length] = 0;
        return (size_t)length;
    }
    /* There is no /proc. */
    if (getauxval)
        file = (const char *)getauxval(AT_EXECFN);
    to[0] = 0;
    return file ? absolute(file, to, size) : 0;
}

/* The path of the program. Where that was an argument of the loader, the kernel thinks that the
 * loader is the program. */
static const char *program_path(const struct ss_module *m)
{
    const char *said = ss_copy_text(path, ss_program_path(path, sizeof path));
    if (!said || !begins(base_of(said), "ld-"))
        return said;
    size_t mapped = mapped_path(m->start);
    return mapped ? ss_copy_text(path, mapped) : said;
}

/* The path of a module as well as it can be known: for all but the program what the loader opened,
 * from the root on. */
const char *ss_module_path_of(const struct ss_module *m, const char *name, bool program)
{
    if (program)
        return program_path(m);
    if (!name || !*name || begins(name, "linux-vdso") || begins(name, "linux-gate"))
        return "[vdso]";
    return ss_copy_text(path, absolute(name, path, sizeof path));
}

/* The libraries that hold no Rust, by how their names begin. */
bool ss_module_is_system(const struct ss_module *m)
{
    static const char *const names[] = {
        "libc.so", "libc-",    "ld-",    "libm.so",     "libm-",        "libpthread",    "libdl.so",
        "libdl-",  "librt.so", "librt-", "libgcc_s.so", "libstdc++.so", "libresolv.so.", "libnss_"};
    const char *base = base_of(m->path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (begins(base, names[i]))
            return true;
    return begins(m->path, "[vdso]");
}
