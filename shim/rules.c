/* The rules' checks, and what becomes of a breach: once per span, counted per fingerprint, written
 * as often as the option `repeat` has it, said on stderr, then what on_violation asks for.
 *
 * rules_lock guards the counts only; nothing is written, captured or waited for under it. */
#include "rules.h"

#include <signal.h>
#include <stdatomic.h>

#include "cold_tables.h"
#include "fork.h"
#include "instances.h"
#include "lock.h"
#include "log.h"
#include "options.h"
#include "span_stack.h"
#include "stacks.h"
#include "threads.h"
#include "values.h"

enum { FINGERPRINTS_MAX = 65536, CONSEQUENCES_MAX = 4096 };

/* One fingerprint, by what can be compared without unwinding. */
struct breach {
    struct {
        uintptr_t rule, site, entered_caller, exited_caller;
    } key;
    uint64_t count;
    enum ss_severity severity; /* the worst so far */
    uint64_t fingerprint, group;
    _Atomic bool written; /* the first has been */
    UT_hash_handle hh;
};

/* What came of the breaches of one fingerprint, at one return address. */
struct outcome {
    struct {
        uint64_t of, kind, caller;
    } key;
    uint64_t count;
    struct outcome *next;
    UT_hash_handle hh;
};

struct ss_lock ss_rules_lock;
static struct breach *breaches;
static struct outcome *outcomes, *first_outcome, *last_outcome;
static struct ss_rule_counts counts[SS_RULE_COUNT];
static uint64_t suspicions;
static struct ss_worse worse[SS_WORSE_MAX];
static uint32_t worse_count;

void ss_rule_counts(enum ss_rule rule, struct ss_rule_counts *out)
{
    memset(out, 0, sizeof *out);
    if (!ss_lock(&ss_rules_lock))
        return;
    *out = counts[rule];
    ss_unlock(&ss_rules_lock);
}

uint64_t ss_rules_suspicions(void)
{
    return suspicions;
}

bool ss_rules_consequence_at(uint32_t index, uint64_t *of, enum ss_consequence_kind *kind,
                             uint64_t *count)
{
    if (!ss_lock(&ss_rules_lock))
        return false;
    const struct outcome *outcome = first_outcome;
    while (outcome && index--)
        outcome = outcome->next;
    if (outcome) {
        *of = outcome->key.of;
        *kind = (enum ss_consequence_kind)outcome->key.kind;
        *count = outcome->count;
    }
    ss_unlock(&ss_rules_lock);
    return outcome;
}

void ss_rules_forked(void)
{
    memset(counts, 0, sizeof counts);
    breaches = NULL;
    outcomes = first_outcome = last_outcome = NULL;
    suspicions = 0;
    worse_count = 0;
}

/* ---- names of a breach ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    /* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
    for (const unsigned char *byte = data, *end = byte + size; byte < end; byte++)
        hash = (hash ^ *byte) * 0x100000001b3u;
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return text ? mix(hash, text, strlen(text) + 1) : mix(hash, "", 1);
}

static const uint64_t hash_start = 0xcbf29ce484222325u;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether text begins with `-1.2.3`, what a crate's folder ends with; end is set behind it. */
static bool at_version(const char *text, const char **end)
{
    if (text[0] != '-' || !is_digit(text[1]))
        return false;
    unsigned dots = 0;
    const char *at = text + 1;
    for (; *at && *at != '/'; at++)
        dots += *at == '.' && is_digit(at[1]);
    *end = at;
    return dots >= 2 && *at == '/';
}

/* A file without what changes when a crate is rebuilt elsewhere or updated: from `crate-1.2.3/` on,
 * the version removed. */
static uint64_t mix_file(uint64_t hash, const char *file)
{
    const char *start = file, *behind = NULL, *dash = NULL;
    for (const char *at = file; at && *at; at++) {
        const char *end;
        if (!at_version(at, &end))
            continue;
        const char *crate = at;
        while (crate > file && crate[-1] != '/')
            crate--;
        start = crate;
        dash = at;
        behind = end;
    }
    if (!behind)
        return mix_text(hash, file);
    return mix_text(mix(hash, start, (size_t)(dash - start)), behind);
}

