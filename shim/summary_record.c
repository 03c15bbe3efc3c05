/* Renders the summary that ends a process's log: what all the others counted. Called by log.c at the end
 * of the process, under the log's lock, but for the facts, which are gathered before. */
#include <stdatomic.h>
#include <string.h>

#include "hook.h"
#include "instances.h"
#include "json.h"
#include "lookups.h"
#include "namespaces.h"
#include "options.h"
#include "prim.h"
#include "records.h"
#include "suppressions.h"
#include "threads.h"

static const char *const level_names[SS_LEVEL_COUNT] = SS_LEVEL_NAMES;
static const char *const severity_names[] = SS_SEVERITY_NAMES;

static void put_call_sites(struct ss_line *line)
{
    struct ss_interest_counts sites[SS_LEVEL_COUNT];
    memset(sites, 0, sizeof sites);
    ss_callsites_count(sites);
    ss_open_object(line, "call_sites");
    for (unsigned level = 0; level < SS_LEVEL_COUNT; level++) {
        ss_open_object(line, level_names[level]);
        ss_key_number(line, "live", sites[level].live);
        ss_key_number(line, "filtered", sites[level].filtered);
        ss_key_number(line, "unreached", sites[level].unreached);
        ss_close_object(line);
    }
    ss_close_object(line);
}

static void put_not_judged(struct ss_line *line, const uint64_t counts[SS_UNJUDGED_COUNT])
{
    static const char *const names[SS_UNJUDGED_COUNT] = {
#define X(name, text) text,
        SS_UNJUDGED(X)
#undef X
    };
    uint64_t total = 0;
    for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
        total += counts[i];
    ss_open_object(line, "not_judged");
    ss_key_number(line, "total", total);
    ss_key_number(line, "threads", ss_threads_unjudged());
    ss_open_object(line, "by");
    for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
        ss_key_number(line, names[i], counts[i]);
    ss_close_object(line);
    ss_key(line, "instances");
    ss_put(line, "[", 1);
    uint64_t serial;
    const struct ss_table *table;
    for (uint32_t i = 0; ss_instance_distrusted(i, &serial, &table); i++) {
        ss_puts(line, i ? "," : "");
        ss_put_instance(line, serial, table);
    }
    ss_put(line, "]", 1);
    ss_close_object(line);
}

void ss_summary_facts(struct ss_summary_facts *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < SS_RULE_COUNT; i++)
        ss_breach_counts((enum ss_rule)i, &out->rules[i]);
    out->suspicions = ss_breaches_suspicions();
    struct ss_consequence_count one;
    uint32_t count = 0;
    while (ss_breaches_consequence_at(count, &one.of, &one.kind, &one.count))
        count++;
    out->consequences = count ? ss_alloc(count * sizeof one) : NULL;
    for (uint32_t i = 0; out->consequences && i < count; i++)
        if (ss_breaches_consequence_at(i, &one.of, &one.kind, &one.count))
            out->consequences[out->consequence_count++] = one;
    out->worse_count = ss_breaches_worse(out->worse);
}

/* What was graded milder than a later case of it is. */
static void key_worse(struct ss_line *line, const struct ss_summary_facts *facts)
{
    ss_key(line, "worse");
    ss_put(line, "[", 1);
    for (uint32_t i = 0; i < facts->worse_count && i < line->list_max; i++) {
        ss_puts(line, i ? ",{" : "{");
        ss_key_hex(line, "of", facts->worse[i].of);
        ss_key_text(line, "severity", severity_names[facts->worse[i].severity]);
        ss_key_number(line, "spans_under", facts->worse[i].spans_under);
        ss_key(line, "thread_changed");
        ss_puts(line, facts->worse[i].thread_changed ? "true" : "false");
        ss_close_object(line);
    }
    ss_put(line, "]", 1);
}

/* Those beyond a line's room are left out: their records tell of them. */
static void key_consequences(struct ss_line *line, const struct ss_summary_facts *facts)
{
    ss_key(line, "consequences");
    ss_put(line, "[", 1);
    for (uint32_t i = 0; i < facts->consequence_count && i < line->list_max; i++) {
        ss_puts(line, i ? ",{" : "{");
        ss_key_hex(line, "of", facts->consequences[i].of);
        ss_key_text(line, "what", ss_consequence_names[facts->consequences[i].kind]);
        ss_key_number(line, "count", facts->consequences[i].count);
        ss_close_object(line);
    }
    ss_put(line, "]", 1);
}

