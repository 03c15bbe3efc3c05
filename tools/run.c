/* `strayspan run`: starts a program with the shim preloaded, gets out of its way, and reports at
 * the end. The program gets the signals, the descriptors and the dispositions that it would have
 * without us, and its exit status is ours unless something strayed. */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shim/option_table.h"
#include "command_line.h"
#include "commands.h"
#include "inner_program.h"
#include "probe.h"
#include "shim_options.h"
#include "text.h"

enum { LOG_DIR, OUTPUT, EXITCODE, DENY, REQUIRE_HOOKED, OPTIONS };

static const struct ss_flag flags[] = {
    [LOG_DIR] = {"log-dir", "DIR", "keep the logs there, instead of in the state directory"},
    [OUTPUT] = {"output", "FILE", "where the report goes instead of standard error"},
    [EXITCODE] = {"exitcode", "N", "exit status after an error (66); 0: the program's own"},
    [DENY] = {"deny", "RULE|warnings", "this counts for the exit status too; may be repeated"},
    [REQUIRE_HOOKED] = {"require-hooked", NULL, "exit with 125 when no span was seen"},
    [OPTIONS] = {"options", "KEY=VALUE:..", "options for the library in the program, see below"},
    SS_STYLE_FLAGS,
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

struct settings {
    struct ss_style style;
    struct ss_deny deny;
    const char *log_directory, *output, *options;
    int exit_code;
    bool require_hooked;
};

/* ---- our own options ---- */

static int read_flags(int argc, char **argv, struct settings *settings)
{
    int index = 0, flag;
    char *value, *end;
    settings->style.format = ss_format_of("text");
    settings->exit_code = SS_EXIT_FOUND;
    settings->options = "";
    usage.notes = ss_shim_options_help();
    while ((flag = ss_next_flag(&usage, argc, argv, true, &index, &value)) >= 0) {
        switch (flag) {
        case LOG_DIR:
            settings->log_directory = value;
            break;
        case OUTPUT:
            settings->output = value;
            break;
        case EXITCODE:
            settings->exit_code = (int)strtol(value, &end, 10);
            if (!*value || *end || settings->exit_code < 0 || settings->exit_code > 255)
                ss_usage_error(&usage, "option `--exitcode`: bad value `%s`, want 0 to 255", value);
            break;
        case DENY:
            if (!ss_deny_add(&settings->deny, value))
                ss_usage_error(&usage, "option `--deny`: no rule `%s`", value);
            break;
        case REQUIRE_HOOKED:
            settings->require_hooked = true;
            break;
        case OPTIONS:
            ss_shim_options_check(&usage, value);
            settings->options =
                *settings->options ? ss_text("%s:%s", settings->options, value) : value;
            break;
        default:
            ss_style_flag(&usage, flags[flag].name, value, &settings->style);
        }
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

/* ---- the program's life ---- */

struct child {
    pid_t pid;
    int exec_error; /* errno of exec, 0 where it went well */
    int status;     /* as a shell has it */
    int signal;     /* that ended it, 0 */
};

static const int synchronous_signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                          SIGABRT, SIGTRAP, SIGSYS};

/* Collects whoever ended or stopped, orphans included where we are PID 1. True once it is the
 * child. */
static bool reap(struct child *child)
{
    int status;
    pid_t pid;
    bool ended = false;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != child->pid)
            continue;
        if (WIFSTOPPED(status)) {
            /* Stopped from its terminal: so are we, and the shell sees its job stopped. */
            int signal = WSTOPSIG(status);
            if (signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
                raise(SIGSTOP);
            continue;
        }
        ended = true;
        child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        child->status =
            WIFSIGNALED(status) ? SS_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return ended;
}

/* Waits for the child. Signals that the kernel sends (a terminal's, to the whole process group)
 * reach the program without us; those that somebody sent to us are handed on. */
static void attend(struct child *child, const sigset_t *signals)
{
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(signals, &info);
        if (signal == SIGCHLD) {
            if (reap(child))
                return;
        } else if (signal > 0 && info.si_code <= 0 && info.si_pid != child->pid) {
            kill(child->pid, signal);
        }
    }
}

/* Whether a file begins like text: with no NUL byte in its first bytes. */
static bool is_text(const char *path)
{
    char head[128] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return length > 0 && !memchr(head, 0, (size_t)length) && memcmp(head, "\177ELF", 4) != 0;
}

static void become(const char *path, char **argv, const char *preload, const char *options,
                   int errors, const struct sigaction *child_action, const sigset_t *mask)
{
    if (setenv("LD_PRELOAD", preload, 1) == 0 && setenv(SS_OPTIONS_VARIABLE, options, 1) == 0) {
        sigaction(SIGCHLD, child_action, NULL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execv(path, argv);
        /* A script without `#!` is the shell's, as with any other program that starts programs. */
        if (errno == ENOEXEC && is_text(path))
            execvp(argv[0], argv);
    }
    int problem = errno;
    if (write(errors, &problem, sizeof problem) < 0)
        _exit(SS_EXIT_FAILED);
    _exit(SS_EXIT_NOT_FOUND);
}

/* Runs the program to its end. False, and said: it could not even be tried. */
static bool run_program(const char *path, char **argv, const char *preload, const char *options,
                        struct child *child)
{
    sigset_t signals, before;
    struct sigaction child_before, child_default = {.sa_handler = SIG_DFL};
    int errors[2];
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof synchronous_signals / sizeof synchronous_signals[0]; i++)
        sigdelset(&signals, synchronous_signals[i]);
    sigprocmask(SIG_BLOCK, &signals, &before);
    /* An inherited SIG_IGN would take the child's status from us. */
    sigaction(SIGCHLD, &child_default, &child_before);

    if (pipe2(errors, O_CLOEXEC) != 0 || (child->pid = fork()) < 0) {
        fprintf(stderr, "strayspan: cannot start a process: %s\n", strerror(errno));
        return false;
    }
    if (child->pid == 0)
        become(path, argv, preload, options, errors[1], &child_before, &before);
    close(errors[1]);
    if (read(errors[0], &child->exec_error, sizeof child->exec_error) <= 0)
        child->exec_error = 0;
    close(errors[0]);
    attend(child, &signals);
    return true;
}

/* ---- afterwards ---- */

/* A process that the program left behind and that still runs with our log directory in its
 * environment, so that it may have something to say yet; 0 where there is none. */
static pid_t left_behind(const char *directory)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;
    while (!found && processes && (entry = readdir(processes))) {
        char environment[65536];
        pid_t pid = (pid_t)atoi(entry->d_name);
        int fd = pid > 0 && pid != getpid()
                     ? open(ss_text("/proc/%d/environ", (int)pid), O_RDONLY | O_CLOEXEC)
                     : -1;
        ssize_t length = fd < 0 ? 0 : read(fd, environment, sizeof environment);
        if (length > 0 && memmem(environment, (size_t)length, directory, strlen(directory)))
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
    const char *program = argv[0], *inner;
    uint64_t hooked = 0, filtered = 0, live = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        hooked += process->hooked;
    for (int level = 0; level < SS_LEVELS; level++)
        filtered += report->seen.call_sites[level].filtered,
            live += report->seen.call_sites[level].live;
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
        *advice = filtered ? "let more through: RUST_LOG=trace, or the program's own log settings"
                           : "run the part of it that makes spans, with a subscriber installed";
        return ss_text("%s has `tracing` in it and was hooked, but no span was made: %s",
                       hooked_program(report, program),
                       filtered ? "its call sites are filtered out"
                       : live   ? "those of its call sites that are let through were not reached"
                                : "no subscriber was installed, or none of its call sites reached "
                                  "under one");
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
    *advice = ss_text("see why: strayspan run --options verbosity=2 -- %s", program);
    return ss_text("%s has `tracing` in it, but nothing in it was hooked: it never got so far, or "
                   "something took LD_PRELOAD away",
                   program);
}

/* `1 error and 2 warnings; 1 suspicion`: what counts, and what may have gone on; NULL: neither. */
static const char *findings(const struct settings *settings, const struct ss_report *report)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &settings->deny, &errors, &warnings);
    const char *found = errors + warnings ? ss_findings_text(errors, warnings) : NULL;
    const char *suspicions =
        report->suspicion_count ? ss_count_text(report->suspicion_count, "suspicion") : NULL;
    return found && suspicions ? ss_text("%s; %s", found, suspicions) : found ? found : suspicions;
}

