/* find_tables FILE...: what the shim would find in each file, without running it. A line per file,
 * separated by tabs:
 *
 *     FILE EVIDENCE MILLISECONDS TABLE...
 *
 * EVIDENCE is `none` where there is no table, and `unmapped` where the file cannot be brought into
 * memory. A TABLE is ADDRESS:METHODS[:no-subscriber][:never-closes], the address the file's own.
 * What the shim would warn of goes to stderr, behind the file's name. Status 1: something was
 * unmapped. The time is the shortest of several searches, when what they read is in memory. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file_image.h"
#include "module_image.h"
#include "modules.h"

static const unsigned methods[] = {[SS_LAYOUT_14] = 14, [SS_LAYOUT_15] = 15, [SS_LAYOUT_16] = 16};

static struct ss_module module;
static struct ss_table_found tables[SS_TABLES_MAX];
static unsigned table_count;
static bool talking;

/* Stand-ins for what other parts of the shim give. */
_Atomic int ss_own_pid;

void ss_say(int level, const char *piece, ...)
{
    if (level > 0 || !talking)
        return;
    va_list pieces;
    va_start(pieces, piece);
    for (; piece; piece = va_arg(pieces, const char *))
        fputs(piece, stderr);
    va_end(pieces);
    fputc('\n', stderr);
}

void ss_hook_table(const struct ss_table_found *found)
{
    if (table_count < SS_TABLES_MAX)
        tables[table_count++] = *found;
}

struct ss_module *ss_module_of(uintptr_t address)
{
    return ss_image_segment(&module, address) ? &module : NULL;
}

void ss_module_has_table(struct ss_module *m, uintptr_t slot)
{
    (void)m;
    (void)slot;
}

static double milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void search(const struct ss_file_image *image)
{
    enum { TURNS = 5 };
    double least = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        module = image->module;
        module.id = 2; /* not the program, which is found without its path */
        atomic_store(&module.loaded, 1);
        table_count = 0;
        talking = turn == 0;
        double start = milliseconds();
        ss_discover(&module);
        double took = milliseconds() - start;
        least = turn == 0 || took < least ? took : least;
    }
    printf("%s\t%s\t%.2f", module.path, table_count ? module.evidence : "none", least);
    for (unsigned i = 0; i < table_count; i++)
        printf("\t%#lx:%u%s%s", (unsigned long)(tables[i].address - module.bias),
               methods[tables[i].layout], tables[i].no_subscriber ? ":no-subscriber" : "",
               tables[i].default_try_close ? ":never-closes" : "");
    putchar('\n');
}

/* Returns false where the file cannot be searched. */
static bool search_file(const char *path)
{
    struct stat status;
    struct ss_file_image image;
    const char *why = "it cannot be read";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        why = ss_file_image_map(fd, (uint64_t)status.st_size, path, &image);
    if (fd >= 0)
        close(fd);
    if (why) {
        printf("%s\tunmapped\t0\t%s\n", path, why);
        return false;
    }
    search(&image);
    ss_file_image_unmap(&image);
    return true;
}

int main(int count, char **arguments)
{
    bool all = true;
    for (int i = 1; i < count; i++)
        all &= search_file(arguments[i]);
    return !all;
}
