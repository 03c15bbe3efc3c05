/* The report as one JSON document, for programs. Escaped to ASCII, so that it can be looked at on a
 * terminal. Values, hosts and addresses stay out without --with-values. Called by report.c. */
#include <string.h>

#include "render.h"
#include "report.h"
#include "suppressions.h"
#include "text.h"

/* jansson refuses text that is not UTF-8: such bytes are written as \xff. */
json_t *ss_json_text(const char *text)
{
    if (!text)
        return json_null();
    json_t *value = json_string(text);
    return value ? value : json_string(ss_text_clean_to(text, 4096));
}

static json_t *number_or_null(int64_t number, bool known)
{
    return known ? json_integer(number) : json_null();
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *frame_value(const struct ss_frame *frame)
{
    json_t *object = json_object();
    set(object, "function", ss_json_text(frame->function));
    set(object, "short", ss_json_text(ss_short_function(frame->function, frame->name)));
    set(object, "file", ss_json_text(frame->file));
    set(object, "line", number_or_null(frame->line, frame->line != 0));
    set(object, "place", ss_json_text(ss_frame_place(frame)));
    set(object, "inlined", json_boolean(frame->inlined));
    set(object, "own", json_boolean(frame->kind == SS_FRAME_OWN));
    set(object, "kind", json_string(ss_frame_kind_names[frame->kind]));
    set(object, "crate", ss_json_text(frame->crate));
    set(object, "version", ss_json_text(frame->version));
    set(object, "module", ss_json_text(frame->address.binary ? frame->address.binary->path : NULL));
    set(object, "offset", json_integer((json_int_t)frame->address.offset));
    return object;
}

static json_t *frames_value(const struct ss_frames *frames)
{
    json_t *list = json_array();
    for (size_t i = 0; i < frames->count; i++)
        json_array_append_new(list, frame_value(&frames->frames[i]));
    return list;
}

static json_t *site_value(const struct ss_violation *violation, const struct ss_site *site)
{
    const struct ss_thread *thread = &site->thread;
    json_t *object = json_object(), *who = json_object();
    set(who, "serial", json_integer(thread->serial));
    set(who, "tid", json_integer(thread->tid));
    set(who, "name", ss_json_text(thread->name));
    set(who, "role", ss_json_text(ss_thread_role(violation, thread)));
    set(who, "created_by", number_or_null(thread->created_by, thread->created_by != 0));
    set(who, "span", ss_json_text(thread->span));
    set(who, "frames", frames_value(&site->thread_frames));
    set(object, "thread", who);
    set(object, "time_us", number_or_null(site->time, site->time >= 0));
    set(object, "typical", json_boolean(site->typical));
    set(object, "frames", frames_value(&site->frames));
    return object;
}

static json_t *instance_value(const struct ss_instance *instance)
{
    if (instance->no_op)
        return json_null();
    json_t *object = json_object();
    set(object, "serial", json_integer(instance->serial));
    set(object, "type", ss_json_text(ss_short_type(instance->type)));
    set(object, "full_type", ss_json_text(ss_demangle(instance->type)));
    set(object, "module", ss_json_text(instance->binary ? instance->binary->path : NULL));
    return object;
}

static json_t *lookup_value(const struct ss_lookup *lookup, bool with_values)
{
    json_t *object = json_object();
    set(object, "result", json_integer(lookup->result));
    set(object, "error", ss_json_text(lookup->error));
    set(object, "ns", number_or_null(lookup->ns, lookup->ns >= 0));
    if (with_values) {
        set(object, "host", ss_json_text(lookup->host));
        set(object, "service", ss_json_text(lookup->service));
        set(object, "addresses", json_integer(lookup->addresses));
    }
    return object;
}

static json_t *list_value(const char *const *texts, size_t max)
{
    json_t *list = json_array();
    for (size_t i = 0; i < max && texts[i]; i++)
        json_array_append_new(list, ss_json_text(texts[i]));
    return list;
}

static json_t *blame_value(const struct ss_blame *blame)
{
    json_t *object = json_object();
    set(object, "whose", ss_json_text(blame->whose));
    set(object, "crate", ss_json_text(blame->crate));
    set(object, "version", ss_json_text(blame->version));
    set(object, "fixed_in", ss_json_text(blame->fixed_in));
    set(object, "text", ss_json_text(blame->text));
    set(object, "help", list_value(blame->help, 6));
    set(object, "commands", list_value(blame->commands, 6));
    set(object, "more", list_value(blame->more, 4));
    return object;
}

/* The fields with their values, or with null for each. */
static json_t *fields_value(json_t *fields, bool with_values)
{
    if (with_values)
        return fields ? json_incref(fields) : json_object();
    json_t *names = json_object(), *value;
    const char *key;
    json_object_foreach(fields, key, value)
    {
        set(names, key, json_null());
    }
    return names;
}

static json_t *span_value(const struct ss_span *span, bool with_values)
{
    if (!span->present)
        return json_null();
    json_t *object = json_object();
    const char *crate = NULL, *version = NULL;
    bool known = ss_crate_of_path(span->file, &crate, &version);
    set(object, "id", ss_json_text(span->id));
    set(object, "serial", json_integer(span->serial));
    set(object, "name", ss_json_text(span->name));
    set(object, "target", ss_json_text(span->target));
    set(object, "level", ss_json_text(span->level));
    set(object, "file", ss_json_text(span->file));
    set(object, "line", number_or_null(span->line, span->line > 0));
    set(object, "place", ss_json_text(ss_place(span->file, (unsigned)span->line)));
    set(object, "crate", ss_json_text(known ? crate : NULL));
    set(object, "version", ss_json_text(known ? version : NULL));
    set(object, "provider", ss_json_text(span->provider));
    set(object, "fields", fields_value(span->fields, with_values));
    return object;
}

static json_t *call_site_value(const struct ss_call_site *site)
{
    json_t *object = json_object();
    set(object, "name", ss_json_text(site->name));
    if (site->target)
        set(object, "target", ss_json_text(site->target));
    set(object, "file", ss_json_text(site->file));
    set(object, "line", number_or_null(site->line, site->line > 0));
    set(object, "place", ss_json_text(ss_place(site->file, (unsigned)site->line)));
    return object;
}

/* What came of a breach, all of a kind, with each place where it did. */
static json_t *consequences_value(const struct ss_violation *violation, bool with_values)
{
    json_t *list = json_array();
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++) {
        const struct ss_consequences *all = &violation->consequences[kind];
        if (!all->count)
            continue;
        json_t *object = json_object(), *places = json_array();
        for (const struct ss_consequence *at = all->first; at; at = at->next) {
            json_t *place = json_object();
            set(place, "span", span_value(&at->span, with_values));
            set(place, "at", site_value(violation, &at->at));
            if (at->made.present)
                set(place, "made", call_site_value(&at->made));
            json_array_append_new(places, place);
        }
        set(object, "what", json_string(ss_consequence_codes[kind]));
        set(object, "count", json_integer((json_int_t)all->count));
        set(object, "at_least", json_boolean(all->at_least));
        set(object, "places", places);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *history_value(const struct ss_violation *violation, bool with_values)
{
    json_t *object = json_object(), *events = json_array();
    for (size_t i = 0; i < violation->history.count; i++) {
        const struct ss_event *event = &violation->history.events[i];
        const struct ss_frame *frame = ss_responsible_frame(&event->frames);
        json_t *item = json_object();
        set(item, "ns", json_integer(event->ns));
        set(item, "thread", json_integer(event->thread));
        set(item, "event", json_string(ss_event_names[event->kind]));
        set(item, "span", number_or_null(event->span, event->span != 0));
        set(item, "name", ss_json_text(event->name));
        set(item, "place", ss_json_text(frame ? ss_frame_place(frame) : NULL));
        if (event->kind == SS_EVENT_LOOKUP) {
            set(item, "lookup_ns", number_or_null(event->lookup.ns, event->lookup.ns >= 0));
            if (with_values) {
                set(item, "host", ss_json_text(event->lookup.host));
                set(item, "addresses", json_integer(event->lookup.addresses));
            }
        }
        json_array_append_new(events, item);
    }
    set(object, "left_out", json_integer((json_int_t)violation->history.left_out));
    set(object, "events", events);
    return object;
}

/* What only some rules have. */
static void set_particulars(json_t *object, const struct ss_violation *violation)
{
    static const char *const uses[] = {[SS_USE_ENTER] = "enter",
                                       [SS_USE_RECORD] = "record",
                                       [SS_USE_PARENT] = "parent",
                                       [SS_USE_LOOKUP] = "lookup"};
    if (violation->parks.present) {
        set(object, "parks", json_integer(violation->parks.count));
        set(object, "parked_ns", json_integer(violation->parks.ns));
        set(object, "spans_under", json_integer((json_int_t)violation->parks.spans_under));
        set(object, "thread_changed", json_boolean(violation->parks.thread_changed));
    }
    if (violation->use)
        set(object, "use", json_string(uses[violation->use]));
    if (violation->made.present)
        set(object, "made", call_site_value(&violation->made));
    if (violation->above.present)
        set(object, "above", call_site_value(&violation->above));
}

/* The tests that it was seen in, each once; at a place of it, or (NULL) anywhere. */
static json_t *tests_value(const struct ss_violation *violation, const struct ss_other_place *place)
{
    json_t *names = json_object(), *tests = json_array();
    const char *name;
    json_t *value;
    for (const struct ss_sighting *seen = violation->seen_in; seen; seen = seen->next)
        if (seen->test && (!place || seen->place == place))
            set(names, seen->test, json_true());
    json_object_foreach(names, name, value)
    {
        json_array_append_new(tests, ss_json_text(name));
    }
    json_decref(names);
    return tests;
}

static json_t *other_places_value(const struct ss_violation *violation)
{
    json_t *list = json_array();
    for (const struct ss_other_place *at = violation->other_places; at; at = at->next) {
        struct ss_where where = ss_where(at->violation);
        const struct ss_frame *frame = where.frame;
        json_t *item = json_object();
        set(item, "file", ss_json_text(where.file));
        set(item, "line", number_or_null(where.line, where.line != 0));
        set(item, "place", ss_json_text(ss_place(where.file, where.line)));
        set(item, "function", ss_json_text(frame ? frame->function : NULL));
        set(item, "short",
            ss_json_text(frame ? ss_short_function(frame->function, frame->name) : NULL));
        set(item, "tests", tests_value(violation, at));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *violation_value(const struct ss_violation *violation, bool with_values)
{
    static const char *const severities[] = SS_SEVERITY_NAMES;
    json_t *object = json_object();
    set(object, "rule", ss_json_text(violation->rule_code));
    set(object, "severity", json_string(severities[violation->severity]));
    set(object, "fingerprint", ss_json_text(violation->fingerprint));
    set(object, "group", ss_json_text(violation->group));
    set(object, "times", json_integer((json_int_t)violation->times));
    set(object, "processes", json_integer((json_int_t)violation->processes));
    set(object, "tests", tests_value(violation, NULL));
    if (violation->other_places)
        set(object, "also_at", other_places_value(violation));
    set(object, "program", ss_json_text(violation->program));
    set(object, "pid", json_integer(violation->pid));
    set(object, "time_us", number_or_null(violation->time, violation->time >= 0));
    set(object, "span", span_value(&violation->span, with_values));
    if (violation->closing.present) {
        json_t *closing = json_object();
        set(closing, "id", ss_json_text(violation->closing.id));
        set(closing, "relation", ss_json_text(violation->closing.relation));
        set(object, "closing", closing);
    }
    for (int kind = 0; kind < SS_SITE_COUNT; kind++)
        if (violation->sites[kind].present)
            set(object, ss_site_names[kind], site_value(violation, &violation->sites[kind]));
    set_particulars(object, violation);
    if (violation->lookup.present)
        set(object, "lookup", lookup_value(&violation->lookup, with_values));
    json_t *instances = json_object();
    if (violation->owner.present)
        set(instances, "owner", instance_value(&violation->owner));
    if (violation->called.present)
        set(instances, "called", instance_value(&violation->called));
    set(object, "instances", instances);
    if (violation->history.count)
        set(object, "history", history_value(violation, with_values));
    set(object, "consequences", consequences_value(violation, with_values));
    set(object, "blame", blame_value(&violation->blame));
    return object;
}

static json_t *suppressions_value(const struct ss_report *report)
{
    json_t *list = json_array();
    for (const struct ss_suppressions *at = report->suppressions; at; at = at->next)
        json_array_append_new(list, json_pack("{s:o,s:I}", "line", ss_json_text(at->text), "count",
                                              (json_int_t)at->count));
    return list;
}

static json_t *seen_value(const struct ss_report *report)
{
    const struct ss_seen *seen = &report->seen;
    json_t *object = json_object(), *spans = json_object(), *levels = json_object();
    json_t *processes = json_array(), *modules = json_array(), *not_judged = json_object();
    for (const struct ss_process *process = report->processes; process; process = process->next) {
        json_t *item = json_object();
        set(item, "program", ss_json_text(process->program));
        set(item, "pid", json_integer(process->pid));
        set(item, "run", ss_json_text(process->run));
        set(item, "summary", json_boolean(process->summary));
        json_array_insert_new(processes, 0, item);
    }
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next) {
        if (!binary->subscribers && !binary->unhooked && !binary->problem)
            continue;
        json_t *item = json_object();
        set(item, "path", ss_json_text(binary->path));
        set(item, "build_id", ss_json_text(binary->build_id));
        set(item, "subscribers", json_integer((json_int_t)binary->subscribers));
        set(item, "unhooked", json_integer((json_int_t)binary->unhooked));
        set(item, "off", json_integer((json_int_t)binary->off));
        set(item, "called", json_boolean(binary->called));
        set(item, "evidence", ss_json_text(binary->evidence));
        set(item, "tracing_core", ss_json_text(binary->tracing_core));
        set(item, "tracing_subscriber", ss_json_text(binary->tracing_subscriber));
        set(item, "problem", ss_json_text(binary->problem));
        json_array_append_new(modules, item);
    }
    set(spans, "created", json_integer((json_int_t)seen->created));
    set(spans, "entered", json_integer((json_int_t)seen->entered));
    set(spans, "exited", json_integer((json_int_t)seen->exited));
    set(spans, "closed", json_integer((json_int_t)seen->closed));
    for (int level = 0; level < SS_LEVELS; level++) {
        const struct ss_level_counts *counts = &seen->call_sites[level];
        set(levels, ss_level_names[level],
            json_pack("{s:I,s:I,s:I}", "live", (json_int_t)counts->live, "filtered",
                      (json_int_t)counts->filtered, "unreached", (json_int_t)counts->unreached));
    }
    set(not_judged, "total", json_integer((json_int_t)seen->not_judged));
    json_t *reasons = json_object(), *instances = json_array();
    for (size_t i = 0; i < sizeof seen->reasons / sizeof seen->reasons[0]; i++)
        if (seen->reasons[i].reason)
            set(reasons, seen->reasons[i].reason, json_integer((json_int_t)seen->reasons[i].count));
    for (size_t i = 0; i < seen->not_judged_instance_count; i++)
        json_array_append_new(instances, instance_value(&seen->not_judged_instances[i]));
    json_t *rules_off = json_array(), *apart = json_array();
    for (int i = 0; i < SS_RULE_COUNT; i++)
        if (seen->rules_off[i])
            json_array_append_new(rules_off, json_string(ss_rule_rows[i].code));
    for (size_t i = 0; i < sizeof seen->apart / sizeof seen->apart[0] && seen->apart[i]; i++)
        json_array_append_new(apart, ss_json_text(seen->apart[i]));
    set(not_judged, "threads", json_integer((json_int_t)seen->not_judged_threads));
    set(not_judged, "by", reasons);
    set(not_judged, "instances", instances);
    set(object, "processes", processes);
    set(object, "modules", modules);
    set(object, "spans", spans);
    set(object, "threads", json_integer((json_int_t)seen->threads));
    set(object, "instances", json_integer((json_int_t)seen->instances));
    set(object, "lookups", json_integer((json_int_t)seen->lookups));
    set(object, "suppressed", json_integer((json_int_t)seen->suppressed));
    set(object, "suppressions", suppressions_value(report));
    set(object, "call_sites", levels);
    set(object, "not_judged", not_judged);
    set(object, "rules_off", rules_off);
    set(object, "apart", apart);
    set(object, "table_limit", json_integer((json_int_t)seen->table_limit));
    return object;
}

/* Why nothing was checked; null where something was. */
static json_t *nothing_value(const struct ss_report *report)
{
    const char *why = ss_report_nothing(report);
    if (!why)
        return json_null();
    json_t *object = json_object();
    set(object, "why", ss_json_text(why));
    set(object, "to_do", ss_json_text(report->nothing_advice));
    set(object, "known_defects", list_value(report->nothing_defects, report->nothing_defect_count));
    return object;
}

void ss_json_write(FILE *out, json_t *document)
{
    json_dumpf(document, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
    putc('\n', out);
    json_decref(document);
}

void ss_render_json(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    json_t *document = json_object(), *violations = json_array(), *suspicions = json_array();
    json_t *errors = json_array();
    set(document, "v", json_integer(SS_LOG_VERSION));
    set(document, "strayspan", json_string(SS_VERSION));
    for (const struct ss_violation *violation = report->violations; violation;
         violation = violation->next)
        json_array_append_new(violations, violation_value(violation, style->with_values));
    for (const struct ss_violation *suspicion = report->suspicions; suspicion;
         suspicion = suspicion->next)
        json_array_append_new(suspicions, violation_value(suspicion, style->with_values));
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next) {
        json_t *item = json_object();
        set(item, "file", ss_json_text(problem->file));
        set(item, "message", ss_json_text(problem->message));
        json_array_append_new(errors, item);
    }
    set(document, "violations", violations);
    set(document, "suspicions", suspicions);
    set(document, "seen", seen_value(report));
    set(document, "errors", errors);
    set(document, "nothing_checked", nothing_value(report));
    if (report->ran) {
        set(document, "status", json_integer(report->status));
        set(document, "program_status", json_integer(report->program_status));
    }
    ss_json_write(out, document);
}