static uint64_t mix_address(uint64_t hash, uintptr_t address)
{
    const struct ss_module *module = ss_module_of(address);
    uint64_t offset = module ? address - module->bias : address;
    if (module && module->build_id_length)
        hash = mix(hash, module->build_id, module->build_id_length);
    else if (module)
        hash = mix_text(hash, module->path);
    return mix(hash, &offset, sizeof offset);
}

/* The address by which breaches of one span's site are told apart on the way out. */
static uintptr_t outer_caller(const struct ss_violation *violation)
{
    /* The misuse is where the guard was taken: a function has many ends. */
    if (violation->rule == SS_RULE_HELD_ACROSS_AWAIT)
        return 0;
    return violation->exited.caller   ? violation->exited.caller
           : violation->closed.caller ? violation->closed.caller
                                      : violation->used.caller;
}

static void name_breach(struct ss_violation *violation)
{
    const struct ss_site *site = violation->site;
    uint64_t hash = mix_text(hash_start, ss_rule_rows[violation->rule].code);
    uint64_t group = mix_text(hash, site ? site->name : NULL);
    group = mix_text(group, site ? site->target : NULL);
    violation->group = mix_file(group, site ? site->file : NULL);

    hash = mix_text(mix_text(hash, site ? site->name : NULL), site ? site->file : NULL);
    hash = mix(hash, site ? &site->line : &(uint32_t){0}, sizeof site->line);
    hash = mix_address(hash, violation->entered.caller);
    violation->fingerprint = mix_address(hash, outer_caller(violation));
}

/* ---- from breach to report ------------------------------------------------------------------- */

/* Lets nobody go on, into what may panic by it, before the first breach of its kind is written by
 * another thread; not for long. */
static void await_written(const struct breach *breach)
{
    enum { TURNS = 1000 };
    const struct {
        uint64_t seconds, nanoseconds;
    } turn = {0, 100000};
    for (unsigned i = 0; i < TURNS && !atomic_load(&breach->written); i++)
        (void)SS_SYSCALL_2(__NR_nanosleep, &turn, NULL);
}

/* A fingerprint is written once; that a later case is worse is for the summary to say. */
static void note_worse(struct breach *breach, const struct ss_violation *violation)
{
    breach->severity = violation->severity;
    if (worse_count < SS_WORSE_MAX)
        worse[worse_count++] = (struct ss_worse){breach->fingerprint, violation->spans_under,
                                                 violation->severity, violation->thread_changed};
}

uint32_t ss_rules_worse(struct ss_worse out[SS_WORSE_MAX])
{
    if (!ss_lock(&ss_rules_lock))
        return 0;
    uint32_t count = worse_count;
    memcpy(out, worse, count * sizeof *worse);
    ss_unlock(&ss_rules_lock);
    return count;
}

/* Counts and names the breach. Returns it, or NULL where it cannot be kept. */
static struct breach *count_breach(struct ss_violation *violation)
{
    struct breach *breach = NULL;
    struct breach probe;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.rule = violation->rule;
    probe.key.site = (uintptr_t)violation->site;
    probe.key.entered_caller = violation->entered.caller;
    probe.key.exited_caller = outer_caller(violation);
    if (!ss_lock(&ss_rules_lock))
        return NULL;
    counts[violation->rule].violations++;
    HASH_FIND(hh, breaches, &probe.key, sizeof probe.key, breach);
    if (!breach) {
        name_breach(violation);
        if (HASH_COUNT(breaches) < FINGERPRINTS_MAX && (breach = ss_alloc(sizeof *breach))) {
            breach->key = probe.key;
            breach->fingerprint = violation->fingerprint;
            breach->group = violation->group;
            HASH_ADD(hh, breaches, key, sizeof breach->key, breach);
            counts[violation->rule].fingerprints++;
        }
    } else {
        violation->fingerprint = breach->fingerprint;
        violation->group = breach->group;
    }
    violation->count = breach ? ++breach->count : UINT64_MAX;
    if (breach && violation->count == 1)
        breach->severity = violation->severity;
    else if (breach && violation->severity > breach->severity)
        note_worse(breach, violation);
    ss_unlock(&ss_rules_lock);
    return breach;
}

