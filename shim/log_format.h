/* The log's format, for its writer (log.c) and its readers (tools/). tests/log.schema.json says the
 * same to a validator, and every log that the tests make is held against it. */
#ifndef SS_LOG_FORMAT_H
#define SS_LOG_FORMAT_H

#define SS_VERSION "0.1.0"

/* The value of "v" in every record. Readers refuse other values, and ignore keys they do not know.
 */
#define SS_LOG_VERSION 1

/* A line is at most this long, its newline included; longer parts of it are cut (stacks first). */
#define SS_LOG_LINE_MAX 65536

/* Values of "type". */
#define SS_LOG_PROCESS "process"
#define SS_LOG_MODULE "module"
#define SS_LOG_VIOLATION "violation"
#define SS_LOG_SUSPICION "suspicion"
#define SS_LOG_CONSEQUENCE "consequence"
#define SS_LOG_LOOKUP "lookup"
#define SS_LOG_SUMMARY "summary"
#define SS_LOG_LOST "lost"

/* The name of a log whose place is not given with log_path. */
#define SS_LOG_DEFAULT_NAME "strayspan.%e.%p.%t.jsonl"

#endif
