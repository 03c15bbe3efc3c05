/* A misuse, then every descriptor from 3 on is closed and each number below 400 taken for a file of
 * the program's own, then a second misuse: `closes_all FILE`. Ends with 0 where the file is as it
 * was. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "spans.h"

SITE(before, "before");
SITE(after, "after");

static void misuse(const struct strayspan_site *site)
{
    uint64_t span = strayspan_new(&first_subscriber, site);
    strayspan_exit(&first_subscriber, span);
}

int main(int argc, char **argv)
{
    char byte;
    if (argc < 2)
        return 2;
    misuse(&before);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    for (int fd = 3; fd < 400; fd++)
        if (open(argv[1], O_RDWR | O_CREAT, 0600) != fd)
            return 3;
    misuse(&after);
    for (int fd = 3; fd < 400; fd++)
        if (lseek(fd, 0, SEEK_CUR) != 0 || read(fd, &byte, 1) != 0)
            return 4;
    puts("done");
    return 0;
}
