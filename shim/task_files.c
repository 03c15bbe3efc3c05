/* The files of /proc/self/task/TID: names of threads, and whether they run; and when the process began.
 *
 * Called by threads.c, for reports and at the end of the process, and by log.c; without memory or locks. */
#include "task_files.h"

#include <linux/fcntl.h>
#include <string.h>

#include "prim.h"

/* Reads a file; returns its length, 0 where there is none. */
static size_t read_file(const char *path, char *buffer, size_t size)
{
    long fd = ss_sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    long got = ss_sys_read((int)fd, buffer, size);
    (void)ss_sys_close((int)fd);
    return got > 0 ? (size_t)got : 0;
}

/* The same with a file of /proc/self/task/TID. */
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
    return read_file(path, buffer, size);
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

/* What stands behind the name in "TID (NAME) STATE ..", where the name may hold anything, of so many bytes with
 * room for one more: proc(5)'s third field and those that follow it. Empty where there is none. */
static const char *stat_fields(char *buffer, size_t length)
{
    buffer[length] = 0;
    const char *name_end = strrchr(buffer, ')');
    return name_end && name_end[1] ? name_end + 2 : "";
}

bool ss_task_is_running(int tid)
{
    char buffer[128];
    return *stat_fields(buffer, read_task_file(tid, "/stat", buffer, sizeof buffer - 1)) == 'R';
}

uint64_t ss_process_start(void)
{
    enum { FIRST = 3, START = 22 };
    char buffer[512];
    /* Of whatever namespace /proc is, this is our own. */
    const char *at = stat_fields(buffer, read_file("/proc/self/stat", buffer, sizeof buffer - 1));
    for (int field = FIRST; field < START && *at; at++)
        field += *at == ' ';
    uint64_t start = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        start = start * 10 + (uint64_t)(*at - '0');
    /* It is whole where another field follows. */
    return *at == ' ' ? start : 0;
}
