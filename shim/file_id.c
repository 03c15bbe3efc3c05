/* The identity of files, for modules without a build id: whether what comes back under a name is what it was.
 *
 * Called by modules.c, inside the loader and under its lock. The file is not opened for reading. */
#include "file_id.h"

#include <linux/fcntl.h>

#include "prim.h"

void ss_file_identify(const char *path, struct ss_file_id *out)
{
    struct stat stat = {0};
    *out = (struct ss_file_id){0, 0, 0, 0, 0};
    long fd = ss_sys_open(path, O_PATH | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (ss_sys_fstat((int)fd, &stat) == 0)
        *out = (struct ss_file_id){stat.st_dev, stat.st_ino, (uint64_t)stat.st_size,
                                   (uint64_t)stat.st_mtime, (uint64_t)stat.st_mtime_nsec};
    (void)ss_sys_close((int)fd);
}
