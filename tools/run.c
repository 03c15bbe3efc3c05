/* `strayspan run`: starts a program with the shim preloaded, gets out of its way, and reports at
 * the end. The program gets the signals, the descriptors and the dispositions that it would have
 * without us, and its exit status is ours unless something strayed. */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../shim/option_table.h"
#include "child.h"
#include "command_line.h"
#include "commands.h"
#include "gate.h"
#include "inner_program.h"
#include "kept_frames.h"
#include "log_place.h"
#include "probe.h"
#include "shim_options.h"
#include "suppressions.h"
#include "tests.h"
#include "text.h"

enum { BATCH };

static const struct ss_flag flags[] = {
    [BATCH] = {"batch", NULL, "for a runner of tests: print nothing where nothing strayed"},
    SS_GATE_FLAGS,
    {NULL, NULL, NULL},
};

static struct ss_usage usage = {
    "run",
    "[--] PROGRAM [ARG...]",
    "Runs a program and, when it has ended, reports on standard error what strayed.",
    flags,
    NULL,
    SS_EXIT_FAILED,
};

/* A runner's line with the options behind --batch that stand in the environment, a line each, as cargo splits a
 * runner at blanks. They stay there, as the runner does: tests may have cargo run programs. */
static char **with_environment(int *argc, char **argv)
{
    const char *value =
        *argc > 1 && strcmp(argv[1], "--batch") == 0 ? getenv(SS_BATCH_VARIABLE) : NULL;
    if (!value)
        return argv;
    size_t count = 0, most = (size_t)*argc + 1;
    for (const char *at = value; *at; at++)
        most += *at == '\n';
    char **line = ss_keep((most + 2) * sizeof *line);
    line[count++] = argv[0];
    line[count++] = argv[1];
    for (size_t length; *value; value += length + (value[length] == '\n')) {
        length = strcspn(value, "\n");
        line[count++] = ss_text_copy(value, length);
    }
    memcpy(line + count, argv + 2, ((size_t)*argc - 2) * sizeof *line);
    *argc += (int)count - 2;
    return line;
}

static int read_flags(int argc, char **argv, struct ss_gate *gate)
{
    int index = 0, flag;
    char *value;
    gate->style.deny = &gate->deny;
    usage.notes = ss_shim_options_help();
    while ((flag = ss_next_flag(&usage, argc, argv, true, &index, &value)) >= 0) {
        if (flag == BATCH)
            gate->batch = true;
        else
            ss_gate_flag(&usage, flags[flag].name, value, gate);
    }
    if (index == argc)
        ss_usage_error(&usage, "no program given");
    return index;
}

/* ---- the program's environment ---- */

static const char *preload_value(const char *shim, const struct ss_probe *probe)
{
    const char *users = getenv("LD_PRELOAD");
    return ss_text("%s%s%s%s%s", probe->sanitizer ? probe->sanitizer : "",
                   probe->sanitizer ? ":" : "", shim, users && *users ? ":" : "",
                   users ? users : "");
}

/* ---- afterwards ---- */

/* A process that the program left behind and that still runs with our log directory in its
 * environment, so that it may have something to say yet; 0 where there is none. */
static pid_t left_behind(const char *mark)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;
    while (!found && processes && (entry = readdir(processes))) {
        static char environment[1 << 21]; /* as long as the kernel takes one by default */
        pid_t pid = (pid_t)atoi(entry->d_name);
        int fd = pid > 0 && pid != getpid()
                     ? open(ss_text("/proc/%d/environ", (int)pid), O_RDONLY | O_CLOEXEC)
                     : -1;
        size_t length = 0;
        ssize_t got = 1;
        while (fd >= 0 && got > 0 && length < sizeof environment)
            if ((got = read(fd, environment + length, sizeof environment - length)) > 0)
                length += (size_t)got;
        if (memmem(environment, length, mark, strlen(mark)))
            found = pid;
        if (fd >= 0)
            close(fd);
    }
    if (processes)
        closedir(processes);
    return found;
}

/* The module that was hooked, where it is one of the program's and not itself. */
static const char *hooked_program(const struct ss_report *report, const char *program)
{
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next) {
        const char *slash = strrchr(binary->path, '/');
        if (binary->subscribers && !binary->program)
            return ss_text("%s in %s", slash ? slash + 1 : binary->path, program);
        if (binary->subscribers)
            return slash ? slash + 1 : binary->path;
    }
    return program;
}