/* Counts a suspicion, and names it. False where its fingerprint has been written. */
static bool count_suspicion(struct ss_violation *violation)
{
    struct breach *breach = NULL;
    struct breach probe;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.rule = SS_RULE_COUNT + violation->rule;
    probe.key.site = (uintptr_t)violation->site;
    probe.key.entered_caller = violation->entered.caller;
    if (!ss_lock(&ss_rules_lock))
        return false;
    name_breach(violation);
    HASH_FIND(hh, breaches, &probe.key, sizeof probe.key, breach);
    if (!breach && HASH_COUNT(breaches) < FINGERPRINTS_MAX && (breach = ss_alloc(sizeof *breach))) {
        breach->key = probe.key;
        HASH_ADD(hh, breaches, key, sizeof breach->key, breach);
    }
    bool first = breach && ++breach->count <= (uint64_t)ss_options.repeat;
    suspicions += first;
    ss_unlock(&ss_rules_lock);
    return first;
}

static void raise_signal(int number)
{
    (void)SS_SYSCALL_3(__NR_tgkill, ss_sys_getpid(), ss_sys_gettid(), number);
}

static void act(void)
{
    switch (ss_options.on_violation) {
    case SS_ON_VIOLATION_ABORT: {
        /* As abort does: past a handler that returns, and past a blocked or ignored signal. */
        struct {
            void *handler;
            unsigned long flags;
            void *restorer;
            uint64_t mask;
        } by_default = {NULL, 0, NULL, 0};
        uint64_t set = 1ull << (SIGABRT - 1);
        (void)SS_SYSCALL_4(__NR_rt_sigaction, SIGABRT, &by_default, NULL, sizeof set);
        (void)SS_SYSCALL_4(__NR_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof set);
        raise_signal(SIGABRT);
        break;
    }
    case SS_ON_VIOLATION_TRAP:
        __asm__ volatile("int3");
        break;
    case SS_ON_VIOLATION_STOP:
        (void)SS_SYSCALL_2(__NR_kill, ss_sys_getpid(), SIGSTOP);
        break;
    default:
        break;
    }
}

/* Whether a breach of the rule by the span would be reported. */
static bool is_wanted(enum ss_rule rule, struct ss_span_ref span)
{
    return ss_options.severities[rule] != SS_SEVERITY_OFF &&
           ss_sys_getpid() == atomic_load(&ss_own_pid) &&
           !atomic_load_explicit(&span.span->reported, memory_order_relaxed) &&
           !atomic_load_explicit(&span.span->instance->constant_id, memory_order_relaxed);
}

/* Fills in what is known of a live span, or of none. */
static void fill(struct ss_violation *violation, enum ss_rule rule, struct ss_span_ref span)
{
    memset(violation, 0, sizeof *violation);
    violation->rule = rule;
    violation->severity = ss_options.severities[rule];
    if (!span.span)
        return;
    violation->site = span.span->site;
    violation->span_serial = span.serial;
    violation->span_id = span.span->id;
    violation->owner = span.span->instance;
    violation->created = span.span->created;
}

/* Fills in what is known of the span. Returns false where it is another's turn to report it, or
 * where the record has become another span's meanwhile; else the span counts as reported. */
static bool begin_report(struct ss_violation *violation, enum ss_rule rule, struct ss_span_ref span)
{
    fill(violation, rule, span);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&span.span->serial) == span.serial &&
           !atomic_exchange(&span.span->reported, true);
}

/* The values that a span has, as a copy: others may close it meanwhile, and its block be another's.
 */
static const struct ss_values *copy_values(struct ss_thread *thread, struct ss_span_ref span)
{
    if (!span.span->values ||
        (!thread->shown_values && !(thread->shown_values = ss_alloc(sizeof *thread->shown_values))))
        return NULL;
    return ss_values_copy(span.span, span.serial, thread->shown_values) ? thread->shown_values
                                                                        : NULL;
}

/* Counts, writes, says and acts. The moments that are now have a caller and no stack yet. span: of
 * the table, NULL where the breach is about a closed one or none. */
