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

static void add_file(const struct ss_usage *usage, struct ss_suppression_file **files,
                     const char *path)
{
    char absolute[PATH_MAX];
    bool found = realpath(path, absolute);
    if (found && (strchr(absolute, '\n') || (strchr(absolute, '"') && strchr(absolute, '\''))))
        ss_usage_error(usage, "suppressions %s: its path cannot be quoted: move it elsewhere",
                       ss_text_clean(path));
    while (*files)
        files = &(*files)->next;
    *files = ss_keep(sizeof **files);
    (*files)->path = found ? ss_text_copy(absolute, strlen(absolute)) : NULL;
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
    add_file(usage, files, path);
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

bool ss_suppressions_elsewhere(const struct ss_suppressions *suppression)
{
    const struct ss_suppression_line *line = &suppression->line;
    bool function = false;
    for (unsigned i = 0; i < line->count; i++)
        function |= line->terms[i].key == SS_SUPPRESSION_FUNCTION;
    return function && !suppression->in_force && !suppression->count;
}

void ss_suppressions_add(struct ss_report *report, const struct ss_suppressions *more)
{
    for (; more; more = more->next)
        add(&report->suppressions, &more->line, 0, true);
}

void ss_suppressions_count(struct ss_suppressions **list, const struct ss_suppressions *more)
{
    for (; more; more = more->next)
        if (more->in_force)
            add(list, &more->line, more->count, true);
}

/* ---- what is suppressed ---------------------------------------------------------------------- */

/* The texts of one key, as many as there is room for. */
struct texts {
    const char *at[SS_SITE_COUNT * SS_FRAMES_MAX * 3];
    size_t count;
};

/* What suppressions may name of a violation's stacks. */
struct sites {
    struct texts functions, modules;
};

static void add_text(struct texts *texts, const char *text)
{
    if (text && texts->count < sizeof texts->at / sizeof texts->at[0])
        texts->at[texts->count++] = text;
}

/* A function as symbols have it, as reports show it, and that without `(async fn)` behind it: what is
 * printed is what is pasted. */
static void add_function(struct texts *functions, const char *function, const char *shown)
{
    const char *kind = shown ? strstr(shown, " (") : NULL;
    add_text(functions, function);
    add_text(functions, shown);
    if (kind)
        add_text(functions, ss_text_copy(shown, (size_t)(kind - shown)));
}

/* The functions on the violation's stacks, and the modules whose code did what happened. */
static void add_sites(const struct ss_violation *violation, struct sites *sites)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        const struct ss_frame *frame = site->present ? ss_responsible_frame(&site->frames) : NULL;
        for (size_t i = 0; site->present && i < site->frames.count; i++) {
            const struct ss_frame *at = &site->frames.frames[i];
            add_function(&sites->functions, at->function,
                         ss_short_function(at->function, at->name));
        }
        if (frame && frame->address.binary)
            add_text(&sites->modules, frame->address.binary->path);
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? ss_text_copy(text, strlen(text)) : NULL;
}

static bool is_of_kinds(const json_t *frame, unsigned kinds)
{
    const char *name = json_string_value(json_object_get(frame, "kind"));
    for (int kind = 0; name && kinds >> kind; kind++)
        if (kinds >> kind & 1 && strcmp(name, ss_frame_kind_names[kind]) == 0)
            return true;
    return false;
}

/* The same of a violation in a report in JSON. */
static void add_json_sites(const json_t *violation, struct sites *sites)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const json_t *site = json_object_get(violation, ss_site_names[kind]), *responsible = NULL;
        const json_t *frames = json_object_get(site, "frames"), *other = NULL;
        for (size_t i = 0; i < json_array_size(frames); i++) {
            const json_t *frame = json_array_get(frames, i);
            add_function(&sites->functions, text_of(frame, "function"), text_of(frame, "short"));
            if (!responsible && is_of_kinds(frame, SS_RESPONSIBLE_KINDS))
                responsible = frame;
            if (!other && is_of_kinds(frame, SS_RESPONSIBLE_ELSE))
                other = frame;
        }
        add_text(&sites->modules, text_of(responsible ? responsible : other, "module"));
    }
}

/* Before its process has ended it is not known how often it happened. */
static uint64_t times_of(const struct ss_violation *violation)
{
    return violation->times ? violation->times : 1;
}

/* Whether one of the list holds it back, times of it, which are counted there. */
static bool holds_back(struct ss_suppressions *list, int rule, const struct ss_span *span,
                       const struct sites *sites, uint64_t times)
{
    const struct ss_suppression_subject subject = {
        .rule = rule,
        .known = {[SS_SUPPRESSION_SPAN] = {&span->name, 1},
                  [SS_SUPPRESSION_TARGET] = {&span->target, 1},
                  [SS_SUPPRESSION_FILE] = {&span->file, 1},
                  [SS_SUPPRESSION_FUNCTION] = {sites->functions.at, sites->functions.count},
                  [SS_SUPPRESSION_MODULE] = {sites->modules.at, sites->modules.count}}};
    for (; list; list = list->next)
        if (list->in_force && ss_suppression_matches(&list->line, &subject)) {
            list->count += times;
            return true;
        }
    return false;
}

static bool is_suppressed(struct ss_suppressions *list, const struct ss_violation *violation)
{
    struct sites sites = {{.count = 0}, {.count = 0}};
    add_sites(violation, &sites);
    return holds_back(list, violation->rule, &violation->span, &sites, times_of(violation));
}

bool ss_suppressed_json(struct ss_suppressions *list, const json_t *violation)
{
    struct sites sites = {{.count = 0}, {.count = 0}};
    const json_t *object = json_object_get(violation, "span");
    const struct ss_span span = {.name = text_of(object, "name"),
                                 .target = text_of(object, "target"),
                                 .file = text_of(object, "file")};
    const char *rule = text_of(violation, "rule");
    json_int_t times = json_integer_value(json_object_get(violation, "times"));
    add_json_sites(violation, &sites);
    return holds_back(list, rule ? ss_rule_of(rule) : -1, &span, &sites,
                      times > 0 ? (uint64_t)times : 1);
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
