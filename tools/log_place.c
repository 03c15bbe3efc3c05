/* Where the logs of runs lie: $XDG_STATE_HOME/strayspan/<time>-<pid>-XXXXXX/, and `last`, a link to
 * the last run's. Called by run.c, cargo.c and report.c. */
#include "log_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "kept_frames.h"
#include "ordinary_file.h"
#include "report.h"
#include "text.h"

/* The user's state directory for us; NULL where there is no home. */
static const char *state_directory(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/')
        return ss_text("%s/strayspan", state);
    if (!home || *home != '/') {
        const struct passwd *user = getpwuid(getuid());
        home = user ? user->pw_dir : NULL;
    }
    return home && *home == '/' ? ss_text("%s/.local/state/strayspan", home) : NULL;
}

static bool make_directories(const char *path)
{
    char *part = ss_text_copy(path, strlen(path));
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return mkdir(part, 0700) == 0 || errno == EEXIST;
}

const char *ss_log_place_new(void)
{
    char stamp[32];
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime(&now));
    const char *state = state_directory(), *temporary = getenv("TMPDIR");
    int state_error = ENOENT;
    if (state && make_directories(state)) {
        char *path = ss_text("%s/%s-%d-XXXXXX", state, stamp, (int)getpid());
        if (mkdtemp(path))
            return path;
    }
    if (state)
        state_error = errno;
    char *path = ss_text("%s/strayspan-%s-%d-XXXXXX",
                         temporary && *temporary == '/' ? temporary : "/tmp", stamp, (int)getpid());
    if (mkdtemp(path))
        return path;
    fprintf(stderr,
            "strayspan: no directory for the logs: %s: %s; %s: %s\n"
            "       give one with --log-dir DIR\n",
            state ? ss_text_clean(state) : "no home directory", strerror(state_error),
            ss_text_clean(path), strerror(errno));
    return NULL;
}

const char *ss_log_place_make(const char *directory)
{
    char absolute[PATH_MAX];
    if (!make_directories(directory)) {
        fprintf(stderr, "strayspan: log directory %s: cannot be made: %s\n",
                ss_text_clean(directory), strerror(errno));
        return NULL;
    }
    struct stat status = {0};
    if (!realpath(directory, absolute) || stat(absolute, &status) != 0 ||
        access(absolute, R_OK | W_OK | X_OK) != 0 || !S_ISDIR(status.st_mode)) {
        fprintf(stderr, "strayspan: log directory %s: cannot be used: %s\n",
                ss_text_clean(directory),
                S_ISDIR(status.st_mode) ? strerror(errno) : "not a directory");
        return NULL;
    }
    return ss_text_copy(absolute, strlen(absolute));
}

