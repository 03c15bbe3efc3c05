/* `strayspan diff OLD NEW`: what strayed in one and not in the other, by group. Each is a log, a directory of
 * logs, or a baseline: a report that `report --format json` wrote. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command_line.h"
#include "commands.h"
#include "file_kind.h"
#include "hash.h"
#include "render.h"
#include "suppressions.h"
#include "text.h"

enum { SUPPRESSIONS, FORMAT, REQUIRE_HOOKED };

static const struct ss_flag flags[] = {
    [SUPPRESSIONS] = {"suppressions", "FILE", "what is left out (see `suppress`); may be repeated"},
    [FORMAT] = {"format", "text|json", "how it is written (text)"},
    [REQUIRE_HOOKED] = {"require-hooked", NULL, "exit with 2 when no span was seen in NEW"},
    {NULL, NULL, NULL},
};

static const struct ss_usage usage = {
    "diff",
    "OLD NEW",
    "Tells what strayed in NEW and not in OLD, in both, and in OLD alone. Each is a log, a "
    "directory\n"
    "of logs, or a baseline: what `report --format json` wrote.",
    flags,
    "What has the same rule, span name, target and file is the same, in other builds too.\n"
    "exit status: 0 nothing new, 1 a violation is new or has become an error, 2 unreadable input,\n"
    "or --require-hooked.",
    SS_EXIT_UNREADABLE,
};

/* ---- the two sides --------------------------------------------------------------------------- */

enum side { OLD, NEW, SIDES };

/* How bad the worst of a group is in one side. */
enum grade { ABSENT, SUSPICION, WARNING, ERROR };
static const char *const grade_names[] = {NULL, "suspicion", "warning", "error"};

struct group {
    const char *key, *rule, *span, *place;
    enum grade grades[SIDES];
    uint64_t times[SIDES];
    UT_hash_handle hh;
};

struct comparison {
    struct group *groups;
    const char *paths[SIDES];
    const char *nothing[SIDES]; /* why it says nothing of what strays, NULL */
    bool unreadable, partly;    /* partly: not all of it could be read */
    bool rules_off[SIDES][SS_RULE_COUNT];
};

static void add(struct comparison *comparison, enum side side, const struct group *found,
                enum grade grade, uint64_t times)
{
    struct group *group;
    size_t length = strlen(found->key);
    HASH_FIND(hh, comparison->groups, found->key, length, group);
    if (!group) {
        group = ss_keep(sizeof *group);
        *group = *found;
        HASH_ADD_KEYPTR(hh, comparison->groups, group->key, length, group);
    }
    if (grade > group->grades[side])
        group->grades[side] = grade;
    group->times[side] += times;
    /* Lines are as they are now. */
    group->place = side == NEW || !group->place ? found->place : group->place;
}

static void say_problem(struct comparison *comparison, bool unreadable, const char *file,
                        const char *message)
{
    comparison->unreadable |= unreadable;
    comparison->partly = true;
    fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(file), ss_text_clean_to(message, 400));
}

static const char *or_unknown(const char *text)
{
    return text ? text : "?";
}

static const char *nothing_of(bool nothing, bool unknown)
{
    return nothing   ? "no span was seen there"
           : unknown ? "no process left its counts there, so that it is not known whether a span "
                       "was seen"
                     : NULL;
}

static void read_logs(struct comparison *comparison, enum side side,
                      struct ss_suppressions **suppressions)
{
    const struct ss_style style = {.format = ss_format_of("text"), .suppressions = *suppressions};
    struct ss_report report;
    ss_report_init(&report);
    ss_log_read(&report, comparison->paths[side], NULL);
    ss_log_end(&report);
    ss_report_prepare(&report, &style);
    for (const struct ss_problem *problem = report.problems; problem; problem = problem->next)
        say_problem(comparison, problem->unreadable, problem->file, problem->message);
    const struct ss_violation *const lists[] = {report.violations, report.suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next) {
            const struct group group = {.key = or_unknown(at->group),
                                        .rule = or_unknown(at->rule_code),
                                        .span = at->span.name,
                                        .place = ss_span_place(at)};
            add(comparison, side, &group,
                at->suspicion                       ? SUSPICION
                : at->severity == SS_SEVERITY_ERROR ? ERROR
                                                    : WARNING,
                at->times);
        }
    ss_suppressions_count(suppressions, report.suppressions);
    comparison->nothing[side] =
        nothing_of(ss_report_nothing(&report) != NULL, ss_report_counts_unknown(&report));
    memcpy(comparison->rules_off[side], report.seen.rules_off, sizeof report.seen.rules_off);
}

