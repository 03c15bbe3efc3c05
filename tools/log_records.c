/* Adds the records of logs to the report: one violation, suspicion or consequence for each
 * fingerprint, however often it is told, and the sums of the summaries. Called by log_read.c. */
#include "log_read.h"

#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "suppressions.h"
#include "text.h"

/* ---- records ---- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct ss_violation *)a)->key, ((const struct ss_violation *)b)->key);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The key of a fingerprint, until the next call: it means the same in the same build of the same
 * program only. */
static const char *key_of(const struct ss_reader *reader, const struct ss_run *run,
                          const struct ss_print *print)
{
    static char key[PATH_MAX + sizeof *print];
    snprintf(key, sizeof key, "%s %s", print->text,
             run->program_build_id ? run->program_build_id
             : run->program_path   ? run->program_path
                                   : reader->file);
    return key;
}

struct ss_print ss_print_of(const char *text, size_t length)
{
    struct ss_print print = {{0}};
    memcpy(print.text, text, length < sizeof print.text - 1 ? length : sizeof print.text - 1);
    return print;
}

static struct ss_print print_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return ss_print_of(text ? text : "", text ? strlen(text) : 0);
}

/* A fingerprint of a violation (suspicion) of this run; NULL where it is new. */
static struct ss_found *found_in(const struct ss_run *run, const struct ss_print *print,
                                 bool suspicion)
{
    struct ss_found *found;
    HASH_FIND(hh, suspicion ? run->suspected : run->found, print, sizeof *print, found);
    return found;
}

static void add_found(struct ss_run *run, struct ss_violation *violation,
                      const struct ss_print *print, uint64_t count)
{
    struct ss_found *found = calloc(1, sizeof *found);
    if (!found)
        return;
    *found = (struct ss_found){.print = *print,
                               .violation = violation,
                               .serial = violation->span.serial,
                               .lines = 1,
                               .highest = count};
    if (violation->suspicion) {
        HASH_ADD(hh, run->suspected, print, sizeof found->print, found);
        HASH_ADD(by_serial, run->open, serial, sizeof found->serial, found);
    } else {
        HASH_ADD(hh, run->found, print, sizeof found->print, found);
    }
}

static struct ss_violation *make_violation(const struct ss_run *run, const json_t *record,
                                           bool suspicion)
{
    struct ss_violation *violation = ss_keep(sizeof *violation);
    ss_fill_violation(violation, run, record);
    violation->suspicion = suspicion;
    return violation;
}

/* A suspicion about a span ends with a violation of it. */
static void end_suspicions(struct ss_run *run, int64_t serial, struct ss_violation *violation)
{
    struct ss_found *found;
    while (serial) {
        HASH_FIND(by_serial, run->open, &serial, sizeof serial, found);
        if (!found)
            return;
        found->turned = violation;
        HASH_DELETE(by_serial, run->open, found);
    }
}

/* The worst of a fingerprint is the one that is shown and graded by, whichever came first. */
static void show_worse(struct ss_violation *violation, struct ss_run *run, const json_t *record)
{
    if (ss_severity_of(record) <= violation->severity)
        return;
    ss_fill_violation(violation, run, record);
    violation->prepared = violation->shown = false;
}

/* The violation with this fingerprint in the report, made where it is new. */
static struct ss_violation *intern_violation(struct ss_reader *reader, struct ss_run *run,
                                             const struct ss_print *print, const json_t *record)
{
    struct ss_report *report = reader->report;
    struct ss_violation wanted = {.key = key_of(reader, run, print)};
    struct ss_violation **known = tfind(&wanted, &report->violation_tree, compare_keys);
    if (known) {
        struct ss_violation *violation = ss_told_by(*known);
        if (!run->repeated)
            show_worse(violation, run, record);
        return violation;
    }
    struct ss_violation *violation = make_violation(run, record, false);
    violation->key = ss_text_copy(wanted.key, strlen(wanted.key));
    if (!tsearch(violation, &report->violation_tree, compare_keys))
        return NULL;
    *report->violations_end = violation;
    report->violations_end = &violation->next;
    report->violation_count++;
    return violation;
}

