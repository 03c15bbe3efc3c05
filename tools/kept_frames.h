/* Frames that are kept by address. See kept_frames.c. */
#ifndef SS_KEPT_FRAMES_H
#define SS_KEPT_FRAMES_H

#include "report.h"

/* What the files of kept frames beside logs end in. */
#define SS_FRAMES_SUFFIX ".frames"

/* The frames at an offset of the tree; without any (count 0) where it was not there. */
struct ss_frames *ss_frames_at(void **tree, uint64_t offset);

/* Writes what was symbolized for a report to a new file at path: nothing is written where nothing was. False:
 * it cannot be written, and none is left there. */
bool ss_frames_write(const struct ss_report *report, const char *path);

/* Reads such a file for those of its binaries that the report has; what is no such file is left alone: functions
 * have no names then. */
void ss_frames_read(struct ss_report *report, const char *path);

#endif
