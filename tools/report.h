/* What reports are made of: the model that log_read.c fills, symbolize.c and frames.c add names to,
 * defects.c judges, and the renderers print.
 *
 * Strings are as the log or the ELF file has them: text meant for a terminal goes through
 * ss_text_clean. Everything is kept until the command ends; there is one violation (suspicion,
 * consequence) per fingerprint and build, however often the logs have it. */
#ifndef SS_REPORT_H
#define SS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "../shim/log_format.h"
#include "../shim/rule_table.h"
#include "command_line.h"
#include "hash.h"
#include "terminal.h"

enum { SS_LEVELS = 5, SS_FRAMES_MAX = 64, SS_EVENTS_MAX = 64, SS_PLACES_MAX = 64 };

extern const char *const ss_level_names[SS_LEVELS];

/* One row of the rule table, for the tools. */
struct ss_rule_row {
    const char *code;
    enum ss_severity severity;
    const char *title; /* `%s` stands for the span */
};
extern const struct ss_rule_row ss_rule_rows[SS_RULE_COUNT];

/* The row's index, or -1. */
int ss_rule_of(const char *code);

extern const char *const ss_consequence_codes[SS_CONSEQUENCE_COUNT];

/* ---- modules, stacks, frames ----------------------------------------------------------------- */

struct ss_symbols; /* symbolize.c */

/* One binary as the logs know it: by path and build id. */
struct ss_binary {
    struct ss_binary *next;
    const char *path;
    const char *build_id;                /* hex; NULL: none */
    bool program;                        /* it was the executable of a process */
    uint64_t subscribers, unhooked, off; /* off: of those hooked, switched off at run time */
    uint64_t doubtful;                   /* tables that may be a subscriber's, left alone */
    bool silent, called; /* in some process none, in another one of its subscribers was called */
    const char *evidence;
    const char *tracing_core, *tracing_subscriber;
    struct ss_symbols *symbols;
    void *symbolized;    /* frames by offset (kept_frames.h) */
    void *kept;          /* those that a file beside the logs has */
    const char *problem; /* why its frames have no names, NULL */
};

/* Whether its tables were found by what their code looks like: there may be others. */
bool ss_found_by_code(const struct ss_binary *binary);

/* What may be so of such a binary where no span of it was seen, behind the other reasons; and what
 * helps. */
extern const char ss_unfound_reason[], ss_unfound_advice[];

struct ss_address {
    struct ss_binary *binary; /* NULL: the log does not say what this module was */
    uint64_t offset;
};

struct ss_stack {
    size_t count;
    struct ss_address *addresses;
};

enum ss_frame_kind {
    SS_FRAME_OWN,
    SS_FRAME_DEPENDENCY,
    SS_FRAME_UNKNOWN, /* no file is known, and the crate's name tells nothing */
    SS_FRAME_RUNTIME, /* tokio, futures and the like */
    SS_FRAME_TRACING,
    SS_FRAME_STD,
    SS_FRAME_SYSTEM /* libc and other libraries of the system */
};

struct ss_frame {
    const char *function; /* demangled, without hash; NULL unknown */
    const char *name;     /* the bare name in the debug information, NULL */
    const char *file;     /* as the debug information has it, absolute where it can be */
    unsigned line;
    bool inlined;
    struct ss_address address;
    /* frames.c */
    enum ss_frame_kind kind;
    const char *crate, *version; /* NULL where not known */
};

struct ss_frames {
    size_t count;
    struct ss_frame *frames;
};

/* ---- violations ------------------------------------------------------------------------------ */

struct ss_thread {
    int64_t serial, tid, created_by; /* created_by 0: not known */
    const char *name;
    const char *span; /* the creator's innermost span */
    struct ss_stack stack;
};

enum ss_site_kind {
    SS_SITE_CREATED,
    SS_SITE_ENTERED,
    SS_SITE_PARKED, /* the first park that found the function that entered it gone */
    SS_SITE_EXITED,
    SS_SITE_CLOSED,
    SS_SITE_USED,
    SS_SITE_COUNT
};
extern const char *const ss_site_names[SS_SITE_COUNT];

struct ss_site {
    bool present;
    struct ss_thread thread;
    int64_t time; /* microseconds since 1970; -1: not known */
    struct ss_stack stack;
    bool typical;
    struct ss_frames frames,
        thread_frames; /* of stack and thread.stack: filled by ss_frames_fill */
};

