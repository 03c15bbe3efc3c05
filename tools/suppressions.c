/* What is not to be reported, on this side of the log. The shim has held back what it knew enough of;
 * functions are known here alone. Called by report.c, run.c and, for what the logs say, log_records.c. */
#include "suppressions.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static struct ss_suppressions **place_of(struct ss_suppressions **list,
                                         const struct ss_suppression_line *line)
{
    while (*list && ((*list)->line.length != line->length ||
                     memcmp((*list)->line.text, line->text, line->length) != 0))
        list = &(*list)->next;
    return list;
}

/* Adds a line to a list, or to the count of the same line there. text is kept. */
static void add(struct ss_suppressions **list, const struct ss_suppression_line *line,
                uint64_t count, bool in_force)
{
    struct ss_suppressions **place = place_of(list, line);
    if (!*place) {
        *place = ss_keep(sizeof **place);
        (*place)->line = *line;
        (*place)->text = ss_text_copy(line->text, line->length);
    }
    (*place)->count += count;
    (*place)->in_force |= in_force;
}

static void add_file(struct ss_suppression_file **files, const char *path)
{
    char absolute[PATH_MAX];
    while (*files)
        files = &(*files)->next;
    *files = ss_keep(sizeof **files);
    (*files)->path = realpath(path, absolute) ? ss_text_copy(absolute, strlen(absolute)) : NULL;
}

void ss_suppressions_load(const struct ss_usage *usage, const char *path,
                          struct ss_suppressions **list, struct ss_suppression_file **files)
{
    struct ss_suppression_line line;
    char *text = NULL;
    const char *why;
    size_t room = 0;
    ssize_t length = 0;
    FILE *in = fopen(path, "re");
    errno = in ? 0 : errno;
    for (unsigned number = 1; in && (length = getline(&text, &room, in)) > 0; number++) {
        length -= text[length - 1] == '\n';
        if (ss_suppression_parse(ss_text_copy(text, (size_t)length), (size_t)length, &line, &why))
            add(list, &line, 0, true);
        else if (why)
            ss_usage_error(usage, "suppressions %s: line %u: %s", ss_text_clean(path), number, why);
    }
    if (!in || ferror(in))
        ss_usage_error(usage, "suppressions %s: cannot be read: %s", ss_text_clean(path),
                       strerror(errno));
    fclose(in);
    free(text);
    add_file(files, path);
}

void ss_suppressions_logged(struct ss_report *report, const json_t *list)
{
    struct ss_suppression_line line;
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const char *text = json_string_value(json_object_get(item, "line")), *why;
        json_int_t count = json_integer_value(json_object_get(item, "count"));
        size_t length = text ? strlen(text) : 0;
        if (text && count >= 0 &&
            ss_suppression_parse(ss_text_copy(text, length), length, &line, &why))
            add(&report->suppressions, &line, (uint64_t)count, false);
    }
}

void ss_suppressions_add(struct ss_report *report, const struct ss_suppressions *more)
{
    for (; more; more = more->next)
        add(&report->suppressions, &more->line, 0, true);
}

/* ---- what is suppressed ---------------------------------------------------------------------- */

/* The texts of one key, as many as there is room for. */
struct texts {
    const char *at[SS_SITE_COUNT * SS_FRAMES_MAX * 3];
    size_t count;
};

static void add_text(struct texts *texts, const char *text)
{
    if (text && texts->count < sizeof texts->at / sizeof texts->at[0])
        texts->at[texts->count++] = text;
}

/* A function as symbols have it, as reports show it, and that without `(async fn)` behind it: what is
 * printed is what is pasted. */
static void add_function(struct texts *functions, const struct ss_frame *frame)
{
    const char *shown = ss_short_function(frame->function, frame->name);
    const char *kind = shown ? strstr(shown, " (") : NULL;
    add_text(functions, frame->function);
    add_text(functions, shown);
    if (kind)
        add_text(functions, ss_text_copy(shown, (size_t)(kind - shown)));
}

/* The functions on the violation's stacks, and the modules whose code did what happened. */
static void add_sites(const struct ss_violation *violation, struct texts *functions,
                      struct texts *modules)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        const struct ss_frame *frame = site->present ? ss_responsible_frame(&site->frames) : NULL;
        for (size_t i = 0; site->present && i < site->frames.count; i++)
            add_function(functions, &site->frames.frames[i]);
        if (frame && frame->address.binary)
            add_text(modules, frame->address.binary->path);
    }
}

/* Before its process has ended it is not known how often it happened. */
static uint64_t times_of(const struct ss_violation *violation)
{
    return violation->times ? violation->times : 1;
}

static bool is_suppressed(struct ss_suppressions *list, const struct ss_violation *violation)
{
    struct texts functions = {.count = 0}, modules = {.count = 0};
    const struct ss_span *span = &violation->span;
    add_sites(violation, &functions, &modules);
    const struct ss_suppression_subject subject = {
        .rule = violation->rule,
        .known = {[SS_SUPPRESSION_SPAN] = {&span->name, 1},
                  [SS_SUPPRESSION_TARGET] = {&span->target, 1},
                  [SS_SUPPRESSION_FILE] = {&span->file, 1},
                  [SS_SUPPRESSION_FUNCTION] = {functions.at, functions.count},
                  [SS_SUPPRESSION_MODULE] = {modules.at, modules.count}}};
    for (; list; list = list->next)
        if (list->in_force && ss_suppression_matches(&list->line, &subject)) {
            list->count += times_of(violation);
            return true;
        }
    return false;
}

/* Takes them out of a list of the report's; returns how many they are. */
static size_t take_out(struct ss_report *report, struct ss_violation **first,
                       struct ss_violation ***end)
{
    size_t count = 0;
    while (*first) {
        if (is_suppressed(report->suppressions, *first)) {
            report->seen.suppressed += (*first)->suspicion ? 0 : times_of(*first);
            *first = (*first)->next;
            count++;
        } else {
            first = &(*first)->next;
        }
    }
    *end = first;
    return count;
}

void ss_suppress(struct ss_report *report)
{
    if (!report->suppressions)
        return;
    report->violation_count -= take_out(report, &report->violations, &report->violations_end);
    report->suspicion_count -= take_out(report, &report->suspicions, &report->suspicions_end);
}

const char *ss_suppressions_option(const char *options, const struct ss_suppression_file *files)
{
    for (; files; files = files->next) {
        char quote = files->path && strchr(files->path, '"') ? '\'' : '"';
        if (files->path)
            options = ss_text("%s%ssuppressions=%c%s%c", options, *options ? ":" : "", quote,
                              files->path, quote);
    }
    return options;
}
