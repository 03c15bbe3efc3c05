/* The log: a file of JSON lines (log_format.h), and the line on stderr. Slow contexts, no lock
 * held. */
#ifndef SS_LOG_H
#define SS_LOG_H

#include "internal.h"

/* Start: remembers where the program is and what it is called; writes nothing. */
SS_HIDDEN void ss_log_start(void);

/* Opens the log and writes its first records, where log_path asks for one. Once. */
SS_HIDDEN void ss_log_open_if_asked(void);

/* Writes a violation or a suspicion, and says it on stderr unless quiet. */
SS_HIDDEN void ss_log_violation(const struct ss_violation *violation);

/* Writes what came of a violation. */
SS_HIDDEN void ss_log_consequence(const struct ss_consequence *consequence);

/* Writes a look-up; thread is the caller's, entry its innermost span or NULL. */
SS_HIDDEN void ss_log_lookup(struct ss_thread *thread, const struct ss_entry *entry);

/* Writes the summary, if there is or should be a log. */
SS_HIDDEN void ss_log_summary(void);

/* The child of a fork: it opens a log of its own when it has something to say. */
SS_HIDDEN void ss_log_forked(void);

#endif
