/* Renders records. Everything that comes from the program (names, paths, hosts) is escaped and made
 * valid UTF-8 here; nothing is read from the program's memory that was not copied before. */
#include "records.h"

#include <linux/fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "hook.h"
#include "instances.h"
#include "lookups.h"
#include "namespaces.h"
#include "options.h"
#include "suppressions.h"
#include "prim.h"
#include "stacks.h"
#include "threads.h"

static const char *const level_names[SS_LEVEL_COUNT] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};
static const char *const severity_names[] = SS_SEVERITY_NAMES;

/* The moments of a violation, in the order in which records and people are told of them. */
static const struct {
    size_t offset;
    const char *name, *verb;
} moment_rows[SS_MOMENTS] = {
    {offsetof(struct ss_violation, created), "created", "made on "},
    {offsetof(struct ss_violation, entered), "entered", "entered on "},
    {offsetof(struct ss_violation, parked), "parked", "parked on "},
    {offsetof(struct ss_violation, exited), "exited", "exited on "},
    {offsetof(struct ss_violation, closed), "closed", "closed on "},
    {offsetof(struct ss_violation, used), "used", "used on "},
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_text(struct ss_line *line, const char *text)
{
    if (text)
        ss_put_json(line, text, strlen(text));
    else
        ss_puts(line, "null");
}

/* `,"key":`; the comma is left out after a brace. */
static void key(struct ss_line *line, const char *name)
{
    if (line->used && line->data[line->used - 1] != '{')
        ss_put(line, ",", 1);
    ss_put(line, "\"", 1);
    ss_puts(line, name);
    ss_put(line, "\":", 2);
}

static void key_text(struct ss_line *line, const char *name, const char *text)
{
    key(line, name);
    put_text(line, text);
}

/* A name that may be empty where it is unknown. */
static void key_name(struct ss_line *line, const char *name, const char *text)
{
    key_text(line, name, *text ? text : NULL);
}

static void key_number(struct ss_line *line, const char *name, uint64_t value)
{
    key(line, name);
    ss_put_unsigned(line, value);
}

static void key_bool(struct ss_line *line, const char *name, bool value)
{
    key(line, name);
    ss_puts(line, value ? "true" : "false");
}

/* A number that is null where it is 0. */
static void key_known(struct ss_line *line, const char *name, uint64_t value)
{
    if (value)
        key_number(line, name, value);
    else
        key_text(line, name, NULL);
}

static void key_time(struct ss_line *line, const char *name, uint64_t time)
{
    key(line, name);
    if (!time) {
        ss_puts(line, "null");
        return;
    }
    ss_put(line, "\"", 1);
    ss_put_time(line, time);
    ss_put(line, "\"", 1);
}

static void key_hex(struct ss_line *line, const char *name, uint64_t value)
{
    key(line, name);
    ss_put(line, "\"", 1);
    ss_put_hex(line, value, 16);
    ss_put(line, "\"", 1);
}

/* An id as text: it may have all 64 bits. */
static void key_id(struct ss_line *line, const char *name, uint64_t id)
{
    key(line, name);
    ss_put(line, "\"", 1);
    ss_put_unsigned(line, id);
    ss_put(line, "\"", 1);
}

static void key_build_id(struct ss_line *line, const struct ss_module *module)
{
    key(line, "build_id");
    if (!module || !module->build_id_length) {
        ss_puts(line, "null");
        return;
    }
    ss_put(line, "\"", 1);
    for (uint32_t i = 0; i < module->build_id_length; i++)
        ss_put_hex(line, module->build_id[i], 2);
    ss_put(line, "\"", 1);
}

static void open_object(struct ss_line *line, const char *name)
{
    key(line, name);
    ss_put(line, "{", 1);
}

static void close_object(struct ss_line *line)
{
    ss_put(line, "}", 1);
}

static void open_record(struct ss_line *line, const struct ss_record_head *head, const char *type,
                        uint64_t time)
{
    ss_put(line, "{", 1);
    key_number(line, "v", SS_LOG_VERSION);
    key_text(line, "type", type);
    key_time(line, "time", time);
    key_number(line, "pid", (uint64_t)head->pid);
    key_hex(line, "run", head->run);
}

static void close_record(struct ss_line *line)
{
    ss_put(line, "}\n", 2);
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
    key(line, "stack");
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
    open_object(line, "thread");
    key_number(line, "serial", thread->serial);
    key_known(line, "tid", (uint64_t)thread->tid);
    key_name(line, "name", thread->name);
    key_known(line, "created_by", thread->creator);
    key_name(line, "span", thread->creator_span);
    key_stack(line, thread->creation_stack, 0);
    close_object(line);
}

static void key_moment(struct ss_line *line, const char *name, const struct ss_moment *moment,
                       const struct ss_thread_facts *thread)
{
    open_object(line, name);
    key_thread(line, thread);
    key_time(line, "time", moment->time);
    key_stack(line, moment->stack, moment->caller);
    key_bool(line, "typical", moment->stack & SS_STACK_TYPICAL);
    close_object(line);
}

static void put_instance(struct ss_line *line, uint64_t serial, const struct ss_table *table)
{
    ss_put(line, "{", 1);
    key_number(line, "serial", serial);
    key_text(line, "type", table ? table->type : NULL);
    key_known(line, "module", table ? table->module->id : 0);
    key_known(line, "table", table ? table->address - table->module->bias : 0);
    close_object(line);
}

/* Null for none, and for one that has ended. */
static void key_instance(struct ss_line *line, const char *name, const struct ss_instance *instance)
{
    uint64_t serial = instance ? atomic_load(&instance->serial) : 0;
    if (serial) {
        key(line, name);
        put_instance(line, serial, instance->table);
    } else {
        key_text(line, name, NULL);
    }
}

/* The call site of a span. */
static void put_site(struct ss_line *line, const struct ss_site *site)
{
    key_text(line, "name", site ? site->name : NULL);
    key_text(line, "target", site ? site->target : NULL);
    key_text(line, "file", site ? site->file : NULL);
    key_known(line, "line", site ? site->line : 0);
}

static void key_made(struct ss_line *line, const struct ss_site *made)
{
    if (!made)
        return;
    open_object(line, "made");
    put_site(line, made);
    close_object(line);
}

/* Names and values are the first to go where a line is too long. */
static void key_fields(struct ss_line *line, const struct ss_site *site,
                       const struct ss_values *values)
{
    open_object(line, "fields");
    if (values && !line->text_max)
        ss_put(line, values->text, values->used);
    for (uint32_t i = 0; !line->text_max && !values && site && i < site->field_count; i++)
        if (site->fields[i]) {
            if (line->data[line->used - 1] != '{')
                ss_put(line, ",", 1);
            put_text(line, site->fields[i]);
            ss_puts(line, ":null");
        }
    close_object(line);
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
        key_text(line, "span", NULL);
        return;
    }
    open_object(line, "span");
    key_number(line, "serial", span->serial);
    key_id(line, "id", span->id);
    key_known(line, "instance", span->owner ? atomic_load(&span->owner->serial) : 0);
    put_site(line, span->site);
    key_text(line, "level", span->site ? level_names[span->site->level] : NULL);
    key_text(line, "provider",
             span->owner && span->owner->provider == SS_PROVIDER_ANNOTATION ? "annotation"
                                                                            : "rust-tracing");
    key_fields(line, span->site, span->values);
    close_object(line);
}

