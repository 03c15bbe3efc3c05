/* Takes the records of a log apart: JSON to the report's model. Nothing that a log says is trusted:
 * every value is checked for its type, every list is bounded. Called by log_records.c. */
#include "log_read.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

enum { FIELDS_MAX = 256 };

/* ---- values of a record ---- */

const char *ss_text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) && json_string_length(value)
               ? ss_text_copy(json_string_value(value), json_string_length(value))
               : NULL;
}

int64_t ss_integer_of(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

uint64_t ss_count_of(const json_t *object, const char *key)
{
    int64_t value = ss_integer_of(object, key, 0);
    return value > 0 ? (uint64_t)value : 0;
}

int64_t ss_time_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return -1;
    struct tm parts = {0};
    const char *rest = strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest)
        return -1;
    int64_t micros = 0;
    if (*rest == '.') {
        rest++;
        for (int i = 0; i < 6; i++)
            micros = micros * 10 + (*rest >= '0' && *rest <= '9' ? *rest++ - '0' : 0);
    }
    return (int64_t)timegm(&parts) * 1000000 + micros;
}

/* ---- the parts of a violation ---- */

static struct ss_binary *binary_of(const struct ss_run *run, int64_t id)
{
    return id > 0 && (uint64_t)id < run->binary_count ? run->binaries[id] : NULL;
}

static struct ss_stack stack_of(const struct ss_run *run, const json_t *object)
{
    struct ss_stack stack = {0, NULL};
    const json_t *list = json_object_get(object, "stack");
    size_t size = json_array_size(list);
    if (size == 0)
        return stack;
    if (size > SS_FRAMES_MAX)
        size = SS_FRAMES_MAX;
    stack.addresses = ss_keep(size * sizeof *stack.addresses);
    for (size_t i = 0; i < size; i++) {
        const json_t *pair = json_array_get(list, i);
        const json_t *module = json_array_get(pair, 0), *offset = json_array_get(pair, 1);
        if (json_is_integer(module) && json_is_integer(offset))
            stack.addresses[stack.count++] = (struct ss_address){
                binary_of(run, json_integer_value(module)), (uint64_t)json_integer_value(offset)};
    }
    return stack;
}

static struct ss_site site_of(const struct ss_run *run, const json_t *record, const char *key)
{
    struct ss_site site = {0};
    const json_t *object = json_object_get(record, key);
    site.time = -1;
    if (!json_is_object(object))
        return site;
    const json_t *thread = json_object_get(object, "thread");
    site.present = true;
    site.thread = (struct ss_thread){.serial = ss_integer_of(thread, "serial", 0),
                                     .tid = ss_integer_of(thread, "tid", 0),
                                     .created_by = ss_integer_of(thread, "created_by", 0),
                                     .name = ss_text_of(thread, "name"),
                                     .span = ss_text_of(thread, "span"),
                                     .stack = stack_of(run, thread)};
    site.time = ss_time_of(object, "time");
    site.stack = stack_of(run, object);
    site.typical = json_is_true(json_object_get(object, "typical"));
    return site;
}

struct ss_instance ss_instance_of(const struct ss_run *run, const json_t *object)
{
    return (struct ss_instance){.present = json_is_object(object) || json_is_null(object),
                                .no_op = json_is_null(object),
                                .serial = ss_integer_of(object, "serial", 0),
                                .type = ss_text_of(object, "type"),
                                .binary = binary_of(run, ss_integer_of(object, "module", 0))};
}

