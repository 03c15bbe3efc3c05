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
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "log_place.h"
#include "log_read.h"
#include "render.h"
#include "text.h"

enum {
    TURN_MS = 200,
    TURN_MS_MAX = 2000,
    REST = 9,
    FILES_MAX = 4,
    SPARE_DESCRIPTORS = 32,
    HEAD_MAX = 160
};

/* One file that a log's name has stood for. */
struct file {
    struct ss_input input;
    dev_t device;
    ino_t inode;
    uint64_t begun; /* input.total when it was last read from its start */
    /* How it began then: no two records begin alike, by their times. */
    char head[HEAD_MAX];
    size_t head_length;
};

/* A log by its name. */
struct tail {
    const char *path;
    struct ss_reader reader;
    struct file files[FILES_MAX]; /* the earliest first */
    size_t count;
    struct file last;            /* where it is finished: the one that was closed last */
    bool in_directory, finished; /* finished: its processes have ended, and it is closed */
    bool ended, cut;             /* ended: it is a pipe, and nobody writes to it any more */
    bool waits;                  /* to be opened, as too many are open */
    bool said;                   /* that it cannot be opened */
    UT_hash_handle hh;           /* by path, in the order in which they came */
};

struct following {
    struct ss_report *report;
    struct tail *tails;
    size_t open, open_max; /* files */
    bool waiting_said;
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
    struct tail *tail = ss_keep(sizeof *tail);
    *tail = (struct tail){.path = path,
                          .in_directory = in_directory,
                          .reader = {.report = following->report, .file = path, .apart = true}};
    HASH_ADD_KEYPTR(hh, following->tails, tail->path, strlen(path), tail);
    following->report->files++;
    return tail;
}

static void close_first(struct following *following, struct tail *tail)
{
    following->open--;
    struct file *first = &tail->files[0];
    tail->cut |= ss_input_end(&tail->reader, &first->input);
    close(first->input.fd);
    tail->last = *first;
    memmove(first, first + 1, --tail->count * sizeof *first);
}

/* Opens what the name stands for now, where that is another file than the last. Returns why it could not,
 * until the next call, with errno, NULL where it could. */
static const char *open_newest(struct following *following, struct tail *tail)
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
    tail->waits = following->open >= following->open_max;
    if (tail->waits)
        return NULL;
    int fd = open(tail->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        snprintf(why, sizeof why, "cannot be read: %s", strerror(errno));
        return why;
    }
    if (fstat(fd, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))) {
        close(fd);
        errno = EINVAL;
        return "not a strayspan log: not a file";
    }
    if (tail->count == FILES_MAX)
        close_first(following, tail);
    tail->files[tail->count++] =
        (struct file){.input = {.fd = fd}, .device = status.st_dev, .inode = status.st_ino};
    following->open++;
    return NULL;
}

/* Whether a file was cut since it was last read: it is shorter, or has grown again and begins with another record. */
static bool was_cut(struct file *file, uint64_t size)
{
    char head[HEAD_MAX];
    uint64_t read = file->input.total - file->begun;
    if (size == read)
        return false;
    ssize_t got = pread(file->input.fd, head, sizeof head, 0);
    size_t length = got > 0 ? (size_t)got : 0;
    bool same = length >= file->head_length && memcmp(head, file->head, file->head_length) == 0;
    memcpy(file->head, head, length);
    file->head_length = length;
    return size < read || !same;
}

/* Reads on in a file, from its start where it was cut: what was held of a line is lost then, and so is
 * what was written between the last turn and the cut. */
static void read_on(struct tail *tail, struct file *file)
{
    struct stat status;
    bool regular = fstat(file->input.fd, &status) == 0 && S_ISREG(status.st_mode);
    if (regular && was_cut(file, (uint64_t)status.st_size)) {
        tail->cut |= ss_input_end(&tail->reader, &file->input);
        file->input.skipping = false;
        file->begun = file->input.total;
        (void)lseek(file->input.fd, 0, SEEK_SET);
    }
    if (!ss_input_read(&tail->reader, &file->input) && !regular)
        tail->ended = tail->reader.stream || file->input.total;
}

/* Whether all of a log's processes have written their last record: what exec replaced writes no other. */
static bool is_complete(const struct tail *tail)
{
    for (const struct ss_part *part = tail->reader.parts; part; part = part->next)
        if (!part->run->process->summary && !ss_process_replaced(part->run->process))
            return false;
    return tail->reader.parts;
}

static void finish(struct following *following, struct tail *tail)
{
    if (tail->finished)
        return;
    while (tail->count)
        close_first(following, tail);
    if (!tail->reader.started && !tail->ended)
        tail->reader.stopped = true; /* it was just made, and no line is whole yet */
    ss_reader_end(&tail->reader, tail->cut);
    tail->finished = true;
}

/* Opens a finished log again, where its name has come to stand for another file, or that has changed: of what is
 * known of its processes nothing is left, nor would they write on. */