static void put_lookup(struct ss_line *line, const struct ss_lookup *lookup)
{
    key_text(line, "host", lookup->has_host ? lookup->host : NULL);
    key_text(line, "service", lookup->has_service ? lookup->service : NULL);
    key(line, "result");
    ss_put_signed(line, lookup->result);
    key_text(line, "error", lookup->result ? ss_lookup_error(lookup->result) : NULL);
    key_number(line, "ns", lookup->nanoseconds);
    key_number(line, "addresses", lookup->addresses);
}

/* ---- records --------------------------------------------------------------------------------- */

static void key_option(struct ss_line *line, const struct ss_option *option)
{
    const void *cell = (const char *)&ss_options + option->offset;
    key(line, option->name);
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
    case SS_OPTION_RULES:
        put_text(line, *(const char *const *)cell);
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
    key(line, "argv");
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
    open_record(line, head, SS_LOG_PROCESS, ss_sys_clock(0));
    key_text(line, "exe", process->exe);
    key_text(line, "host", process->host);
    key_number(line, "ppid", (uint64_t)process->parent);
    key_build_id(line, process->module);
    key_text(line, "strayspan", SS_VERSION);
    key_time(line, "start", process->start);
    open_object(line, "options");
    for (unsigned i = 0; i < ss_option_count; i++)
        key_option(line, &ss_option_rows[i]);
    close_object(line);
    if (ss_options.fields == SS_FIELDS_VALUES)
        key_arguments(line);
    close_record(line);
}

