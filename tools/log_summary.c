/* Adds the sums of summaries to the report: what was seen, what was not, and why. Called by log_records.c. */
#include <string.h>

#include "log_read.h"
#include "suppressions.h"
#include "text.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
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
    for (size_t id = 1; id < run->binary_count; id++) {
        struct ss_binary *binary = run->binaries[id];
        if (!binary || !binary->subscribers)
            continue;
        size_t index;
        json_t *item;
        bool silent = false;
        json_array_foreach(ids, index, item) silent |= json_integer_value(item) == (json_int_t)id;
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

void ss_read_sums(struct ss_reader *reader, struct ss_run *run, const json_t *record)
{
    struct ss_seen *seen = &reader->report->seen;
    const json_t *spans = json_object_get(record, "spans");
    const json_t *rules = json_object_get(record, "rules");
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
        bool off = severity && strcmp(severity, "off") == 0;
        seen->rules_off[row] |= off && ss_rule_rows[row].severity;
        seen->not_looked[row] += off;
    }
    add_silent(run, json_object_get(record, "silent"));
    add_apart(seen, json_object_get(record, "apart"));
    ss_suppressions_logged(reader->report, json_object_get(record, "suppressions"));
    add_not_judged(seen, run, json_object_get(record, "not_judged"));
}
