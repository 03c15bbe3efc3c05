/* Between the parts that read logs: log_read.c finds lines in files, log_records.c adds records to
 * the report, log_summary.c their sums, log_values.c takes records apart. */
#ifndef SS_LOG_READ_H
#define SS_LOG_READ_H

#include "container_log.h"
#include "hash.h"
#include "report.h"

enum { SS_MODULES_MAX = 4096 };

/* A fingerprint as the tables know it: the text, cut and filled up with zeroes. */
struct ss_print {
    char text[20];
};

/* A fingerprint of one run. */
struct ss_found {
    struct ss_print print;
    struct ss_violation *violation; /* or suspicion: then it is this run's own until the run ends */
    struct ss_violation *turned;    /* the violation that the suspicion became, NULL */
    int64_t serial;                 /* of the span */
    uint64_t lines, highest;        /* how often a line had it, and the highest count of one */
    uint64_t consequences[SS_CONSEQUENCE_COUNT];
    UT_hash_handle hh, by_serial;
};

enum { SS_RUN_ID = 20 };

/* One process image while its log is read, which may be in several files, as after a rotation. */
struct ss_run {
    UT_hash_handle hh; /* by id, in the report */
    char id[SS_RUN_ID];
    struct ss_process *process;
    bool begun;                  /* its process record was read */
    struct ss_binary **binaries; /* by module id */
    size_t binary_count;
    struct ss_binary *program;
    const char *program_path, *program_build_id;
    bool repeated;                      /* what is read of it now was read before: a file's own */
    bool shared;                        /* it is in the report, for the files that are read next */
    uint64_t written[SS_RULE_COUNT];    /* first lines of a fingerprint */
    uint64_t expected[SS_RULE_COUNT];   /* how many the summary has counted */
    struct ss_found *found, *suspected; /* violations, suspicions: by fingerprint */
    struct ss_found *open; /* the suspicions that nothing ended, by the span's serial */
};

/* What one input holds of a run. */
struct ss_part {
    struct ss_part *next;
    struct ss_run *run;
    char id[SS_RUN_ID];
    UT_hash_handle hh; /* by id, in the reader */
};

struct ss_reader {
    struct ss_report *report;
    const char *file;
    bool stream; /* standard input: other lines may stand between the records */
    bool apart; /* read at the same time as others: it has the whole of its runs, and shares none */
    bool started; /* a record was seen */
    bool stopped;
    uint64_t line, broken, broken_first;
    bool others;      /* a line that nothing of a record is in: somebody else's */
    const char *head; /* the first bytes of the file, while its first line is read */
    size_t head_length;
    struct ss_part *parts; /* the latest first */
    struct ss_part *by_id;
    struct ss_container_log container;
};

/* ---- log_read.c ------------------------------------------------------------------------------ */

/* What the lines of one reader come from. Begins with fd alone set. */
struct ss_input {
    int fd;
    char *buffer;  /* NULL where nothing is held */
    size_t held;   /* the bytes of a line that is not whole yet */
    bool skipping; /* inside a line that is too long */
    uint64_t total;
};

/* Reads on, up to the end of what is there. True: fd does not block, and may have more later. */
bool ss_input_read(struct ss_reader *reader, struct ss_input *input);

/* Ends an input whose end has been read: true where its last line is cut. fd stays open. */
bool ss_input_end(struct ss_reader *reader, struct ss_input *input);

/* Ends a reader: what could not be read is told. The rest of a run that has no summary may be
 * elsewhere, unless the reader is apart. */
void ss_reader_end(struct ss_reader *reader, bool cut);

/* Whether a directory's entry is a log by its name: for scandir. */
struct dirent;
int ss_is_log(const struct dirent *entry);

/* The logs of a directory, those alone whose names have the token in them where it is not NULL: as scandir, sorted;
 * the entries and their list are the caller's. From one thread. */
int ss_log_names(const char *directory, const char *token, struct dirent ***entries);

/* The same of the folders of cargo's runs, YYYYMMDDTHHMMSSZ-PID. */
int ss_is_run_folder(const struct dirent *entry);

/* ---- log_values.c ---------------------------------------------------------------------------- */

/* The text of a key, kept; NULL where it has none. */
const char *ss_text_of(const json_t *object, const char *key);
int64_t ss_integer_of(const json_t *object, const char *key, int64_t otherwise);
uint64_t ss_count_of(const json_t *object, const char *key);

/* Microseconds since 1970 of an RFC 3339 time in UTC; -1 where it is none. */
int64_t ss_time_of(const json_t *object, const char *key);

/* The row of text among names, -1 where it is none. */
int ss_row_of(const char *const *names, int count, const char *text);

struct ss_instance ss_instance_of(const struct ss_run *run, const json_t *object);
/* What a record grades itself as; a warning where it does not say. */
enum ss_severity ss_severity_of(const json_t *record);

void ss_fill_violation(struct ss_violation *violation, const struct ss_run *run,
                       const json_t *record);
void ss_fill_consequence(struct ss_consequence *consequence, const struct ss_run *run,
                         const json_t *record);

/* ---- log_summary.c --------------------------------------------------------------------------- */

/* Adds what a summary counts to the report of its reader; not what was found. */
void ss_read_sums(struct ss_reader *reader, struct ss_run *run, const json_t *record);

/* ---- log_records.c --------------------------------------------------------------------------- */

/* The first 19 bytes of text as a key; text may be NULL. */
struct ss_print ss_print_of(const char *text, size_t length);

/* The binary with this path and build id (NULL: without one) in the report; NULL where it has none. */
struct ss_binary *ss_find_binary(const struct ss_report *report, const char *path,
                                 const char *build_id);

/* Adds a record to the report of its reader. */
void ss_read_record(struct ss_reader *reader, struct ss_run *run, const json_t *record);

/* Counts what the run's lines alone tell, where it had no summary. */
void ss_end_run(struct ss_reader *reader, struct ss_run *run);

/* Lets go of what a run held while it was read. */
void ss_free_run(struct ss_run *run);

#endif