static void read_violation(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    struct ss_print print = print_of(record, "fingerprint");
    uint64_t count = ss_count_of(record, "count");
    int64_t serial = ss_integer_of(json_object_get(record, "span"), "serial", 0);
    const char *code = json_string_value(json_object_get(record, "rule"));
    int rule = ss_rule_of(code ? code : "");
    if (rule >= 0 && count <= 1)
        run->written[rule]++;

    struct ss_found *found = found_in(run, &print, false);
    if (found) {
        found->violation = ss_told_by(found->violation);
        show_worse(found->violation, run, record);
        found->lines++;
        found->highest = larger(found->highest, count);
        end_suspicions(run, serial, found->violation);
        return;
    }
    struct ss_violation *violation = intern_violation(reader, run, &print, record);
    if (!violation || (run->repeated && violation->processes))
        return;
    ss_seen_in(violation, run->process);
    add_found(run, violation, &print, count);
    end_suspicions(run, serial, violation);
}

static void read_suspicion(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    (void)reader;
    if (run->repeated)
        return;
    struct ss_print print = print_of(record, "fingerprint");
    uint64_t count = ss_count_of(record, "count");
    struct ss_found *found = found_in(run, &print, true);
    if (!found) {
        add_found(run, make_violation(run, record, true), &print, count);
        return;
    }
    found->lines++;
    found->highest = larger(found->highest, count);
}

/* ---- consequences ---- */

static bool same_address(const struct ss_stack *a, const struct ss_stack *b)
{
    return a->count && b->count && a->addresses[0].binary == b->addresses[0].binary &&
           a->addresses[0].offset == b->addresses[0].offset;
}

/* Adds a place where a breach had consequences, unless it is known. */
static void add_place(struct ss_consequences *all, struct ss_consequence *consequence)
{
    struct ss_consequence **end = &all->first;
    for (; *end; end = &(*end)->next)
        if (same_address(&(*end)->at.stack, &consequence->at.stack))
            return;
    if (all->places == SS_PLACES_MAX)
        return;
    *end = consequence;
    consequence->next = NULL;
    all->places++;
}

/* What has this fingerprint in the run: a violation, or else a suspicion. */
static struct ss_found *found_any(const struct ss_run *run, const struct ss_print *print)
{
    struct ss_found *found = found_in(run, print, false);
    return found ? found : found_in(run, print, true);
}

static int consequence_kind(const json_t *record)
{
    return ss_row_of(ss_consequence_codes, SS_CONSEQUENCE_COUNT,
                     json_string_value(json_object_get(record, "what")));
}

static void read_consequence(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    (void)reader;
    struct ss_print print = print_of(record, "of");
    struct ss_found *found = run->repeated ? NULL : found_any(run, &print);
    int kind = consequence_kind(record);
    if (!found || kind < 0)
        return;
    struct ss_violation *violation = ss_told_by(found->turned ? found->turned : found->violation);
    uint64_t count = ss_count_of(record, "count");
    found->consequences[kind] += count ? count : 1;
    if (violation->consequences[kind].places == SS_PLACES_MAX)
        return;
    struct ss_consequence *consequence = ss_keep(sizeof *consequence);
    ss_fill_consequence(consequence, run, record);
    add_place(&violation->consequences[kind], consequence);
}

/* The binary with this path and build id, made where it is new. */
static struct ss_binary *intern_binary(struct ss_report *report, const char *path,
                                       const char *build_id)
{
    for (struct ss_binary *binary = report->binaries; binary; binary = binary->next)
        if (strcmp(binary->path, path) == 0 &&
            strcmp(binary->build_id ? binary->build_id : "", build_id ? build_id : "") == 0)
            return binary;
    struct ss_binary *binary = ss_keep(sizeof *binary);
    binary->path = path;
    binary->build_id = build_id;
    binary->next = report->binaries;
    report->binaries = binary;
    return binary;
}

static void read_module(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    int64_t id = ss_integer_of(record, "id", 0);
    const char *path = ss_text_of(record, "path");
    if (id <= 0 || id >= SS_MODULES_MAX || !path)
        return;
    struct ss_binary *binary = intern_binary(reader->report, path, ss_text_of(record, "build_id"));
    run->binaries[id] = binary;
    if (run->program_path && strcmp(path, run->program_path) == 0) {
        run->program = binary;
        binary->program = true;
    }
    uint64_t subscribers = ss_count_of(record, "subscribers"),
             unhooked = ss_count_of(record, "unhooked");
    if (subscribers > binary->subscribers)
        binary->subscribers = subscribers;
    if (unhooked > binary->unhooked)
        binary->unhooked = unhooked;
    if (ss_count_of(record, "off") > binary->off)
        binary->off = ss_count_of(record, "off");
    run->process->hooked += subscribers;
    const char *evidence = ss_text_of(record, "evidence");
    const char *core = ss_text_of(record, "tracing_core");
    const char *subscriber = ss_text_of(record, "tracing_subscriber");
    binary->evidence = evidence ? evidence : binary->evidence;
    binary->tracing_core = core ? core : binary->tracing_core;
    binary->tracing_subscriber = subscriber ? subscriber : binary->tracing_subscriber;
}

