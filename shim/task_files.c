/* The files of /proc/self/task/TID: names of threads, and whether they run.
 *
 * Called by threads.c, for reports and at the end of the process; without memory or locks. */
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

bool ss_task_is_running(int tid)
{
    char buffer[128];
    size_t size = read_task_file(tid, "/stat", buffer, sizeof buffer);
    /* "TID (NAME) STATE ..", where the name may hold anything. */
    size_t end = size;
    while (end > 0 && buffer[end - 1] != ')')
        end--;
    return end > 0 && end + 1 < size && buffer[end + 1] == 'R';
}
