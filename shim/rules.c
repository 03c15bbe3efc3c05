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
#include "stacks.h"
#include "threads.h"

enum { FINGERPRINTS_MAX = 65536 };

/* One fingerprint, by what can be compared without unwinding. */
struct breach {
    struct {
        uintptr_t rule, site, entered_caller, exited_caller;
    } key;
    uint64_t count;
    UT_hash_handle hh;
};

struct ss_lock ss_rules_lock;
static struct breach *breaches;
static struct ss_rule_counts counts[SS_RULE_COUNT];

void ss_rule_counts(enum ss_rule rule, struct ss_rule_counts *out)
{
    memset(out, 0, sizeof *out);
    if (!ss_lock(&ss_rules_lock))
        return;
    *out = counts[rule];
    ss_unlock(&ss_rules_lock);
}

void ss_rules_forked(void)
{
    memset(counts, 0, sizeof counts);
    breaches = NULL;
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
    violation->fingerprint = mix_address(hash, violation->exited.caller ? violation->exited.caller
                                                                        : violation->closed.caller);
}

/* ---- from breach to report ------------------------------------------------------------------- */

/* Counts the breach; returns how many of its fingerprint there were with it. */
static uint64_t count_breach(const struct ss_violation *violation)
{
    struct breach *breach = NULL;
    struct breach probe;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.rule = violation->rule;
    probe.key.site = (uintptr_t)violation->site;
    probe.key.entered_caller = violation->entered.caller;
    probe.key.exited_caller =
        violation->exited.caller ? violation->exited.caller : violation->closed.caller;
    if (!ss_lock(&ss_rules_lock))
        return UINT64_MAX;
    counts[violation->rule].violations++;
    HASH_FIND(hh, breaches, &probe.key, sizeof probe.key, breach);
    if (!breach && HASH_COUNT(breaches) < FINGERPRINTS_MAX && (breach = ss_alloc(sizeof *breach))) {
        breach->key = probe.key;
        HASH_ADD(hh, breaches, key, sizeof breach->key, breach);
        counts[violation->rule].fingerprints++;
    }
    uint64_t count = breach ? ++breach->count : UINT64_MAX;
    ss_unlock(&ss_rules_lock);
    return count;
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
           !atomic_load_explicit(&span.span->reported, memory_order_relaxed);
}

/* Fills in what is known of the span. Returns false where it is another's turn to report it, or
 * where the record has become another span's meanwhile; else the span counts as reported. */
static bool begin_report(struct ss_violation *violation, enum ss_rule rule, struct ss_span_ref span)
{
    memset(violation, 0, sizeof *violation);
    violation->rule = rule;
    violation->severity = ss_options.severities[rule];
    violation->site = span.span->site;
    violation->span_serial = span.serial;
    violation->span_id = span.span->id;
    violation->owner = span.span->instance;
    violation->created = span.span->created;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&span.span->serial) == span.serial &&
           !atomic_exchange(&span.span->reported, true);
}

/* The values that a span has, as a copy: others may close it meanwhile, and its block be another's.
 */
static const struct ss_values *copy_values(struct ss_thread *thread, struct ss_span_ref span)
{
    const struct ss_values *values = span.span->values;
    if (!values ||
        (!thread->shown_values && !(thread->shown_values = ss_alloc(sizeof *thread->shown_values))))
        return NULL;
    memcpy(thread->shown_values, values, sizeof *values);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&span.span->serial) == span.serial ? thread->shown_values : NULL;
}

/* Counts, writes, says and acts. The moments that are now have a caller and no stack yet. */
static void report(struct ss_thread *thread, struct ss_span_ref span,
                   struct ss_violation *violation)
{
    violation->count = count_breach(violation);
    if (violation->count > (uint64_t)ss_options.repeat)
        return;
    name_breach(violation);

    struct ss_moment *now[] = {&violation->exited, &violation->closed};
    uint64_t time = ss_sys_clock(0);
    uint32_t stack = ss_stack_capture(thread);
    for (unsigned i = 0; i < 2; i++)
        if (now[i]->caller) {
            now[i]->time = time;
            now[i]->thread = thread->serial;
            now[i]->stack = ss_stack_from(stack, now[i]->caller);
        }
    violation->time = time;
    violation->values = copy_values(thread, span);
    if (thread->lookup && thread->lookup->span_serial == violation->span_serial)
        violation->lookup = thread->lookup;
    ss_log_violation(violation);
    act();
}

/* ---- checks ---------------------------------------------------------------------------------- */

void ss_judge_exit(struct ss_thread *thread, const struct ss_call *call, struct ss_span_ref span)
{
    struct ss_violation violation;
    struct ss_moment entered = {0, 0, 0, 0};
    struct ss_thread *home =
        ss_thread_home(thread, span.serial, atomic_load(&span.span->last_entered), &entered);
    if (home)
        ss_thread_claim(home, span.serial);
    /* A thread that ended without the exit is as much its home: the guard went elsewhere. */
    bool was_open = home || ss_thread_left_open(span.serial, &entered);
    enum ss_rule rule = was_open ? SS_RULE_FOREIGN_THREAD_EXIT : SS_RULE_EXIT_WITHOUT_ENTER;
    if (!is_wanted(rule, span) || !begin_report(&violation, rule, span))
        return;
    violation.entered = entered;
    violation.exited.caller = call->caller;
    report(thread, span, &violation);
}

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
    if (atomic_load(&mark->operation) == SS_IN_EXIT && !of_parent) {
        violation.entered = mark->entered;
        violation.exited.caller = mark->caller;
    }
    report(thread, span, &violation);
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