static void read_process(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    (void)reader;
    run->program_path = ss_text_of(record, "exe");
    run->program_build_id = ss_text_of(record, "build_id");
    run->process->program = run->program_path;
    run->process->time = ss_time_of(record, "time");
    run->process->label = ss_text_of(json_object_get(record, "options"), "label");
}

static void add_not_judged(struct ss_seen *seen, const struct ss_run *run, const json_t *object)
{
    seen->not_judged += ss_count_of(object, "total");
    seen->not_judged_threads += ss_count_of(object, "threads");
    const char *reason;
    json_t *value;
    json_object_foreach(json_object_get(object, "by"), reason, value)
    {
        size_t i = 0, room = sizeof seen->reasons / sizeof seen->reasons[0];
        while (i < room && seen->reasons[i].reason && strcmp(seen->reasons[i].reason, reason) != 0)
            i++;
        if (i == room || !json_is_integer(value) || json_integer_value(value) <= 0)
            continue;
        if (!seen->reasons[i].reason)
            seen->reasons[i].reason = ss_text_copy(reason, strlen(reason));
        seen->reasons[i].count += (uint64_t)json_integer_value(value);
    }
    size_t index;
    json_array_foreach(json_object_get(object, "instances"), index, value)
    {
        size_t room = sizeof seen->not_judged_instances / sizeof seen->not_judged_instances[0];
        if (seen->not_judged_instance_count < room)
            seen->not_judged_instances[seen->not_judged_instance_count++] =
                ss_instance_of(run, value);
    }
}

static void move_places(struct ss_violation *from, struct ss_violation *to)
{
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++) {
        struct ss_consequence *next, *at = from->consequences[kind].first;
        for (; at; at = next) {
            next = at->next;
            add_place(&to->consequences[kind], at);
        }
    }
}

/* Where a violation began, as a key: what breaks one rule in one group from one place on. */
struct place {
    struct {
        int64_t rule;
        struct ss_print group;
        const struct ss_binary *binary;
        uint64_t offset;
    } key;
    struct ss_violation *violation;
    UT_hash_handle hh;
};

/* False where the place is not known. */
static bool place_of(struct place *place, struct ss_violation *violation)
{
    const struct ss_stack *stack = &violation->sites[SS_SITE_ENTERED].stack;
    memset(place, 0, sizeof *place);
    if (!violation->group || !stack->count)
        return false;
    place->key.rule = violation->rule;
    place->key.group = ss_print_of(violation->group, strlen(violation->group));
    place->key.binary = stack->addresses[0].binary;
    place->key.offset = stack->addresses[0].offset;
    place->violation = violation;
    return true;
}

/* Suspicions whose misuse a violation tells of, made at the same place, turn into it: one misuse is
 * one report. */
static void turn_suspicions(struct ss_run *run)
{
    struct place *places = NULL, *place, *next, wanted;
    struct ss_found *found;
    for (found = run->suspected ? run->found : NULL; found; found = found->hh.next) {
        if (!place_of(&wanted, found->violation))
            continue;
        HASH_FIND(hh, places, &wanted.key, sizeof wanted.key, place);
        if (place || !(place = malloc(sizeof *place)))
            continue;
        *place = wanted;
        HASH_ADD(hh, places, key, sizeof place->key, place);
    }
    for (found = run->suspected; found && places; found = found->hh.next) {
        if (found->turned || !place_of(&wanted, found->violation))
            continue;
        HASH_FIND(hh, places, &wanted.key, sizeof wanted.key, place);
        found->turned = place ? place->violation : NULL;
    }
    HASH_ITER(hh, places, place, next)
    {
        HASH_DELETE(hh, places, place);
        free(place);
    }
}

/* Puts a suspicion of a run that has ended into the report; returns what it is there: itself, one
 * with the same fingerprint, or the violation that it became. */
