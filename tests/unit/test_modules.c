/* The records of loaded modules: what they say agrees with the kernel and with libc, they follow
 * dlopen and dlclose, and look-ups by address are right while other threads load and unload. */
#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "check.h"
#include "internal.h"

/* Stand-ins for what other parts of the shim give. */
_Atomic int ss_own_pid;

void ss_say(int level, const char *piece, ...)
{
    (void)level;
    fprintf(stderr, "said: %s\n", piece);
}

void ss_hook_table(const struct ss_table_found *found)
{
    (void)found;
}

/* In glibc, and in no program's dependencies. */
static const char plugin[] = "libBrokenLocale.so.1";

/* Every mapping of a file that the kernel lists belongs to the module with that path. */
static void agrees_with_the_kernel(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[8192], file[4096];
    unsigned long start, end;
    int mappings = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095s", &start, &end, file) != 3 ||
            file[0] != '/' || !strstr(file, ".so"))
            continue;
        /* Mappings begin and end with pages, segments somewhere in them. */
        const struct ss_module *m = ss_module_of(start);
        if (!m)
            m = ss_module_of(start | 0xfff);
        CHECK(m && m->loaded);
        char *real = m ? realpath(m->path, NULL) : NULL;
        CHECK(real && strcmp(real, file) == 0);
        free(real);
        mappings++;
    }
    CHECK(mappings >= 4);
    if (maps)
        fclose(maps);
}

static void knows_the_program(void)
{
    char self[4096] = "";
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    uintptr_t code = (uintptr_t)knows_the_program;
    struct ss_module *m = ss_module_of(code);
    CHECK(m && m == ss_module_at(0) && m->id == 1 && strcmp(m->path, self) == 0);
    if (!m)
        return;
    CHECK(ss_module_executable(m, code) && ss_module_readable(m, code, 1));
    CHECK(ss_module_readable(m, (uintptr_t)&failures, sizeof failures));
    CHECK(!ss_module_executable(m, (uintptr_t)&failures));
    CHECK(!ss_module_readable(m, (uintptr_t)&m, 1));
    CHECK(!ss_module_readable(m, m->end, 1) && !ss_module_readable(m, m->start, m->end));
    CHECK(!ss_module_readable(m, m->start, SIZE_MAX) && !ss_module_readable(m, m->start - 1, 1));
    CHECK(m->relro_end > m->relro_start && m->relro_start >= m->start && m->relro_end <= m->end);
    CHECK(m->dynamic >= m->relro_start && m->dynamic < m->relro_end);
    CHECK(m->eh_frame_hdr_end > m->eh_frame_hdr && ss_module_readable(m, m->eh_frame_hdr, 8));

    /* Its build id stands behind the note's name in the file. */
    static char bytes[1 << 20];
    FILE *file = fopen(self, "r");
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    char note[SS_BUILD_ID_MAX + 4] = "GNU";
    memcpy(note + 4, m->build_id, m->build_id_length);
    CHECK(m->build_id_length >= 16);
    CHECK(memmem(bytes, size, note, 4 + m->build_id_length) != NULL);
    if (file)
        fclose(file);
}

static void knows_the_rest(void)
{
    const struct ss_module *vdso = ss_module_of(getauxval(AT_SYSINFO_EHDR));
    CHECK(!getauxval(AT_SYSINFO_EHDR) || (vdso && strcmp(vdso->path, "[vdso]") == 0));
    int local;
    CHECK(!ss_module_of((uintptr_t)&local) && !ss_module_of(0) && !ss_module_of(UINTPTR_MAX));
    uint32_t count = 0;
    while (ss_module_at(count)) {
        CHECK(ss_module_at(count)->id == count + 1);
        count++;
    }
    CHECK(count >= 3 && !ss_module_at(UINT32_MAX));
}