/* Why our status is not the program's 0. */
static const char *why_other(const struct settings *settings, const struct ss_report *report,
                             bool written)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &settings->deny, &errors, &warnings);
    return errors + warnings                  ? ss_findings_text(errors, warnings)
           : !written                         ? "the report could not be written"
           : report->problems                 ? "a log has a problem, see above"
           : ss_report_counts_unknown(report) ? "whether a span was seen is not known, as no "
                                                "process lived to write its counts, and "
                                                "--require-hooked was given"
                                              : "no span was seen, and --require-hooked was given";
}

/* The last line of a run that found something, or has a status of its own; NULL else. */
static const char *last_line(const struct settings *settings, const struct ss_report *report,
                             const struct child *child, int status, bool written)
{
    if (status != child->status)
        return ss_text("exit status %d: %s (the program's own was 0)\n", status,
                       why_other(settings, report, written));
    const char *found = findings(settings, report);
    if (!found)
        return NULL;
    if (child->signal)
        return ss_text("exit status %d: the program was ended by signal %d (%s); %s\n", status,
                       child->signal, strsignal(child->signal), found);
    return ss_text("exit status %d: the program's own; %s\n", status, found);
}

static int exit_status(const struct settings *settings, const struct ss_report *report,
                       const struct child *child, bool nothing)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &settings->deny, &errors, &warnings);
    if (child->status != 0)
        return child->status;
    if (errors + warnings && settings->exit_code)
        return settings->exit_code;
    /* A log with a problem may have held an error: a gate must not open by that. */
    nothing |= ss_report_counts_unknown(report);
    return report->problems || (nothing && settings->require_hooked) ? SS_EXIT_FAILED : 0;
}

