/* `strayspan bundle`: puts what a container needs into a folder. That is the shared object alone, as it needs
 * no library: it records, and what it recorded is read outside. Beside it lie the environment to give, and a
 * README with the lines for docker and Kubernetes.
 *
 * Each file is made aside and renamed, so that a process which has the old one loaded keeps it, and one that
 * starts meanwhile finds the old or the new one. What is not of a bundle is not overwritten. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../shim/log_format.h"
#include "command_line.h"
#include "commands.h"
#include "shim_options.h"
#include "text.h"

enum { AT, FORCE };

static const struct ss_flag flags[] = {
    [AT] = {"at", "PATH", "where the folder will be in the container (/strayspan)"},
    [FORCE] = {"force", NULL, "overwrite files that are not of a bundle"},
    {NULL, NULL, NULL},
};

static const struct ss_usage usage = {
    "bundle",
    "DIR",
    "Puts what a container needs to be diagnosed into DIR: libstrayspan.so, strayspan.env, README.",
    flags,
    "exit status: 0 done, 2 it could not be.",
    SS_EXIT_UNREADABLE,
};

#define MARK "# strayspan bundle "
#define OPTIONS "quiet=1:log_path=stderr"

static const char environment[] = MARK SS_VERSION "\n"
                                                  "LD_PRELOAD=%1$s/" SS_SHIM_NAME "\n"
                                                  "STRAYSPAN_OPTIONS=" OPTIONS "\n";

static const char readme[] = MARK SS_VERSION
    ": what a container needs to be diagnosed\n"
    "\n" SS_SHIM_NAME " needs no library and no version of one, and nothing beside it: any image "
    "for x86-64 will do.\n"
    "What it finds goes to the program's standard error, a JSON line each, for `strayspan report` "
    "outside.\n"
    "\n"
    "docker, podman:\n"
    "\n"
    "    docker run -v %2$s --env-file %3$s IMAGE 2>run.log\n"
    "    strayspan report - <run.log\n"
    "\n"
    "With a container that runs already in the background: docker logs CONTAINER 2>run.log. "
    "Functions and\n"
    "lines are named where the image's binaries are: strayspan report --root DIR - <run.log, with "
    "the "
    "image's\n"
    "files in DIR (docker export CONTAINER | tar -xC DIR), or with /proc/PID/root while it runs.\n"
    "\n"
    "In an image of one's own:\n"
    "\n"
    "    COPY " SS_SHIM_NAME " %1$s/\n"
    "    ENV LD_PRELOAD=%1$s/" SS_SHIM_NAME " STRAYSPAN_OPTIONS=" OPTIONS "\n"
    "\n"
    "Kubernetes: an init container copies it into a volume. Its image is any that has cp, and this "
    "folder\n"
    "(FROM busybox, COPY . /bundle).\n"
    "\n"
    "    spec:\n"
    "      initContainers:\n"
    "        - name: strayspan\n"
    "          image: BUNDLE-IMAGE\n"
    "          command: [cp, /bundle/" SS_SHIM_NAME ", %1$s/]\n"
    "          volumeMounts: [{name: strayspan, mountPath: %1$s}]\n"
    "      containers:\n"
    "        - name: app\n"
    "          image: IMAGE\n"
    "          env:\n"
    "            - {name: LD_PRELOAD, value: %1$s/" SS_SHIM_NAME "}\n"
    "            - {name: STRAYSPAN_OPTIONS, value: \"" OPTIONS "\"}\n"
    "          volumeMounts: [{name: strayspan, mountPath: %1$s, readOnly: true}]\n"
    "      volumes:\n"
    "        - {name: strayspan, emptyDir: {}}\n"
    "\n"
    "    kubectl logs POD -c app >run.log && strayspan report - <run.log\n";

/* The files of a bundle. Each holds its mark, by which one that lies there already is known. */
static const struct file {
    const char *name;
    mode_t mode;
    const char *mark;
    /* NULL: the shared object. %1$s: the folder in the container; %2$s, %3$s: docker's words for the
     * volume and for the file of the environment. */
    const char *text;
} files[] = {
    {SS_SHIM_NAME, 0755, "strayspan_annotate_new", NULL},
    {"strayspan.env", 0644, MARK, environment},
    {"README", 0644, MARK, readme},
};

enum { FILE_COUNT = sizeof files / sizeof files[0] };

struct content {
    char *data;
    size_t size;
};

static bool fail(const char *directory, const char *name, const char *what, const char *why)
{
    fprintf(stderr, "strayspan: %s%s%s: %s: %s\n", ss_text_clean(directory), *name ? "/" : "", name,
            what, why);
    return false;
}