static void finds_symbols_like_libc(void)
{
    static const char *const names[] = {"getaddrinfo",
                                        "pthread_create",
                                        "pthread_cond_wait",
                                        "pthread_setname_np",
                                        "realpath",
                                        "fopen",
                                        "posix_spawn",
                                        "quick_exit",
                                        "malloc",
                                        "syscall",
                                        "environ",
                                        "dl_iterate_phdr",
                                        "__cxa_finalize",
                                        "exit"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = 0;
        void *found = ss_symbol_next(names[i], &size);
        if (found != dlsym(RTLD_NEXT, names[i]) || !found || !size) {
            fprintf(stderr, "%s: %p, libc says %p\n", names[i], found, dlsym(RTLD_NEXT, names[i]));
            failures++;
        }
    }
    size_t size = 1;
    CHECK(!ss_symbol_next("no_such_symbol_anywhere", &size) && size == 0);
    CHECK(!ss_symbol_next("", NULL));
    CHECK(!ss_symbol_next("memcpy", NULL));   /* an IFUNC: its resolver is not run */
    CHECK(!ss_symbol_next("failures", NULL)); /* our own */
}

static uintptr_t base_of(void *handle)
{
    struct {
        uintptr_t base;
    } *map = handle; /* struct link_map begins so */
    return map->base;
}

static void follows_loading(void)
{
    uint32_t before = 0;
    while (ss_module_at(before))
        before++;
    for (int i = 0; i < 3000; i++) {
        void *handle = dlopen(plugin, RTLD_NOW);
        CHECK(handle);
        if (!handle)
            return;
        uintptr_t base = base_of(handle);
        if (i % 3)
            ss_modules_update();
        dlclose(handle);
        if (i % 3) {
            ss_modules_update();
            CHECK(!ss_module_of(base));
        }
    }
    void *handle = dlopen(plugin, RTLD_NOW);
    ss_modules_update();
    struct ss_module *m = ss_module_of(base_of(handle));
    CHECK(m && m->loaded && strstr(m->path, plugin) && m->path[0] == '/');
    dlclose(handle);
    ss_modules_update();
    CHECK(m && !m->loaded && ss_module_at(m->id - 1) == m);
    uint32_t after = before;
    while (ss_module_at(after))
        after++;
    printf("%u modules, %u more after 3000 loads of one\n", before, after - before);
    CHECK(after - before < 64);
}

static _Atomic bool stop;
static _Atomic uint64_t lookups, wrong;

static void *look_up(void *unused)
{
    (void)unused;
    uintptr_t libc = (uintptr_t)dlsym(RTLD_DEFAULT, "fopen");
    struct ss_module *program = ss_module_at(0), *libc_module = ss_module_of(libc);
    int local;
    while (!stop) {
        bool right = ss_module_of((uintptr_t)look_up) == program &&
                     ss_module_of(libc) == libc_module && !ss_module_of((uintptr_t)&local);
        atomic_fetch_add(&wrong, !right);
        atomic_fetch_add(&lookups, 1);
    }
    return NULL;
}

static void *load(void *unused)
{
    (void)unused;
    while (!stop) {
        void *handle = dlopen(plugin, RTLD_NOW);
        ss_modules_update();
        struct ss_module *m = handle ? ss_module_of(base_of(handle)) : NULL;
        atomic_fetch_add(&wrong, !m || !strstr(m->path, plugin));
        if (handle)
            dlclose(handle);
        ss_modules_update();
    }
    return NULL;
}

static void holds_under_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, i < 2 ? look_up : load, NULL) == 0);
    usleep(700000);
    stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("%llu look-ups while loading, %llu wrong\n", (unsigned long long)lookups,
           (unsigned long long)wrong);
    CHECK(lookups > 1000 && wrong == 0);
}

int main(void)
{
    ss_own_pid = getpid();
    ss_modules_update();
    knows_the_program();
    agrees_with_the_kernel();
    knows_the_rest();
    finds_symbols_like_libc();
    follows_loading();
    agrees_with_the_kernel();
    holds_under_threads();
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
