/* Reads /proc/self/maps, in small pieces as the caller's stack may be small. */
#include "maps.h"

#include <linux/fcntl.h>
#include <string.h>

#include "prim.h"

/* One hexadecimal number from text; moves the cursor behind it. */
static uintptr_t parse_hex(const char **cursor, const char *end)
{
    uintptr_t value = 0;
    for (; *cursor < end; ++*cursor) {
        char c = **cursor;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uintptr_t)(c - 'a' + 10);
        else
            break;
    }
    return value;
}

bool ss_mapping_find(uintptr_t address, struct ss_mapping *out)
{
    long fd = ss_sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    char buffer[512] = "";
    bool at_line = true, found = false;
    size_t kept = 0;
    for (;;) {
        long size = ss_sys_read((int)fd, buffer + kept, sizeof buffer - kept);
        if (size <= 0)
            break;
        const char *at = buffer, *end = buffer + kept + size;
        kept = 0;
        while (at < end) {
            if (at_line) {
                /* "start-end rwx" is at most 37 characters: wait until all of them are there. */
                if (end - at < 38) {
                    kept = (size_t)(end - at);
                    memmove(buffer, at, kept);
                    break;
                }
                uintptr_t start = parse_hex(&at, end);
                at++;
                uintptr_t stop = parse_hex(&at, end);
                if (address >= start && address < stop) {
                    *out = (struct ss_mapping){start, stop,
                                               (at[1] == 'r' ? PROT_READ : 0) |
                                                   (at[2] == 'w' ? PROT_WRITE : 0) |
                                                   (at[3] == 'x' ? PROT_EXEC : 0)};
                    found = true;
                    goto done;
                }
            }
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            at_line = newline != NULL;
            at = newline ? newline + 1 : end;
        }
    }
done:
    (void)ss_sys_close((int)fd);
    return found;
}
