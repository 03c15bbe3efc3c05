/* Finds the program that a command means, where it names one that starts others: `sh -c 'exec ./server'`,
 * `timeout 9 ./server`, `./start.sh`. No shell is imitated: any word that is the name of a file that can be
 * executed and has tracing in it will do. Called by run.c where nothing was seen. */
#include "inner_program.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { FILES_MAX = 64, SCRIPT_MAX = 64 * 1024, DEPTH_MAX = 3, WORD_MAX = 4096 };

struct search {
    struct {
        dev_t device;
        ino_t number;
    } seen[FILES_MAX];
    unsigned count;
    struct ss_probe *probe;
};

static const char *search_words(struct search *search, const char *text, size_t length,
                                unsigned depth);

/* Whether the file was not met before; false too where too many were. */
static bool is_new(struct search *search, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || access(path, X_OK) != 0)
        return false;
    for (unsigned i = 0; i < search->count; i++)
        if (search->seen[i].device == status.st_dev && search->seen[i].number == status.st_ino)
            return false;
    if (search->count == FILES_MAX)
        return false;
    search->seen[search->count].device = status.st_dev;
    search->seen[search->count++].number = status.st_ino;
    return true;
}

static const char *search_file(struct search *search, const char *name, unsigned depth)
{
    const char *path = ss_find_program(name);
    char *text;
    if (!path || !is_new(search, path))
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text = ss_keep(SCRIPT_MAX), SCRIPT_MAX);
    if (fd >= 0)
        close(fd);
    if (length < 4)
        return NULL;
    if (memcmp(text, "\177ELF", 4) != 0)
        return memchr(text, 0, (size_t)length) || depth == DEPTH_MAX
                   ? NULL
                   : search_words(search, text, (size_t)length, depth + 1);
    struct ss_probe probe;
    ss_probe_file(path, SS_PROBE_CONTENTS, &probe);
    if (!probe.has_tracing && !probe.good)
        return NULL;
    *search->probe = probe;
    return name;
}

static const char *search_words(struct search *search, const char *text, size_t length,
                                unsigned depth)
{
    static const char between[] = " \t\r\n;&|()<>{}'\"`$=";
    const char *end = text + length, *found = NULL;
    while (!found && text < end) {
        size_t word = 0;
        while (word < (size_t)(end - text) && !memchr(between, text[word], sizeof between))
            word++;
        if (word > 1 && word < WORD_MAX && text[0] != '-')
            found = search_file(search, ss_text_copy(text, word), depth);
        text += word + 1;
    }
    return found;
}

const char *ss_inner_program(char **argv, struct ss_probe *probe)
{
    struct search search = {.probe = probe};
    const char *found = search_file(&search, argv[0], 0);
    for (; !found && *argv && *++argv;) {
        found = search_file(&search, *argv, 0);
        if (!found)
            found = search_words(&search, *argv, strlen(*argv), 0);
    }
    return found;
}
