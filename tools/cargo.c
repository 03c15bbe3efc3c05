/* `strayspan cargo`, or `cargo strayspan`: has cargo run what it builds by `strayspan run --batch`, and
 * reports on all of it at the end. Only what cargo runs by its runner is preloaded: the workspace's programs
 * and tests, not cargo, rustc, build scripts and proc macros. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cargo_setup.h"
#include "cargo_task.h"
#include "child.h"
#include "command_line.h"
#include "commands.h"
#include "gate.h"
#include "log_place.h"
#include "probe.h"
#include "report.h"
#include "shim_options.h"
#include "suppressions.h"
#include "text.h"

static const struct ss_flag flags[] = {
    SS_GATE_FLAGS,
    {NULL, NULL, NULL},
};

static struct ss_usage usage = {
    "cargo",
    "test|run|bench|nextest.. [ARG...]",
    "Has cargo run the workspace's tests and programs, each under strayspan, and reports once on\n"
    "standard error what strayed. The arguments are cargo's; strayspan's own options come before.",
    flags,
    NULL,
    SS_EXIT_FAILED,
};

static int read_flags(int argc, char **argv, struct ss_gate *gate)
{
    int index = 0, flag;
    char *value;
    usage.notes = ss_shim_options_help();
    gate->style.deny = &gate->deny;
    while ((flag = ss_next_flag(&usage, argc, argv, true, &index, &value)) >= 0)
        ss_gate_flag(&usage, flags[flag].name, value, gate);
    if (index == argc)
        ss_usage_error(&usage, "no command of cargo's given");
    return index;
}

/* ---- the runner ---- */

/* What tests of the workspace's may start that is not the workspace's: tests of macros, of cargo's plugins. What
 * these run in turn is watched again. */
#define NOT_OURS "cargo,rustc,rustdoc,rustup,clippy-driver,rustfmt,build-script-*"

/* Adds an option to the lines; word may be NULL. False, and said: it is no line. */
static bool add_word(const char **lines, const char *word)
{
    if (word && strchr(word, '\n')) {
        fprintf(stderr, "strayspan: `%s`: no line can end in an option of a runner\n",
                ss_text_clean(word));
        return false;
    }
    if (word)
        *lines = ss_text("%s%s%s", *lines, **lines ? "\n" : "", word);
    return true;
}

/* Whether cargo takes text for one word of a runner: it splits at blanks, those that only Unicode has too. */
static bool is_one_word(const char *text)
{
    while (*text > ' ')
        text++;
    return !*text;
}

/* What cargo is to run programs by. As cargo splits it at blanks, and nothing quotes one, the options are in
 * *options, a line each, for the environment. NULL, and said: an option cannot be there. */
static const char *runner_value(const struct ss_gate *gate, const char *directory,
                                const char *users, const char **options)
{
    static const char *const colours[] = {"auto", "always", "never"};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = 0;
    /* Each program keeps its own status, so that cargo goes on to the next; what was found decides at the
     * end, once. */
    const char *const words[] = {
        "--exitcode=0",
        ss_text("--log-dir=%s", directory),
        ss_text("--color=%s", colours[gate->style.colour]),
        gate->style.with_values ? "--with-values" : NULL,
        gate->style.all_frames ? "--all-frames" : NULL,
        ss_text("--options=except=" NOT_OURS "%s%s", *gate->options ? ":" : "", gate->options),
        gate->style.format->marked ? NULL : "--output=/dev/null",
    };
    const char *lines = "";
    bool good = true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        good = good && add_word(&lines, words[i]);
    for (const struct ss_suppression_file *at = gate->style.suppression_files; at; at = at->next)
        good = good && add_word(&lines, at->path ? ss_text("--suppressions=%s", at->path) : NULL);
    if (!good)
        return NULL;
    *options = lines;
    return ss_text("%s run --batch --%s%s",
                   is_one_word(self) ? self : ss_text("/proc/%d/exe", (int)getpid()),
                   users ? " " : "", users ? users : "");
}

/* ---- the logs ---- */

/* The directory for the logs of this run, below place or the target directory. It is made by the first
 * program that is run: cargo makes the target directory itself. NULL, and said: there can be none. */
static const char *directory_below(const char *place, const char *target)
{
    char stamp[32];
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime(&now));
    const char *below = place ? ss_log_place_make(place) : ss_text("%s/strayspan", target);
    return below ? ss_text("%s/%s-%d", below, stamp, (int)getpid()) : NULL;
}

/* ---- at the end ---- */

/* Why nothing was checked; NULL where a span was seen, or something was found. */
static const char *why_nothing(const struct ss_report *report, const char *directory,
                               const char **advice)
{
    char *verdict = NULL;
    size_t ran = ss_log_place_noted(directory, &verdict), hooked = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        hooked += process->hooked;
    if (report->seen.created || ss_report_found(report) || ss_report_unfinished(report))
        return NULL;
    if (report->problems) {
        *advice = "make room or give another --log-dir; log lines that could not be written to the "
                  "file went to standard error, from where `strayspan report -` reads them";
        return "what cargo ran could not all be logged";
    }
    if (!ran) {
        *advice = "strayspan sees what cargo runs: `cargo strayspan test`, `run`, `bench` or "
                  "`nextest run`; give the target of a configuration (build.target) as --target";
        return "cargo ran no program of the workspace";
    }
    if (verdict && !report->processes) {
        *advice = "build for a target with a dynamic libc";
        return verdict;
    }
    if (!hooked) {
        *advice = "none of what ran is linked with tracing, or only without a subscriber: "
                  "`strayspan probe PROGRAM` tells of one";
        return ss_text("nothing could be hooked in the %s that cargo ran",
                       ss_count_text(ran, "process"));
    }
    bool unfound = ss_report_unfound(report);
    *advice = unfound ? ss_unfound_advice
                      : "install a subscriber in the tests (tracing_subscriber::fmt()"
                        ".with_test_writer().try_init(), or the crate test-log), and let spans "
                        "through: RUST_LOG=trace";

    return ss_text("%s%s",
                   ran == 1 ? "the process that cargo ran made no span"
                            : ss_text("none of the %s that cargo ran made a span",
                                      ss_count_text(ran, "process")),
                   unfound ? ss_unfound_reason : "");
}

