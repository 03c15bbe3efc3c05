/* Paths that others chose may lead to anything: a fifo or a device is not to be opened, as that may
 * wait for ever or do something. Called wherever files that are not our own are read; any thread. */
#include "ordinary_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ss_open_ordinary(const char *path, struct stat *status)
{
    int fd = -1;
    if (stat(path, status) != 0)
        return -1;
    errno = EMEDIUMTYPE;
    /* What is no file may not bear to be opened; and it may be another thing by now. */
    if (S_ISREG(status->st_mode))
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, status) != 0 || !S_ISREG(status->st_mode))) {
        close(fd);
        errno = EMEDIUMTYPE;
        fd = -1;
    }
    return fd;
}

bool ss_is_file_or_none(const char *path)
{
    struct stat status;
    return stat(path, &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
}