/* The report in a file that `report --format json` wrote; NULL where it is something else, with what is wrong in
 * error. */
static json_t *baseline_of(const char *path, json_error_t *error)
{
    /* Of a log the first line alone is read by this. */
    json_t *document = json_load_file(path, JSON_ALLOW_NUL, error);
    if (json_is_array(json_object_get(document, "violations")) &&
        json_is_array(json_object_get(document, "suspicions")) &&
        json_is_object(json_object_get(document, "seen")))
        return document;
    if (document && (error->line = 1))
        snprintf(error->text, sizeof error->text, "it wants `violations`, `suspicions` and `seen`");
    json_decref(document);
    return NULL;
}

/* Whether a file that is no baseline is none of our logs either; said. */
static bool is_foreign(struct comparison *comparison, const char *path, const json_error_t *error)
{
    static const char wanted[] =
        "wanted is a log, a directory of logs, or what `strayspan report --format json` wrote";
    char head[4096];
    FILE *in = fopen(path, "re");
    size_t length = in ? fread(head, 1, sizeof head, in) : 0;
    bool readable = in && !ferror(in);
    const char *advice = NULL, *kind = readable ? ss_file_kind(head, length, &advice) : NULL;
    if (in)
        fclose(in);
    if (!kind)
        return false;
    if (!length)
        say_problem(comparison, true, path, ss_text("empty; %s", wanted));
    else if (strcmp(kind, SS_FILE_KIND_REPORT) == 0)
        say_problem(comparison, true, path,
                    ss_text("a report in JSON that is cut or broken, line %d: %s; write it again: "
                            "strayspan report --format json --output FILE",
                            error->line, error->text));
    else
        say_problem(comparison, true, path,
                    ss_text("not a strayspan log: it is %s; %s", kind, wanted));
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? ss_text_copy(text, strlen(text)) : NULL;
}