void ss_record_module(struct ss_line *line, const struct ss_record_head *head,
                      const struct ss_module *module)
{
    open_record(line, head, SS_LOG_MODULE, ss_sys_clock(0));
    key_number(line, "id", module->id);
    key_text(line, "path", module->path);
    key_build_id(line, module);
    key_number(line, "load_address", module->bias);
    key_number(line, "subscribers", module->tables_hooked);
    key_number(line, "unhooked", module->tables_unhooked);
    if (atomic_load(&module->tables_off))
        key_number(line, "off", atomic_load(&module->tables_off));
    key_text(line, "evidence", module->evidence);
    if (module->tables_disputed)
        key_number(line, "disputed", module->tables_disputed);
    key_number(line, "call_sites", module->call_sites);
    key_name(line, "tracing_core", module->tracing_core);
    key_name(line, "tracing_subscriber", module->tracing_subscriber);
    close_record(line);
}

void ss_violation_facts(const struct ss_violation *violation, struct ss_violation_facts *out)
{
    out->violation = violation;
    out->story = NULL;
    for (unsigned i = 0; i < SS_MOMENTS; i++) {
        out->moments[i] =
            (const struct ss_moment *)((const char *)violation + moment_rows[i].offset);
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
    key(line, "ns");
    ss_put_signed(line, row->nanoseconds);
    key_number(line, "thread", row->thread);
    key_text(line, "event", events[row->event]);
    key_known(line, "span", row->span_serial);
    key_text(line, "name", row->site ? row->site->name : NULL);
    key(line, "site");
    if (row->caller) {
        struct ss_stack_frame frame = ss_stack_frame(row->caller);
        put_frame(line, &frame);
    } else {
        ss_puts(line, "null");
    }
    if (row->lookup) {
        key_text(line, "host", row->lookup->has_host ? row->lookup->host : NULL);
        key_number(line, "addresses", row->lookup->addresses);
        key_number(line, "lookup_ns", row->lookup->nanoseconds);
    }
    close_object(line);
}

static void key_story(struct ss_line *line, const struct ss_story *story)
{
    bool chosen[SS_STORY_MAX];
    uint32_t count = story->count < line->list_max ? story->count : line->list_max;
    ss_history_choose(story, count, chosen);
    open_object(line, "history");
    key_number(line, "left_out", story->left_out + (story->count - count));
    key(line, "events");
    ss_put(line, "[", 1);
    const char *separator = "";
    for (uint32_t i = 0; i < story->count; i++)
        if (chosen[i]) {
            ss_puts(line, separator);
            put_row(line, &story->rows[i]);
            separator = ",";
        }
    ss_put(line, "]", 1);
    close_object(line);
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
        key_number(line, "parks", violation->parks);
        key_number(line, "parked_ns", violation->parked_ns);
        key_number(line, "spans_under", violation->spans_under);
        key_bool(line, "thread_changed", violation->thread_changed);
    }
    if (violation->use != SS_USE_NONE)
        key_text(line, "use", uses[violation->use]);
    key_made(line, violation->made);
    if (violation->above || violation->above_serial) {
        open_object(line, "above");
        key_number(line, "serial", violation->above_serial);
        put_site(line, violation->above);
        close_object(line);
    }
}

