/* `strayspan probe`: goes through the files and folders it is given, and has each looked at in a
 * process of its own. A file that is made to break or to stall what reads it ends that process: its
 * memory and time are bounded. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../shim/log_format.h"
#include "command_line.h"
#include "commands.h"
#include "ordinary_file.h"
#include "probe.h"
#include "text.h"

enum {
    SECONDS_MAX = 60, /* of processor time for one file */
    OUTPUT_MAX = 512 << 20
};

static const rlim_t memory_max = 5ULL << 30; /* for one file: twice its image, and what is told */

enum { FORMAT, SITES };

static const struct ss_flag flags[] = {
    [FORMAT] = {"format", "FORMAT", "text (default) or json"},
    [SITES] = {"sites", NULL, "list every call site: level, name, target, file and line"},
    {NULL, NULL, NULL},
};

static const struct ss_usage usage = {
    "probe",
    "FILE...",
    "Tells for each program, shared object or addon whether strayspan can diagnose it, and what "
    "is\n"
    "in it. Of a folder, all such files below it, each once.",
    flags,
    "exit status: 0 all can be diagnosed, 1 one cannot, 2 one is unreadable, or there is none.",
    SS_EXIT_UNREADABLE,
};

/* What was asked for, and how it went so far. */
struct task {
    bool json, sites;
    int status;
    size_t written;
    size_t seen_count, seen_room;
    struct {
        dev_t device;
        ino_t inode;
    } * seen; /* the files that were looked at */
};

/* ---- one file -------------------------------------------------------------------------------- */

/* In the process of its own: writes what is to be told of the file to fd, and returns the status.
 */
static int look_at(const struct task *task, const char *path, bool in_folder, int fd)
{
    struct ss_probe probe;
    FILE *out = fdopen(fd, "w");
    if (!out)
        return SS_EXIT_UNREADABLE;
    ss_probe_file(path, task->sites ? SS_PROBE_SITES : SS_PROBE_CONTENTS, &probe);
    if (!probe.readable)
        fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(path), ss_text_clean(probe.verdict));
    if (task->json)
        ss_probe_print_json(out, path, &probe);
    else if (probe.readable)
        ss_probe_print(out, path, &probe, in_folder);
    if (fclose(out) != 0 || !probe.readable)
        return SS_EXIT_UNREADABLE;
    return probe.good ? 0 : SS_EXIT_SOMETHING;
}

static void limit(int resource, rlim_t most)
{
    struct rlimit now;
    if (getrlimit(resource, &now) == 0 && (now.rlim_max == RLIM_INFINITY || now.rlim_max > most)) {
        now.rlim_cur = now.rlim_max = most;
        setrlimit(resource, &now);
    }
}

/* All that comes out of fd, in memory; NULL: there is none left, or it is more than a file can have
 * to tell. */
static char *read_all(int fd, size_t *length)
{
    char *text = NULL;
    size_t room = 0;
    *length = 0;
    for (;;) {
        if (*length == room) {
            room = room ? 2 * room : 64 * 1024;
            char *more = room <= OUTPUT_MAX ? realloc(text, room) : NULL;
            if (!more) {
                free(text);
                return NULL;
            }
            text = more;
        }
        ssize_t got = read(fd, text + *length, room - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return text;
        *length += (size_t)got;
    }
}

static void worse(struct task *task, int status)
{
    if (status > task->status)
        task->status = status;
}

/* Writes what was told of one file, in JSON as an element of the list. */
static void put(struct task *task, const char *text, size_t length)
{
    if (task->json && length)
        fputs(task->written++ ? ",\n" : "\n", stdout);
    if (fwrite(text, 1, length, stdout) != length)
        worse(task, SS_EXIT_UNREADABLE);
}

/* The file could not be looked at, and its process has said nothing. */
static void put_failure(struct task *task, const char *path, const char *why)
{
    struct ss_probe probe = {.verdict = why};
    fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(path), ss_text_clean(why));
    worse(task, SS_EXIT_UNREADABLE);
    if (!task->json)
        return;
    fputs(task->written++ ? ",\n" : "\n", stdout);
    ss_probe_print_json(stdout, path, &probe);
}

