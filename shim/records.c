/* Renders all records but the summary. Nothing is read from the program's memory that was not copied
 * before. */
#include "records.h"

#include <linux/fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "hook.h"
#include "instances.h"
#include "json.h"
#include "lookups.h"
#include "options.h"
#include "prim.h"
#include "stacks.h"
#include "threads.h"

static const char *const level_names[SS_LEVEL_COUNT] = SS_LEVEL_NAMES;
static const char *const severity_names[] = SS_SEVERITY_NAMES;

const struct ss_moment_row ss_moment_rows[SS_MOMENTS] = {
    {offsetof(struct ss_violation, created), "created", "made on "},
    {offsetof(struct ss_violation, entered), "entered", "entered on "},
    {offsetof(struct ss_violation, parked), "parked", "parked on "},
    {offsetof(struct ss_violation, exited), "exited", "exited on "},
    {offsetof(struct ss_violation, closed), "closed", "closed on "},
    {offsetof(struct ss_violation, used), "used", "used on "},
};

static void key_build_id(struct ss_line *line, const struct ss_module *module)
{
    ss_key(line, "build_id");
    if (!module || !module->build_id_length) {
        ss_puts(line, "null");
        return;
    }
    ss_put(line, "\"", 1);
    for (uint32_t i = 0; i < module->build_id_length; i++)
        ss_put_hex(line, module->build_id[i], 2);
    ss_put(line, "\"", 1);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void put_frame(struct ss_line *line, const struct ss_stack_frame *frame)
{
    ss_put(line, "[", 1);
    ss_put_unsigned(line, frame->module);
    ss_put(line, ",", 1);
    ss_put_unsigned(line, frame->offset);
    ss_put(line, "]", 1);
}

static void put_frames(struct ss_line *line, const struct ss_stack_frame *frames, uint32_t count)
{
    ss_put(line, "[", 1);
    for (uint32_t i = 0; i < count; i++) {
        ss_puts(line, i ? "," : "");
        put_frame(line, &frames[i]);
    }
    ss_put(line, "]", 1);
}

/* The stack of an id, or the caller alone. */
static void key_stack(struct ss_line *line, uint32_t id, uintptr_t caller)
{
    const struct ss_stack *stack = ss_stack_at(id);
    ss_key(line, "stack");
    if (stack) {
        put_frames(line, stack->frames,
                   stack->count < line->frames_max ? stack->count : line->frames_max);
    } else if (caller) {
        struct ss_stack_frame frame = ss_stack_frame(caller);
        put_frames(line, &frame, 1);
    } else {
        ss_puts(line, "[]");
    }
}

static void key_thread(struct ss_line *line, const struct ss_thread_facts *thread)
{
    ss_open_object(line, "thread");
    ss_key_number(line, "serial", thread->serial);
    ss_key_known(line, "tid", (uint64_t)thread->tid);
    ss_key_name(line, "name", thread->name);
    ss_key_known(line, "created_by", thread->creator);
    ss_key_name(line, "span", thread->creator_span);
    key_stack(line, thread->creation_stack, 0);
    ss_close_object(line);
}

static void key_moment(struct ss_line *line, const char *name, const struct ss_moment *moment,
                       const struct ss_thread_facts *thread)
{
    ss_open_object(line, name);
    key_thread(line, thread);
    ss_key_time(line, "time", moment->time);
    key_stack(line, moment->stack, moment->caller);
    ss_key_bool(line, "typical", moment->stack & SS_STACK_TYPICAL);
    ss_close_object(line);
}

void ss_put_instance(struct ss_line *line, uint64_t serial, const struct ss_table *table)
{
    ss_put(line, "{", 1);
    ss_key_number(line, "serial", serial);
    ss_key_text(line, "type", table ? table->type : NULL);
    ss_key_known(line, "module", table ? table->module->id : 0);
    ss_key_known(line, "table", table ? table->address - table->module->bias : 0);
    ss_close_object(line);
}

/* Null for none, and for one that has ended. */
static void key_instance(struct ss_line *line, const char *name, const struct ss_instance *instance)
{
    uint64_t serial = instance ? atomic_load(&instance->serial) : 0;
    if (serial) {
        ss_key(line, name);
        ss_put_instance(line, serial, instance->table);
    } else {
        ss_key_text(line, name, NULL);
    }
}

/* The call site of a span. */
static void put_site(struct ss_line *line, const struct ss_site *site)
{
    ss_key_text(line, "name", site ? site->name : NULL);
    ss_key_text(line, "target", site ? site->target : NULL);
    ss_key_text(line, "file", site ? site->file : NULL);
    ss_key_known(line, "line", site ? site->line : 0);
}

static void key_made(struct ss_line *line, const struct ss_site *made)
{
    if (!made)
        return;
    ss_open_object(line, "made");
    put_site(line, made);
    ss_close_object(line);
}

/* Names and values are the first to go where a line is too long. */
static void key_fields(struct ss_line *line, const struct ss_site *site,
                       const struct ss_values *values)
{
    ss_open_object(line, "fields");
    if (values && !line->text_max)
        ss_put(line, values->text, values->used);
    for (uint32_t i = 0; !line->text_max && !values && site && i < site->field_count; i++)
        if (site->fields[i]) {
            if (line->data[line->used - 1] != '{')
                ss_put(line, ",", 1);
            ss_json_text(line, site->fields[i]);
            ss_puts(line, ":null");
        }
    ss_close_object(line);
}

/* The span that a record is about. */
struct subject {
    uint64_t serial, id; /* serial 0: none */
    const struct ss_site *site;
    const struct ss_instance *owner;
    const struct ss_values *values;
};

static void key_span(struct ss_line *line, const struct subject *span)
{
    if (!span->serial) {
        ss_key_text(line, "span", NULL);
        return;
    }
    ss_open_object(line, "span");
    ss_key_number(line, "serial", span->serial);
    ss_key_id(line, "id", span->id);
    ss_key_known(line, "instance", span->owner ? atomic_load(&span->owner->serial) : 0);
    put_site(line, span->site);
    ss_key_text(line, "level", span->site ? level_names[span->site->level] : NULL);
    ss_key_text(line, "provider",
                span->owner && span->owner->provider == SS_PROVIDER_ANNOTATION ? "annotation"
                                                                               : "rust-tracing");
    key_fields(line, span->site, span->values);
    ss_close_object(line);
}

static void put_lookup(struct ss_line *line, const struct ss_lookup *lookup)
{
    ss_key_text(line, "host", lookup->has_host ? lookup->host : NULL);
    ss_key_text(line, "service", lookup->has_service ? lookup->service : NULL);
    ss_key(line, "result");
    ss_put_signed(line, lookup->result);
    ss_key_text(line, "error", lookup->result ? ss_lookup_error(lookup->result) : NULL);
    ss_key_number(line, "ns", lookup->nanoseconds);
    ss_key_number(line, "addresses", lookup->addresses);
}

/* ---- records --------------------------------------------------------------------------------- */

static void key_option(struct ss_line *line, const struct ss_option *option)
{
    const void *cell = (const char *)&ss_options + option->offset;
    ss_key(line, option->name);
    switch (option->type) {
    case SS_OPTION_BOOL:
        ss_puts(line, *(const long *)cell ? "true" : "false");
        break;
    case SS_OPTION_INT:
        ss_put_signed(line, *(const long *)cell);
        break;
    case SS_OPTION_ENUM: {
        struct ss_text word = ss_option_word(option);
        ss_put_json(line, word.data, word.length);
        break;
    }
    case SS_OPTION_STRING:
    case SS_OPTION_LIST:
    case SS_OPTION_RULES:
        ss_json_text(line, *(const char *const *)cell);
        break;
    }
}

/* The program's command line, as the kernel shows it: each argument with its end. Returns its
 * length; 0 where it cannot be read. */
static size_t read_arguments(char *buffer, size_t size)
{
    size_t length = 0;
    long got = 0, fd = ss_sys_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    while (length < size && (got = ss_sys_read((int)fd, buffer + length, size - length)) > 0)
        length += (size_t)got;
    (void)ss_sys_close((int)fd);
    return length;
}

/* The arguments; those that are too many or too long are one ellipsis at the end. */
static void key_arguments(struct ss_line *line)
{
    enum { SIZE = 16384, COUNT_MAX = 64, REST = 16 }; /* what the record still needs */
    static char arguments[SIZE];                      /* under the log's lock */
    size_t length = read_arguments(arguments, sizeof arguments);
    if (length == 0 || line->full || line->size - line->used < REST + sizeof "\"argv\":[]")
        return;
    ss_key(line, "argv");
    ss_put(line, "[", 1);
    line->size -= REST;
    unsigned count = 0;
    size_t at = 0;
    while (at < length && count < COUNT_MAX) {
        const char *end = memchr(arguments + at, 0, length - at);
        size_t before = line->used;
        /* A title that the program set may have no end; what was cut has none either. */
        if (!end && length == SIZE)
            break;
        ss_puts(line, count++ ? "," : "");
        ss_put_json(line, arguments + at, end ? (size_t)(end - arguments) - at : length - at);
        if (line->full) {
            line->used = before;
            line->full = false;
            break;
        }
        at = end ? (size_t)(end - arguments) + 1 : length;
    }
    line->size += REST;
    if (at < length)
        ss_puts(line, count ? ",\"\u2026\"" : "\"\u2026\"");
    ss_put(line, "]", 1);
}

void ss_record_process(struct ss_line *line, const struct ss_record_head *head,
                       const struct ss_process_facts *process)
{
    ss_open_record(line, head, SS_LOG_PROCESS, ss_sys_clock(0));
    ss_key_text(line, "exe", process->exe);
    ss_key_text(line, "host", process->host);
    ss_key_number(line, "ppid", (uint64_t)process->parent);
    key_build_id(line, process->module);
    ss_key_text(line, "strayspan", SS_VERSION);
    ss_key_time(line, "start", process->start);
    ss_key_number(line, "pid_start", process->pid_start);
    ss_open_object(line, "options");
    for (unsigned i = 0; i < ss_option_count; i++)
        key_option(line, &ss_option_rows[i]);
    ss_close_object(line);
    if (ss_options.fields == SS_FIELDS_VALUES)
        key_arguments(line);
    ss_close_record(line);
}

void ss_record_module(struct ss_line *line, const struct ss_record_head *head,
                      const struct ss_module *module)
{
    ss_open_record(line, head, SS_LOG_MODULE, ss_sys_clock(0));
    ss_key_number(line, "id", module->id);
    ss_key_text(line, "path", module->path);
    key_build_id(line, module);
    ss_key_number(line, "load_address", module->bias);
    ss_key_number(line, "subscribers", module->tables_hooked);
    ss_key_number(line, "unhooked", module->tables_unhooked);
    if (atomic_load(&module->tables_off))
        ss_key_number(line, "off", atomic_load(&module->tables_off));
    ss_key_text(line, "evidence", module->evidence);
    if (module->tables_disputed)
        ss_key_number(line, "disputed", module->tables_disputed);
    if (module->tables_doubtful)
        ss_key_number(line, "doubtful", module->tables_doubtful);
    ss_key_number(line, "call_sites", module->call_sites);
    ss_key_name(line, "tracing_core", module->tracing_core);
    ss_key_name(line, "tracing_subscriber", module->tracing_subscriber);
    ss_close_record(line);
}

void ss_violation_facts(const struct ss_violation *violation, struct ss_violation_facts *out)
{
    out->violation = violation;
    out->story = NULL;
    for (unsigned i = 0; i < SS_MOMENTS; i++) {
        out->moments[i] =
            (const struct ss_moment *)((const char *)violation + ss_moment_rows[i].offset);
        uint32_t thread = out->moments[i]->thread;
        unsigned same = 0;
        while (out->moments[same]->thread != thread)
            same++;
        if (same < i)
            out->threads[i] = out->threads[same];
        else
            (void)ss_thread_facts(thread, &out->threads[i]);
    }
}

void ss_violation_story(struct ss_violation_facts *facts)
{
    uint32_t threads[SS_MOMENTS], count = 0;
    for (unsigned i = 0; i < SS_MOMENTS; i++)
        if (facts->moments[i]->thread)
            threads[count++] = facts->moments[i]->thread;
    facts->story =
        ss_history_story(facts->violation->span_serial, facts->violation->time, threads, count);
}

static void put_row(struct ss_line *line, const struct ss_history_row *row)
{
    static const char *const events[SS_HISTORY_EVENT_COUNT] = {
#define X(name, text) text,
        SS_HISTORY_EVENTS(X)
#undef X
    };
    ss_put(line, "{", 1);
    ss_key(line, "ns");
    ss_put_signed(line, row->nanoseconds);
    ss_key_number(line, "thread", row->thread);
    ss_key_text(line, "event", events[row->event]);
    ss_key_known(line, "span", row->span_serial);
    ss_key_text(line, "name", row->site ? row->site->name : NULL);
    ss_key(line, "site");
    if (row->caller) {
        struct ss_stack_frame frame = ss_stack_frame(row->caller);
        put_frame(line, &frame);
    } else {
        ss_puts(line, "null");
    }
    if (row->lookup) {
        ss_key_text(line, "host", row->lookup->has_host ? row->lookup->host : NULL);
        ss_key_number(line, "addresses", row->lookup->addresses);
        ss_key_number(line, "lookup_ns", row->lookup->nanoseconds);
    }
    ss_close_object(line);
}

static void key_story(struct ss_line *line, const struct ss_story *story)
{
    bool chosen[SS_STORY_MAX];
    uint32_t count = story->count < line->list_max ? story->count : line->list_max;
    ss_history_choose(story, count, chosen);
    ss_open_object(line, "history");
    ss_key_number(line, "left_out", story->left_out + (story->count - count));
    ss_key(line, "events");
    ss_put(line, "[", 1);
    const char *separator = "";
    for (uint32_t i = 0; i < story->count; i++)
        if (chosen[i]) {
            ss_puts(line, separator);
            put_row(line, &story->rows[i]);
            separator = ",";
        }
    ss_put(line, "]", 1);
    ss_close_object(line);
}

/* What the rules about guards that stay, and about uses, tell besides. */
static void put_circumstances(struct ss_line *line, const struct ss_violation *violation)
{
    static const char *const uses[] = {
        [SS_USE_ENTER] = "enter",
        [SS_USE_RECORD] = "record",
        [SS_USE_PARENT] = "parent",
        [SS_USE_LOOKUP] = "lookup",
    };
    if (violation->has_parks) {
        ss_key_number(line, "parks", violation->parks);
        ss_key_number(line, "parked_ns", violation->parked_ns);
        ss_key_number(line, "spans_under", violation->spans_under);
        ss_key_bool(line, "thread_changed", violation->thread_changed);
    }
    if (violation->use != SS_USE_NONE)
        ss_key_text(line, "use", uses[violation->use]);
    key_made(line, violation->made);
    if (violation->above || violation->above_serial) {
        ss_open_object(line, "above");
        ss_key_number(line, "serial", violation->above_serial);
        put_site(line, violation->above);
        ss_close_object(line);
    }
}

void ss_record_violation(struct ss_line *line, const struct ss_record_head *head,
                         const struct ss_violation_facts *facts)
{
    const struct ss_violation *violation = facts->violation;
    ss_open_record(line, head, violation->suspicion ? SS_LOG_SUSPICION : SS_LOG_VIOLATION,
                   violation->time);
    ss_key_text(line, "rule", ss_rule_rows[violation->rule].code);
    ss_key_text(line, "severity", severity_names[violation->severity]);
    ss_key_hex(line, "fingerprint", violation->fingerprint);
    ss_key_hex(line, "group", violation->group);
    ss_key_number(line, "count", violation->count);
    key_span(line, &(struct subject){violation->span_serial, violation->span_id, violation->site,
                                     violation->owner, violation->values});
    if (violation->closing_id) {
        ss_open_object(line, "closing");
        ss_key_id(line, "id", violation->closing_id);
        ss_key_text(line, "relation", violation->closing_parent ? "parent" : "span");
        ss_close_object(line);
    }
    for (unsigned i = 0; i < SS_MOMENTS; i++)
        if (facts->moments[i]->thread)
            key_moment(line, ss_moment_rows[i].name, facts->moments[i], &facts->threads[i]);
    put_circumstances(line, violation);
    if (violation->lookup) {
        ss_open_object(line, "lookup");
        put_lookup(line, violation->lookup);
        ss_close_object(line);
    }
    ss_open_object(line, "instances");
    key_instance(line, "owner", violation->owner);
    if (violation->has_called)
        key_instance(line, "called", violation->called);
    ss_close_object(line);
    if (facts->story && line->list_max)
        key_story(line, facts->story);
    ss_close_record(line);
}

const char *const ss_consequence_names[SS_CONSEQUENCE_COUNT] = {
#define X(name, code) code,
    SS_CONSEQUENCES(X)
#undef X
};

void ss_record_consequence(struct ss_line *line, const struct ss_record_head *head,
                           const struct ss_consequence_facts *facts)
{
    const struct ss_consequence *consequence = facts->consequence;
    ss_open_record(line, head, SS_LOG_CONSEQUENCE,
                   consequence->at.time ? consequence->at.time : ss_sys_clock(0));
    ss_key_hex(line, "of", consequence->of);
    ss_key_hex(line, "group", consequence->group);
    ss_key_text(line, "what", ss_consequence_names[consequence->kind]);
    ss_key_number(line, "count", consequence->count);
    key_span(line, &(struct subject){consequence->span_serial, consequence->span_id,
                                     consequence->site, consequence->owner, NULL});
    key_moment(line, "at", &consequence->at, &facts->thread);
    key_made(line, consequence->made);
    ss_close_record(line);
}

void ss_record_lookup(struct ss_line *line, const struct ss_record_head *head,
                      const struct ss_lookup_facts *facts)
{
    ss_open_record(line, head, SS_LOG_LOOKUP, ss_sys_clock(0));
    put_lookup(line, facts->lookup);
    key_thread(line, &facts->thread);
    if (facts->lookup->span_serial) {
        ss_open_object(line, "span");
        ss_key_number(line, "serial", facts->lookup->span_serial);
        ss_key_text(line, "name", facts->span);
        ss_close_object(line);
    } else {
        ss_key_text(line, "span", NULL);
    }
    ss_close_record(line);
}

void ss_record_lost(struct ss_line *line, const struct ss_record_head *head, const char *why)
{
    ss_open_record(line, head, SS_LOG_LOST, ss_sys_clock(0));
    ss_key_text(line, "why", why);
    ss_close_record(line);
}