struct ss_instance {
    bool present; /* the log has the key */
    bool no_op;   /* `called` only: the no-op subscriber */
    int64_t serial;
    const char *type; /* mangled */
    struct ss_binary *binary;
};

struct ss_lookup {
    bool present;
    const char *host, *service, *error;
    int64_t result, ns, addresses;
};

struct ss_blame {
    const char *whose; /* "your code", "dependency", "known defect", "unknown" */
    const char *crate, *version;
    const char *fixed_in;
    const char *text;
    const char *help[6];
    const char *commands[6]; /* to be typed; each with what it brings */
    const char *more[4];
};

/* How a closed span was used, and what else has a site SS_SITE_USED. */
enum ss_use { SS_USE_NONE, SS_USE_ENTER, SS_USE_RECORD, SS_USE_PARENT, SS_USE_LOOKUP };

struct ss_span {
    bool present; /* a look-up may be made outside all spans */
    const char *id, *name, *target, *level, *file, *provider;
    int64_t line, serial, instance;
    json_t *fields; /* object, or NULL */
};

/* Another span, of which no more is told than where it is made. */
struct ss_call_site {
    bool present;
    const char *name, *target, *file;
    int64_t line;
};

/* What later came of a breach at one place. */
struct ss_consequence {
    struct ss_consequence *next;
    struct ss_span span; /* that is stale, or was closed in passing */
    struct ss_site at;
    struct ss_call_site made; /* the span that got it as its parent */
};

/* All of one kind that came of one breach. */
struct ss_consequences {
    struct ss_consequence *first; /* by place; at most SS_PLACES_MAX of them */
    size_t places;
    uint64_t count;
    bool at_least; /* some process has no summary: it may be more */
};

/* One event of the flight recorder; its time is relative to the violation's. */
enum ss_event_kind {
    SS_EVENT_NEW,
    SS_EVENT_ENTER,
    SS_EVENT_EXIT,
    SS_EVENT_CLOSE,
    SS_EVENT_RECORD,
    SS_EVENT_CLONE,
    SS_EVENT_PARK,
    SS_EVENT_LOOKUP,
    SS_EVENT_COUNT
};
extern const char *const ss_event_names[SS_EVENT_COUNT];

struct ss_event {
    enum ss_event_kind kind;
    int64_t ns, thread, span; /* serials; span 0: none */
    const char *name;         /* the span's */
    struct ss_address site;
    struct ss_frames frames; /* at site: filled by ss_frames_fill */
    struct ss_lookup lookup; /* of SS_EVENT_LOOKUP */
};

struct ss_history {
    struct ss_event *events; /* the earliest first */
    size_t count;
    uint64_t left_out;
};

/* Where a violation is told that another one of its group was too, at another line (places.c). */
struct ss_other_place {
    struct ss_other_place *next;
    const struct ss_violation *violation; /* the first one there */
};

/* One process image that a violation was seen in. */
struct ss_sighting {
    struct ss_sighting *next;
    struct ss_process *process;
    const struct ss_violation *violation; /* what was seen: another one may tell of it */
    const struct ss_other_place *place;   /* NULL: where the violation is that tells of it */
    const char *test;                     /* in which of its tests; NULL: not known */
};

struct ss_violation {
    struct ss_violation *next;
    struct ss_violation *told_by; /* another one that tells of the same misuse, NULL */
    const char *rule_code;
    int rule;       /* row; -1: a rule of another version */
    bool suspicion; /* in ss_report.suspicions */
    bool prepared;  /* ss_report_prepare has seen it */
    bool shown;     /* by --follow */
    enum ss_severity severity;
    const char *fingerprint, *group, *key;
    const char *program;
    int64_t pid, time;
    uint64_t times, processes; /* processes: distinct ones among seen_in */
    struct ss_sighting *seen_in, *seen_last;
    struct ss_other_place *other_places; /* of what it tells of, in the report by group alone */
    size_t other_place_count;

    struct ss_span span;
    struct {
        bool present;
        const char *id, *relation;
    } closing;
    struct ss_site sites[SS_SITE_COUNT];
    enum ss_use use;
    struct ss_call_site made;  /* the span that named this one as its parent */
    struct ss_call_site above; /* the innermost span that was still open */
    struct {
        bool present, thread_changed;
        int64_t count, ns;
        uint64_t spans_under;
    } parks;
    struct ss_lookup lookup;
    struct ss_instance owner, called;
    struct ss_history history;
    struct ss_consequences consequences[SS_CONSEQUENCE_COUNT];
    struct ss_blame blame;
};

