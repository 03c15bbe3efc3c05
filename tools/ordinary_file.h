/* Files, and nothing else that a path can lead to. See ordinary_file.c. */
#ifndef SS_ORDINARY_FILE_H
#define SS_ORDINARY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/* Opens an ordinary file to be read, whatever else the path leads to unopened. Returns the
 * descriptor, or -1 with errno: EMEDIUMTYPE where status says what it is instead. */
int ss_open_ordinary(const char *path, struct stat *status);

/* Whether a path leads to a file or folder, or to nothing: what opens it then does not wait. */
bool ss_is_file_or_none(const char *path);

#endif