static struct ss_violation *settle_suspicion(struct ss_reader *reader, const struct ss_run *run,
                                             const struct ss_found *found)
{
    struct ss_report *report = reader->report;
    struct ss_violation *suspicion = found->violation;
    struct ss_violation *into = found->turned ? ss_told_by(found->turned) : NULL;
    if (!into) {
        const char *key = key_of(reader, run, &found->print);
        suspicion->key = ss_text_copy(key, strlen(key));
        struct ss_violation **known = tsearch(suspicion, &report->suspicion_tree, compare_keys);
        if (!known)
            return suspicion;
        into = *known;
        ss_seen_in(into, run->process);
        into->times += larger(found->lines, found->highest);
    }
    if (into == suspicion) {
        *report->suspicions_end = suspicion;
        report->suspicions_end = &suspicion->next;
        report->suspicion_count++;
    } else {
        move_places(suspicion, into);
    }
    return into;
}

/* The summary counts by rule, so where a rule has one fingerprint its count is that one's; else
 * what the lines themselves say is all that is known. */
static void count_times(const struct ss_found *found, const json_t *rules)
{
    struct ss_violation *violation = ss_told_by(found->violation);
    uint64_t times = larger(found->lines, found->highest);
    const json_t *rule = json_object_get(rules, violation->rule_code);
    if (ss_count_of(rule, "fingerprints") == 1)
        times = larger(times, ss_count_of(rule, "violations"));
    violation->times += times;
}

/* The one that is shown came first; a later case of it was worse. */
static void make_worse(struct ss_violation *violation, const json_t *worse)
{
    if (ss_severity_of(worse) <= violation->severity)
        return;
    violation->severity = ss_severity_of(worse);
    if (ss_count_of(worse, "spans_under") > violation->parks.spans_under)
        violation->parks.spans_under = ss_count_of(worse, "spans_under");
}

static void free_found(struct ss_found **head)
{
    struct ss_found *found, *next;
    HASH_ITER(hh, *head, found, next)
    {
        HASH_DELETE(hh, *head, found);
        free(found);
    }
}

void ss_free_run(struct ss_run *run)
{
    HASH_CLEAR(by_serial, run->open);
    free_found(&run->found);
    free_found(&run->suspected);
    free(run);
}

static void count_consequences(struct ss_violation *violation, const struct ss_found *found,
                               bool at_least)
{
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++) {
        violation->consequences[kind].count += found->consequences[kind];
        violation->consequences[kind].at_least |= found->consequences[kind] && at_least;
    }
}

/* Counts and settles what was found in a run, with its summary or, at its end, without (NULL). */
static void count_found(struct ss_reader *reader, struct ss_run *run, const json_t *summary)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(summary, "consequences"), index, item)
    {
        struct ss_print print = print_of(item, "of");
        struct ss_found *found = found_any(run, &print);
        int kind = consequence_kind(item);
        if (found && kind >= 0)
            found->consequences[kind] =
                larger(found->consequences[kind], ss_count_of(item, "count"));
    }
    json_array_foreach(json_object_get(summary, "worse"), index, item)
    {
        struct ss_print print = print_of(item, "of");
        struct ss_found *found = found_in(run, &print, false);
        if (found)
            make_worse(ss_told_by(found->violation), item);
    }
    turn_suspicions(run);
    HASH_CLEAR(by_serial, run->open);
    const struct ss_found *found;
    for (found = run->found; found; found = found->hh.next) {
        count_times(found, json_object_get(summary, "rules"));
        count_consequences(ss_told_by(found->violation), found, !summary);
    }
    for (found = run->suspected; found; found = found->hh.next)
        count_consequences(settle_suspicion(reader, run, found), found, !summary);
    free_found(&run->found);
    free_found(&run->suspected);
}

/* A program's call sites are the same ones in each of its processes: they are taken once. */
static void add_call_sites(struct ss_report *report, const struct ss_run *run, const json_t *sites)
{
    const char *key = run->program_build_id ? run->program_build_id
                      : run->program_path   ? run->program_path
                                            : run->id;
    struct ss_program_sites *program = report->programs;
    while (program && strcmp(program->key, key) != 0)
        program = program->next;
    bool fresh = !program;
    if (fresh) {
        program = ss_keep(sizeof *program);
        program->key = ss_text_copy(key, strlen(key));
        program->next = report->programs;
        report->programs = program;
    }
    for (int level = 0; level < SS_LEVELS; level++) {
        const json_t *counts = json_object_get(sites, ss_level_names[level]);
        struct ss_level_counts *one = &program->levels[level];
        struct ss_level_counts *all = &report->seen.call_sites[level], before = *one;
        uint64_t unreached = ss_count_of(counts, "unreached");
        one->live = larger(one->live, ss_count_of(counts, "live"));
        one->filtered = larger(one->filtered, ss_count_of(counts, "filtered"));
        one->unreached = fresh || unreached < one->unreached ? unreached : one->unreached;
        all->live += one->live - before.live;
        all->filtered += one->filtered - before.filtered;
        all->unreached = all->unreached - before.unreached + one->unreached;
    }
}

