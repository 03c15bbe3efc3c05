/* The flight recorder and the records that tell of it: what was noted is told whole and in order,
 * also while others note on; times are those of the clock, whichever it is; and what rules.c says
 * of a breach, a suspicion or a consequence is in its record. The rest of the shim is made up. */
#include <jansson.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "history.h"
#include "hook.h"
#include "instances.h"
#include "lookups.h"
#include "prim.h"
#include "records.h"
#include "stacks.h"
#include "threads.h"

/* ---- stand-ins for what other parts of the shim give ----------------------------------------- */

enum { THREADS = 6 };
static struct ss_thread threads[THREADS];
__thread struct ss_thread *ss_self;
struct ss_thread ss_thread_gone;

struct ss_thread *ss_thread_first(void)
{
    return threads;
}

void *ss_alloc(size_t size)
{
    return calloc(1, size); /* 16-aligned, as the arena is */
}

char *ss_copy_text(const char *text, size_t length)
{
    return strndup(text, length);
}

static unsigned facts_asked;

bool ss_thread_facts(uint32_t serial, struct ss_thread_facts *out)
{
    facts_asked++;
    *out = (struct ss_thread_facts){.serial = serial, .tid = 1000 + (int)serial, .name = "worker"};
    return true;
}

static struct ss_module module = {.id = 3, .bias = 0x1000, .path = "/bin/test"};

struct ss_stack_frame ss_stack_frame(uintptr_t address)
{
    return (struct ss_stack_frame){.module = module.id, .offset = address - module.bias};
}

const struct ss_stack *ss_stack_at(uint32_t id)
{
    (void)id;
    return NULL;
}

struct ss_module *ss_module_at(uint32_t index)
{
    return index ? NULL : &module;
}

void ss_callsites_count(struct ss_interest_counts counts[SS_LEVEL_COUNT])
{
    (void)counts;
}

bool ss_instance_distrusted(uint32_t index, uint64_t *serial, const struct ss_table **table)
{
    (void)index, (void)serial, (void)table;
    return false;
}

uint64_t ss_instances_seen(void)
{
    return 2;
}

struct ss_module *ss_module_of(uintptr_t address)
{
    (void)address;
    return NULL;
}

uint64_t ss_threads_unjudged(void)
{
    return 0;
}

const char *ss_namespaces_at(uint32_t number)
{
    (void)number;
    return NULL;
}

uint32_t ss_hook_beyond(void)
{
    return 0;
}

uint64_t ss_lookups_seen(void)
{
    return 5;
}

const char *ss_lookup_error(int result)
{
    return result == -2 ? "EAI_NONAME" : "EAI_?";
}

uint64_t ss_threads_inherited(void)
{
    return 0;
}

uint32_t ss_threads_seen(void)
{
    return THREADS;
}

void ss_breach_counts(enum ss_rule rule, struct ss_rule_counts *out)
{
    *out = (struct ss_rule_counts){rule, 1, 0};
}

uint64_t ss_breaches_suspicions(void)
{
    return 9;
}

static uint32_t consequences = 2;

uint32_t ss_breaches_worse(struct ss_worse worse[SS_WORSE_MAX])
{
    (void)worse;
    return 0;
}

bool ss_breaches_consequence_at(uint32_t index, uint64_t *of, enum ss_consequence_kind *kind,
                                uint64_t *count)
{
    *of = 0xabc;
    *kind = (enum ss_consequence_kind)(index % SS_CONSEQUENCE_COUNT);
    *count = index + 1;
    return index < consequences;
}

/* ---- what is noted --------------------------------------------------------------------------- */

static struct ss_site site = {
    .name = "work", .target = "t", .file = "/x/src/a.rs", .line = 7, .level = SS_LEVEL_INFO};
static struct ss_site other_site = {.name = "other \"one\"", .target = "t", .line = 8};
static struct ss_instance owner = {.serial = 4};
static struct ss_span span = {.site = &site};
static struct ss_span other_span = {.site = &other_site};

enum { SPAN = 77, OTHER = 78, CALLER = 0x5000 };

