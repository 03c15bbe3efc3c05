/* The rules' checks, and what becomes of a breach: once per span, counted per fingerprint, written
 * as often as the option `repeat` has it, said on stderr, then what on_violation asks for. No lock
 * is held here. */
#include "rules.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "breaches.h"
#include "fork.h"
#include "instances.h"
#include "log.h"
#include "internal.h"
#include "lock.h"
#include "options.h"
#include "proof.h"
#include "prim.h"
#include "span_stack.h"
#include "stacks.h"
#include "threads.h"
#include "values.h"

/* ---- from breach to report ------------------------------------------------------------------- */

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
           !atomic_load_explicit(&span.span->instance->constant_id, memory_order_relaxed) &&
           ss_proof_stands(span.span->instance->table);
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
    struct ss_breach *breach = ss_breach_count(violation);
    if (span.span && atomic_load(&span.span->serial) == span.serial) {
        atomic_store(&span.span->group, violation->group);
        atomic_store(&span.span->fingerprint, violation->fingerprint);
    }
    if (!breach || violation->count > (uint64_t)ss_options.repeat) {
        if (breach)
            ss_breach_await_written(breach);
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
    ss_breach_set_written(breach);
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
    consequence.count = ss_breach_count_outcome(&consequence);
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
    /* Nobody else came to harm. What a user asked for stands. */
    if (!changed && !violation.spans_under && !ss_options.regraded[SS_RULE_HELD_ACROSS_AWAIT] &&
        violation.severity == SS_SEVERITY_ERROR)
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
        atomic_load(&span->instance->constant_id) || !ss_proof_stands(span->instance->table))
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
    if (atomic_load(&span->serial) != serial || !ss_breach_count_suspicion(&violation))
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
    if (!open->entry.instance || !ss_proof_stands(open->entry.instance->table) ||
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

void ss_judge_unknown(struct ss_thread *thread, const struct ss_instance *instance, uint64_t id)
{
    struct ss_closed closed;
    if (instance && instance->table && !thread->tainted && !ss_closed_find(instance, id, &closed))
        ss_proof_doubted(instance->table, id);
}

void ss_judge_exit_closed(struct ss_thread *thread, const struct ss_call *call,
                          const struct ss_entry *entry)
{
    struct ss_closed closed;
    if (thread->tainted || !entry->instance || !ss_proof_stands(entry->instance->table) ||
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
    if (!ss_closed_find(instance, id, &closed)) {
        ss_judge_unknown(thread, instance, id);
        return;
    }
    /* With events lost, an id that came back proves nothing. */
    if (thread->tainted || atomic_load(&ss_events_lost) || !is_own_process() ||
        !ss_proof_stands(instance->table))
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
    unsigned forwarders = 0;
    for (; forwarders < FORWARDERS && caller && ss_closer_forwards(caller); forwarders++)
        caller = ss_stack_caller_of(thread, caller);
    return caller && ss_closes_by_default(caller, forwarders > 0);
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
    if (called &&
        (!ss_proof_stands(called->table) || closes_its_own(thread, call, mark, called, id) ||
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