void ss_record_violation(struct ss_line *line, const struct ss_record_head *head,
                         const struct ss_violation_facts *facts)
{
    const struct ss_violation *violation = facts->violation;
    open_record(line, head, violation->suspicion ? SS_LOG_SUSPICION : SS_LOG_VIOLATION,
                violation->time);
    key_text(line, "rule", ss_rule_rows[violation->rule].code);
    key_text(line, "severity", severity_names[violation->severity]);
    key_hex(line, "fingerprint", violation->fingerprint);
    key_hex(line, "group", violation->group);
    key_number(line, "count", violation->count);
    key_span(line, &(struct subject){violation->span_serial, violation->span_id, violation->site,
                                     violation->owner, violation->values});
    if (violation->closing_id) {
        open_object(line, "closing");
        key_id(line, "id", violation->closing_id);
        key_text(line, "relation", violation->closing_parent ? "parent" : "span");
        close_object(line);
    }
    for (unsigned i = 0; i < SS_MOMENTS; i++)
        if (facts->moments[i]->thread)
            key_moment(line, moment_rows[i].name, facts->moments[i], &facts->threads[i]);
    put_circumstances(line, violation);
    if (violation->lookup) {
        open_object(line, "lookup");
        put_lookup(line, violation->lookup);
        close_object(line);
    }
    open_object(line, "instances");
    key_instance(line, "owner", violation->owner);
    if (violation->has_called)
        key_instance(line, "called", violation->called);
    close_object(line);
    if (facts->story && line->list_max)
        key_story(line, facts->story);
    close_record(line);
}

static const char *const consequence_names[SS_CONSEQUENCE_COUNT] = {
#define X(name, code) code,
    SS_CONSEQUENCES(X)
#undef X
};

void ss_record_consequence(struct ss_line *line, const struct ss_record_head *head,
                           const struct ss_consequence_facts *facts)
{
    const struct ss_consequence *consequence = facts->consequence;
    open_record(line, head, SS_LOG_CONSEQUENCE,
                consequence->at.time ? consequence->at.time : ss_sys_clock(0));
    key_hex(line, "of", consequence->of);
    key_hex(line, "group", consequence->group);
    key_text(line, "what", consequence_names[consequence->kind]);
    key_number(line, "count", consequence->count);
    key_span(line, &(struct subject){consequence->span_serial, consequence->span_id,
                                     consequence->site, consequence->owner, NULL});
    key_moment(line, "at", &consequence->at, &facts->thread);
    key_made(line, consequence->made);
    close_record(line);
}

void ss_record_lookup(struct ss_line *line, const struct ss_record_head *head,
                      const struct ss_lookup_facts *facts)
{
    open_record(line, head, SS_LOG_LOOKUP, ss_sys_clock(0));
    put_lookup(line, facts->lookup);
    key_thread(line, &facts->thread);
    if (facts->lookup->span_serial) {
        open_object(line, "span");
        key_number(line, "serial", facts->lookup->span_serial);
        key_text(line, "name", facts->span);
        close_object(line);
    } else {
        key_text(line, "span", NULL);
    }
    close_record(line);
}