static void report(struct ss_thread *thread, struct ss_span_ref span,
                   struct ss_violation *violation)
{
    struct breach *breach = count_breach(violation);
    if (span.span && atomic_load(&span.span->serial) == span.serial) {
        atomic_store(&span.span->group, violation->group);
        atomic_store(&span.span->fingerprint, violation->fingerprint);
    }
    if (!breach || violation->count > (uint64_t)ss_options.repeat) {
        if (breach)
            await_written(breach);
        return;
    }

    struct ss_moment *now[] = {&violation->exited, &violation->closed, &violation->used};
    uint64_t time = ss_sys_clock(0);
    uint32_t stack = ss_stack_capture(thread);
    for (unsigned i = 0; i < sizeof now / sizeof now[0]; i++)
        if (now[i]->caller && !now[i]->thread) {
            now[i]->time = time;
            now[i]->thread = thread->serial;
            now[i]->stack = ss_stack_from(stack, now[i]->caller);
        }
    violation->time = time;
    violation->values = span.span ? copy_values(thread, span) : NULL;
    if (thread->lookup && violation->span_serial &&
        thread->lookup->span_serial == violation->span_serial)
        violation->lookup = thread->lookup;
    ss_log_violation(violation);
    atomic_store(&breach->written, true);
    act();
}

/* Whether the process is the one whose state this is. */
static bool is_own_process(void)
{
    return ss_sys_getpid() == atomic_load(&ss_own_pid);
}

/* What is known of a span that is remembered as closed. */
static void fill_closed(struct ss_violation *violation, enum ss_rule rule,
                        const struct ss_closed *closed)
{
    memset(violation, 0, sizeof *violation);
    violation->rule = rule;
    violation->severity = ss_options.severities[rule];
    violation->site = closed->site;
    violation->span_serial = closed->span_serial;
    violation->span_id = closed->id;
    violation->owner = closed->instance;
    violation->created = closed->created;
    violation->closed = closed->closed;
}

/* ---- what comes of breaches ------------------------------------------------------------------ */

/* Counts what came of the breach with that fingerprint; returns how often it did so far. */
static uint64_t count_outcome(const struct ss_consequence *consequence)
{
    struct outcome probe, *outcome = NULL;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.of = consequence->of;
    probe.key.kind = consequence->kind;
    probe.key.caller = consequence->at.caller;
    if (!ss_lock(&ss_rules_lock))
        return UINT64_MAX;
    HASH_FIND(hh, outcomes, &probe.key, sizeof probe.key, outcome);
    if (!outcome && HASH_COUNT(outcomes) < CONSEQUENCES_MAX &&
        (outcome = ss_alloc(sizeof *outcome))) {
        outcome->key = probe.key;
        HASH_ADD(hh, outcomes, key, sizeof outcome->key, outcome);
        *(last_outcome ? &last_outcome->next : &first_outcome) = outcome;
        last_outcome = outcome;
    }
    uint64_t count = outcome ? ++outcome->count : UINT64_MAX;
    ss_unlock(&ss_rules_lock);
    return count;
}

static void tell(struct ss_thread *thread, const struct ss_call *call,
                 enum ss_consequence_kind kind, const struct ss_closed *span,
                 const struct ss_site *made)
{
    /* Its breach is being written just now. */
    if (!span->fingerprint)
        return;
    struct ss_consequence consequence = {.kind = kind,
                                         .of = span->fingerprint,
                                         .group = span->group,
                                         .site = span->site,
                                         .span_serial = span->span_serial,
                                         .span_id = span->id,
                                         .owner = span->instance,
                                         .made = made};
    consequence.at.caller = call->caller;
    consequence.count = count_outcome(&consequence);
    if (consequence.count != 1)
        return;
    ss_moment_now(thread, call->caller, &consequence.at);
    consequence.at.stack = ss_stack_from(consequence.at.stack, call->caller);
    ss_log_consequence(&consequence);
}

