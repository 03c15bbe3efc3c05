/* `strayspan report --follow`: reads logs as they grow, and tells of each violation once. A log is known by its
 * name: where that comes to be another file (rotation by renaming), both are read on, as a process may keep
 * writing to the one that it has open; where the file is cut to nothing (rotation by copying), it is read from
 * its start. Records of one process may so lie in several files: one reader has them all. Called by report.c. */
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_read.h"
#include "render.h"
#include "text.h"

enum { TURN_MS = 200, FILES_MAX = 4 };

/* One file that a log's name has stood for. */
struct file {
    struct ss_input input;
    dev_t device;
    ino_t inode;
    uint64_t begun; /* input.total when it was last read from its start */
};

/* A log by its name. */
struct tail {
    struct tail *next;
    const char *path;
    struct ss_reader reader;
    struct file files[FILES_MAX]; /* the earliest first */
    size_t count;
    bool in_directory, finished; /* finished: its processes have ended, and it is closed */
    bool ended, cut;             /* ended: it is a pipe, and nobody writes to it any more */
};

struct following {
    struct ss_report *report;
    struct tail *tails;
    char **paths;
    struct ss_problem *told; /* the last problem that was said */
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* ---- one log --------------------------------------------------------------------------------- */

static struct tail *add_tail(struct following *following, const char *path, bool in_directory)
{
    struct tail *tail = ss_keep(sizeof *tail), **end = &following->tails;
    *tail = (struct tail){.path = path,
                          .in_directory = in_directory,
                          .reader = {.report = following->report, .file = path}};
    while (*end)
        end = &(*end)->next;
    *end = tail;
    following->report->files++;
    return tail;
}

static void close_first(struct tail *tail)
{
    struct file *first = &tail->files[0];
    tail->cut |= ss_input_end(&tail->reader, &first->input);
    close(first->input.fd);
    memmove(first, first + 1, --tail->count * sizeof *first);
}

/* Opens what the name stands for now, where that is another file than the last. Returns why it could not,
 * until the next call, NULL where it could. */
static const char *open_newest(struct tail *tail)
{
    static char why[128];
    struct stat status;
    const struct file *last = tail->count ? &tail->files[tail->count - 1] : NULL;
    if (stat(tail->path, &status) != 0) {
        snprintf(why, sizeof why, "cannot be read: %s", strerror(errno));
        return why;
    }
    if (last && last->device == status.st_dev && last->inode == status.st_ino)
        return NULL;
    int fd = open(tail->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        snprintf(why, sizeof why, "cannot be read: %s", strerror(errno));
        return why;
    }
    if (fstat(fd, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))) {
        close(fd);
        return "not a strayspan log: not a file";
    }
    if (tail->count == FILES_MAX)
        close_first(tail);
    tail->files[tail->count++] =
        (struct file){.input = {.fd = fd}, .device = status.st_dev, .inode = status.st_ino};
    return NULL;
}

/* Reads on in a file, from its start where it was cut: what was held of a line is lost then, and so is
 * what was written between the last turn and the cut. */
static void read_on(struct tail *tail, struct file *file)
{
    struct stat status;
    bool regular = fstat(file->input.fd, &status) == 0 && S_ISREG(status.st_mode);
    if (regular && (uint64_t)status.st_size < file->input.total - file->begun) {
        tail->cut |= ss_input_end(&tail->reader, &file->input);
        file->input.skipping = false;
        file->begun = file->input.total;
        (void)lseek(file->input.fd, 0, SEEK_SET);
    }
    if (!ss_input_read(&tail->reader, &file->input) && !regular)
        tail->ended = tail->reader.stream || file->input.total;
}

/* Whether all of a log's processes have written their last record. */
static bool is_complete(const struct tail *tail)
{
    for (const struct ss_run *run = tail->reader.runs; run; run = run->next)
        if (!run->process->summary)
            return false;
    return tail->reader.runs;
}

static void finish(struct tail *tail)
{
    if (tail->finished)
        return;
    while (tail->count)
        close_first(tail);
    if (!tail->reader.started)
        tail->reader.stopped = true; /* it was just made, and no line is whole yet */
    ss_reader_end(&tail->reader, tail->cut);
    tail->finished = true;
}

