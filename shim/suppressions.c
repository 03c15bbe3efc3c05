/* What is not to be reported: the files of the option `suppressions`, read at start. breaches.c asks once for
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

/* A file that was read. */
struct file {
    struct file *next;
    const char *text;
    size_t size;
};

/* Takes the lines of a file apart, of which those before it had `count` that suppress something; returns how many
 * they are now. out: room for as many as the calls without it found. */
static uint32_t take_lines(const struct file *file, uint32_t count, struct ss_suppression *out,
                           struct faults *faults)
{
    uint32_t number = 0;
    const char *end = file->text + file->size;
    for (const char *at = file->text, *stop; at < end; at = stop + 1) {
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

/* Reads a file, and says what is wrong with it; NULL where it cannot be used. *count: see take_lines. */
static struct file *read_file(const char *path, uint32_t *count)
{
    struct faults faults = {0, 0, NULL};
    const char *why = "memory ran out";
    struct file *file = ss_alloc(sizeof *file);
    if (!file || !(file->text = read_all(path, &file->size, &why))) {
        SS_WARN("suppressions: ", path, ": ", why, "; nothing is suppressed by it");
        return NULL;
    }
    *count = take_lines(file, *count, NULL, &faults);
    if (faults.count)
        warn(path, &faults);
    return file;
}

void ss_suppressions_read(void)
{
    struct faults faults = {0, 0, NULL};
    struct file *files = NULL, **end = &files;
    uint32_t count = 0, taken = 0;
    for (const char *at = ss_options.suppressions; *at;) {
        const char *newline = strchr(at, '\n');
        size_t length = newline ? (size_t)(newline - at) : strlen(at);
        const char *path = ss_copy_text(at, length);
        struct file *file = path ? read_file(path, &count) : NULL;
        if (file) {
            file->next = NULL;
            *end = file;
            end = &file->next;
        }
        at += length + (at[length] == '\n');
    }
    if (!count || !(suppressions = ss_alloc(count * sizeof *suppressions)))
        return;
    for (const struct file *file = files; file; file = file->next)
        taken = take_lines(file, taken, suppressions, &faults);
    suppression_count = taken;
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