int ss_row_of(const char *const *names, int count, const char *text)
{
    for (int i = 0; text && i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static int word_of(const json_t *object, const char *key, const char *const *names, int count)
{
    return ss_row_of(names, count, json_string_value(json_object_get(object, key)));
}

enum ss_severity ss_severity_of(const json_t *record)
{
    static const char *const names[] = SS_SEVERITY_NAMES;
    int row = word_of(record, "severity", names, SS_SEVERITY_COUNT);
    return row < 0 ? SS_SEVERITY_WARNING : (enum ss_severity)row;
}

static struct ss_span span_of(const json_t *record)
{
    const json_t *span = json_object_get(record, "span");
    json_t *fields = json_object_get(span, "fields");
    bool kept = json_is_object(fields) && json_object_size(fields) <= FIELDS_MAX;
    return (struct ss_span){.present = json_is_object(span),
                            .id = ss_text_of(span, "id"),
                            .name = ss_text_of(span, "name"),
                            .target = ss_text_of(span, "target"),
                            .level = ss_text_of(span, "level"),
                            .file = ss_text_of(span, "file"),
                            .provider = ss_text_of(span, "provider"),
                            .line = ss_integer_of(span, "line", 0),
                            .serial = ss_integer_of(span, "serial", 0),
                            .instance = ss_integer_of(span, "instance", 0),
                            .fields = kept ? json_deep_copy(fields) : NULL};
}

static struct ss_call_site call_site_of(const json_t *record, const char *key)
{
    const json_t *object = json_object_get(record, key);
    return (struct ss_call_site){.present = json_is_object(object),
                                 .name = ss_text_of(object, "name"),
                                 .target = ss_text_of(object, "target"),
                                 .file = ss_text_of(object, "file"),
                                 .line = ss_integer_of(object, "line", 0)};
}

static struct ss_lookup lookup_of(const json_t *object, const char *ns)
{
    return (struct ss_lookup){.present = json_is_object(object),
                              .host = ss_text_of(object, "host"),
                              .service = ss_text_of(object, "service"),
                              .error = ss_text_of(object, "error"),
                              .result = ss_integer_of(object, "result", 0),
                              .ns = ss_integer_of(object, ns, -1),
                              .addresses = ss_integer_of(object, "addresses", 0)};
}

static struct ss_event event_of(const struct ss_run *run, const json_t *object, int kind)
{
    const json_t *pair = json_object_get(object, "site");
    const json_t *module = json_array_get(pair, 0), *offset = json_array_get(pair, 1);
    struct ss_event event = {.kind = (enum ss_event_kind)kind,
                             .ns = ss_integer_of(object, "ns", 0),
                             .thread = ss_integer_of(object, "thread", 0),
                             .span = ss_integer_of(object, "span", 0),
                             .name = ss_text_of(object, "name")};
    if (event.ns > 0)
        event.ns = 0;
    if (json_is_integer(module) && json_is_integer(offset))
        event.site = (struct ss_address){binary_of(run, json_integer_value(module)),
                                         (uint64_t)json_integer_value(offset)};
    if (kind == SS_EVENT_LOOKUP)
        event.lookup = lookup_of(object, "lookup_ns");
    return event;
}

static int compare_events(const void *a, const void *b)
{
    int64_t x = ((const struct ss_event *)a)->ns, y = ((const struct ss_event *)b)->ns;
    return x < y ? -1 : x > y;
}

static struct ss_history history_of(const struct ss_run *run, const json_t *record)
{
    struct ss_history history = {NULL, 0, 0};
    const json_t *object = json_object_get(record, "history");
    const json_t *list = json_object_get(object, "events");
    size_t size = json_array_size(list);
    bool sorted = true;
    if (size == 0)
        return history;
    history.left_out = ss_count_of(object, "left_out");
    if (size > SS_EVENTS_MAX) {
        history.left_out += size - SS_EVENTS_MAX;
        size = SS_EVENTS_MAX;
    }
    history.events = ss_keep(size * sizeof *history.events);
    for (size_t i = 0; i < size; i++) {
        const json_t *item = json_array_get(list, i);
        int kind = word_of(item, "event", ss_event_names, SS_EVENT_COUNT);
        if (kind < 0)
            continue;
        struct ss_event *event = &history.events[history.count++];
        *event = event_of(run, item, kind);
        sorted &= event == history.events || event[-1].ns <= event->ns;
    }
    /* Events of one moment stay in their order: only what is not sorted is. */
    if (!sorted)
        qsort(history.events, history.count, sizeof *history.events, compare_events);
    return history;
}

void ss_fill_violation(struct ss_violation *violation, const struct ss_run *run,
                       const json_t *record)
{
    static const char *const uses[] = {[SS_USE_ENTER] = "enter",
                                       [SS_USE_RECORD] = "record",
                                       [SS_USE_PARENT] = "parent",
                                       [SS_USE_LOOKUP] = "lookup"};
    violation->rule_code = ss_text_of(record, "rule");
    if (!violation->rule_code)
        violation->rule_code = "?";
    violation->rule = ss_rule_of(violation->rule_code);
    violation->severity = ss_severity_of(record);
    violation->fingerprint = ss_text_of(record, "fingerprint");
    violation->group = ss_text_of(record, "group");
    violation->program = run->process->program;
    violation->pid = ss_integer_of(record, "pid", 0);
    violation->time = ss_time_of(record, "time");
    violation->span = span_of(record);

    const json_t *closing = json_object_get(record, "closing");
    violation->closing.present = json_is_object(closing);
    violation->closing.id = ss_text_of(closing, "id");
    violation->closing.relation = ss_text_of(closing, "relation");

    for (int i = 0; i < SS_SITE_COUNT; i++)
        violation->sites[i] = site_of(run, record, ss_site_names[i]);
    int use = word_of(record, "use", uses + 1, sizeof uses / sizeof uses[0] - 1);
    violation->use = (enum ss_use)(use + 1);
    violation->made = call_site_of(record, "made");
    violation->above = call_site_of(record, "above");

    violation->parks.present = json_is_integer(json_object_get(record, "parks"));
    violation->parks.count = ss_integer_of(record, "parks", 0);
    violation->parks.ns = ss_integer_of(record, "parked_ns", 0);
    violation->parks.spans_under = ss_count_of(record, "spans_under");
    violation->parks.thread_changed = json_is_true(json_object_get(record, "thread_changed"));

    violation->lookup = lookup_of(json_object_get(record, "lookup"), "ns");
    const json_t *instances = json_object_get(record, "instances");
    violation->owner = ss_instance_of(run, json_object_get(instances, "owner"));
    violation->called = ss_instance_of(run, json_object_get(instances, "called"));
    violation->history = history_of(run, record);
}

void ss_fill_consequence(struct ss_consequence *consequence, const struct ss_run *run,
                         const json_t *record)
{
    consequence->span = span_of(record);
    consequence->at = site_of(run, record, "at");
    consequence->made = call_site_of(record, "made");
}