/* The suppressions in force, and how often each was used. Where they would take more than half of the line, those
 * that were not used are left out first. */
static void key_suppressions(struct ss_line *line)
{
    const struct ss_suppression *suppression;
    uint32_t told = 0;
    ss_key(line, "suppressions");
    ss_put(line, "[", 1);
    for (int unused = 0; unused <= 1; unused++)
        for (uint32_t i = 0; told < line->list_max && (suppression = ss_suppression_at(i)); i++) {
            if (unused != !suppression->count || line->used > line->size / 2)
                continue;
            ss_puts(line, told++ ? ",{" : "{");
            ss_key(line, "line");
            ss_put_json(line, suppression->line.text, suppression->line.length);
            ss_key_number(line, "count", suppression->count);
            ss_close_object(line);
        }
    ss_put(line, "]", 1);
}

/* The modules of which no subscriber was called. */
static void key_silent(struct ss_line *line)
{
    bool any = false;
    const struct ss_module *module;
    ss_key(line, "silent");
    ss_put(line, "[", 1);
    for (uint32_t i = 0; (module = ss_module_at(i)); i++) {
        if (!module->tables_hooked || atomic_load(&module->instances))
            continue;
        if (any)
            ss_put(line, ",", 1);
        ss_put_unsigned(line, module->id);
        any = true;
    }
    ss_put(line, "]", 1);
}

static enum ss_severity severity_in_force(enum ss_rule rule)
{
    bool looked_for =
        rule != SS_RULE_HELD_ACROSS_AWAIT || ss_options.await_check != SS_AWAIT_CHECK_OFF;
    return looked_for ? ss_options.severities[rule] : SS_SEVERITY_OFF;
}

static void key_apart(struct ss_line *line)
{
    ss_key(line, "apart");
    ss_put(line, "[", 1);
    const char *path;
    for (uint32_t i = 0; (path = ss_namespaces_at(i)); i++) {
        if (i)
            ss_put(line, ",", 1);
        ss_json_text(line, path);
    }
    ss_put(line, "]", 1);
}

void ss_record_summary(struct ss_line *line, const struct ss_record_head *head,
                       const struct ss_summary_facts *facts)
{
    uint64_t created = 0, entered = 0, exited = 0, closed = 0, unjudged[SS_UNJUDGED_COUNT] = {0};
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        created += atomic_load(&thread->created);
        entered += atomic_load(&thread->entered);
        exited += atomic_load(&thread->exited);
        closed += atomic_load(&thread->closed);
        for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
            unjudged[i] += atomic_load(&thread->unjudged[i]);
    }
    for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
        unjudged[i] += atomic_load(&ss_thread_gone.unjudged[i]);
    uint64_t modules = 0;
    const struct ss_module *module;
    for (uint32_t i = 0; (module = ss_module_at(i)); i++)
        modules += module->tables_hooked > 0;

    ss_open_record(line, head, SS_LOG_SUMMARY, ss_sys_clock(0));
    ss_open_object(line, "rules");
    for (unsigned i = 0; i < SS_RULE_COUNT; i++) {
        ss_open_object(line, ss_rule_rows[i].code);
        ss_key_number(line, "violations", facts->rules[i].violations);
        ss_key_text(line, "severity", severity_names[severity_in_force((enum ss_rule)i)]);
        ss_key_number(line, "fingerprints", facts->rules[i].fingerprints);
        ss_key_number(line, "suppressed", facts->rules[i].suppressed);
        ss_close_object(line);
    }
    ss_close_object(line);
    ss_key_number(line, "suspicions", facts->suspicions);
    key_consequences(line, facts);
    if (facts->worse_count)
        key_worse(line, facts);
    if (ss_suppression_at(0))
        key_suppressions(line);
    ss_open_object(line, "spans");
    ss_key_number(line, "created", created);
    ss_key_number(line, "entered", entered);
    ss_key_number(line, "exited", exited);
    ss_key_number(line, "closed", closed);
    if (ss_threads_inherited())
        ss_key_number(line, "inherited", ss_threads_inherited());
    ss_close_object(line);
    ss_key_number(line, "threads", ss_threads_seen());
    ss_key_number(line, "instances", ss_instances_seen());
    ss_key_number(line, "modules", modules);
    ss_key_number(line, "lookups", ss_lookups_seen());
    put_call_sites(line);
    put_not_judged(line, unjudged);
    ss_key_number(line, "table_limit", ss_hook_beyond());
    key_silent(line);
    if (ss_namespaces_at(0))
        key_apart(line);
    ss_close_record(line);
}