void ss_judge_ghost(struct ss_thread *thread, const struct ss_call *call,
                    const struct ss_ghost *ghost, const struct ss_site *made)
{
    struct ss_closed span;
    struct ss_span_ref live = ss_span_find(ghost->instance, ghost->id);
    if (live.span && live.serial == ghost->span_serial) {
        memset(&span, 0, sizeof span);
        span.span_serial = live.serial;
        span.id = ghost->id;
        span.instance = ghost->instance;
        span.site = live.span->site;
        span.fingerprint = atomic_load(&live.span->fingerprint);
        span.group = atomic_load(&live.span->group);
    } else if (!ss_closed_find(ghost->instance, ghost->id, &span) ||
               span.span_serial != ghost->span_serial) {
        return;
    }
    if (span.fingerprint && is_own_process())
        tell(thread, call, SS_CONSEQUENCE_STALE_PARENT, &span, made);
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* What the guard of an open span outlived, as the violation tells it. */
static void fill_parks(struct ss_violation *violation, const struct ss_open *open, uint32_t index,
                       uint64_t time)
{
    const struct ss_watch *watch = &open->watch;
    violation->has_parks = true;
    violation->parks = watch->parks[index];
    violation->spans_under = watch->made[index] ? watch->made[index] : watch->entered_under[index];
    if (index >= watch->dead_at_park)
        return;
    violation->parked = watch->parked;
    violation->parked.time = watch->parked_at[index];
    if (time > watch->parked_at[index])
        violation->parked_ns = time - watch->parked_at[index];
}

static void judge_held(struct ss_thread *thread, const struct ss_call *call,
                       struct ss_span_ref span, const struct ss_open *open, uint32_t index,
                       bool changed)
{
    struct ss_violation violation;
    if (!is_wanted(SS_RULE_HELD_ACROSS_AWAIT, span) ||
        !begin_report(&violation, SS_RULE_HELD_ACROSS_AWAIT, span))
        return;
    fill_parks(&violation, open, index, ss_sys_clock(0));
    violation.thread_changed = changed;
    violation.entered = open->entry.entered;
    violation.exited.caller = call->caller;
    /* Nobody else came to harm, or names did not tell a future's body from a function that keeps a
     * guard as it may. What a user asked for stands. */
    if (!changed && (!violation.spans_under || !open->sure) &&
        !ss_options.regraded[SS_RULE_HELD_ACROSS_AWAIT] && violation.severity == SS_SEVERITY_ERROR)
        violation.severity = SS_SEVERITY_WARNING;
    report(thread, span, &violation);
}

void ss_judge_held(struct ss_thread *thread, const struct ss_call *call, const struct ss_open *open,
                   uint32_t index, bool changed)
{
    struct ss_span_ref span = {open->entry.span, atomic_load(&open->entry.span_serial)};
    if (span.span && !thread->tainted && atomic_load(&span.span->serial) == span.serial)
        judge_held(thread, call, span, open, index, changed);
}

/* Finds whom an exit is taken from. The task that drops the guard took it in the function that it is
 * in; others may have the span open besides. Returns the index of that function's frame, or -1. */
static int find_home(struct ss_thread *thread, struct ss_span_ref span, struct ss_open *open,
                     struct ss_thread **home)
{
    enum { ENTRIES_MAX = 16 };
    struct ss_holding at = {NULL, 0};
    struct ss_nearby nearby = {.count = 0};
    bool asks = is_wanted(SS_RULE_HELD_ACROSS_AWAIT, span) && ss_nearby_look(thread, &nearby);
    for (unsigned i = 0; asks && i < ENTRIES_MAX; i++) {
        if (!ss_thread_holds(&at, thread, span.serial, open))
            break;
        int index = ss_activation_shared(&nearby, open);
        if (index >= 0) {
            *home = at.thread;
            return index;
        }
    }
    *home = ss_thread_home(thread, span.serial, atomic_load(&span.span->last_entered), open);
    /* A thread that ended without the exit is as much its home: the guard went elsewhere. */
    open->found = *home || ss_thread_left_open(span.serial, open);
    return open->found && !*home && asks ? ss_activation_shared(&nearby, open) : -1;
}

void ss_judge_exit(struct ss_thread *thread, const struct ss_call *call, struct ss_span_ref span)
{
    struct ss_violation violation;
    struct ss_thread *home = NULL;
    struct ss_open *open = ss_open_scratch(thread);
    if (!open)
        return;
    open->found = false;
    int index = find_home(thread, span, open, &home);
    if (home)
        ss_thread_claim(home, span.serial);
    if (index >= 0) {
        open->sure = true;
        judge_held(thread, call, span, open, (uint32_t)index, true);
        return;
    }
    enum ss_rule rule = open->found ? SS_RULE_FOREIGN_THREAD_EXIT : SS_RULE_EXIT_WITHOUT_ENTER;
    if (!is_wanted(rule, span) || !begin_report(&violation, rule, span))
        return;
    if (open->found)
        violation.entered = open->entry.entered;
    violation.exited.caller = call->caller;
    report(thread, span, &violation);
}

void ss_judge_suspicion(enum ss_rule rule, const struct ss_open *open, uint64_t time)
{
    struct ss_span *span = open->entry.span;
    uint64_t serial = atomic_load(&open->entry.span_serial);
    if (!span || ss_options.severities[rule] == SS_SEVERITY_OFF || !is_own_process() ||
        atomic_load(&span->reported) || atomic_load(&span->serial) != serial ||
        atomic_load(&span->instance->constant_id))
        return;
    struct ss_violation violation;
    fill(&violation, rule, (struct ss_span_ref){span, serial});
    violation.suspicion = true;
    violation.count = 1;
    violation.time = time;
    violation.entered = open->entry.entered;
    if (rule == SS_RULE_HELD_ACROSS_AWAIT)
        fill_parks(&violation, open, open->watch.holder > 0 ? (uint32_t)open->watch.holder : 0,
                   time);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&span->serial) != serial || !count_suspicion(&violation))
        return;
    ss_log_violation(&violation);
}