/* Reads a regular file as a whole. False, with errno: it could not be. */
static bool read_file(int at, const char *path, struct content *content)
{
    struct stat status;
    int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool done = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    errno = done ? 0 : EINVAL;
    content->size = 0;
    content->data = done ? ss_keep((size_t)status.st_size + 1) : NULL;
    while (done && content->size < (size_t)status.st_size) {
        ssize_t size =
            read(fd, content->data + content->size, (size_t)status.st_size - content->size);
        if (size == 0)
            break;
        if (size > 0)
            content->size += (size_t)size;
        else if (errno != EINTR)
            done = false;
    }
    int problem = errno;
    close(fd);
    errno = problem;
    return done;
}

/* Whether nothing is there that is not of a bundle; else that is said. */
static bool is_free(int at, const char *directory, const struct file *file)
{
    struct content there;
    if (read_file(at, file->name, &there)
            ? memmem(there.data, there.size, file->mark, strlen(file->mark)) != NULL
            : errno == ENOENT)
        return true;
    fail(directory, file->name, "will not be overwritten", "it is not of a bundle");
    fputs("       give another folder, or --force\n", stderr);
    return false;
}

static bool write_all(int fd, const struct content *content)
{
    size_t written = 0;
    while (written < content->size) {
        ssize_t size = write(fd, content->data + written, content->size - written);
        if (size < 0 && errno != EINTR)
            return false;
        written += size > 0 ? (size_t)size : 0;
    }
    return true;
}

static bool put(int at, const char *directory, const struct file *file,
                const struct content *content)
{
    const char *aside = ss_text(".%s.%d", file->name, (int)getpid());
    int fd = openat(at, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write_all(fd, content) && fchmod(fd, file->mode) == 0 && fsync(fd) == 0;
    int problem = errno;
    if (fd >= 0)
        close(fd);
    if (done && renameat(at, aside, at, file->name) == 0)
        return true;
    problem = done ? errno : problem;
    if (fd >= 0)
        unlinkat(at, aside, 0);
    return fail(directory, file->name, "cannot be written", strerror(problem));
}

/* Opens the folder, which is made where it is missing. -1, and said: it cannot be. */
static int open_folder(const char *directory)
{
    if (mkdir(directory, 0755) == 0)
        chmod(directory, 0755); /* whoever runs the program must read it */
    else if (errno != EEXIST)
        return fail(directory, "", "cannot be made", strerror(errno)) - 1;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fail(directory, "", "cannot be opened", strerror(errno)) - 1 : fd;
}

static bool bundle(const char *directory, const char *inside, bool force)
{
    char absolute[PATH_MAX];
    struct content contents[FILE_COUNT];
    const char *shim = ss_find_shim();
    int at = shim ? open_folder(directory) : -1;
    if (at < 0)
        return false;
    bool done = realpath(directory, absolute) || fail(directory, "", "not found", strerror(errno));
    const char *volume = done ? ss_text_shell(ss_text("%s:%s:ro", absolute, inside)) : "";
    const char *variables = done ? ss_text_shell(ss_text("%s/strayspan.env", absolute)) : "";
    for (size_t i = 0; done && i < FILE_COUNT; i++) {
        if (files[i].text) {
            /* Formats of our own table. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            contents[i].data = ss_text(files[i].text, inside, volume, variables);
#pragma GCC diagnostic pop
            contents[i].size = strlen(contents[i].data);
        } else {
            done = read_file(AT_FDCWD, shim, &contents[i]) ||
                   fail(shim, "", "cannot be read", strerror(errno));
        }
    }
    for (size_t i = 0; done && !force && i < FILE_COUNT; i++)
        done = is_free(at, directory, &files[i]);
    for (size_t i = 0; done && i < FILE_COUNT; i++)
        done = put(at, directory, &files[i], &contents[i]);
    close(at);
    if (done)
        printf("%s holds what a container needs; README there has the lines for Kubernetes.\n\n"
               "    docker run -v %s --env-file %s IMAGE 2>run.log\n"
               "    strayspan report - <run.log\n",
               ss_text_clean(directory), volume, variables);
    return done;
}

/* Whether LD_PRELOAD and the lines that are printed can hold it. */
static bool is_plain_path(const char *path)
{
    return path[0] == '/' && path[1] && !strpbrk(path, " :,\"'$\\`\t\n{}[]#") &&
           strcmp(ss_text_clean(path), path) == 0;
}

int ss_bundle(int argc, char **argv)
{
    const char *inside = "/strayspan";
    bool force = false;
    int index = 0, flag;
    char *value;
    while ((flag = ss_next_flag(&usage, argc, argv, false, &index, &value)) >= 0) {
        if (flag == FORCE)
            force = true;
        else
            inside = value;
    }
    if (!is_plain_path(inside))
        ss_usage_error(&usage,
                       "option `--at`: bad value `%s`, want an absolute path without blanks, "
                       "colons and quotes",
                       inside);
    if (index + 1 != argc)
        ss_usage_error(&usage, index == argc ? "no folder given" : "one folder is wanted");
    return bundle(argv[index], inside, force) && fflush(stdout) == 0 ? 0 : SS_EXIT_UNREADABLE;
}
