/* The log's records, rendered as JSON (log_format.h says what they hold): records.c, summary_record.c; and what
 * is said of them on stderr: said.c. For log.c alone, under its lock, but for the facts, which are gathered
 * before. */
#ifndef SS_RECORDS_H
#define SS_RECORDS_H

#include "breaches.h"
#include "history.h"
#include "output.h"

#define SS_LEVEL_NAMES                            \
    {                                             \
        "TRACE", "DEBUG", "INFO", "WARN", "ERROR" \
    }

/* What all records begin with. */
struct ss_record_head {
    int pid;
    uint64_t run;
};

/* The process as the log shows it. */
struct ss_process_facts {
    const char *exe; /* path */
    const char *host;
    int parent;
    uint64_t start;     /* of this image; CLOCK_REALTIME in ns */
    uint64_t pid_start; /* of the process, see ss_process_start */
    struct ss_module *module;
};

/* A violation with what had to be asked for without the lock; the story is asked for under it, and
 * NULL where there is none. */
enum { SS_MOMENTS = 6 };
struct ss_violation_facts {
    const struct ss_violation *violation;
    const struct ss_story *story;
    const struct ss_moment *moments[SS_MOMENTS];
    struct ss_thread_facts threads[SS_MOMENTS];
};

/* The moments of a violation, in the order in which records and people are told of them. */
extern const struct ss_moment_row {
    size_t offset; /* in struct ss_violation */
    const char *name, *verb;
} ss_moment_rows[SS_MOMENTS] SS_HIDDEN;

SS_HIDDEN void ss_violation_facts(const struct ss_violation *violation,
                                  struct ss_violation_facts *out);
SS_HIDDEN void ss_violation_story(struct ss_violation_facts *facts);

SS_HIDDEN void ss_record_process(struct ss_line *line, const struct ss_record_head *head,
                                 const struct ss_process_facts *process);

/* Of one module. */
SS_HIDDEN void ss_record_module(struct ss_line *line, const struct ss_record_head *head,
                                const struct ss_module *module);

/* Of a violation or a suspicion. */
SS_HIDDEN void ss_record_violation(struct ss_line *line, const struct ss_record_head *head,
                                   const struct ss_violation_facts *facts);

/* A consequence with the thread that it came up on. */
struct ss_consequence_facts {
    const struct ss_consequence *consequence;
    struct ss_thread_facts thread;
};
SS_HIDDEN void ss_record_consequence(struct ss_line *line, const struct ss_record_head *head,
                                     const struct ss_consequence_facts *facts);

/* A look-up with the thread that made it and the name of the span it ran in, NULL for none. */
struct ss_lookup_facts {
    const struct ss_lookup *lookup;
    const char *span;
    struct ss_thread_facts thread;
};
SS_HIDDEN void ss_record_lookup(struct ss_line *line, const struct ss_record_head *head,
                                const struct ss_lookup_facts *facts);

/* That records may be missing from here on, and why. */
SS_HIDDEN void ss_record_lost(struct ss_line *line, const struct ss_record_head *head,
                              const char *why);

/* What rules.c counted. */
struct ss_summary_facts {
    struct ss_rule_counts rules[SS_RULE_COUNT];
    uint64_t suspicions;
    uint32_t consequence_count;
    struct ss_consequence_count {
        uint64_t of, count;
        enum ss_consequence_kind kind;
    } * consequences;
    uint32_t worse_count;
    struct ss_worse worse[SS_WORSE_MAX];
};

extern const char *const ss_consequence_names[SS_CONSEQUENCE_COUNT] SS_HIDDEN;

/* `{..}` of an instance and its table, which may be NULL. */
SS_HIDDEN void ss_put_instance(struct ss_line *line, uint64_t serial, const struct ss_table *table);

SS_HIDDEN void ss_summary_facts(struct ss_summary_facts *out);
SS_HIDDEN void ss_record_summary(struct ss_line *line, const struct ss_record_head *head,
                                 const struct ss_summary_facts *facts);

/* The line that a violation or a suspicion is on stderr: for people, in plain text. */
SS_HIDDEN void ss_record_said(struct ss_line *line, const struct ss_violation_facts *facts,
                              const char *log);

#endif