void ss_judge_leak(const struct ss_open *open)
{
    struct ss_thread *thread = ss_self;
    struct ss_span_ref span = {open->entry.span, atomic_load(&open->entry.span_serial)};
    struct ss_violation violation;
    if (!span.span || !is_wanted(SS_RULE_LEAKED_AT_THREAD_END, span))
        return;
    if (atomic_load(&span.span->serial) == span.serial) {
        if (!begin_report(&violation, SS_RULE_LEAKED_AT_THREAD_END, span))
            return;
        violation.entered = open->entry.entered;
        report(thread, span, &violation);
        return;
    }
    /* Newer registries let it close while it is open. */
    struct ss_closed closed;
    if (!open->entry.instance ||
        !ss_closed_find(open->entry.instance, atomic_load(&open->entry.id), &closed) ||
        closed.span_serial != span.serial || !ss_closed_report(&closed))
        return;
    fill_closed(&violation, SS_RULE_LEAKED_AT_THREAD_END, &closed);
    violation.closed = (struct ss_moment){0, 0, 0, 0};
    violation.entered = open->entry.entered;
    report(thread, (struct ss_span_ref){NULL, 0}, &violation);
    ss_closed_name(&closed, violation.fingerprint, violation.group);
}

void ss_judge_order(struct ss_thread *thread, const struct ss_call *call,
                    const struct ss_entry *entry, const struct ss_entry *above)
{
    struct ss_span_ref span = {entry->span, atomic_load(&entry->span_serial)};
    struct ss_violation violation;
    if (!span.span || !is_wanted(SS_RULE_OUT_OF_ORDER_EXIT, span) ||
        !begin_report(&violation, SS_RULE_OUT_OF_ORDER_EXIT, span))
        return;
    violation.entered = entry->entered;
    violation.exited.caller = call->caller;
    violation.above = above->span ? above->span->site : NULL;
    violation.above_serial = atomic_load(&above->span_serial);
    report(thread, span, &violation);
}

void ss_judge_enter(struct ss_thread *thread, const struct ss_call *call, struct ss_span_ref span)
{
    struct ss_violation violation;
    struct ss_open open;
    if (!is_wanted(SS_RULE_CONCURRENT_ENTER, span) ||
        !ss_thread_home(thread, span.serial, atomic_load(&span.span->last_entered), &open) ||
        !begin_report(&violation, SS_RULE_CONCURRENT_ENTER, span))
        return;
    violation.entered = open.entry.entered;
    violation.used.caller = call->caller;
    violation.use = SS_USE_ENTER;
    report(thread, span, &violation);
}

