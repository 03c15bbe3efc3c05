/* Logs that grow: see follow.c. */
#ifndef SS_FOLLOW_H
#define SS_FOLLOW_H

#include "report.h"

/* Reads logs and directories of logs as they grow, `-` for standard input, and writes what strayed to out as
 * it comes, until SIGINT, SIGTERM or SIGHUP arrives or standard input, alone, ends; then reads what is left
 * and ends the report, of which what was not written yet is for the caller to write. False: out could not be
 * written, or (said) there is nothing to follow. */
bool ss_follow(struct ss_report *report, char **paths, const struct ss_style *style, FILE *out);

#endif
