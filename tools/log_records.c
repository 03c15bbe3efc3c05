/* Adds the records of logs to the report: one violation, suspicion or consequence for each
 * fingerprint, however often it is told. Called by log_read.c. */
#include "log_read.h"

#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

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
        uthash_fatal("out of memory");
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

struct ss_binary *ss_find_binary(const struct ss_report *report, const char *path,
                                 const char *build_id)
{
    struct ss_binary *binary = report->binaries;
    while (binary &&
           (strcmp(binary->path, path) != 0 ||
            strcmp(binary->build_id ? binary->build_id : "", build_id ? build_id : "") != 0))
        binary = binary->next;
    return binary;
}

/* The binary with this path and build id, made where it is new. */
static struct ss_binary *intern_binary(struct ss_report *report, const char *path,
                                       const char *build_id)
{
    struct ss_binary *binary = ss_find_binary(report, path, build_id);
    if (binary)
        return binary;
    binary = ss_keep(sizeof *binary);
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
    if ((size_t)id >= run->binary_count) {
        size_t count = (size_t)id + 8;
        struct ss_binary **more = reallocarray(run->binaries, count, sizeof(struct ss_binary *));
        if (!more)
            uthash_fatal("out of memory");
        memset(more + run->binary_count, 0,
               (count - run->binary_count) * sizeof(struct ss_binary *));
        run->binaries = more;
        run->binary_count = count;
    }
    run->binaries[id] = binary;
    if (run->program_path && strcmp(path, run->program_path) == 0) {
        run->program = binary;
        binary->program = true;
    }
    uint64_t subscribers = ss_count_of(record, "subscribers");
    binary->subscribers = larger(binary->subscribers, subscribers);
    binary->unhooked = larger(binary->unhooked, ss_count_of(record, "unhooked"));
    binary->off = larger(binary->off, ss_count_of(record, "off"));
    binary->doubtful = larger(binary->doubtful, ss_count_of(record, "doubtful"));
    run->process->hooked += subscribers;
    const char *evidence = ss_text_of(record, "evidence");
    const char *core = ss_text_of(record, "tracing_core");
    const char *subscriber = ss_text_of(record, "tracing_subscriber");
    binary->evidence = evidence ? evidence : binary->evidence;
    binary->tracing_core = core ? core : binary->tracing_core;
    binary->tracing_subscriber = subscriber ? subscriber : binary->tracing_subscriber;
}

/* Notes that an image is one of its process, where the record tells which process that is. */
static const struct ss_images *images_of(struct ss_report *report, const struct ss_process *process,
                                         const json_t *record)
{
    struct ss_images *images;
    int64_t begun = ss_integer_of(record, "pid_start", 0);
    if (begun <= 0)
        return NULL;
    const char *host = ss_text_of(record, "host");
    const char *key =
        ss_text("%s/%lld/%lld", host ? host : "", (long long)process->pid, (long long)begun);
    HASH_FIND_STR(report->images, key, images);
    if (!images) {
        images = ss_keep(sizeof *images);
        images->key = ss_text_copy(key, strlen(key));
        HASH_ADD_STR(report->images, key, images);
    }
    if (images->latest < process->time)
        images->latest = process->time;
    return images;
}

static void read_process(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    run->begun = true;
    run->program_path = ss_text_of(record, "exe");
    run->program_build_id = ss_text_of(record, "build_id");
    run->process->program = run->program_path;
    run->process->build_id = run->program_build_id;
    run->process->time = ss_time_of(record, "time");
    run->process->images = images_of(reader->report, run->process, record);
    run->process->parent = ss_integer_of(record, "ppid", 0);
    run->process->label = ss_text_of(json_object_get(record, "options"), "label");
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
    struct ss_found *found = *head, *next;
    HASH_CLEAR(hh, *head);
    for (; found; found = next) {
        next = found->hh.next;
        free(found);
    }
}

void ss_free_run(struct ss_run *run)
{
    HASH_CLEAR(by_serial, run->open);
    free_found(&run->found);
    free_found(&run->suspected);
    free(run->binaries);
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

static void read_summary(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    if (run->process->summary)
        return; /* of a log that is given twice */
    run->process->summary = true;
    ss_read_sums(reader, run, record);
    count_found(reader, run, record);
}

static void read_lost(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    const char *why = ss_text_of(record, "why");
    if (!run->repeated)
        ss_report_problem(reader->report, true, reader->file,
                          "lines of pid %lld could not be written to it: %s; they went to the "
                          "program's stderr",
                          (long long)run->process->pid, why ? why : "unknown error");
}

static const struct {
    const char *type;
    void (*read)(struct ss_reader *, struct ss_run *, const json_t *);
} record_types[] = {
    {SS_LOG_PROCESS, read_process},
    {SS_LOG_MODULE, read_module},
    {SS_LOG_VIOLATION, read_violation},
    {SS_LOG_SUSPICION, read_suspicion},
    {SS_LOG_CONSEQUENCE, read_consequence},
    {SS_LOG_SUMMARY, read_summary},
    {SS_LOG_LOST, read_lost},
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