static void read_baseline(struct comparison *comparison, enum side side, const json_t *document,
                          struct ss_suppressions *suppressions)
{
    static const char *const lists[] = {"violations", "suspicions"};
    const char *path = comparison->paths[side];
    size_t index;
    json_t *item;
    if (json_integer_value(json_object_get(document, "v")) != SS_LOG_VERSION)
        say_problem(comparison, true, path,
                    "a report of another version: use the strayspan that wrote it");
    json_array_foreach(json_object_get(document, "errors"), index, item)
    {
        const char *message = or_unknown(text_of(item, "message"));
        say_problem(comparison, false, path, ss_text("when it was written: %s", message));
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        json_array_foreach(json_object_get(document, lists[i]), index, item)
        {
            const json_t *span = json_object_get(item, "span");
            const char *severity = text_of(item, "severity"), *file = text_of(span, "file");
            json_int_t line = json_integer_value(json_object_get(span, "line"));
            json_int_t times = json_integer_value(json_object_get(item, "times"));
            const struct group group = {.key = or_unknown(text_of(item, "group")),
                                        .rule = or_unknown(text_of(item, "rule")),
                                        .span = text_of(span, "name"),
                                        .place = file && line >= 0 && line <= UINT32_MAX
                                                     ? ss_text_clean(ss_place(file, (unsigned)line))
                                                     : NULL};
            if (!ss_suppressed_json(suppressions, item))
                add(comparison, side, &group,
                    i                                            ? SUSPICION
                    : severity && strcmp(severity, "error") == 0 ? ERROR
                                                                 : WARNING,
                    times > 0 ? (uint64_t)times : 0);
        }
    const json_t *seen = json_object_get(document, "seen");
    bool found = json_array_size(json_object_get(document, lists[0])) ||
                 json_array_size(json_object_get(document, lists[1]));
    json_t *spans = json_object_get(json_object_get(seen, "spans"), "created");
    comparison->nothing[side] =
        nothing_of(json_is_object(json_object_get(document, "nothing_checked")),
                   !found && json_integer_value(spans) <= 0);
    json_array_foreach(json_object_get(seen, "rules_off"), index, item)
    {
        const char *code = json_string_value(item);
        int rule = code ? ss_rule_of(code) : -1;
        if (rule >= 0)
            comparison->rules_off[side][rule] = true;
    }
}

static void read_side(struct comparison *comparison, enum side side,
                      struct ss_suppressions **suppressions)
{
    const char *path = comparison->paths[side];
    struct stat status;
    json_error_t error = {.line = 0};
    bool regular = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    json_t *baseline = regular ? baseline_of(path, &error) : NULL;
    if (baseline)
        read_baseline(comparison, side, baseline, *suppressions);
    else if (!regular || !is_foreign(comparison, path, &error))
        read_logs(comparison, side, suppressions);
    json_decref(baseline);
}

/* ---- what differs ---------------------------------------------------------------------------- */

enum change { IS_NEW, IS_GONE, IS_UNCHANGED, CHANGES };
static const char *const change_names[] = {"new", "gone", "unchanged"};

static enum change change_of(const struct group *group)
{
    return !group->grades[OLD] ? IS_NEW : !group->grades[NEW] ? IS_GONE : IS_UNCHANGED;
}

/* Whether it is to be looked at: a violation that was none, or has become an error. */
static bool is_worse(const struct group *group)
{
    return group->grades[NEW] > SUSPICION && group->grades[NEW] > group->grades[OLD];
}

static int compare(const struct group *a, const struct group *b)
{
    enum change of_a = change_of(a), of_b = change_of(b);
    int worst = (int)(b->grades[NEW] | b->grades[OLD]) - (int)(a->grades[NEW] | a->grades[OLD]);
    return of_a != of_b               ? (int)of_a - (int)of_b
           : worst                    ? worst
           : strcmp(a->rule, b->rule) ? strcmp(a->rule, b->rule)
                                      : strcmp(a->key, b->key);
}

static void print_group(const struct group *group)
{
    enum side side = group->grades[NEW] ? NEW : OLD;
    const char *span = group->span ? ss_text_clean_to(group->span, 80) : NULL;
    bool regraded =
        group->grades[OLD] && group->grades[NEW] != group->grades[side ^ 1] && side == NEW;
    printf("%-10s%-10s%s", change_names[change_of(group)], grade_names[group->grades[side]],
           ss_text_clean(group->rule));
    if (span)
        printf(" of span `%s`", span);
    if (group->place)
        printf(" (%s)", group->place);
    if (group->times[side] > 1)
        printf(", %s", ss_count_text(group->times[side], "time"));
    if (regraded)
        printf("; it was %s %s", group->grades[OLD] == ERROR ? "an" : "a",
               grade_names[group->grades[OLD]]);
    putchar('\n');
}

/* Hands each note to tell, with its argument. */
static void each_note(const struct comparison *comparison,
                      const struct ss_suppressions *suppressions,
                      void (*tell)(void *argument, const char *note), void *argument)
{
    uint64_t held_back = 0;
    for (int side = OLD; side < SIDES; side++) {
        const char *path = ss_text_clean(comparison->paths[side]);
        if (comparison->nothing[side])
            tell(argument,
                 ss_text("nothing was checked in %s: %s", path, comparison->nothing[side]));
        for (int rule = 0; rule < SS_RULE_COUNT; rule++)
            if (comparison->rules_off[side][rule] && !comparison->rules_off[side ^ 1][rule])
                tell(argument, ss_text("%s was not looked for in %s, by options",
                                       ss_rule_rows[rule].code, path));
    }
    for (const struct ss_suppressions *at = suppressions; at; at = at->next) {
        held_back += at->count;
        if (!at->count)
            tell(argument, ss_text("unused suppression: %s", ss_text_clean(at->text)));
    }
    if (held_back)
        tell(argument, ss_text("%s suppressed", ss_count_text(held_back, "time")));
}

static void print_note(void *unused, const char *note)
{
    (void)unused;
    printf("note: %s\n", note);
}

static void print_text(struct comparison *comparison, const struct ss_suppressions *suppressions)
{
    size_t counts[CHANGES] = {0}, worse = 0, suspicions = 0;
    for (const struct group *group = comparison->groups; group; group = group->hh.next) {
        print_group(group);
        counts[change_of(group)]++;
        worse += is_worse(group) && change_of(group) == IS_UNCHANGED;
        suspicions += group->grades[NEW] == SUSPICION && change_of(group) == IS_NEW;
    }
    each_note(comparison, suppressions, print_note, NULL);
    printf("%zu new%s, %zu gone, %zu unchanged%s\n", counts[IS_NEW],
           suspicions ? ss_text(" (%s of them, which do not count)",
                                ss_count_text(suspicions, "suspicion"))
                      : "",
           counts[IS_GONE], counts[IS_UNCHANGED],
           worse ? ss_text(" (%zu of them worse)", worse) : "");
}

static void append_note(void *list, const char *note)
{
    json_array_append_new(list, ss_json_text(note));
}

static void print_json(const struct comparison *comparison,
                       const struct ss_suppressions *suppressions)
{
    json_t *document = json_object(), *notes = json_array(), *lists[CHANGES];
    json_object_set_new(document, "v", json_integer(SS_LOG_VERSION));
    for (int change = 0; change < CHANGES; change++)
        json_object_set_new(document, change_names[change], lists[change] = json_array());
    for (const struct group *group = comparison->groups; group; group = group->hh.next)
        json_array_append_new(
            lists[change_of(group)],
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "group", ss_json_text(group->key), "rule",
                      ss_json_text(group->rule), "span", ss_json_text(group->span), "place",
                      ss_json_text(group->place), "old",
                      ss_json_text(grade_names[group->grades[OLD]]), "new",
                      ss_json_text(grade_names[group->grades[NEW]]), "worse", is_worse(group)));
    each_note(comparison, suppressions, append_note, notes);
    json_object_set_new(document, "notes", notes);
    ss_json_write(stdout, document);
}

