/* Which file a path leads to. See file_id.c. */
#ifndef SS_FILE_ID_H
#define SS_FILE_ID_H

#include "types.h"

/* A file, and the state that it was in: another, where it was replaced or written to. Without padding. */
struct ss_file_id {
    uint64_t device, inode, size, seconds, nanoseconds;
};

/* Fills in the identity of the file at path; all zeros where there is none. Any thread, no locks, three system
 * calls. */
SS_HIDDEN void ss_file_identify(const char *path, struct ss_file_id *out);

#endif