/* ---- what was and was not seen --------------------------------------------------------------- */

/* The images that one process ran: exec keeps its pid, and when that began. */
struct ss_images {
    char *key; /* host, pid, when the pid began */
    int64_t latest;
    UT_hash_handle hh; /* by key */
};

struct ss_process {
    struct ss_process *next;
    UT_hash_handle hh; /* by run */
    const char *run, *program, *build_id, *file;
    const struct ss_images *images; /* NULL: not known */
    int64_t pid, parent, time;      /* parent: its pid, 0 where it is not known */
    bool summary;
    const char *label; /* what its options call it, NULL */
    uint64_t created;  /* spans; 0 without a summary */
    bool asked;        /* at one of its call sites, a subscriber was, be it to say no */
    uint64_t hooked;   /* tables, over its modules */
    const struct ss_violation *counted_for; /* scratch of those who count a violation's processes */
};

struct ss_level_counts {
    uint64_t live, filtered, unreached;
};

/* The call sites of one program, over the processes that ran it: what one of them reached is
 * reached. */
struct ss_program_sites {
    struct ss_program_sites *next;
    const char *key; /* its build id, or its path */
    struct ss_level_counts levels[SS_LEVELS];
};

struct ss_seen {
    uint64_t created, entered, exited, closed, threads, instances, lookups, table_limit;
    uint64_t not_judged, not_judged_threads, suppressed;
    bool rules_off[SS_RULE_COUNT]; /* by options, and not by default */
    uint64_t
        not_looked[SS_RULE_COUNT]; /* processes that did not look for the rule, be it by default */
    const char *apart[16];         /* objects with tracing that dlmopen loaded; NULL: no more */
    struct {
        const char *reason;
        uint64_t count;
    } reasons[16];
    struct ss_level_counts call_sites[SS_LEVELS];
    struct ss_instance not_judged_instances[16];
    size_t not_judged_instance_count;
};

struct ss_problem {
    struct ss_problem *next;
    const char *file, *message;
    bool unreadable; /* the file, or a part of it, could not be used */
};

struct ss_report {
    struct ss_violation *violations, **violations_end;
    size_t violation_count;
    struct ss_violation *suspicions, **suspicions_end; /* those that did not become a violation */
    size_t suspicion_count;
    void *violation_tree, *suspicion_tree;
    struct ss_binary *binaries;
    struct ss_process *processes, *by_run;
    struct ss_images *images;
    /* Until ss_log_end: the runs of which more may come, by id, and files that begin in the midst of one. */
    struct ss_run *runs;
    struct ss_rest *rests;
    size_t rest_count;
    bool ending;
    struct ss_program_sites *programs;
    struct ss_problem *problems, **problems_end;
    struct ss_seen seen;
    /* Of `run` alone: its exit status and the program's, and why nothing was checked. */
    bool ran;
    int status, program_status;
    const char *nothing_why, *nothing_advice;
    const char *const *nothing_defects; /* known ones, by the versions in the file: a line each */
    size_t nothing_defect_count;
    bool by_group; /* of many programs: one violation of each group is told */
    struct ss_suppressions *suppressions; /* suppressions.h; NULL: none */
    const char *logs; /* where the logs lie, for the last line; NULL: not to be said */
    size_t files;
};

