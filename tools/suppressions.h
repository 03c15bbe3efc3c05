/* Suppressions on this side: those of a file, and those that the logs' processes had in force. */
#ifndef SS_TOOLS_SUPPRESSIONS_H
#define SS_TOOLS_SUPPRESSIONS_H

#include "../shim/suppression_lines.h"
#include "report.h"

/* One line, and how many violations and suspicions it held back, in the programs and here. */
struct ss_suppressions {
    struct ss_suppressions *next;
    struct ss_suppression_line line;
    const char *text; /* the line's, terminated */
    bool in_force;    /* here: it is of a file that was given, and not of a log */
    uint64_t count;
};

/* A file that was given. */
struct ss_suppression_file {
    struct ss_suppression_file *next;
    const char *path; /* absolute; NULL: it has none that another process could open, a pipe's */
};

/* Adds the lines of a file to *list, in their order, and the file to *files. Ends with an error of usage where it
 * cannot be read or a line cannot be used: what a wrong line was meant to hide is not known. */
void ss_suppressions_load(const struct ss_usage *usage, const char *path,
                          struct ss_suppressions **list, struct ss_suppression_file **files);

/* Adds the counts of those that a summary tells of (may be NULL) to the report's. What one process was to hold
 * back is not held back from what others logged. */
void ss_suppressions_logged(struct ss_report *report, const json_t *list);

/* Whether one may have held something back in another report, as its run has told of it alone, and names a function,
 * which are known to reports alone. */
bool ss_suppressions_elsewhere(const struct ss_suppressions *suppression);

/* Adds those of a file to the report's; more than once is as good as once. */
void ss_suppressions_add(struct ss_report *report, const struct ss_suppressions *more);

/* Adds the counts of those of more that are in force here to the list's. */
void ss_suppressions_count(struct ss_suppressions **list, const struct ss_suppressions *more);

/* Whether the list holds back a violation of a report in JSON; counts it there then. */
bool ss_suppressed_json(struct ss_suppressions *list, const json_t *violation);

/* Takes what is suppressed out of the report, and counts it; frames are filled. */
void ss_suppress(struct ss_report *report);

/* options for the library with the files (may be NULL) put behind them. */
const char *ss_suppressions_option(const char *options, const struct ss_suppression_file *files);

#endif
