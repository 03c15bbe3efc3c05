/* What a file is that was taken for a log. */
#ifndef SS_FILE_KIND_H
#define SS_FILE_KIND_H

#include <stddef.h>

/* What the file is that begins with these bytes, for `it is ...`, and *advice what to do with it, or NULL. NULL: it
 * begins as a log does. Both are constant.
 * A report of `report --format json` is SS_FILE_KIND_REPORT. */
#define SS_FILE_KIND_REPORT "a report in JSON"
const char *ss_file_kind(const char *head, size_t length, const char **advice);

#endif