void ss_judge_lookup(struct ss_thread *thread, uintptr_t caller)
{
    enum ss_rule rule = SS_RULE_BLOCKING_LOOKUP;
    if (!thread->event_loop || ss_options.severities[rule] == SS_SEVERITY_OFF || !is_own_process())
        return;
    struct ss_violation violation;
    const struct ss_entry *entry = ss_stack_innermost(thread, NULL);
    struct ss_span_ref span = {NULL, 0};
    if (entry && entry->span)
        span = (struct ss_span_ref){entry->span, atomic_load(&entry->span_serial)};
    fill(&violation, rule, span);
    violation.used.caller = caller;
    violation.use = SS_USE_LOOKUP;
    violation.lookup = thread->lookup;
    report(thread, (struct ss_span_ref){NULL, 0}, &violation);
}

/* ---- closed spans ---------------------------------------------------------------------------- */

void ss_judge_close_open(struct ss_thread *thread, const struct ss_call *call,
                         struct ss_span_ref span, const struct ss_entry *entry)
{
    struct ss_violation violation;
    if (!is_wanted(SS_RULE_CLOSED_WHILE_OPEN, span) ||
        !begin_report(&violation, SS_RULE_CLOSED_WHILE_OPEN, span))
        return;
    violation.entered = ss_moment_load(&entry->entered);
    violation.closed.caller = call->caller;
    report(thread, span, &violation);
}

/* Reports a breach of a span that is remembered as closed; what is now is filled in already. */
static void report_closed(struct ss_thread *thread, const struct ss_closed *closed,
                          struct ss_violation *violation)
{
    /* Marked first, so that one thread alone goes on. */
    if (ss_options.severities[violation->rule] == SS_SEVERITY_OFF || !is_own_process() ||
        !ss_closed_report(closed))
        return;
    report(thread, (struct ss_span_ref){NULL, 0}, violation);
    ss_closed_name(closed, violation->fingerprint, violation->group);
}

void ss_judge_exit_closed(struct ss_thread *thread, const struct ss_call *call,
                          const struct ss_entry *entry)
{
    struct ss_closed closed;
    if (thread->tainted || !entry->instance ||
        !ss_closed_find(entry->instance, atomic_load(&entry->id), &closed) ||
        closed.span_serial != atomic_load(&entry->span_serial))
        return;
    if (closed.reported) {
        if (closed.foreign && is_own_process())
            tell(thread, call, SS_CONSEQUENCE_FOREIGN_CLOSE, &closed, NULL);
        return;
    }
    struct ss_violation violation;
    fill_closed(&violation, SS_RULE_CLOSED_WHILE_OPEN, &closed);
    violation.entered = entry->entered;
    violation.exited.caller = call->caller;
    report_closed(thread, &closed, &violation);
}

void ss_judge_use(struct ss_thread *thread, const struct ss_call *call,
                  struct ss_instance *instance, uint64_t id, enum ss_use use,
                  const struct ss_site *made)
{
    struct ss_closed closed;
    if (thread->tainted || !ss_closed_find(instance, id, &closed) || !is_own_process())
        return;
    if (closed.reported) {
        static const enum ss_consequence_kind kinds[] = {
            [SS_USE_NONE] = SS_CONSEQUENCE_CLONE_OF_CLOSED,
            [SS_USE_PARENT] = SS_CONSEQUENCE_STALE_PARENT,
        };
        if (closed.foreign)
            tell(thread, call, SS_CONSEQUENCE_FOREIGN_CLOSE, &closed, made);
        else if (use == SS_USE_NONE || use == SS_USE_PARENT)
            tell(thread, call, kinds[use], &closed, made);
        return;
    }
    if (use == SS_USE_NONE)
        return;
    struct ss_violation violation;
    fill_closed(&violation, SS_RULE_USE_AFTER_CLOSE, &closed);
    violation.used.caller = call->caller;
    violation.use = use;
    violation.made = made;
    report_closed(thread, &closed, &violation);
}

/* ---- closes that go astray ------------------------------------------------------------------- */

/* Whether the frame that put the mark on is still there: above us on a stack that is no larger than
 * any, its return address where it was. */