static void put_call_sites(struct ss_line *line)
{
    struct ss_interest_counts sites[SS_LEVEL_COUNT];
    memset(sites, 0, sizeof sites);
    ss_callsites_count(sites);
    open_object(line, "call_sites");
    for (unsigned level = 0; level < SS_LEVEL_COUNT; level++) {
        open_object(line, level_names[level]);
        key_number(line, "live", sites[level].live);
        key_number(line, "filtered", sites[level].filtered);
        key_number(line, "unreached", sites[level].unreached);
        close_object(line);
    }
    close_object(line);
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
    open_object(line, "not_judged");
    key_number(line, "total", total);
    key_number(line, "threads", ss_threads_unjudged());
    open_object(line, "by");
    for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
        key_number(line, names[i], counts[i]);
    close_object(line);
    key(line, "instances");
    ss_put(line, "[", 1);
    uint64_t serial;
    const struct ss_table *table;
    for (uint32_t i = 0; ss_instance_distrusted(i, &serial, &table); i++) {
        ss_puts(line, i ? "," : "");
        put_instance(line, serial, table);
    }
    ss_put(line, "]", 1);
    close_object(line);
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
    key(line, "worse");
    ss_put(line, "[", 1);
    for (uint32_t i = 0; i < facts->worse_count && i < line->list_max; i++) {
        ss_puts(line, i ? ",{" : "{");
        key_hex(line, "of", facts->worse[i].of);
        key_text(line, "severity", severity_names[facts->worse[i].severity]);
        key_number(line, "spans_under", facts->worse[i].spans_under);
        key(line, "thread_changed");
        ss_puts(line, facts->worse[i].thread_changed ? "true" : "false");
        close_object(line);
    }
    ss_put(line, "]", 1);
}

/* Those beyond a line's room are left out: their records tell of them. */
static void key_consequences(struct ss_line *line, const struct ss_summary_facts *facts)
{
    key(line, "consequences");
    ss_put(line, "[", 1);
    for (uint32_t i = 0; i < facts->consequence_count && i < line->list_max; i++) {
        ss_puts(line, i ? ",{" : "{");
        key_hex(line, "of", facts->consequences[i].of);
        key_text(line, "what", consequence_names[facts->consequences[i].kind]);
        key_number(line, "count", facts->consequences[i].count);
        close_object(line);
    }
    ss_put(line, "]", 1);
}

/* The suppressions in force, and how often each was used. Where they would take more than half of the line, those
 * that were not used are left out first. */
static void key_suppressions(struct ss_line *line)
{
    const struct ss_suppression *suppression;
    uint32_t told = 0;
    key(line, "suppressions");
    ss_put(line, "[", 1);
    for (int unused = 0; unused <= 1; unused++)
        for (uint32_t i = 0; told < line->list_max && (suppression = ss_suppression_at(i)); i++) {
            if (unused != !suppression->count || line->used > line->size / 2)
                continue;
            ss_puts(line, told++ ? ",{" : "{");
            key(line, "line");
            ss_put_json(line, suppression->line.text, suppression->line.length);
            key_number(line, "count", suppression->count);
            close_object(line);
        }
    ss_put(line, "]", 1);
}