static void revive(struct following *following, struct tail *tail)
{
    const struct file *last = &tail->last;
    uint64_t read = last->input.total - last->begun;
    struct stat status;
    if (stat(tail->path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    bool same = status.st_dev == last->device && status.st_ino == last->inode;
    if ((same && (uint64_t)status.st_size == read) || open_newest(following, tail) || !tail->count)
        return;
    tail->reader = (struct ss_reader){
        .report = following->report, .file = tail->path, .apart = true, .started = same};
    tail->finished = tail->cut = false;
    if (same) {
        struct file *file = &tail->files[0];
        file->input.total = read;
        file->head_length = last->head_length;
        memcpy(file->head, last->head, sizeof file->head);
        (void)lseek(file->input.fd, (off_t)read, SEEK_SET);
    }
}

static void update(struct following *following, struct tail *tail)
{
    if (tail->finished)
        revive(following, tail);
    if (tail->finished)
        return;
    const char *why = tail->reader.stream ? NULL : open_newest(following, tail);
    /* One that is gone may come again, and what it stood for is read on. */
    if (why && !tail->said && !tail->count && errno != ENOENT) {
        tail->said = true;
        ss_report_problem(following->report, true, tail->path, "%s", why);
    }
    for (size_t i = 0; i < tail->count; i++)
        read_on(tail, &tail->files[i]);
    /* A directory may come to hold more logs than can be open at once. */
    if (tail->in_directory && is_complete(tail))
        finish(following, tail);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
    struct stat status;
    return strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_known(const struct following *following, const char *path)
{
    const struct tail *tail;
    HASH_FIND(hh, following->tails, path, strlen(path), tail);
    return tail;
}

/* Finds the logs that have come into a directory. */
static void look_in(struct following *following, const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, ss_is_log, alphasort);
    for (int i = 0; i < count; i++) {
        /* This goes on for days: nothing is kept for what is known. */
        char path[PATH_MAX];
        bool slash = ss_text_ends(directory, "/");
        int length =
            snprintf(path, sizeof path, "%s%s%s", directory, slash ? "" : "/", entries[i]->d_name);
        if (length > 0 && (size_t)length < sizeof path && !is_known(following, path))
            add_tail(following, ss_text_copy(path, (size_t)length), true);
        free(entries[i]);
    }
    free(entries);
}

/* Finds the logs that have come into the directories, and into those of cargo's runs below them, each of which
 * has one of its own. */
static void look_for_logs(struct following *following)
{
    for (char **at = following->paths; *at; at++) {
        struct dirent **entries = NULL;
        char path[PATH_MAX];
        if (!is_directory(*at))
            continue;
        look_in(following, *at);
        int count = scandir(*at, &entries, ss_is_run_folder, alphasort);
        for (int i = 0; i < count; i++) {
            int length = snprintf(path, sizeof path, "%s/%s", *at, entries[i]->d_name);
            if (length > 0 && (size_t)length < sizeof path)
                look_in(following, path);
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
    following->open++;
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
            why = open_newest(following, add_tail(following, *at, false));
        else if (access(*at, R_OK | X_OK) != 0)
            why = ss_text("cannot be read: %s", strerror(errno));
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

/* As many files as may be open: some have to be left for the programs that frames are looked up in. */
static size_t open_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return FILES_MAX;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > SPARE_DESCRIPTORS + FILES_MAX ? limit.rlim_cur - SPARE_DESCRIPTORS
                                                          : FILES_MAX;
}

/* Reads what waited to be opened, as room has come, at the end. */
static void finish_all(struct following *following)
{
    for (char **at = following->paths; *at; at++)
        ss_log_place_marked(following->report, *at);
    for (struct tail *tail = following->tails; tail; tail = tail->hh.next)
        if (!tail->waits || tail->count)
            finish(following, tail);
    for (struct tail *tail = following->tails; tail; tail = tail->hh.next) {
        if (tail->waits)
            update(following, tail);
        finish(following, tail);
    }
}

static void say_waiting(struct following *following)
{
    for (const struct tail *tail = following->tails; tail && !following->waiting_said;
         tail = tail->hh.next) {
        if (!tail->waits)
            continue;
        fprintf(stderr,
                "strayspan: more logs are written at once than files may be open (%zu): the others "
                "are read as these end, or at the end; `ulimit -n` sets how many\n",
                following->open_max);
        following->waiting_said = true;
    }
}

/* The time that we have taken of the machine's. */
static int64_t taken_ms(void)
{
    struct timespec taken;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken);
    return (int64_t)taken.tv_sec * 1000 + taken.tv_nsec / 1000000;
}

/* Waits for the turn after the one that began when so much was taken: where there are many logs to look at, a tenth
 * of the time at most is spent on them. False: nobody reads what is written to out any more. */
static bool wait_for_turn(int64_t before, FILE *out, const sigset_t *signals)
{
    int64_t rest = REST * (taken_ms() - before);
    rest = rest < TURN_MS ? TURN_MS : rest > TURN_MS_MAX ? TURN_MS_MAX : rest;
    const struct timespec turn = {rest / 1000, rest % 1000 * 1000000};
    struct pollfd reader = {fileno(out), 0, 0};
    return ppoll(&reader, 1, &turn, signals) <= 0 || !(reader.revents & POLLERR);
}

/* Whether all that is followed has come to its end. */
static bool is_over(const struct following *following)
{
    for (char **at = following->paths; *at; at++)
        if (is_directory(*at))
            return false;
    for (const struct tail *tail = following->tails; tail; tail = tail->hh.next)
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
    bool done, over, read = true;
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
    following.open_max = open_most();
    if (!begin(&following))
        return false;
    do {
        /* What was written before we were told to stop is read. */
        const int64_t taken = taken_ms();
        over = stopped || is_over(&following);
        look_for_logs(&following);
        for (struct tail *tail = following.tails; tail; tail = tail->hh.next)
            update(&following, tail);
        say_waiting(&following);
        done = show(&following, style, out);
        if (!over && done)
            read = wait_for_turn(taken, out, &before);
    } while (!over && done && read);
    if (!read)
        raise(SIGPIPE); /* as a write would; where it is ignored, the next one tells */
    int problem = errno;
    finish_all(&following);
    errno = problem;
    return done && show(&following, style, out);
}