static void update(struct tail *tail)
{
    if (tail->finished)
        return;
    if (!tail->reader.stream)
        (void)open_newest(tail);
    for (size_t i = 0; i < tail->count; i++)
        read_on(tail, &tail->files[i]);
    /* A directory may come to hold more logs than can be open at once. */
    if (tail->in_directory && is_complete(tail))
        finish(tail);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
    struct stat status;
    return strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_known(const struct following *following, const char *path)
{
    for (const struct tail *tail = following->tails; tail; tail = tail->next)
        if (strcmp(tail->path, path) == 0)
            return true;
    return false;
}

/* Finds the logs that have come into the directories. */
static void look_for_logs(struct following *following)
{
    for (char **at = following->paths; *at; at++) {
        struct dirent **entries = NULL;
        int count = is_directory(*at) ? scandir(*at, &entries, ss_is_log, alphasort) : 0;
        for (int i = 0; i < count; i++) {
            /* This goes on for days: nothing is kept for what is known. */
            char path[PATH_MAX];
            bool slash = ss_text_ends(*at, "/");
            int length =
                snprintf(path, sizeof path, "%s%s%s", *at, slash ? "" : "/", entries[i]->d_name);
            if (length > 0 && (size_t)length < sizeof path && !is_known(following, path))
                add_tail(following, ss_text_copy(path, (size_t)length), true);
            free(entries[i]);
        }
        free(entries);
    }
}

static void add_stdin(struct following *following)
{
    struct tail *tail = add_tail(following, "-", false);
    tail->reader.file = "standard input";
    tail->reader.stream = true;
    /* Not to block is a state that others who have the same stream would share. */
    int fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        fd = dup(STDIN_FILENO); /* a socket */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    tail->files[tail->count++] = (struct file){.input = {.fd = fd}};
}

/* A name that stands for nothing is more likely mistyped than waited for. */
static bool begin(struct following *following)
{
    bool good = true;
    for (char **at = following->paths; *at; at++) {
        const char *why = NULL;
        if (strcmp(*at, "-") == 0)
            add_stdin(following);
        else if (!is_directory(*at))
            why = open_newest(add_tail(following, *at, false));
        if (why)
            fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(*at), why);
        good &= !why;
    }
    return good;
}

static void say_problems(struct following *following)
{
    struct ss_problem *next = following->told ? following->told->next : following->report->problems;
    for (; next; next = next->next) {
        fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(next->file),
                ss_text_clean_to(next->message, 400));
        following->told = next;
    }
}

static bool has_news(const struct ss_report *report)
{
    const struct ss_violation *const lists[] = {report->violations, report->suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            if (!at->shown)
                return true;
    return false;
}

/* Writes what has not been written yet, and is to be. */
static bool show(struct following *following, const struct ss_style *style, FILE *out)
{
    struct ss_report *report = following->report;
    say_problems(following);
    if (!has_news(report))
        return true;
    ss_report_prepare(report, style);
    struct ss_violation *const lists[] = {report->violations, report->suspicions};
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return false;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (struct ss_violation *at = lists[i]; at; at = at->next)
            if (!at->shown) {
                at->shown = true;
                ss_print_violation(memory, at, report, style);
            }
    bool done = fclose(memory) == 0;
    length = done ? ss_text_trim_lines(text, length) : 0;
    done = done && (!length || ss_terminal_write(out, style->colour, text, length)) &&
           fflush(out) == 0;
    free(text);
    return done;
}

/* Whether all that is followed has come to its end. */
static bool is_over(const struct following *following)
{
    for (char **at = following->paths; *at; at++)
        if (is_directory(*at))
            return false;
    for (const struct tail *tail = following->tails; tail; tail = tail->next)
        if (!tail->ended && !tail->reader.stopped)
            return false;
    return true;
}

bool ss_follow(struct ss_report *report, char **paths, const struct ss_style *style, FILE *out)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct following following = {.report = report, .paths = paths};
    struct sigaction action = {.sa_handler = stop}, before_us;
    sigset_t blocked, before;
    bool done, over;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaddset(&blocked, ends[i]);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    /* A hang-up that was ignored stays so, as by nohup. Shells ignore interrupts for what they start in the
     * background, and one that is sent to it means it. */
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends[i] != SIGHUP ||
            (sigaction(SIGHUP, NULL, &before_us) == 0 && before_us.sa_handler != SIG_IGN))
            sigaction(ends[i], &action, NULL);
    if (!begin(&following))
        return false;
    do {
        /* What was written before we were told to stop is read. */
        over = stopped || is_over(&following);
        look_for_logs(&following);
        for (struct tail *tail = following.tails; tail; tail = tail->next)
            update(tail);
        done = show(&following, style, out);
        const struct timespec turn = {0, TURN_MS * 1000000L};
        if (!over && done)
            (void)ppoll(NULL, 0, &turn, &before);
    } while (!over && done);
    for (struct tail *tail = following.tails; tail; tail = tail->next)
        finish(tail);
    return done && show(&following, style, out);
}