/* All threads as if they had never done anything; rings are made anew. */
static void begin(long history)
{
    ss_options.history = history;
    for (unsigned i = 0; i < THREADS; i++) {
        free(threads[i].history);
        memset(&threads[i], 0, sizeof threads[i]);
        threads[i].serial = i + 1;
        threads[i].next = i + 1 < THREADS ? &threads[i + 1] : NULL;
    }
    ss_self = &threads[0];
}

static void note(unsigned thread, enum ss_history_event event, uint64_t serial)
{
    atomic_store(&span.serial, SPAN);
    atomic_store(&other_span.serial, OTHER);
    ss_history_note(&threads[thread], event,
                    serial == SPAN    ? &span
                    : serial == OTHER ? &other_span
                                      : NULL,
                    serial, CALLER + event);
}

/* The story of SPAN with the threads of these serials, up to now. */
static const struct ss_story *story_of(uint64_t serial, unsigned count, uint32_t first,
                                       uint32_t second)
{
    const uint32_t list[] = {first, second};
    return ss_history_story(serial, ss_sys_clock(0), list, count);
}

static void check_order(const struct ss_story *story)
{
    for (uint32_t i = 0; i < story->count; i++)
        CHECK(story->rows[i].nanoseconds <= 0 &&
              (i == 0 || story->rows[i].nanoseconds >= story->rows[i - 1].nanoseconds));
}

static void test_off(void)
{
    begin(0);
    note(0, SS_HISTORY_NEW, SPAN);
    CHECK(threads[0].history == NULL);
    CHECK(story_of(SPAN, 0, 0, 0) == NULL);
    begin(16);
    note(0, SS_HISTORY_NEW, OTHER);
    CHECK(story_of(SPAN, 0, 0, 0) == NULL);
    CHECK(story_of(SPAN, 1, 2, 0) == NULL);
}

static void test_two_threads(void)
{
    begin(256);
    note(0, SS_HISTORY_ENTER, OTHER); /* before the span was made: no part of its story */
    note(0, SS_HISTORY_NEW, SPAN);
    note(1, SS_HISTORY_PARK, 0);
    note(2, SS_HISTORY_ENTER, OTHER); /* on a thread that is not asked for */
    note(1, SS_HISTORY_ENTER, SPAN);
    note(0, SS_HISTORY_CLONE, OTHER);
    note(3, SS_HISTORY_RECORD, SPAN); /* of the span, so told wherever it was */
    note(1, SS_HISTORY_EXIT, SPAN);
    static const struct {
        uint32_t thread;
        enum ss_history_event event;
        uint64_t serial;
    } expected[] = {{1, SS_HISTORY_NEW, SPAN},    {2, SS_HISTORY_PARK, 0},
                    {2, SS_HISTORY_ENTER, SPAN},  {1, SS_HISTORY_CLONE, OTHER},
                    {4, SS_HISTORY_RECORD, SPAN}, {2, SS_HISTORY_EXIT, SPAN}};
    const struct ss_story *story = story_of(SPAN, 2, 1, 2);
    CHECK(story && story->count == 6 && story->left_out == 0);
    check_order(story);
    for (uint32_t i = 0; i < story->count && i < 6; i++) {
        const struct ss_history_row *row = &story->rows[i];
        CHECK(row->thread == expected[i].thread && row->event == expected[i].event);
        CHECK(row->span_serial == expected[i].serial && row->caller == CALLER + row->event);
        CHECK(row->site == (row->span_serial == SPAN    ? &site
                            : row->span_serial == OTHER ? &other_site
                                                        : NULL));
        CHECK(row->of_span == (row->span_serial == SPAN) && !row->lookup);
    }
    /* About no span: what the threads did last. */
    story = story_of(0, 1, 2, 0);
    CHECK(story && story->count == 3 && !story->rows[1].of_span);
}