/* Whether it is no wonder that nothing was checked: cargo failed before it ran a program, and has said why, or it
 * was to run none, or only for what they tell of themselves. */
static bool is_idle(const char *directory, enum ss_cargo_task task, const struct ss_child *child)
{
    char *verdict = NULL;
    size_t ran = ss_log_place_noted(directory, &verdict);
    return !ran && (child->status || task != SS_CARGO_RUNS);
}

/* Reads the logs. Where what may have run left no directory for them, none could perhaps be made. */
static void read_logs(struct ss_report *report, const char *directory, bool may_have_run)
{
    if (access(directory, F_OK) == 0) {
        ss_log_read(report, directory, NULL);
        ss_log_end(report);
        /* What was run may all be out of reach: an empty directory is no problem. */
        if (!report->files && !ss_log_place_is_incomplete(directory) &&
            access(directory, R_OK | X_OK) == 0)
            report->problems = NULL;
        ss_log_place_check(report, directory);
    } else if (may_have_run) {
        if (!ss_log_place_make(directory))
            ss_report_problem(report, true, directory, "nothing that ran could be logged there");
        rmdir(directory);
    }
}

static int conclude(const struct ss_gate *gate, const char *directory, char **argv,
                    const struct ss_child *child, FILE *out)
{
    struct ss_report report;
    const char *command;
    enum ss_cargo_task task = ss_cargo_task(argv, &command);
    ss_report_init(&report);
    report.by_group = true;
    read_logs(&report, directory, task == SS_CARGO_RUNS && child->status == 0);
    ss_deny_check(&report, &gate->deny);
    ss_report_prepare(&report, &gate->style);
    bool clean = !ss_report_found(&report) && !report.problems;
    bool idle = clean && is_idle(directory, task, child);
    if (idle)
        report.nothing_why =
            child->status ? "cargo failed before it ran a program" : "cargo was to run no program";
    else
        report.nothing_why = why_nothing(&report, directory, &report.nothing_advice);
    if (!clean)
        report.logs = directory;
    if (report.nothing_why && !report.processes)
        ss_log_place_nothing(&report, directory);
    int status = child->status;
    /* A document is written in any case, as somebody may wait for it. */
    if (!idle)
        status = ss_gate_conclude(gate, &report, child, out);
    else if (!gate->style.format->marked)
        (void)ss_gate_conclude(gate, &report, child, out);
    else if (status == 0 && task == SS_CARGO_BUILDS)
        fprintf(stderr,
                "strayspan: cargo %s runs no program, so there was nothing to check: `cargo "
                "strayspan test`, `run`, `bench` or `nextest run` does\n",
                ss_text_clean(command));
    bool removed = clean && !gate->log_directory;
    if (!idle)
        ss_log_place_remember(directory, removed);
    if (removed)
        ss_log_place_remove(directory);
    return status;
}

int ss_cargo(int argc, char **argv)
{
    struct ss_gate gate = SS_GATE_INITIAL;
    struct ss_child child = {.pid = 0};
    struct ss_cargo cargo;
    argv += read_flags(argc, argv, &gate);
    if (!ss_find_shim() || !ss_cargo_setup(&cargo, argv))
        return SS_EXIT_FAILED;
    const char *options = NULL;
    FILE *out = ss_gate_open(&gate);
    const char *directory = !out ? NULL
                            : gate.log_directory || cargo.target_directory
                                ? directory_below(gate.log_directory, cargo.target_directory)
                                : ss_log_place_new();
    const char *runner = directory ? runner_value(&gate, directory, cargo.runner, &options) : NULL;
    if (!runner)
        return SS_EXIT_FAILED;
    size_t count = 0;
    while (argv[count])
        count++;
    char **line = ss_keep((count + 2) * sizeof *line);
    line[0] = ss_text("%s", cargo.path);
    memcpy(line + 1, argv, count * sizeof *line);
    const struct ss_variable environment[] = {
        {cargo.variable, runner}, {options ? SS_BATCH_VARIABLE : NULL, options}, {NULL, NULL}};
    if (!ss_child_run(cargo.path, line, environment, &child) || child.exec_error) {
        if (child.exec_error)
            fprintf(stderr, "strayspan: %s: cannot be executed: %s\n", ss_text_clean(cargo.path),
                    strerror(child.exec_error));
        return child.exec_error == ENOENT ? SS_EXIT_NOT_FOUND
               : child.exec_error         ? SS_EXIT_NOT_EXECUTABLE
                                          : SS_EXIT_FAILED;
    }
    return conclude(&gate, directory, argv, &child, out);
}
