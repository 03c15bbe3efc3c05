/* Closes its standard descriptors and opens a file of its own three times, which so becomes 0, 1
 * and 2, as daemons do; then a misuse. `daemon_files FILE` ends with 0 where the file still holds
 * what it was given and no offset moved. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

int main(int argc, char **argv)
{
    static const char content[] = "my database";
    char now[64];
    if (argc < 2)
        return 2;
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    for (int fd = 0; fd < 3; fd++)
        if (open(argv[1], O_RDWR | O_CREAT, 0600) != fd)
            return 3;
    if (write(0, content, sizeof content) != (ssize_t)sizeof content)
        return 4;
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
    if (pread(1, now, sizeof now, 0) != (ssize_t)sizeof content ||
        memcmp(now, content, sizeof content) != 0)
        return 5;
    return lseek(0, 0, SEEK_CUR) == (off_t)sizeof content && lseek(2, 0, SEEK_CUR) == 0 ? 0 : 6;
}