/* Writes the report to out; errno tells why it could not. */
static bool write_report(struct ss_report *report, const struct settings *settings, FILE *out,
                         const char *why, const char *advice)
{
    bool text = settings->style.format->marked, done = true;
    char *lines = NULL;
    size_t length = 0;
    if (text && out == stderr && ss_report_found(report))
        putc('\n', out); /* apart from what the program wrote last */
    if (!text || ss_report_found(report) || report->problems)
        done = ss_report_write(report, &settings->style, out);
    if (!text || !done)
        return done;
    FILE *memory = open_memstream(&lines, &length);
    if (!memory)
        return false;
    if (why) {
        fprintf(memory, SS_YELLOW "strayspan: NOTHING WAS CHECKED" SS_PLAIN ": %s\n",
                ss_text_clean_to(why, 400));
        if (advice)
            fprintf(memory, "    to do: %s\n", ss_text_clean_to(advice, 400));
        for (size_t i = 0; i < report->nothing_defect_count; i++)
            fprintf(memory, "    known defect in it: %s\n",
                    ss_text_clean_to(report->nothing_defects[i], 400));
    } else if (!ss_report_found(report) && !report->problems) {
        ss_render_clean(memory, report);
    }
    done = fclose(memory) == 0 && ss_terminal_write(out, settings->style.colour, lines, length);
    free(lines);
    return done;
}

/* Reads the logs, reports, and gives our exit status. */
static int conclude(const struct settings *settings, const char *directory, const char *token,
                    char **argv, const char *path, const struct child *child, FILE *out)
{
    struct ss_report report;
    struct ss_probe probe = {.readable = false};
    const char *advice;
    ss_report_init(&report);
    ss_log_read(&report, directory, token);
    if (report.files == 0)
        report.problems = NULL; /* an empty directory is no problem here */
    struct statvfs room;
    if (report.files && statvfs(directory, &room) == 0 &&
        (geteuid() ? room.f_bavail : room.f_bfree) == 0)
        ss_report_problem(&report, false, directory,
                          "no room is left there: what could not be logged was "
                          "written to standard error");
    const char *why = why_nothing(&report, argv, path, &probe, &advice);
    if (ss_report_found(&report) || report.problems)
        report.logs = directory;
    int status = exit_status(settings, &report, child, why != NULL);

    report.ran = true;
    report.status = status;
    report.program_status = child->status;
    report.nothing_why = why;
    report.nothing_advice = advice;
    if (why)
        report.nothing_defects = ss_probe_defects(&probe, &report.nothing_defect_count);

    /* On the stream that a JSON document went to, there is nothing else. */
    bool document_alone = !settings->style.format->marked && !settings->output;
    bool written = write_report(&report, settings, out, why, advice);
    int problem = errno;
    if (settings->output && fclose(out) != 0 && written) {
        problem = errno;
        written = false;
    }
    if (!written && settings->output) {
        /* Better on standard error than nowhere. */
        fprintf(stderr, "strayspan: %s: could not be written: %s\n",
                ss_text_clean(settings->output), strerror(problem));
        write_report(&report, settings, stderr, why, advice);
        if (status == 0)
            status = SS_EXIT_FAILED;
    }
    const char *last = last_line(settings, &report, child, status, written);
    if (last && !document_alone)
        ss_terminal_write(stderr, SS_COLOUR_NEVER, last, strlen(last));

    ss_log_place_remember(directory);
    if (!settings->log_directory && !ss_report_found(&report) && !report.problems) {
        pid_t left = left_behind(directory);
        if (!left)
            ss_log_place_remove(directory);
        else if (!document_alone)
            fprintf(stderr,
                    "strayspan: process %d was left behind and still runs: its logs stay in %s\n",
                    (int)left, ss_text_clean(directory));
    }
    return status;
}