static bool is_current(const struct ss_mark *mark, uintptr_t frame)
{
    const uintptr_t largest = (uintptr_t)1 << 30;
    return mark->frame > frame && mark->frame - frame < largest && ss_is_mapped(mark->frame) &&
           *(const uintptr_t *)mark->frame == mark->caller;
}

/* Whether the close comes out of code that closes through the thread's default subscriber. */
static bool goes_by_default(struct ss_thread *thread, const struct ss_call *call)
{
    enum { FORWARDERS = 4 };
    uintptr_t caller = call->caller;
    for (unsigned i = 0; i < FORWARDERS && caller && ss_closer_forwards(caller); i++)
        caller = ss_stack_caller_of(thread, caller);
    return caller && ss_closes_by_default(caller);
}

/* Whether the called instance closes a span of its own: a layer of the other may trace its own
 * work, or keep a span beside each that it sees, and ids are no more than small numbers. */
static bool closes_its_own(struct ss_thread *thread, const struct ss_call *call,
                           const struct ss_mark *mark, const struct ss_instance *called,
                           uint64_t id)
{
    struct ss_span_ref own = ss_span_find(called, id);
    if (!own.span)
        return false;
    bool made_inside = own.span->created.thread == thread->serial &&
                       (int32_t)(own.span->created_number - mark->created_number) > 0;
    return made_inside || !goes_by_default(thread, call);
}

/* A live span of the called subscriber loses a reference, or closes, by another's breach. */
static void blame(struct ss_span_ref bystander, const struct ss_violation *violation)
{
    if (!bystander.span || atomic_load(&bystander.span->serial) != bystander.serial ||
        atomic_exchange(&bystander.span->reported, true))
        return;
    atomic_store(&bystander.span->foreign, true);
    atomic_store(&bystander.span->group, violation->group);
    atomic_store(&bystander.span->fingerprint, violation->fingerprint);
}

void ss_judge_close(struct ss_thread *thread, const struct ss_call *call,
                    struct ss_instance *called, uint64_t id)
{
    const struct ss_mark *mark = &thread->marks[atomic_load(&thread->mark_depth) - 1];
    struct ss_span_ref span = {mark->span, atomic_load(&mark->span_serial)};
    if (!span.span || mark->instance == called)
        return;
    bool of_parent = id != mark->id && id == mark->span->parent;
    if (id != mark->id && !of_parent)
        return;
    /* The record may be another span's by now. */
    if (of_parent || atomic_load(&mark->span->serial) != span.serial)
        span = ss_span_find(mark->instance, id);
    enum ss_rule rule = called ? SS_RULE_WRONG_SUBSCRIBER : SS_RULE_LOST_CLOSE;
    /* What is cheap comes first, as a breach may be made as often as the code runs. */
    if (!span.span || !is_wanted(rule, span) || !is_current(mark, call->frame))
        return;
    if (called && (closes_its_own(thread, call, mark, called, id) ||
                   ss_instance_reaches(called, call->address, mark->instance) ||
                   ss_instance_reaches(mark->instance, mark->address, called)))
        return;

    struct ss_violation violation;
    if ((!called && ss_stack_is_ending(thread)) || !begin_report(&violation, rule, span))
        return;
    violation.called = called;
    violation.has_called = true;
    violation.closing_id = id;
    violation.closing_parent = of_parent;
    violation.closed.caller = call->caller;
    struct ss_span_ref bystander = {NULL, 0};
    if (called)
        bystander = ss_span_find(called, id);
    if (atomic_load(&mark->operation) == SS_IN_EXIT && !of_parent) {
        violation.entered = mark->entered;
        violation.exited.caller = mark->caller;
    }
    report(thread, span, &violation);
    blame(bystander, &violation);
}

void ss_judge_annotated_close(struct ss_thread *thread, const struct ss_call *call,
                              struct ss_span_ref span, struct ss_instance *called)
{
    struct ss_violation violation;
    enum ss_rule rule = called ? SS_RULE_WRONG_SUBSCRIBER : SS_RULE_LOST_CLOSE;
    if (!is_wanted(rule, span) || !begin_report(&violation, rule, span))
        return;
    violation.called = called;
    violation.has_called = true;
    violation.closing_id = violation.span_id;
    violation.closed.caller = call->caller;
    report(thread, span, &violation);
}
