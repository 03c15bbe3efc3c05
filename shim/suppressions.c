/* What is not to be reported: the file of the option `suppressions`, read at start. breaches.c asks once for
 * each new fingerprint, and counts, under its lock; summary_record.c writes the counts into the summary. */
#include "suppressions.h"

#include <asm/fcntl.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "prim.h"

enum { SUPPRESSIONS_MAX = 4096, FILE_SIZE_MAX = 1 << 20 };

static struct ss_suppression *suppressions;
static uint32_t suppression_count;

/* ---- the file -------------------------------------------------------------------------------- */

/* All of a file, in memory of ours, and its size; NULL, and *why, where it cannot be had. */
static const char *read_all(const char *path, size_t *size, const char **why)
{
    struct stat status = {0};
    int fd = (int)ss_sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    char *text = NULL;
    *why = "it cannot be opened";
    if (fd < 0)
        return NULL;
    *why = "it is no file, or above 1 MiB";
    if (ss_sys_fstat(fd, &status) == 0 && ss_is_regular(&status) &&
        status.st_size <= FILE_SIZE_MAX) {
        *why = "it cannot be read";
        text = ss_alloc((size_t)status.st_size + 1);
    }
    *size = 0;
    while (text && *size < (size_t)status.st_size) {
        long got = ss_sys_read(fd, text + *size, (size_t)status.st_size - *size);
        if (got == -4 /* EINTR */)
            continue;
        if (got < 0)
            text = NULL;
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    (void)ss_sys_close(fd);
    return text;
}

/* What is wrong with a file's lines: the first of them, and how many there are. */
struct faults {
    uint32_t count, first;
    const char *why;
};

/* Takes the lines of text apart; returns how many suppress something. out: room for as many as the
 * call without it found. */
static uint32_t take_lines(const char *text, size_t size, struct ss_suppression *out,
                           struct faults *faults)
{
    uint32_t count = 0, number = 0;
    for (const char *at = text, *end = text + size, *stop; at < end; at = stop + 1) {
        struct ss_suppression_line line;
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *why;
        stop = newline ? newline : end;
        number++;
        bool taken = ss_suppression_parse(at, (size_t)(stop - at), &line, &why);
        if (taken && count == SUPPRESSIONS_MAX) {
            taken = false;
            why = "there are more than 4096";
        }
        if (taken && out)
            out[count].line = line;
        count += taken;
        if (why && faults->count++ == 0) {
            faults->first = number;
            faults->why = why;
        }
    }
    return count;
}

static void warn(const char *path, const struct faults *faults)
{
    char first[16] = "", count[16] = "";
    struct ss_line first_line = {.data = first, .size = sizeof first - 1};
    struct ss_line count_line = {.data = count, .size = sizeof count - 1};
    ss_put_unsigned(&first_line, faults->first);
    ss_put_unsigned(&count_line, faults->count);
    SS_WARN("suppressions: ", path, ": line ", first, ": ", faults->why, "; ", count,
            faults->count == 1 ? " line suppresses nothing" : " lines suppress nothing");
}

void ss_suppressions_read(void)
{
    const char *path = ss_options.suppressions, *text, *why;
    struct faults faults = {0, 0, NULL}, again = faults;
    size_t size;
    if (!*path)
        return;
    if (!(text = read_all(path, &size, &why))) {
        SS_WARN("suppressions: ", path, ": ", why, "; nothing is suppressed");
        return;
    }
    uint32_t count = take_lines(text, size, NULL, &faults);
    if (faults.count)
        warn(path, &faults);
    if (count && (suppressions = ss_alloc(count * sizeof *suppressions)))
        suppression_count = take_lines(text, size, suppressions, &again);
}

/* ---- in force -------------------------------------------------------------------------------- */

struct ss_suppression *ss_suppression_of(enum ss_rule rule, const struct ss_site *site)
{
    const char *module = site && site->module ? site->module->path : NULL;
    const struct ss_suppression_subject subject = {
        .rule = rule,
        .known = {[SS_SUPPRESSION_SPAN] = {site ? &site->name : NULL, site ? 1 : 0},
                  [SS_SUPPRESSION_TARGET] = {site ? &site->target : NULL, site ? 1 : 0},
                  [SS_SUPPRESSION_FILE] = {site ? &site->file : NULL, site ? 1 : 0},
                  [SS_SUPPRESSION_MODULE] = {&module, 1}}};
    for (uint32_t i = 0; i < suppression_count; i++)
        if (ss_suppression_matches(&suppressions[i].line, &subject))
            return &suppressions[i];
    return NULL;
}

struct ss_suppression *ss_suppression_at(uint32_t index)
{
    return index < suppression_count ? &suppressions[index] : NULL;
}

void ss_suppressions_forked(void)
{
    for (uint32_t i = 0; i < suppression_count; i++)
        suppressions[i].count = 0;
}