/* The modules of which no subscriber was called. */
static void key_silent(struct ss_line *line)
{
    bool any = false;
    const struct ss_module *module;
    key(line, "silent");
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
    key(line, "apart");
    ss_put(line, "[", 1);
    const char *path;
    for (uint32_t i = 0; (path = ss_namespaces_at(i)); i++) {
        if (i)
            ss_put(line, ",", 1);
        put_text(line, path);
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

    open_record(line, head, SS_LOG_SUMMARY, ss_sys_clock(0));
    open_object(line, "rules");
    for (unsigned i = 0; i < SS_RULE_COUNT; i++) {
        open_object(line, ss_rule_rows[i].code);
        key_number(line, "violations", facts->rules[i].violations);
        key_text(line, "severity", severity_names[severity_in_force((enum ss_rule)i)]);
        key_number(line, "fingerprints", facts->rules[i].fingerprints);
        key_number(line, "suppressed", facts->rules[i].suppressed);
        close_object(line);
    }
    close_object(line);
    key_number(line, "suspicions", facts->suspicions);
    key_consequences(line, facts);
    if (facts->worse_count)
        key_worse(line, facts);
    if (ss_suppression_at(0))
        key_suppressions(line);
    open_object(line, "spans");
    key_number(line, "created", created);
    key_number(line, "entered", entered);
    key_number(line, "exited", exited);
    key_number(line, "closed", closed);
    if (ss_threads_inherited())
        key_number(line, "inherited", ss_threads_inherited());
    close_object(line);
    key_number(line, "threads", ss_threads_seen());
    key_number(line, "instances", ss_instances_seen());
    key_number(line, "modules", modules);
    key_number(line, "lookups", ss_lookups_seen());
    put_call_sites(line);
    put_not_judged(line, unjudged);
    key_number(line, "table_limit", ss_hook_beyond());
    key_silent(line);
    if (ss_namespaces_at(0))
        key_apart(line);
    close_record(line);
}

/* ---- for people ------------------------------------------------------------------------------ */

static void say_thread(struct ss_line *line, const struct ss_thread_facts *thread)
{
    ss_puts(line, "thread ");
    ss_put_unsigned(line, thread->serial);
    if (*thread->name) {
        ss_puts(line, " `");
        ss_put_plain(line, thread->name);
        ss_puts(line, "`");
    }
}

/* The file from its crate's folder on, so that the line stays one line. */
static const char *short_file(const char *file)
{
    const char *source = strstr(file, "/src/");
    if (!source)
        return file;
    while (source > file && source[-1] != '/')
        source--;
    return source;
}

/* The span's name in backquotes: what the rule's title has a place for. */
static void say_span(struct ss_line *line, const struct ss_violation *violation)
{
    const struct ss_site *site = violation->site;
    ss_puts(line, "`");
    if (site && site->name)
        ss_put_plain(line, site->name);
    else if (violation->span_serial)
        ss_put_unsigned(line, violation->span_id);
    else
        ss_puts(line, "none");
    ss_puts(line, "`");
    if (site && site->file) {
        ss_puts(line, " (made at ");
        ss_put_plain(line, short_file(site->file));
        ss_puts(line, ":");
        ss_put_unsigned(line, site->line);
        ss_puts(line, ")");
    }
}

/* `, plugin.so+0x12ab`: fit for addr2line. */
static void say_place(struct ss_line *line, uintptr_t return_address)
{
    const struct ss_module *module = ss_module_of(return_address - 1);
    if (!module)
        return;
    const char *slash = strrchr(module->path, '/');
    ss_puts(line, " at ");
    ss_put_plain(line, slash ? slash + 1 : module->path);
    ss_puts(line, "+0x");
    uintptr_t offset = return_address - 1 - module->bias;
    unsigned digits = 1;
    while (digits < 16 && offset >> 4 * digits)
        digits++;
    ss_put_hex(line, offset, digits);
}

void ss_record_said(struct ss_line *line, const struct ss_violation_facts *facts, const char *log)
{
    const struct ss_violation *violation = facts->violation;
    const char *title = ss_rule_rows[violation->rule].title, *name = strstr(title, "%s");

    ss_puts(line, "strayspan: ");
    ss_puts(line, violation->suspicion ? "suspicion" : severity_names[violation->severity]);
    ss_puts(line, "[");
    ss_puts(line, ss_rule_rows[violation->rule].code);
    ss_puts(line, "]: ");
    ss_put(line, title, (size_t)(name - title));
    say_span(line, violation);
    ss_puts(line, name + 2);
    const char *separator = "; ";
    for (unsigned i = 0; i < SS_MOMENTS; i++)
        if (facts->moments[i]->thread) {
            ss_puts(line, separator);
            ss_puts(line, moment_rows[i].verb);
            say_thread(line, &facts->threads[i]);
            say_place(line, facts->moments[i]->caller);
            separator = ", ";
        }
    if (log) {
        ss_puts(line, "; see: strayspan report ");
        ss_put_plain(line, log);
    }
}