/* Whether nobody else can put anything into a directory. */
static bool is_ours_alone(const char *directory)
{
    struct stat status;
    return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid() && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

const char *ss_log_place_library(const char *path)
{
    const char *state = state_directory(), *slash = strrchr(path, '/');
    char target[PATH_MAX];
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: the link of another path has another place */
    for (const char *at = path; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    if (!state || strpbrk(state, " :"))
        return NULL;
    const char *folder = ss_text("%s/library-%016llx", state, (unsigned long long)hash);
    const char *link = ss_text("%s%s", folder, slash);
    if (!make_directories(folder) || !is_ours_alone(state) || !is_ours_alone(folder) ||
        (symlink(path, link) != 0 && errno != EEXIST) || !realpath(link, target) ||
        strcmp(target, path) != 0)
        return NULL;
    return link;
}

static const char *last_link(void)
{
    const char *state = state_directory();
    return state ? ss_text("%s/last", state) : NULL;
}

void ss_log_place_remember(const char *directory, bool removed)
{
    const char *link = last_link();
    char absolute[PATH_MAX];
    if (!link || !make_directories(state_directory()) || !realpath(directory, absolute))
        return;
    /* Made aside and renamed, so that runs at the same time leave one of theirs. */
    const char *fresh = ss_text("%s.%d", link, (int)getpid());
    if (symlink(ss_text("%s%s", absolute, removed ? SS_LOG_PLACE_REMOVED : ""), fresh) == 0 &&
        rename(fresh, link) != 0)
        unlink(fresh);
}

const char *ss_log_place_last(void)
{
    char target[PATH_MAX];
    const char *link = last_link();
    ssize_t length = link ? readlink(link, target, sizeof target) : -1;
    return length > 0 && (size_t)length < sizeof target ? ss_text_copy(target, (size_t)length)
                                                        : NULL;
}

bool ss_log_place_note(const char *directory, const char *path, const char *verdict)
{
    int fd = open(ss_text("%s/" SS_LOG_PLACE_PROCESSES, directory),
                  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    /* Without verdict the path is not needed. One write, as others note theirs at the same time. */
    const char *line = verdict ? ss_text("%s: %s\n", ss_text_clean(path), verdict) : "\n";
    bool noted = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    if (fd >= 0)
        close(fd);
    return noted;
}

void ss_log_place_incomplete(const char *directory)
{
    /* An empty file takes no room where there is none. */
    int fd = open(ss_text("%s/" SS_LOG_PLACE_INCOMPLETE, directory),
                  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd >= 0)
        close(fd);
}

bool ss_log_place_is_incomplete(const char *directory)
{
    return access(ss_text("%s/" SS_LOG_PLACE_INCOMPLETE, directory), F_OK) == 0;
}

bool ss_log_place_marked(struct ss_report *report, const char *directory)
{
    bool marked = ss_log_place_is_incomplete(directory);
    if (marked && !report->problems)
        ss_report_problem(report, false, directory,
                          "not all could be logged there (was the disk full?): what could not was "
                          "written to standard error");
    return marked;
}

void ss_log_place_check(struct ss_report *report, const char *directory)
{
    struct statvfs room;
    /* Some file systems know no numbers, and say 0. */
    if (statvfs(directory, &room) == 0 &&
        ((room.f_blocks && (geteuid() ? room.f_bavail : room.f_bfree) == 0) ||
         (room.f_files && room.f_favail == 0)))
        ss_report_problem(report, false, directory,
                          "no room is left there: what could not be logged was "
                          "written to standard error");
}

bool ss_log_place_is_batch(const char *directory)
{
    return access(ss_text("%s/" SS_LOG_PLACE_PROCESSES, directory), F_OK) == 0;
}

size_t ss_log_place_noted(const char *directory, char **verdict)
{
    struct stat status;
    int fd = ss_open_ordinary(ss_text("%s/" SS_LOG_PLACE_PROCESSES, directory), &status);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t room = 0, count = 0;
    ssize_t length;
    for (; in && (length = getline(&line, &room, in)) > 0; count++)
        if (length > 1 && !*verdict)
            *verdict = ss_text_copy(line, (size_t)length - 1);
    free(line);
    if (in)
        fclose(in);
    return count;
}

void ss_log_place_nothing(const struct ss_report *report, const char *directory)
{
    int fd = open(ss_text("%s/" SS_LOG_PLACE_NOTHING, directory),
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return;
    fprintf(out, "%s\n%s\n", ss_text_clean(report->nothing_why),
            report->nothing_advice ? ss_text_clean(report->nothing_advice) : "");
    fclose(out);
}

/* The next line, kept, without its end; NULL where it is empty or there is none. */
static const char *next_line(FILE *in)
{
    char line[1024];
    if (!in || !fgets(line, sizeof line, in))
        return NULL;
    size_t length = strcspn(line, "\n");
    return length ? ss_text_copy(line, length) : NULL;
}

bool ss_log_place_nothing_there(struct ss_report *report, const char *directory)
{
    struct stat status;
    int fd = ss_open_ordinary(ss_text("%s/" SS_LOG_PLACE_NOTHING, directory), &status);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    const char *why = next_line(in);
    if (why) {
        report->nothing_why = why;
        report->nothing_advice = next_line(in);
    }
    if (in)
        fclose(in);
    return why;
}

void ss_log_place_remove(const char *directory)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    while (stream && (entry = readdir(stream)))
        if (ss_text_ends(entry->d_name, ".jsonl") ||
            ss_text_ends(entry->d_name, SS_FRAMES_SUFFIX) ||
            strcmp(entry->d_name, SS_LOG_PLACE_PROCESSES) == 0 ||
            strcmp(entry->d_name, SS_LOG_PLACE_NOTHING) == 0 ||
            strcmp(entry->d_name, SS_LOG_PLACE_INCOMPLETE) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
    rmdir(directory);
}