/* The directory for this run's logs: absolute, as the program may change its own. */
static const char *log_directory(const struct settings *settings)
{
    char absolute[PATH_MAX];
    if (!settings->log_directory)
        return ss_log_place_new();
    if (mkdir(settings->log_directory, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "strayspan: log directory %s: cannot be made: %s\n",
                ss_text_clean(settings->log_directory), strerror(errno));
        return NULL;
    }
    struct stat status = {0};
    if (!realpath(settings->log_directory, absolute) || stat(absolute, &status) != 0 ||
        access(absolute, W_OK | X_OK) != 0 || !S_ISDIR(status.st_mode)) {
        fprintf(stderr, "strayspan: log directory %s: cannot be written: %s\n",
                ss_text_clean(settings->log_directory),
                S_ISDIR(status.st_mode) ? strerror(errno) : "not a directory");
        return NULL;
    }
    return ss_text_copy(absolute, strlen(absolute));
}

int ss_run(int argc, char **argv)
{
    struct settings settings = {.exit_code = 0};
    struct child child = {.pid = 0};
    struct ss_probe probe;
    int index = read_flags(argc, argv, &settings);
    char **program = argv + index;

    const char *shim = ss_find_shim();
    if (!shim)
        return SS_EXIT_FAILED;
    if (strpbrk(shim, " :")) {
        fprintf(stderr,
                "strayspan: %s: LD_PRELOAD cannot hold a path with a space or colon: install it "
                "elsewhere\n",
                ss_text_clean(shim));
        return SS_EXIT_FAILED;
    }
    const char *path = ss_find_program(program[0]);
    if (!path) {
        fprintf(stderr, "strayspan: %s: not found\n", ss_text_clean(program[0]));
        return SS_EXIT_NOT_FOUND;
    }
    ss_probe_file(path, SS_PROBE_LINKAGE, &probe);

    FILE *out = settings.output ? fopen(settings.output, "we") : stderr;
    if (!out) {
        fprintf(stderr, "strayspan: %s: cannot be written: %s\n", ss_text_clean(settings.output),
                strerror(errno));
        return SS_EXIT_FAILED;
    }
    const char *directory = log_directory(&settings);
    if (!directory)
        return SS_EXIT_FAILED;
    /* In a directory that other runs use too, a part of the name tells our logs from theirs. */
    const char *token =
        settings.log_directory ? ss_text("run-%d-%lx", (int)getpid(), (long)time(NULL)) : NULL;
    const char *options = ss_shim_options_value(directory, token, settings.options);
    if (!options)
        return SS_EXIT_FAILED;

    if (!run_program(path, program, preload_value(shim, &probe), options, &child)) {
        child.status = SS_EXIT_FAILED;
    } else if (child.exec_error) {
        struct stat status = {0};
        bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
        bool no_loader = child.exec_error == ENOENT && probe.loader;
        fprintf(stderr, "strayspan: %s: cannot be executed: %s%s\n", ss_text_clean(program[0]),
                no_loader ? ss_text("its interpreter %s: ", ss_text_clean(probe.loader)) : "",
                is_directory ? "it is a directory" : strerror(child.exec_error));
        child.status = child.exec_error == ENOENT ? SS_EXIT_NOT_FOUND : SS_EXIT_NOT_EXECUTABLE;
    } else {
        return conclude(&settings, directory, token, program, path, &child, out);
    }
    if (!settings.log_directory)
        ss_log_place_remove(directory);
    return child.status;
}