static void look_at_apart(struct task *task, const char *path, bool in_folder)
{
    int ends[2], status = 0;
    fflush(stdout);
    pid_t pid = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid < 0) {
        put_failure(task, path, ss_text("it cannot be looked at: no process: %s", strerror(errno)));
        return;
    }
    if (pid == 0) {
        close(ends[0]);
        limit(RLIMIT_CORE, 0);
        limit(RLIMIT_CPU, SECONDS_MAX);
        limit(RLIMIT_DATA, memory_max);
        _exit(look_at(task, path, in_folder, ends[1]));
    }
    close(ends[1]);
    size_t length;
    char *text = read_all(ends[0], &length);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        put_failure(task, path,
                    ss_text("it cannot be looked at: it takes more than %d s", SECONDS_MAX));
    else if (WIFSIGNALED(status))
        put_failure(task, path,
                    ss_text("it cannot be looked at: that ended by signal %d (%s)",
                            WTERMSIG(status), strsignal(WTERMSIG(status))));
    else if (WEXITSTATUS(status) > SS_EXIT_UNREADABLE || !text)
        put_failure(task, path, "it cannot be looked at: out of memory");
    else {
        put(task, text, length);
        worse(task, WEXITSTATUS(status));
    }
    free(text);
}

/* ---- files and folders ----------------------------------------------------------------------- */

/* Whether the file was looked at already, under this name or another one. */
static bool is_seen(struct task *task, const struct stat *status)
{
    for (size_t i = 0; i < task->seen_count; i++)
        if (task->seen[i].inode == status->st_ino && task->seen[i].device == status->st_dev)
            return true;
    if (task->seen_count == task->seen_room) {
        size_t room = task->seen_room ? 2 * task->seen_room : 256;
        void *more = realloc(task->seen, room * sizeof task->seen[0]);
        if (!more)
            return false;
        task->seen = more;
        task->seen_room = room;
    }
    task->seen[task->seen_count].device = status->st_dev;
    task->seen[task->seen_count++].inode = status->st_ino;
    return false;
}

/* Whether a file in a folder is one to look at: what is no ELF file, and ELF files that nobody runs
 * or loads, are passed over. */
static bool is_wanted(struct task *task, const char *path, const struct stat *status)
{
    unsigned char head[offsetof(Elf64_Ehdr, e_type) + sizeof(Elf64_Half)] = {0};
    struct stat now;
    if (!S_ISREG(status->st_mode) || status->st_size < (off_t)sizeof(Elf32_Ehdr))
        return false;
    int fd = ss_open_ordinary(path, &now);
    ssize_t got = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
    if (got < 0 && errno != ENOENT)
        put_failure(task, path, ss_text("it cannot be read: %s", strerror(errno)));
    if (fd >= 0)
        close(fd);
    const unsigned char *type = head + offsetof(Elf64_Ehdr, e_type);
    unsigned number = head[EI_DATA] == ELFDATA2MSB ? type[1] : type[0];
    return got == sizeof head && memcmp(head, ELFMAG, SELFMAG) == 0 &&
           (number == ET_EXEC || number == ET_DYN);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Links are not followed, so no folder is met again. */
static void walk(struct task *task, char *path)
{
    char *const paths[] = {path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    size_t found = 0;
    for (FTSENT *entry; tree && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            put_failure(task, entry->fts_path,
                        ss_text("it cannot be read: %s", strerror(entry->fts_errno)));
        } else if (entry->fts_info == FTS_F && is_wanted(task, entry->fts_path, entry->fts_statp)) {
            found++;
            if (!is_seen(task, entry->fts_statp))
                look_at_apart(task, entry->fts_path, true);
        }
    }
    if (!tree)
        put_failure(task, path, ss_text("it cannot be read: %s", strerror(errno)));
    else if (!found)
        put_failure(task, path, "there is no program or shared object in this folder");
    if (tree)
        fts_close(tree);
}

int ss_probe(int argc, char **argv)
{
    struct task task = {.json = false};
    int index = 0, flag;
    char *value;
    while ((flag = ss_next_flag(&usage, argc, argv, false, &index, &value)) >= 0) {
        if (flag == SITES)
            task.sites = true;
        else if (strcmp(value, "json") == 0 || strcmp(value, "text") == 0)
            task.json = strcmp(value, "json") == 0;
        else
            ss_usage_error(&usage, "option `--format`: unknown format `%s`, want text or json",
                           value);
    }
    if (index == argc)
        ss_usage_error(&usage, "no file given");
    if (task.json)
        fputs("{\"v\": 1, \"strayspan\": \"" SS_VERSION "\", \"files\": [", stdout);
    for (int i = index; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
            walk(&task, argv[i]);
        else if (stat(argv[i], &status) != 0 || !is_seen(&task, &status))
            look_at_apart(&task, argv[i], false);
    }
    if (task.json)
        fputs("\n]}\n", stdout);
    free(task.seen);
    return fflush(stdout) == 0 ? task.status : SS_EXIT_UNREADABLE;
}