int ss_diff(int argc, char **argv)
{
    struct comparison comparison = {.groups = NULL};
    struct ss_suppressions *suppressions = NULL;
    struct ss_suppression_file *files = NULL;
    bool json = false, require_hooked = false;
    int index = 0, flag;
    char *value;
    while ((flag = ss_next_flag(&usage, argc, argv, false, &index, &value)) >= 0) {
        if (flag == SUPPRESSIONS)
            ss_suppressions_load(&usage, value, &suppressions, &files);
        else if (flag == REQUIRE_HOOKED)
            require_hooked = true;
        else if (!(json = strcmp(value, "json") == 0) && strcmp(value, "text") != 0)
            ss_usage_error(&usage, "option `--format`: unknown format `%s`; there are text, json",
                           value);
    }
    if (argc - index != SIDES)
        ss_usage_error(&usage, "two are wanted, OLD and NEW; %d given", argc - index);
    for (int side = OLD; side < SIDES; side++) {
        comparison.paths[side] = argv[index + side];
        read_side(&comparison, (enum side)side, &suppressions);
    }
    if (comparison.unreadable)
        return SS_EXIT_UNREADABLE;
    HASH_SORT(comparison.groups, compare);
    if (json)
        print_json(&comparison, suppressions);
    else
        print_text(&comparison, suppressions);
    bool worse = false;
    for (const struct group *group = comparison.groups; group; group = group->hh.next)
        worse |= is_worse(group);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("strayspan: standard output: could not be written");
        return SS_EXIT_UNREADABLE;
    }
    bool blind = require_hooked && comparison.nothing[NEW];
    return worse ? SS_EXIT_SOMETHING : comparison.partly || blind ? SS_EXIT_UNREADABLE : 0;
}