/* Why no span was seen, and what to do; NULL where some were, or where that cannot be told. What is
 * known of the program by its file alone is in probe then. */
static const char *why_nothing(const struct ss_report *report, char **argv, const char *path,
                               struct ss_probe *probe, const char **advice)
{
    const char *program = argv[0], *inner = NULL;
    const struct ss_level_counts sites = ss_report_call_sites(report);
    const uint64_t filtered = sites.filtered, live = sites.live;
    uint64_t hooked = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        hooked += process->hooked;
    *advice = NULL;
    if (report->seen.created || ss_report_found(report) || ss_report_unfinished(report))
        return NULL;
    ss_probe_file(path, SS_PROBE_CONTENTS, probe);
    if (report->problems) {
        *advice = "make room or give another --log-dir; log lines that could not be written to the "
                  "file went to standard error, from where `strayspan report -` reads them";
        return ss_text("the log of %s could not be read", program);
    }
    if (report->seen.apart[0] && !hooked) {
        *advice = "load it with dlopen: a preload does not get into other namespaces";
        return ss_text("%s loaded %s by dlmopen, into a namespace where nothing can be hooked",
                       program, report->seen.apart[0]);
    }
    if (report->processes && hooked) {
        bool unfound = ss_report_unfound(report);
        *advice = unfound    ? ss_unfound_advice
                  : filtered ? "let more through: RUST_LOG=trace, or the program's own log settings"
                             : "run the part of it that makes spans, with a subscriber installed";
        return ss_text("%s has `tracing` in it and was hooked, but no span was %s: %s%s",
                       hooked_program(report, program), unfound ? "seen" : "made",
                       unfound && live ? "its call sites that are let through were not reached"
                       : filtered      ? "its call sites are filtered out"
                       : live ? "those of its call sites that are let through were not reached"
                              : "no subscriber was installed, or none of its call sites reached "
                                "under one",
                       unfound ? ss_unfound_reason : "");
    }
    if (!probe->has_tracing && !probe->good && (inner = ss_inner_program(argv, probe)) &&
        strcmp(inner, program) != 0)
        program = ss_text("%s (in the command of %s)", inner, program);
    if (probe->good && !probe->has_tracing)
        return ss_text("%s is annotated, no span was made", program);
    if (!probe->good) {
        *advice = probe->advice;
        return ss_text("%s: %s", program, probe->verdict);
    }
    *advice = ss_text("see why: strayspan run --options verbosity=2 -- %s",
                      ss_text_shell(inner ? inner : program));
    return ss_text("%s has `tracing` in it, but nothing in it was hooked: it never got so far, or "
                   "something took LD_PRELOAD away",
                   program);
}

/* Reads the logs, reports, and gives our exit status. */
static int conclude(const struct ss_gate *gate, const char *directory, const char *token,
                    char **argv, const char *path, const struct ss_child *child, FILE *out)
{
    struct ss_report report;
    struct ss_probe probe = {.readable = false};
    /* Looked for before the logs are read: what ends from here on is in them, or is told of. In a batch who
     * reads the logs of all sees it. */
    pid_t left = gate->batch ? 0 : left_behind(token ? token : directory);
    ss_report_init(&report);
    if (!gate->batch || gate->require_hooked || !token || !ss_log_is_clean(directory, token))
        ss_log_read(&report, directory,
                    token ? token : ""); /* that there is none is no problem here */
    ss_log_end(&report);
    ss_log_place_check(&report, directory);
    ss_deny_check(&report, &gate->deny);
    ss_report_prepare(&report, &gate->style);
    /* Whoever reads the logs of a batch may find its programs gone. Where this cannot be written, they have no
     * names then. */
    if (gate->batch && token)
        ss_frames_write(&report, ss_text("%s/strayspan.%s" SS_FRAMES_SUFFIX, directory, token));
    /* In a batch nothing is said of that, and the program is not looked into. */
    if (!gate->batch || gate->require_hooked)
        report.nothing_why = why_nothing(&report, argv, path, &probe, &report.nothing_advice);
    if (report.nothing_why && left) {
        report.nothing_why = ss_text("process %d was left behind and still runs", (int)left);
        report.nothing_advice =
            ss_text("when it has ended: strayspan report %s", ss_text_clean(directory));
    } else if (report.nothing_why)
        report.nothing_defects = ss_probe_defects(&probe, &report.nothing_defect_count);
    if (ss_report_found(&report) || report.problems)
        report.logs = directory;
    if (report.problems && ss_gate_leaves(gate))
        ss_log_place_incomplete(directory);
    if (report.nothing_why && !report.processes && !gate->batch && gate->log_directory)
        ss_log_place_nothing(&report, directory);
    int status = ss_gate_conclude(gate, &report, child, out);

    bool removed = !left && !gate->log_directory && !ss_report_found(&report) && !report.problems;
    if (!gate->batch)
        ss_log_place_remember(directory, removed);
    if (left && !report.nothing_why && !ss_gate_document_alone(gate))
        fprintf(stderr,
                "strayspan: process %d was left behind and still runs: its logs are in %s\n",
                (int)left, ss_text_clean(directory));
    if (removed)
        ss_log_place_remove(directory);
    return status;
}

