/* The directories that runs log to: where they are, and what is left there beside the logs. See log_place.c. */
#ifndef SS_LOG_PLACE_H
#define SS_LOG_PLACE_H

#include <stdbool.h>
#include <stddef.h>

struct ss_report;

/* A fresh directory of mode 0700 for the logs of one run, below the user's state directory or,
 * where that cannot be written, below the one for temporary files. NULL: none could be made (said).
 */
const char *ss_log_place_new(void);

/* Makes directory, where it is not there, and returns its absolute path, as programs may change their own
 * directory. NULL: it cannot be written (said). */
const char *ss_log_place_make(const char *directory);

/* A link to the library at path, which is resolved, whose own path has no blank and no colon. It stays, as what was
 * started by it may run on. NULL: there can be none. */
const char *ss_log_place_library(const char *path);

/* Remembers directory as that of the last run; removed: it is about to be. */
#define SS_LOG_PLACE_REMOVED ".removed"
void ss_log_place_remember(const char *directory, bool removed);

/* The last run's directory, with SS_LOG_PLACE_REMOVED behind it where we removed it, as the run was clean; NULL
 * where there was no run. */
const char *ss_log_place_last(void);

/* Notes that path was run with its logs in directory, in the file of this name there: a line each, empty or with
 * the verdict on a program that no preload reaches. False: it could not be noted. */
#define SS_LOG_PLACE_PROCESSES "processes"
bool ss_log_place_note(const char *directory, const char *path, const char *verdict);

/* Marks directory, by a file of this name, as one whose logs do not hold all that was to be logged. */
#define SS_LOG_PLACE_INCOMPLETE "incomplete"
void ss_log_place_incomplete(const char *directory);
bool ss_log_place_is_incomplete(const char *directory);

/* Makes that a problem of the report, unless it has others. Whether it is marked. */
bool ss_log_place_marked(struct ss_report *report, const char *directory);

/* Makes it a problem of the report where there is no room left in directory. */
void ss_log_place_check(struct ss_report *report, const char *directory);

/* Whether a run had many programs, whose reports are one by group: notes are there. */
bool ss_log_place_is_batch(const char *directory);

/* How many were noted; *verdict is the first of their verdicts, or left alone where there is none. */
size_t ss_log_place_noted(const char *directory, char **verdict);

/* Leaves word, in a file of this name, why the report's run left no log in directory: for reports that are made of
 * it later. report->nothing_why is set. */
#define SS_LOG_PLACE_NOTHING "nothing"
void ss_log_place_nothing(const struct ss_report *report, const char *directory);

/* Takes from there why there is no log in directory. False: nobody left word. */
bool ss_log_place_nothing_there(struct ss_report *report, const char *directory);

/* Removes a run's directory with the logs in it. */
void ss_log_place_remove(const char *directory);

#endif