static void test_extremes(void)
{
    begin(32);
    const uintptr_t caller = 0x7fffffffffff;
    for (unsigned event = 0; event < SS_HISTORY_EVENT_COUNT; event++) {
        threads[0].serial = event % 2 ? UINT32_MAX : 0x80000u << event;
        atomic_store(&span.serial, UINT64_MAX - event);
        ss_history_note(&threads[0], (enum ss_history_event)event, &span, UINT64_MAX - event,
                        caller - event);
        /* A record that is another span's by now says nothing of this one. */
        ss_history_note(&threads[0], (enum ss_history_event)event, &span, 5, caller);
        const struct ss_story *old = story_of(5, 0, 0, 0);
        CHECK(old && old->count == event + 1 && !old->rows[event].site);
        const struct ss_story *story = story_of(UINT64_MAX - event, 0, 0, 0);
        CHECK(story && story->count == 1);
        if (!story)
            continue;
        CHECK(story->rows[0].thread == threads[0].serial && story->rows[0].site == &site);
        CHECK(story->rows[0].event == event && story->rows[0].caller == caller - event);
    }
}

/* The option's number of events is kept, no less, no more. */
static void test_length(void)
{
    static const long lengths[] = {1, 2, 3, 10, 16, 40};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        long length = lengths[i];
        begin(length);
        for (uint64_t serial = 1; serial <= 100; serial++) {
            note(0, SS_HISTORY_PARK, 1000 + serial);
            uint64_t kept = serial < (uint64_t)length ? serial : (uint64_t)length;
            const struct ss_story *story = story_of(0, 1, 1, 0);
            CHECK(story && story->count == kept && story->left_out == 0);
            CHECK(story && story->rows[0].span_serial == 1000 + serial - kept + 1 &&
                  story->rows[story->count - 1].span_serial == 1000 + serial);
        }
    }
}

/* What is kept of too much: the span's own first, then the latest. */
static void test_choice(void)
{
    begin(4096);
    note(0, SS_HISTORY_NEW, SPAN);
    for (unsigned i = 0; i < 100; i++)
        note(i % 2, SS_HISTORY_PARK, 1000 + i);
    note(2, SS_HISTORY_ENTER, SPAN);
    for (unsigned i = 100; i < 200; i++)
        note(i % 2, SS_HISTORY_PARK, 1000 + i);
    const struct ss_story *story = story_of(SPAN, 2, 1, 2);
    CHECK(story && story->count == SS_STORY_MAX && story->left_out == 202 - SS_STORY_MAX);
    check_order(story);
    CHECK(story->rows[0].event == SS_HISTORY_NEW && story->rows[1].event == SS_HISTORY_ENTER);
    for (unsigned i = 2; i < SS_STORY_MAX; i++)
        CHECK(story->rows[i].span_serial == 1200 - SS_STORY_MAX + i);
    bool chosen[SS_STORY_MAX];
    ss_history_choose(story, 5, chosen);
    for (unsigned i = 0; i < SS_STORY_MAX; i++)
        CHECK(chosen[i] == (i < 2 || i >= SS_STORY_MAX - 3));
    ss_history_choose(story, 1, chosen);
    for (unsigned i = 0; i < SS_STORY_MAX; i++)
        CHECK(chosen[i] == (i == 1));

    /* One that is older than all that fills the story, but read after it. */
    begin(4096);
    note(0, SS_HISTORY_NEW, SPAN);
    note(1, SS_HISTORY_PARK, 999);
    for (unsigned i = 0; i < 60; i++)
        note(0, SS_HISTORY_PARK, 1000 + i);
    story = story_of(SPAN, 2, 1, 2);
    CHECK(story->count == SS_STORY_MAX && story->left_out == 62 - SS_STORY_MAX);
    for (unsigned i = 1; i < SS_STORY_MAX; i++)
        CHECK(story->rows[i].span_serial == 1060 - SS_STORY_MAX + i);

    /* More of the span's own than there is room for. */
    for (unsigned i = 0; i < 100; i++)
        note(3, SS_HISTORY_RECORD, SPAN);
    note(0, SS_HISTORY_PARK, 5000);
    story = story_of(SPAN, 2, 1, 2);
    CHECK(story->count == SS_STORY_MAX && story->left_out == 163 - SS_STORY_MAX);
    for (unsigned i = 0; i < SS_STORY_MAX; i++)
        CHECK(story->rows[i].event == SS_HISTORY_RECORD);
}

