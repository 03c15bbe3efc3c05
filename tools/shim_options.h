/* STRAYSPAN_OPTIONS, as `strayspan run` makes it. */
#ifndef SS_SHIM_OPTIONS_H
#define SS_SHIM_OPTIONS_H

#include "command_line.h"

/* The options and the exit statuses, for the end of run's help. */
const char *ss_shim_options_help(void);

/* Holds what --options says against the table: what the library would only warn of, in the midst of
 * the program's own output, is an error of usage here. */
void ss_shim_options_check(const struct ss_usage *usage, const char *text);

/* The value of STRAYSPAN_OPTIONS, for logs in directory, with token (may be NULL) in their names:
 * what the user set wins over our `quiet` and `history`, and more over all. Only log_path is ours, as a log that
 * lies elsewhere is one that we would not report. NULL, and said, for a directory that no quotes
 * can hold. label (may be NULL) is what reports call the process. */
const char *ss_shim_options_value(const char *directory, const char *token, const char *more,
                                  const char *label);

#define SS_SHIM_NAME "libstrayspan.so"

/* The path of the library, beside the command or in the library directory beside that, or of a link to it
 * where LD_PRELOAD cannot hold its path; NULL, and said: it is missing, or there can be no link. */
const char *ss_find_shim(void);

#endif
