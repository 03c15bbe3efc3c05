/* Objects that dlmopen put into namespaces of their own: a preload does not get there, so that what
 * they do is not seen, and is to be named. The loader tells how many objects it has in all
 * (modules.c); which they are tells the kernel.
 *
 * Called once, when the process ends. No lock; reads /proc/self/maps and the files named there. */
#include "namespaces.h"

#include <linux/fcntl.h>
#include <string.h>

#include "prim.h"

enum { BUFFER = 64 * 1024, LINE_MAX = 4096 + 128, PAGE = 4096 };

static const char *apart[SS_APART_MAX];
static uint32_t count;

/* Reads on behind what is kept of the last time, at the buffer's start. Returns how much there is. */
static size_t read_on(int fd, char *buffer, size_t kept)
{
    long size = ss_sys_read(fd, buffer + kept, BUFFER - kept);
    return size > 0 ? kept + (size_t)size : 0;
}

/* Whether the file holds a path of tracing-core's sources, as the panic messages in it have them. */
static bool has_tracing(const char *path, char *buffer)
{
    static const char wanted[] = "/tracing-core-";
    enum { OVERLAP = sizeof wanted - 2 };
    long fd = ss_sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    bool found = false;
    struct stat stat = {0};
    size_t kept = 0, used;
    /* Devices are mapped too, and read without end. */
    bool is_file = fd >= 0 && ss_sys_fstat((int)fd, &stat) == 0 && ss_is_regular(&stat);
    while (is_file && !found && (used = read_on((int)fd, buffer, kept)) > 0) {
        found = memmem(buffer, used, wanted, sizeof wanted - 1) != NULL;
        kept = used < OVERLAP ? used : OVERLAP;
        memmove(buffer, buffer + used - kept, kept);
    }
    if (fd >= 0)
        (void)ss_sys_close((int)fd);
    return found;
}

/* One line of the maps, terminated: `start-end rwxp offset device inode   path`. */
static void look_at(const char *line, char *buffer)
{
    const char *path = strchr(line, '/'), *rights = strchr(line, ' ');
    if (!path || !rights || rights > path || rights[3] != 'x' || count == SS_APART_MAX)
        return;
    uintptr_t start = 0;
    for (const char *at = line; *at != '-' && *at != ' '; at++)
        start = start << 4 | (uintptr_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(apart[i], path) == 0)
            return;
    /* A module's code may begin within its first page. */
    if (!ss_module_of(start) && !ss_module_of(start | (PAGE - 1)) && has_tracing(path, buffer))
        apart[count] = ss_copy_text(path, strlen(path));
    count += count < SS_APART_MAX && apart[count];
}

uint32_t ss_namespaces_look(void)
{
    char *lines = ss_sys_map((size_t)2 * BUFFER);
    long fd = lines ? ss_sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0) : -1;
    size_t kept = 0, used;
    while (fd >= 0 && (used = read_on((int)fd, lines, kept)) > 0) {
        char *at = lines, *end = lines + used, *newline;
        while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
            *newline = 0;
            look_at(at, lines + BUFFER);
            at = newline + 1;
        }
        kept = (size_t)(end - at);
        if (kept > LINE_MAX)
            break;
        memmove(lines, at, kept);
    }
    if (fd >= 0)
        (void)ss_sys_close((int)fd);
    if (lines)
        ss_sys_unmap(lines, (size_t)2 * BUFFER);
    return count;
}

const char *ss_namespaces_at(uint32_t number)
{
    return number < count ? apart[number] : NULL;
}