static void add_silent(const struct ss_run *run, const json_t *ids)
{
    for (int id = 1; id < SS_MODULES_MAX; id++) {
        struct ss_binary *binary = run->binaries[id];
        if (!binary || !binary->subscribers)
            continue;
        size_t index;
        json_t *item;
        bool silent = false;
        json_array_foreach(ids, index, item) silent |= json_integer_value(item) == id;
        binary->silent |= silent;
        binary->called |= !silent;
    }
}

static void add_apart(struct ss_seen *seen, const json_t *paths)
{
    size_t index, room = sizeof seen->apart / sizeof seen->apart[0];
    json_t *item;
    json_array_foreach(paths, index, item)
    {
        const char *path = json_string_value(item);
        size_t i = 0;
        while (path && i < room && seen->apart[i] && strcmp(seen->apart[i], path) != 0)
            i++;
        if (path && i < room && !seen->apart[i])
            seen->apart[i] = ss_text_copy(path, strlen(path));
    }
}

static bool was_asked(const json_t *call_sites)
{
    const char *level;
    json_t *counts;
    json_object_foreach((json_t *)call_sites, level, counts)
    {
        if (ss_count_of(counts, "live") || ss_count_of(counts, "filtered"))
            return true;
    }
    return false;
}

static void read_summary(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    struct ss_seen *seen = &reader->report->seen;
    const json_t *spans = json_object_get(record, "spans");
    const json_t *rules = json_object_get(record, "rules");
    if (run->process->summary)
        return; /* of a log that is given twice */
    run->process->summary = true;
    run->process->created = ss_count_of(spans, "created");
    run->process->asked = was_asked(json_object_get(record, "call_sites"));
    seen->created += ss_count_of(spans, "created");
    seen->entered += ss_count_of(spans, "entered");
    seen->exited += ss_count_of(spans, "exited");
    seen->closed += ss_count_of(spans, "closed");
    seen->threads += ss_count_of(record, "threads");
    seen->instances += ss_count_of(record, "instances");
    seen->lookups += ss_count_of(record, "lookups");
    seen->table_limit += ss_count_of(record, "table_limit");
    add_call_sites(reader->report, run, json_object_get(record, "call_sites"));
    const char *code;
    json_t *rule;
    json_object_foreach((json_t *)rules, code, rule)
    {
        seen->suppressed += ss_count_of(rule, "suppressed");
        int row = ss_rule_of(code);
        if (row < 0)
            continue;
        run->expected[row] = ss_count_of(rule, "fingerprints");
        const char *severity = json_string_value(json_object_get(rule, "severity"));
        seen->rules_off[row] |=
            severity && strcmp(severity, "off") == 0 && ss_rule_rows[row].severity;
    }
    add_silent(run, json_object_get(record, "silent"));
    add_apart(seen, json_object_get(record, "apart"));
    ss_suppressions_logged(reader->report, json_object_get(record, "suppressions"));
    add_not_judged(seen, run, json_object_get(record, "not_judged"));
    count_found(reader, run, record);
}

static const struct {
    const char *type;
    void (*read)(struct ss_reader *, struct ss_run *, const json_t *);
} record_types[] = {
    {SS_LOG_PROCESS, read_process},         {SS_LOG_MODULE, read_module},
    {SS_LOG_VIOLATION, read_violation},     {SS_LOG_SUSPICION, read_suspicion},
    {SS_LOG_CONSEQUENCE, read_consequence}, {SS_LOG_SUMMARY, read_summary},
};

void ss_read_record(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    for (size_t i = 0; type && i < sizeof record_types / sizeof record_types[0]; i++)
        if (strcmp(type, record_types[i].type) == 0)
            record_types[i].read(reader, run, record);
}

void ss_end_run(struct ss_reader *reader, struct ss_run *run)
{
    count_found(reader, run, NULL);
}
