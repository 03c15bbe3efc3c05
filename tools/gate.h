/* The options that `run` and `cargo` share, and what they do when all has been run. */
#ifndef SS_GATE_H
#define SS_GATE_H

#include "child.h"
#include "report.h"

struct ss_gate {
    struct ss_style style;
    struct ss_deny deny;
    const char *log_directory, *output; /* NULL: not given */
    const char *options;                /* for the library; may be empty */
    int exit_code;                      /* 0: the program's own is left alone */
    bool require_hooked;
    bool batch; /* print nothing where nothing strayed */
};

/* Where the options of `run --batch` stand that cargo's runner cannot hold. */
#define SS_BATCH_VARIABLE "STRAYSPAN_BATCH"

#define SS_GATE_INITIAL                                                                      \
    {                                                                                        \
        .style = {.format = ss_format_of("text")}, .options = "", .exit_code = SS_EXIT_FOUND \
    }

#define SS_GATE_FLAGS                                                                      \
    {"log-dir", "DIR", "keep the logs there"},                                             \
        {"output", "FILE", "where the report goes instead of standard error"},             \
        {"exitcode", "N", "exit status after an error (66); 0: the program's own"},        \
        {"deny", "RULE|warnings", "this counts for the exit status too; may be repeated"}, \
        {"require-hooked", NULL, "exit with 125 when no span was seen"},                   \
        {"options", "KEY=VALUE:..", "options for the library in the program, see below"},  \
        SS_STYLE_FLAGS

/* Takes one of these options; ends with an error of usage for a bad value. */
void ss_gate_flag(const struct ss_usage *usage, const char *name, const char *value,
                  struct ss_gate *gate);

/* Whether the program's status is left alone whatever happens to us, as for the programs that cargo runs: who
 * gave the directory reads the logs there, and judges. */
bool ss_gate_leaves(const struct ss_gate *gate);

/* Where the report goes, opened: a file, or stderr. NULL, and said: it cannot be written. */
FILE *ss_gate_open(const struct ss_gate *gate);

/* Whether a document (JSON, say) goes to stderr, on which there is nothing else then. */
bool ss_gate_document_alone(const struct ss_gate *gate);

/* Writes the report to out, which it closes where it is not stderr, and the last line to stderr; returns our
 * exit status, by the child's and what was found. report->nothing_why and what is with it are set. */
int ss_gate_conclude(const struct ss_gate *gate, struct ss_report *report,
                     const struct ss_child *child, FILE *out);

#endif
