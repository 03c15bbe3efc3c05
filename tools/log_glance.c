/* Looks whether a log may be left unread: that of a test which passed, mostly, where each is a process and all that
 * is to be known of it is that nothing strayed. Called by run.c. */
#include "report.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/log_format.h"
#include "log_read.h"
#include "text.h"

enum { GLANCE_MAX = 1 << 18 }; /* bytes; a longer log has more to say */

#define RECORD(type) "{\"v\":1,\"type\":\"" type "\","

/* Whether each of these keys that stands in the line counts 0. A quote inside of a JSON string is escaped, so that
 * keys cannot stand in one. */
static bool counts_nothing(const char *line, const char *end)
{
    static const char *const keys[] = {"\"violations\":", "\"suspicions\":"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t length = strlen(keys[i]);
        const char *at = line;
        while ((at = memmem(at, (size_t)(end - at), keys[i], length))) {
            at += length;
            if (end - at < 2 || at[0] != '0' || (at[1] != ',' && at[1] != '}'))
                return false;
        }
    }
    return true;
}

/* Whether a log has whole lines alone, of records that no finding is in. */
static bool is_clean(const char *text, size_t length)
{
    static const char *const records[] = {RECORD(SS_LOG_PROCESS), RECORD(SS_LOG_MODULE),
                                          RECORD(SS_LOG_SUMMARY)};
    const char *end = text + length, *newline;
    for (; text < end; text = newline + 1) {
        newline = memchr(text, '\n', (size_t)(end - text));
        if (!newline || newline == text || newline[-1] != '}')
            return false;
        bool known = false;
        for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
            known |= (size_t)(newline - text) > strlen(records[i]) &&
                     memcmp(text, records[i], strlen(records[i])) == 0;
        if (!known || !counts_nothing(text, newline))
            return false;
    }
    return length > 0;
}

static bool is_clean_file(const char *path)
{
    static char text[GLANCE_MAX];
    size_t length = 0;
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    while (fd >= 0 && length < sizeof text &&
           (got = read(fd, text + length, sizeof text - length)) > 0)
        length += (size_t)got;
    if (fd >= 0)
        close(fd);
    return got == 0 && is_clean(text, length);
}

bool ss_log_is_clean(const char *directory, const char *token)
{
    struct dirent **entries = NULL;
    int count = ss_log_names(directory, token, &entries);
    bool clean = count >= 0;
    for (int i = 0; i < count; i++) {
        clean = clean && is_clean_file(ss_text("%s/%s", directory, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return clean;
}