/* What is left where we cannot do our part, which was said: to run the program without us where its status is not
 * to be touched, and else to fail. */
static int unwatched(const struct ss_gate *gate, const char *path, char **program)
{
    if (!ss_gate_leaves(gate))
        return SS_EXIT_FAILED;
    ss_log_place_incomplete(gate->log_directory);
    return ss_child_become(path, program);
}

int ss_run(int argc, char **argv)
{
    struct ss_gate gate = SS_GATE_INITIAL;
    struct ss_child child = {.pid = 0};
    struct ss_probe probe;
    argv = with_environment(&argc, argv);
    int index = read_flags(argc, argv, &gate);
    char **program = argv + index;

    const char *shim = ss_find_shim();
    if (!shim && !ss_gate_leaves(&gate))
        return SS_EXIT_FAILED;
    const char *path = ss_find_program(program[0]);
    if (!path) {
        fprintf(stderr, "strayspan: %s: not found\n", ss_text_clean(program[0]));
        return SS_EXIT_NOT_FOUND;
    }
    if (gate.batch && ss_test_lists(path, program))
        return ss_child_become(path, program);
    ss_probe_file(path, SS_PROBE_LINKAGE, &probe);

    FILE *out = ss_gate_open(&gate);
    const char *directory = !out                 ? NULL
                            : gate.log_directory ? ss_log_place_make(gate.log_directory)
                                                 : ss_log_place_new();
    if (!directory)
        return unwatched(&gate, path, program);
    /* In a directory that other runs use too, a part of the name tells our logs from theirs. */
    const char *token =
        gate.log_directory ? ss_text("run-%d-%lx", (int)getpid(), (long)time(NULL)) : NULL;
    const char *test = gate.batch ? ss_test_asked(path, program) : NULL;
    const char *options = ss_shim_options_value(
        directory, token, ss_suppressions_option(gate.options, gate.style.suppression_files), test);
    if (!options || !shim)
        return unwatched(&gate, path, program);
    if (gate.batch && gate.log_directory &&
        !ss_log_place_note(directory, path, probe.reached ? NULL : probe.verdict))
        ss_log_place_incomplete(directory);

    const bool doctest = gate.batch && ss_test_is_doctest(path);
    const struct ss_variable environment[] = {{"LD_PRELOAD", preload_value(shim, &probe)},
                                              {SS_OPTIONS_VARIABLE, options},
                                              {doctest ? SS_TEST_DOCTEST_VARIABLE : NULL, path},
                                              {NULL, NULL}};
    if (!ss_child_run(path, program, environment, &child)) {
        child.status = unwatched(&gate, path, program);
    } else if (child.exec_error) {
        struct stat status = {0};
        bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        bool no_loader = child.exec_error == ENOENT && probe.loader;
        fprintf(stderr, "strayspan: %s: cannot be executed: %s%s\n", ss_text_clean(program[0]),
                no_loader ? ss_text("its interpreter %s: ", ss_text_clean(probe.loader)) : "",
                is_directory ? "it is a directory" : strerror(child.exec_error));
        child.status = child.exec_error == ENOENT ? SS_EXIT_NOT_FOUND : SS_EXIT_NOT_EXECUTABLE;
    } else {
        int status = conclude(&gate, directory, token, program, path, &child, out);
        if (gate.batch && child.signal && status == child.status)
            ss_child_end_alike(&child);
        return status;
    }
    if (!gate.log_directory)
        ss_log_place_remove(directory);
    return child.status;
}
