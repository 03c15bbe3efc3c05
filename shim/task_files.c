/* The files of /proc/self/task/TID: names of threads, whether they run, and when they began.
 *
 * Called by threads.c, for reports and at the end of the process, and by log.c; without memory or locks. */
#include "task_files.h"

#include <linux/fcntl.h>
#include <string.h>

#include "prim.h"

/* Reads a file of /proc/self/task/TID; returns its length, 0 where there is none. */
static size_t read_task_file(int tid, const char *file, char *buffer, size_t size)
{
    char path[48] = "/proc/self/task/";
    char digits[12];
    unsigned at = sizeof digits;
    digits[--at] = 0;
    for (unsigned value = (unsigned)tid; value || at == sizeof digits - 1; value /= 10)
        digits[--at] = (char)('0' + value % 10);
    size_t used = strlen(path);
    memcpy(path + used, digits + at, sizeof digits - at);
    memcpy(path + strlen(path), file, strlen(file) + 1);

    long fd = ss_sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    long got = ss_sys_read((int)fd, buffer, size);
    (void)ss_sys_close((int)fd);
    return got > 0 ? (size_t)got : 0;
}

void ss_task_name(int tid, char name[SS_THREAD_NAME])
{
    char buffer[SS_THREAD_NAME + 1];
    size_t size = read_task_file(tid, "/comm", buffer, sizeof buffer - 1);
    if (size > 0 && buffer[size - 1] == '\n')
        size--;
    if (size > 0 && size < SS_THREAD_NAME) {
        memcpy(name, buffer, size);
        name[size] = 0;
    }
}

/* What stands behind the name in "TID (NAME) STATE ..", where the name may hold anything: proc(5)'s third
 * field and those that follow it. Empty where it cannot be read. */
static const char *stat_fields(int tid, char *buffer, size_t size)
{
    size_t end = read_task_file(tid, "/stat", buffer, size - 1);
    buffer[end] = 0;
    const char *name_end = strrchr(buffer, ')');
    return name_end && name_end[1] ? name_end + 2 : "";
}

bool ss_task_is_running(int tid)
{
    char buffer[128];
    return *stat_fields(tid, buffer, sizeof buffer) == 'R';
}

uint64_t ss_task_start(int tid)
{
    enum { FIRST = 3, START = 22 };
    char buffer[512];
    const char *at = stat_fields(tid, buffer, sizeof buffer);
    for (int field = FIRST; field < START && *at; at++)
        field += *at == ' ';
    uint64_t start = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        start = start * 10 + (uint64_t)(*at - '0');
    /* It is whole where another field follows. */
    return *at == ' ' ? start : 0;
}