static void test_lookups(void)
{
    begin(64);
    static struct ss_lookup lookup;
    threads[0].lookup = &lookup;
    for (unsigned i = 0; i < 10; i++) {
        lookup = (struct ss_lookup){.nanoseconds = 100 + i, .addresses = i, .has_host = i != 8};
        memset(lookup.host, 'a' + (int)i, 255);
        note(0, SS_HISTORY_LOOKUP, SPAN);
        lookup.addresses = 99; /* by now it is another's */
    }
    const struct ss_story *story = story_of(SPAN, 0, 0, 0);
    CHECK(story && story->count == 10);
    unsigned told = 0;
    for (unsigned i = 0; i < story->count; i++) {
        const struct ss_history_lookup *known = story->rows[i].lookup;
        if (!known)
            continue;
        told++;
        CHECK(known->addresses == i && known->nanoseconds == 100 + i);
        CHECK(known->has_host == (i != 8) && strlen(known->host) == 255);
        CHECK(known->host[0] == 'a' + (char)i && known->host[254] == 'a' + (char)i);
    }
    CHECK(told == 4 && story->rows[9].lookup && !story->rows[5].lookup);
    threads[0].lookup = NULL;
    note(0, SS_HISTORY_LOOKUP, SPAN);
    story = story_of(SPAN, 0, 0, 0);
    CHECK(story->count == 11 && !story->rows[10].lookup);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void sleep_for(uint64_t nanoseconds)
{
    for (uint64_t start = ss_sys_clock(1); ss_sys_clock(1) - start < nanoseconds;)
        (void)SS_SYSCALL_0(__NR_sched_yield);
}

/* Each event lies between the readings of the clock around it, as far as these tell. */
static void test_time(void)
{
    enum { EVENTS = 20 };
    const int64_t slack = 20000;
    uint64_t before[EVENTS], after[EVENTS];
    begin(64);
    for (unsigned i = 0; i < EVENTS; i++) {
        before[i] = ss_sys_clock(0);
        note(0, SS_HISTORY_PARK, SPAN);
        after[i] = ss_sys_clock(0);
        sleep_for(i * 200000);
    }
    uint64_t end = ss_sys_clock(0);
    sleep_for(1000000);
    note(0, SS_HISTORY_PARK, SPAN); /* after the end */
    const struct ss_story *story = ss_history_story(SPAN, end, NULL, 0);
    CHECK(story && story->count == EVENTS);
    for (unsigned i = 0; story && i < EVENTS; i++) {
        int64_t at = (int64_t)end + story->rows[i].nanoseconds;
        CHECK(at > (int64_t)before[i] - slack && at < (int64_t)after[i] + slack);
    }
    /* The end is not known: it is now. */
    story = ss_history_story(SPAN, 0, NULL, 0);
    CHECK(story && story->count == EVENTS + 1);
}

/* A child in which the counter must not be read. */
static void test_time_without_counter(void)
{
    pid_t child = fork();
    if (child == 0) {
        failures = 0;
        if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0)
            _exit(0);
        test_time();
        test_two_threads();
        _exit(failures != 0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

/* ---- many threads ---------------------------------------------------------------------------- */

static _Atomic bool stop;

static uintptr_t caller_for(uint64_t serial)
{
    return serial * 0x9e3779b97f4a7c15u >> 20 & 0x7fffffffffff;
}

/* Notes events whose parts go together, as fast as it can, and a look-up now and then. */
static void *noting(void *thread_given)
{
    struct ss_thread *thread = ss_self = thread_given;
    static struct ss_lookup lookups[THREADS];
    thread->lookup = &lookups[thread - threads];
    struct ss_span spans[2] = {{.site = &other_site}, {.site = &site}};
    uint64_t step = 0;
    for (; !atomic_load_explicit(&stop, memory_order_relaxed); step++) {
        uint64_t serial = step * THREADS + thread->serial;
        enum ss_history_event event = (enum ss_history_event)(step % SS_HISTORY_LOOKUP);
        if (step % 4 == 0) {
            event = SS_HISTORY_LOOKUP;
            thread->lookup->nanoseconds = serial;
            thread->lookup->addresses = (uint32_t)serial;
            thread->lookup->has_host = true;
            memset(thread->lookup->host, 'a' + (int)(serial % 26), sizeof lookups[0].host - 1);
        }
        atomic_store_explicit(&spans[serial % 2].serial, serial, memory_order_relaxed);
        ss_history_note(thread, event, &spans[serial % 2], serial, caller_for(serial));
    }
    return NULL;
}

static void check_row(const struct ss_history_row *row, unsigned *known)
{
    uint64_t serial = row->span_serial;
    CHECK(row->caller == caller_for(serial));
    CHECK(row->thread == (serial - 1) % THREADS + 1);
    CHECK(row->site == (serial % 2 ? &site : &other_site));
    if (!row->lookup)
        return;
    ++*known;
    CHECK(row->lookup->nanoseconds == serial && row->lookup->addresses == (uint32_t)serial);
    for (unsigned i = 0; i + 1 < sizeof row->lookup->host; i++)
        CHECK(row->lookup->host[i] == 'a' + (char)(serial % 26));
}

static void test_races(unsigned rounds, long length)
{
    enum { WRITERS = 3 };
    pthread_t writers[WRITERS];
    uint32_t list[WRITERS];
    begin(length);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < WRITERS; i++) {
        list[i] = threads[i + 1].serial;
        CHECK(pthread_create(&writers[i], NULL, noting, &threads[i + 1]) == 0);
    }
    unsigned told = 0, known = 0, tries = 0;
    for (; told < rounds * 10 || (length >= 64 && known < 10); tries++) {
        const struct ss_story *story = ss_history_story(0, 0, list, WRITERS);
        for (uint32_t i = 0; story && i < story->count; i++)
            check_row(&story->rows[i], &known);
        if (story) {
            check_order(story);
            told += story->count;
        }
        if (tries > rounds * 1000)
            break;
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    CHECK(told >= rounds * 10);
    CHECK(length < 64 || known >= 10);
}

static void test_fork(void)
{
    begin(64);
    note(0, SS_HISTORY_NEW, SPAN);
    note(1, SS_HISTORY_ENTER, SPAN);
    ss_history_forked();
    const struct ss_story *story = story_of(SPAN, 2, 1, 2);
    CHECK(story && story->count == 1 && story->rows[0].thread == 1);
    note(1, SS_HISTORY_EXIT, SPAN);
    story = story_of(SPAN, 2, 1, 2);
    CHECK(story && story->count == 2 && story->rows[1].event == SS_HISTORY_EXIT);
}

/* ---- records --------------------------------------------------------------------------------- */

static char buffer[SS_LOG_LINE_MAX];
static const struct ss_record_head head = {42, 0x1234};

static struct ss_line line_with(uint32_t list_max)
{
    return (struct ss_line){
        .data = buffer, .size = sizeof buffer, .frames_max = 64, .list_max = list_max};
}

static json_t *parse(const struct ss_line *line)
{
    json_error_t error;
    json_t *json = json_loadb(line->data, line->used, JSON_REJECT_DUPLICATES, &error);
    CHECK(!line->full && json != NULL && line->data[line->used - 1] == '\n');
    if (!json)
        fprintf(stderr, "%s: %.*s\n", error.text, (int)line->used, line->data);
    return json;
}

/* The value at a path of keys and indexes, "a.b.0". */
static const json_t *at(const json_t *json, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *save, *part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save))
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
    return json;
}

/* Whether what is at the path is this JSON text. */
static bool is(const json_t *json, const char *path, const char *expected)
{
    json_t *want = json_loads(expected, JSON_DECODE_ANY, NULL);
    bool equal = want && json_equal(at(json, path), want);
    json_decref(want);
    if (!equal) {
        char *text = json_dumps(at(json, path), JSON_ENCODE_ANY | JSON_COMPACT);
        fprintf(stderr, "%s is %s, not %s\n", path, text ? text : "missing", expected);
        free(text);
    }
    return equal;
}

static bool is_missing(const json_t *json, const char *path)
{
    return at(json, path) == NULL;
}

static json_t *record_of(const struct ss_violation *violation, uint32_t list_max)
{
    struct ss_violation_facts facts;
    ss_violation_facts(violation, &facts);
    ss_violation_story(&facts);
    struct ss_line line = line_with(list_max);
    ss_record_violation(&line, &head, &facts);
    return parse(&line);
}

static struct ss_violation held(void)
{
    return (struct ss_violation){
        .rule = SS_RULE_HELD_ACROSS_AWAIT,
        .severity = SS_SEVERITY_ERROR,
        .fingerprint = 1,
        .group = 2,
        .count = 1,
        .time = 1700000000000000000,
        .site = &site,
        .span_serial = SPAN,
        .span_id = UINT64_MAX,
        .owner = &owner,
        .created = {1, 0x2000, 1, 0},
        .entered = {2, 0x2001, 1, 0},
        .parked = {3, 0x2002, 1, 0},
        .exited = {4, 0x2003, 2, 0},
        .has_parks = true,
        .thread_changed = true,
        .parks = 3,
        .parked_ns = 18000000,
        .spans_under = 57,
    };
}

static void test_violation(void)
{
    begin(0);
    struct ss_violation violation = held();
    facts_asked = 0;
    json_t *json = record_of(&violation, 512);
    CHECK(facts_asked == 3); /* once for each thread, and for none */
    CHECK(is(json, "type", "\"violation\"") && is(json, "rule", "\"held-across-await\""));
    CHECK(is(json, "severity", "\"error\"") && is(json, "span.id", "\"18446744073709551615\""));
    CHECK(is(json, "parked.stack", "[[3,4098]]") && is(json, "parked.thread.serial", "1"));
    CHECK(is(json, "exited.thread.serial", "2") && is(json, "exited.stack", "[[3,4099]]"));
    CHECK(is(json, "parks", "3") && is(json, "parked_ns", "18000000"));
    CHECK(is(json, "spans_under", "57") && is(json, "thread_changed", "true"));
    CHECK(is_missing(json, "used") && is_missing(json, "use") && is_missing(json, "closed"));
    CHECK(is_missing(json, "made") && is_missing(json, "above") && is_missing(json, "history"));
    CHECK(is(json, "instances.owner.serial", "4") && is_missing(json, "instances.called"));
    json_decref(json);

    violation.suspicion = true;
    violation.exited = (struct ss_moment){0};
    json = record_of(&violation, 512);
    CHECK(is(json, "type", "\"suspicion\"") && is_missing(json, "exited"));
    json_decref(json);
}

static void test_uses(void)
{
    static const char *const uses[] = {NULL, "\"enter\"", "\"record\"", "\"parent\"", "\"lookup\""};
    begin(0);
    for (enum ss_use use = SS_USE_ENTER; use <= SS_USE_LOOKUP; use++) {
        struct ss_violation violation = held();
        violation.rule = SS_RULE_USE_AFTER_CLOSE;
        violation.has_parks = false;
        violation.used = (struct ss_moment){5, 0x2004, 3, SS_STACK_TYPICAL};
        violation.use = use;
        violation.made = use == SS_USE_PARENT ? &other_site : NULL;
        json_t *json = record_of(&violation, 512);
        CHECK(is(json, "use", uses[use]) && is(json, "used.thread.serial", "3"));
        CHECK(is(json, "used.typical", "true") && is_missing(json, "parks"));
        if (use == SS_USE_PARENT)
            CHECK(is(json, "made",
                     "{\"name\":\"other \\\"one\\\"\",\"target\":\"t\",\"file\":null,"
                     "\"line\":8}"));
        else
            CHECK(is_missing(json, "made"));
        json_decref(json);
    }

    struct ss_violation violation = held();
    violation.rule = SS_RULE_OUT_OF_ORDER_EXIT;
    violation.above = &other_site;
    violation.above_serial = OTHER;
    json_t *json = record_of(&violation, 512);
    CHECK(is(json, "above.serial", "78") && is(json, "above.name", "\"other \\\"one\\\"\""));
    json_decref(json);
    violation.above = NULL; /* its call site could not be read */
    json = record_of(&violation, 512);
    CHECK(is(json, "above.serial", "78") && is(json, "above.name", "null"));
    json_decref(json);
}

/* A look-up outside all spans has neither a span nor an owner. */
static void test_no_span(void)
{
    begin(16);
    static struct ss_lookup lookup = {
        .has_host = true, .host = "host.test", .nanoseconds = 12, .result = -2};
    threads[1].lookup = &lookup;
    note(1, SS_HISTORY_LOOKUP, 0);
    struct ss_violation violation = {.rule = SS_RULE_BLOCKING_LOOKUP,
                                     .severity = SS_SEVERITY_WARNING,
                                     .count = 1,
                                     .time = ss_sys_clock(0),
                                     .used = {1, 0x2000, 2, 0},
                                     .use = SS_USE_LOOKUP,
                                     .lookup = &lookup};
    json_t *json = record_of(&violation, 512);
    CHECK(is(json, "span", "null") && is(json, "instances.owner", "null"));
    CHECK(is(json, "lookup.error", "\"EAI_NONAME\"") && is(json, "use", "\"lookup\""));
    CHECK(is(json, "history.events.0.event", "\"lookup\"") &&
          is(json, "history.events.0.host", "\"host.test\"") &&
          is(json, "history.events.0.addresses", "0") &&
          is(json, "history.events.0.lookup_ns", "12") &&
          is(json, "history.events.0.span", "null") && is(json, "history.events.0.name", "null"));
    json_decref(json);

    struct ss_violation_facts facts;
    ss_violation_facts(&violation, &facts);
    struct ss_line line = line_with(512);
    ss_record_said(&line, &facts, NULL);
    ss_put(&line, "", 1);
    CHECK(strcmp(buffer, "strayspan: warning[blocking-lookup]: a look-up (in span `none`) blocks a "
                         "thread that runs an event loop; used on thread 2 `worker`") == 0);
}

static void test_history_record(void)
{
    begin(256);
    note(0, SS_HISTORY_NEW, SPAN);
    for (unsigned i = 0; i < 60; i++)
        note(0, SS_HISTORY_ENTER, OTHER);
    note(1, SS_HISTORY_EXIT, SPAN);
    struct ss_violation violation = held();
    violation.time = ss_sys_clock(0);
    json_t *json = record_of(&violation, 512);
    CHECK(json_array_size(at(json, "history.events")) == SS_STORY_MAX);
    CHECK(is(json, "history.left_out", "14") && is(json, "history.events.0.event", "\"new\""));
    CHECK(is(json, "history.events.0.thread", "1") && is(json, "history.events.0.span", "77"));
    CHECK(is(json, "history.events.0.site", "[3,16384]") &&
          is(json, "history.events.0.name", "\"work\""));
    CHECK(is(json, "history.events.47.event", "\"exit\"") &&
          is(json, "history.events.47.thread", "2"));
    CHECK(json_integer_value(at(json, "history.events.0.ns")) < 0);
    json_decref(json);
    /* In a line with less room, and with none. */
    json = record_of(&violation, 12);
    CHECK(json_array_size(at(json, "history.events")) == 12 && is(json, "history.left_out", "50"));
    CHECK(is(json, "history.events.0.event", "\"new\"") &&
          is(json, "history.events.11.event", "\"exit\""));
    json_decref(json);
    json = record_of(&violation, 0);
    CHECK(is_missing(json, "history") && is(json, "parks", "3"));
    json_decref(json);
}

static void test_consequence(void)
{
    begin(0);
    struct ss_consequence consequence = {.kind = SS_CONSEQUENCE_STALE_PARENT,
                                         .of = 0xfeed,
                                         .group = 2,
                                         .count = 1,
                                         .site = &site,
                                         .span_serial = SPAN,
                                         .span_id = 5,
                                         .owner = &owner,
                                         .at = {1700000000000000000, 0x2000, 2, 0},
                                         .made = &other_site};
    struct ss_consequence_facts facts = {&consequence, {.serial = 2, .tid = 7, .name = "w"}};
    struct ss_line line = line_with(512);
    ss_record_consequence(&line, &head, &facts);
    json_t *json = parse(&line);
    CHECK(is(json, "type", "\"consequence\"") && is(json, "of", "\"000000000000feed\""));
    CHECK(is(json, "what", "\"stale-parent\"") && is(json, "count", "1"));
    CHECK(is(json, "span.serial", "77") && is(json, "span.name", "\"work\""));
    CHECK(is(json, "at.thread.name", "\"w\"") && is(json, "at.stack", "[[3,4096]]"));
    CHECK(is(json, "made.line", "8") && is(json, "time", "\"2023-11-14T22:13:20.000000Z\""));
    json_decref(json);
    consequence.kind = SS_CONSEQUENCE_CLONE_OF_CLOSED;
    consequence.made = NULL;
    consequence.owner = NULL; /* it ended */
    line = line_with(512);
    ss_record_consequence(&line, &head, &facts);
    json = parse(&line);
    CHECK(is(json, "what", "\"clone-of-closed\"") && is_missing(json, "made"));
    CHECK(is(json, "span.instance", "null"));
    json_decref(json);
}

static json_t *summary(uint32_t list_max)
{
    struct ss_summary_facts facts;
    ss_summary_facts(&facts);
    struct ss_line line = line_with(list_max);
    ss_record_summary(&line, &head, &facts);
    free(facts.consequences);
    return parse(&line);
}

static void test_summary(void)
{
    begin(0);
    json_t *json = summary(512);
    CHECK(json_object_size(at(json, "rules")) == SS_RULE_COUNT);
    CHECK(is(json, "rules.blocking-lookup.violations", "10") && is(json, "suspicions", "9"));
    CHECK(is(json, "consequences",
             "[{\"of\":\"0000000000000abc\",\"what\":\"stale-parent\","
             "\"count\":1},{\"of\":\"0000000000000abc\","
             "\"what\":\"clone-of-closed\",\"count\":2}]"));
    json_decref(json);
    consequences = 0;
    json = summary(512);
    CHECK(is(json, "consequences", "[]"));
    json_decref(json);
    /* As many as a line takes. */
    consequences = 10000;
    json = summary(512);
    CHECK(json_array_size(at(json, "consequences")) == 512);
    json_decref(json);
    consequences = 2;
}

static void check_said(const struct ss_violation *violation, const char *expected)
{
    struct ss_violation_facts facts;
    ss_violation_facts(violation, &facts);
    struct ss_line line = line_with(512);
    ss_record_said(&line, &facts, NULL);
    ss_put(&line, "", 1);
    CHECK(strcmp(buffer, expected) == 0);
    if (strcmp(buffer, expected) != 0)
        fprintf(stderr, "%s\n", buffer);
}

static void test_said(void)
{
    struct ss_violation violation = held();
    check_said(&violation,
               "strayspan: error[held-across-await]: the guard of span `work` (made at "
               "x/src/a.rs:7) stays "
               "open while its task sleeps; made on thread 1 `worker`, entered on thread 1 "
               "`worker`, parked on thread 1 `worker`, exited on thread 2 `worker`");
    violation.suspicion = true;
    violation.exited.thread = 0;
    check_said(
        &violation,
        "strayspan: suspicion[held-across-await]: the guard of span `work` (made at x/src/a.rs:7) "
        "stays open while its task sleeps; made on thread 1 `worker`, entered on thread 1 "
        "`worker`, parked on thread 1 `worker`");
    violation.site = NULL;
    violation.created.thread = violation.entered.thread = violation.parked.thread = 0;
    check_said(&violation, "strayspan: suspicion[held-across-await]: the guard of span "
                           "`18446744073709551615` stays open while its task sleeps");
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 10000;
    test_time_without_counter(); /* before there is a clock */
    test_off();
    test_two_threads();
    test_extremes();
    test_length();
    test_choice();
    test_lookups();
    test_time();
    test_races(rounds, 1);
    test_races(rounds, 16);
    test_races(rounds, 64);
    test_fork();
    test_violation();
    test_uses();
    test_no_span();
    test_history_record();
    test_consequence();
    test_summary();
    test_said();
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