void ss_report_init(struct ss_report *report);
void ss_report_problem(struct ss_report *report, bool unreadable, const char *file,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
bool ss_report_unreadable(const struct ss_report *report);

/* The violation that tells of this one's misuse: itself, unless ss_report_merge found another. */
struct ss_violation *ss_told_by(struct ss_violation *violation);

/* Whether there is a violation or a suspicion in it. */
bool ss_report_found(const struct ss_report *report);

/* Whether an image made room for another one by exec: then it has no summary. */
bool ss_process_replaced(const struct ss_process *process);

/* Whether some process has no summary, and no exec explains it: what it saw is not known. */
bool ss_report_unfinished(const struct ss_report *report);

/* Whether tables were switched off at run time: what is done through them was not judged. */
bool ss_report_partly(const struct ss_report *report);

/* The call sites of all levels. */
struct ss_level_counts ss_report_call_sites(const struct ss_report *report);

/* Whether, where no span was seen, one may have been made all the same: subscribers were found by their code
 * alone, and what makes spans may have run under one that was not. */
bool ss_report_unfound(const struct ss_report *report);

/* Whether all that is known of the report's processes is that they ran: no violation was logged,
 * nothing was counted. */
bool ss_report_counts_unknown(const struct ss_report *report);

/* Why nothing was checked; NULL: something was. */
const char *ss_report_nothing(const struct ss_report *report);

/* Forgets the hosts that a violation tells of, and how many addresses they had. */
void ss_withhold(struct ss_violation *violation);

/* ---- log_read.c ------------------------------------------------------------------------------ */

/* Adds a log, a directory of logs, or with "-" standard input, to the report. With token, only the
 * files of a directory whose name holds it. What cannot be read is a problem of the report. */
void ss_log_read(struct ss_report *report, const char *path, const char *token);

/* Ends the reading: of one run there may be logs in several files. Before anything else is done with the report. */
void ss_log_end(struct ss_report *report);

/* Whether a directory's logs with the token in their names tell of nothing but what ran and was seen, as far as
 * their text tells that at a glance: then ss_log_read has nothing to find there, which takes longer. */
bool ss_log_is_clean(const char *directory, const char *token);

/* ---- symbolize.c ----------------------------------------------------------------------------- */

/* The frames at a return address: innermost first, the inlined ones before the function they are
 * in. At least one, if only with its address. Cached. */
struct ss_frames ss_symbolize(struct ss_address address);

/* The binaries lie below directory: a container's root. Before the first of them is looked at. */
void ss_symbolize_below(const char *directory);

/* ---- demangle.c ------------------------------------------------------------------------------ */

/* A symbol as its language writes it, without hash; the symbol itself where it is none of these. */
const char *ss_demangle(const char *symbol);

/* `app::fetch (async fn)`, `GaiResolver::call::{closure}`: without generics; own ones with their
 * path. name is the bare name from the debug information, which tells async functions from
 * closures. */
const char *ss_short_function(const char *function, const char *name);

/* `Layered<fmt::Layer, Registry>` for the mangled drop_in_place of a subscriber. */
const char *ss_short_type(const char *symbol);

/* ---- frames.c -------------------------------------------------------------------------------- */

/* Symbolizes the sites of a violation, of its consequences and of its history, and says of each
 * frame whose it is. */
void ss_frames_fill(struct ss_violation *violation);

/* What JSON reports call the kinds, by enum ss_frame_kind. */
extern const char *const ss_frame_kind_names[];

/* The first frame of one of the wanted kinds (bits 1 << kind), or NULL. */
const struct ss_frame *ss_first_frame(const struct ss_frames *frames, unsigned kinds);
#define SS_KIND(kind) (1U << (kind))
/* The kinds of frames that do what happens, and what does where none of these is there. */
#define SS_RESPONSIBLE_KINDS \
    (SS_KIND(SS_FRAME_OWN) | SS_KIND(SS_FRAME_DEPENDENCY) | SS_KIND(SS_FRAME_UNKNOWN))
#define SS_RESPONSIBLE_ELSE SS_KIND(SS_FRAME_RUNTIME)

/* The frame that did what happens at a site: the innermost that is neither tracing's, std's nor the
 * system's, NULL. */
const struct ss_frame *ss_responsible_frame(const struct ss_frames *frames);

/* Whether a function's name among the frames holds part. */
bool ss_frames_hold(const struct ss_frames *frames, const char *part);

/* Where a frame is, for eyes: `crate-version/src/f.rs:7`, `src/main.rs:7`, `libc.so.6+0x1f`. */
const char *ss_frame_place(const struct ss_frame *frame);
/* The same for a file and line of a call site. */
const char *ss_place(const char *file, unsigned line);

/* What the thread of a site is for: `tokio worker`, `main thread`; NULL: nothing is known. */
const char *ss_thread_role(const struct ss_violation *violation, const struct ss_thread *thread);

/* The crate and its version by a path of cargo's; false where it is none. */
bool ss_crate_of_path(const char *file, const char **crate, const char **version);

/* ---- merge.c --------------------------------------------------------------------------------- */

/* Makes one of the violations that are one misuse in the source; their frames are filled. Logs may
 * be read on afterwards. */
void ss_report_merge(struct ss_report *report);

/* Makes one of the violations of each group, whichever program each was seen in: test programs each have
 * a fingerprint of their own for a misuse in a library that is in all of them. */
void ss_report_merge_groups(struct ss_report *report);

/* ---- sightings.c ----------------------------------------------------------------------------- */

/* Adds a process to those that a violation was seen in. */
void ss_seen_in(struct ss_violation *violation, struct ss_process *process);

/* Adds the sightings of another violation, which then gives up its own. */
void ss_take_sightings(struct ss_violation *into, struct ss_violation *from);

/* ---- places.c -------------------------------------------------------------------------------- */

/* Finds at which places the misuses are that one violation of each group tells of, and says of each sighting at
 * which of them it was. Their frames are filled. May be called again. */
void ss_find_places(struct ss_report *report);

/* ---- defects.c ------------------------------------------------------------------------------- */

/* Decides whose defect a violation is; its frames are filled. */
void ss_blame(struct ss_violation *violation);

/* ---- renderers ------------------------------------------------------------------------------- */

struct ss_deny;

/* How a report is to look. */
struct ss_style {
    const struct ss_format *format;
    enum ss_colour colour;
    bool with_values; /* field values, look-up hosts */
    bool all_frames;
    struct ss_suppressions *suppressions;          /* of all files, NULL */
    struct ss_suppression_file *suppression_files; /* in their order, NULL */
    const struct ss_deny *deny;                    /* what counts beside errors; NULL: nothing */
};

struct ss_format {
    const char *name;
    void (*render)(FILE *out, const struct ss_report *report, const struct ss_style *style);
    bool marked; /* what it writes goes through ss_terminal_write */
    bool leaves; /* it is made for other machines: hosts are in it only with_values */
};

void ss_render_text(FILE *out, const struct ss_report *report, const struct ss_style *style);
void ss_render_json(FILE *out, const struct ss_report *report, const struct ss_style *style);
void ss_render_sarif(FILE *out, const struct ss_report *report, const struct ss_style *style);
void ss_render_junit(FILE *out, const struct ss_report *report, const struct ss_style *style);
void ss_render_markdown(FILE *out, const struct ss_report *report, const struct ss_style *style);

/* The lines on what was and was not seen; and the few that `run` prints where nothing strayed. */
void ss_render_seen(FILE *out, const struct ss_report *report);
void ss_render_clean(FILE *out, const struct ss_report *report);

/* Prints that nothing was checked, why, and what to do: report->nothing_why is set. */
void ss_render_nothing(FILE *out, const struct ss_report *report);

const struct ss_format *ss_format_of(const char *name);

/* The options that `run` and `report` share: rows for their tables, and what the rows do. */
#define SS_STYLE_FLAGS                                                                 \
    {"format", "text|json|sarif|junit|markdown", "how the report is written (text)"},  \
        {"suppressions", "FILE", "what is counted, not reported; may be repeated"},    \
        {"color", "auto|always|never", "auto: on a terminal, unless NO_COLOR is set"}, \
        {"with-values", NULL, "show field values, and look-up hosts in every format"}, \
    {                                                                                  \
        "all-frames", NULL, "show all stacks, with every frame"                        \
    }
void ss_style_flag(const struct ss_usage *usage, const char *name, const char *value,
                   struct ss_style *style);

/* Reads the logs that are named, `-` for standard input, or without any those of the last run. False, and
 * said: there was no run. */
bool ss_report_read(struct ss_report *report, char **paths);

/* Symbolizes and blames what was read, takes out what is suppressed, and makes one of what is one misuse: to
 * be called before violations are counted. Logs may be read, and this called, again. */
void ss_report_prepare(struct ss_report *report, const struct ss_style *style);

/* Prepares the report and writes it to out. False: out could not be written. */
bool ss_report_write(struct ss_report *report, const struct ss_style *style, FILE *out);

/* ---- severity.c ------------------------------------------------------------------------------ */

/* What counts for an exit status beside errors. */
struct ss_deny {
    bool warnings;
    bool rules[SS_RULE_COUNT];
};
/* False where word is neither a rule nor `warnings`. */
bool ss_deny_add(struct ss_deny *deny, const char *word);
/* Makes it a problem of the report where a rule that deny names was not looked for: what does not stray by it
 * may. Once all is read. */
void ss_deny_check(struct ss_report *report, const struct ss_deny *deny);
/* Whether a violation counts; and how many errors and warnings do. deny may be NULL. */
bool ss_deny_counts(const struct ss_deny *deny, const struct ss_violation *violation);
void ss_deny_count(const struct ss_report *report, const struct ss_deny *deny, uint64_t *errors,
                   uint64_t *warnings);

/* `1 error and 2 warnings`. */
const char *ss_findings_text(uint64_t errors, uint64_t warnings);

/* The same of all that the report holds, with its suspicions: `1 warning, 1 suspicion`; NULL where
 * there is nothing. */
const char *ss_all_findings_text(const struct ss_report *report);

#endif
