/* Threads: records in a list that only grows, reused for later threads, never unmapped. A record's
 * owner writes it without locks; what others leave for it (claims) is under threads_lock with a
 * flag that the owner tests. Facts of dead threads stay in a ring for reports that name them. */
#include "threads.h"

#include <linux/prctl.h>
#include <string.h>

#include "events.h"
#include "fork.h"
#include "lock.h"
#include "rules.h"
#include "span_stack.h"
#include "task_files.h"

/* libc's; keys are the only notice of a thread's end that comes after Rust's TLS destructors. */
extern int pthread_key_create(unsigned *key, void (*destructor)(void *)) __attribute__((weak));
extern int pthread_setspecific(unsigned key, const void *value) __attribute__((weak));

enum { REMEMBERED = 1024, LEFT_OPEN = 128, ALL_KEY_ROUNDS = 4 };

/* One entry that its owner is to remove. */
struct ss_claim {
    uint64_t span_serial;
    uint32_t count;
    struct ss_claim *next;
};

__thread struct ss_thread *ss_self;
static __thread bool attaching;

/* Always busy: what arrives after a thread's end is dropped. */
struct ss_thread ss_thread_gone = {.state = SS_BUSY};

struct ss_lock ss_threads_lock;
static struct ss_thread *_Atomic first;
static struct ss_thread *free_records;
static struct ss_claim *free_claims;
static _Atomic uint32_t last_serial;
static struct ss_thread_facts remembered[REMEMBERED];
/* Enters that their thread's end left without an exit, the latest ones. */
static struct left {
    bool pending; /* not judged yet */
    uint64_t time;
    struct ss_open open;
} left_open[LEFT_OPEN];
static uint32_t left_open_count;
static _Atomic uint32_t left_open_pending;
static unsigned key;
static bool have_key;

struct ss_thread *ss_thread_first(void)
{
    return atomic_load_explicit(&first, memory_order_acquire);
}

static uint64_t inherited;

uint64_t ss_threads_inherited(void)
{
    return inherited;
}

uint32_t ss_threads_seen(void)
{
    return atomic_load(&last_serial);
}

static void read_own_name(struct ss_thread *thread)
{
    char name[SS_THREAD_NAME] = "";
    if (thread->facts.tid == ss_sys_getpid())
        memcpy(name, "main", sizeof "main");
    else
        (void)SS_SYSCALL_2(__NR_prctl, PR_GET_NAME, name);
    memcpy(thread->facts.name, name, sizeof name);
}

/* Takes what is pending, in turn. */
static bool take_left(struct left *out)
{
    bool found = false;
    if (!ss_lock(&ss_threads_lock))
        return false;
    for (uint32_t i = 0; i < LEFT_OPEN && !found; i++) {
        struct left *left = &left_open[i];
        if (!left->pending)
            continue;
        *out = *left;
        left->pending = false;
        atomic_fetch_sub(&left_open_pending, 1);
        found = true;
    }
    ss_unlock(&ss_threads_lock);
    return found;
}

void ss_threads_judge_left(void)
{
    struct left left;
    while (atomic_load_explicit(&left_open_pending, memory_order_relaxed) && take_left(&left))
        ss_judge_leak(&left.open);
}

/* Remembers an entry that its thread leaves open. Returns whether it pushed a pending one out, which
 * is then judged by what is known of it. */
static __attribute__((noinline)) bool leave_open(struct ss_thread *thread,
                                                 const struct ss_entry *entry, struct left *out)
{
    struct left left = {.pending = !thread->tainted && ss_entry_valid(entry) && entry->span &&
                                   ss_options.severities[SS_RULE_LEAKED_AT_THREAD_END],
                        .time = ss_sys_clock(0)};
    ss_open_copy(entry, &left.open);
    if (!ss_lock(&ss_threads_lock))
        return false;
    struct left *place = &left_open[left_open_count++ % LEFT_OPEN];
    *out = *place;
    if (!out->pending)
        atomic_fetch_add(&left_open_pending, left.pending);
    else if (!left.pending)
        atomic_fetch_sub(&left_open_pending, 1);
    *place = left;
    ss_unlock(&ss_threads_lock);
    if (left.pending)
        ss_judge_suspicion(SS_RULE_LEAKED_AT_THREAD_END, &left.open, left.time);
    return out->pending;
}

/* Innermost first: the ring keeps the latest. */
static __attribute__((noinline)) void leave_all_open(struct ss_thread *thread)
{
    struct ss_entry *entries = ss_stack_entries(thread);
    struct left pushed_out;
    for (uint32_t i = atomic_load(&thread->depth), n = 0; i--; n++) {
        if (n < LEFT_OPEN && leave_open(thread, &entries[i], &pushed_out))
            ss_judge_leak(&pushed_out.open);
        ss_watch_drop(thread, &entries[i]);
    }
}

/* The thread's last event has come: its record is free for another. */
static void finish(struct ss_thread *thread)
{
    read_own_name(thread);
    if (ss_begin()) {
        leave_all_open(thread);
        ss_end(thread);
    }
    ss_self = &ss_thread_gone;
    if (!ss_lock(&ss_threads_lock))
        return;
    remembered[thread->serial % REMEMBERED] = thread->facts;
    atomic_store_explicit(&thread->depth, 0, memory_order_release);
    atomic_store(&thread->live, false);
    while (thread->claims) {
        struct ss_claim *claim = thread->claims;
        thread->claims = claim->next;
        claim->next = free_claims;
        free_claims = claim;
    }
    thread->next_free = free_records;
    free_records = thread;
    ss_unlock(&ss_threads_lock);
}

/* Keys get up to four rounds, and other libraries' destructors may still exit spans in the first
 * ones: ours waits for the third. Its value counts the rounds in the low bits of the record's
 * address. */
static void key_destructor(void *value)
{
    uintptr_t round = (uintptr_t)value & (ALL_KEY_ROUNDS - 1);
    struct ss_thread *thread = (struct ss_thread *)((uintptr_t)value - round);
    if (thread != ss_self)
        return;
    if (round + 2 < ALL_KEY_ROUNDS && pthread_setspecific(key, (char *)value + 1) == 0)
        return;
    finish(thread);
}

void ss_threads_start(void)
{
    have_key =
        pthread_key_create && pthread_setspecific && pthread_key_create(&key, key_destructor) == 0;
}

static struct ss_thread *take_record(void)
{
    struct ss_thread *thread = NULL;
    if (!ss_lock(&ss_threads_lock))
        return NULL;
    if (free_records) {
        thread = free_records;
        free_records = thread->next_free;
    }
    ss_unlock(&ss_threads_lock);
    if (thread)
        return thread;

    thread = ss_alloc(sizeof *thread);
    if (!thread)
        return NULL;
    atomic_store_explicit(&thread->entries, thread->first_entries, memory_order_relaxed);
    thread->capacity = SS_FIRST_ENTRIES;
    struct ss_thread *head = atomic_load(&first);
    do
        thread->next = head;
    while (!atomic_compare_exchange_weak(&first, &head, thread));
    return thread;
}

/* Threads that ended and had events which were not judged. */
static _Atomic uint64_t unjudged_threads;

static uint64_t unjudged_by(const struct ss_thread *thread)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
        sum += atomic_load(&thread->unjudged[i]);
    return sum;
}

uint64_t ss_threads_unjudged(void)
{
    uint64_t count = atomic_load(&unjudged_threads) + (unjudged_by(&ss_thread_gone) > 0);
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        count += unjudged_by(thread) > thread->unjudged_before;
    return count;
}

struct ss_thread *ss_thread_attach(const struct ss_thread_facts *facts)
{
    if (attaching)
        return NULL;
    attaching = true;
    struct ss_thread *thread = take_record();
    if (thread) {
        uint64_t unjudged = unjudged_by(thread);
        atomic_fetch_add(&unjudged_threads, unjudged > thread->unjudged_before);
        thread->unjudged_before = unjudged;
        /* Counters go on where the record's last thread left them: only their sum is told. */
        memset(thread->cached_spans, 0, sizeof thread->cached_spans);
        memset(thread->cached_instances, 0, sizeof thread->cached_instances);
        memset(&thread->last_new, 0, sizeof thread->last_new);
        atomic_store(&thread->mark_depth, 0);
        thread->tainted = thread->ending = thread->event_loop = false;
        thread->stack_low = thread->stack_high = 0;
        thread->own_low = thread->own_high = 0;
        atomic_store(&thread->moves, 0);
        if (thread->ghosts)
            memset(thread->ghosts, 0, SS_GHOSTS * sizeof *thread->ghosts);
        if (thread->lookup)
            memset(thread->lookup, 0, sizeof *thread->lookup);
        thread->serial = atomic_fetch_add(&last_serial, 1) + 1;
        if (facts)
            thread->facts = *facts;
        else
            memset(&thread->facts, 0, sizeof thread->facts);
        thread->facts.serial = thread->serial;
        thread->facts.tid = ss_sys_gettid();
        atomic_store(&thread->attention, false);
        thread->exit_frame = thread->close_frame = 0;
        atomic_store(&thread->closing, 0);
        atomic_store(&thread->state, SS_FREE);
        atomic_store(&thread->live, true);
        ss_self = thread;
        /* Keys of 32 and above make libc allocate; without one, the end is not noticed, and the
         * record stays taken. */
        if (have_key && key < 32)
            (void)pthread_setspecific(key, thread);
    }
    attaching = false;
    return thread;
}

/* An exit elsewhere took the entry of a span: what its subscriber keeps of it on this thread
 * stays. */
static void leave_ghost(struct ss_thread *thread, const struct ss_entry *entry)
{
    if (!thread->ghosts)
        thread->ghosts = ss_alloc(SS_GHOSTS * sizeof *thread->ghosts);
    if (!thread->ghosts || !entry->instance)
        return;
    memmove(&thread->ghosts[1], &thread->ghosts[0], (SS_GHOSTS - 1) * sizeof *thread->ghosts);
    thread->ghosts[0] =
        (struct ss_ghost){atomic_load(&entry->span_serial), atomic_load(&entry->id),
                          atomic_load(&entry->instance_serial), entry->instance, entry->number};
}

const struct ss_ghost *ss_thread_ghost(const struct ss_thread *thread,
                                       const struct ss_instance *instance)
{
    const struct ss_ghost *found = NULL;
    for (uint32_t i = 0; thread->ghosts && i < SS_GHOSTS; i++) {
        const struct ss_ghost *ghost = &thread->ghosts[i];
        if (ghost->span_serial && ghost->instance == instance &&
            ghost->instance_serial == atomic_load(&instance->serial) &&
            (!found || (int32_t)(ghost->number - found->number) > 0))
            found = ghost;
    }
    const struct ss_entry *innermost = found ? ss_stack_innermost(thread, instance) : NULL;
    return innermost && (int32_t)(innermost->number - found->number) > 0 ? NULL : found;
}

static void obey(struct ss_thread *thread)
{
    if (!ss_lock(&ss_threads_lock))
        return;
    atomic_store(&thread->attention, false);
    struct ss_claim *claim = thread->claims, *last = NULL;
    for (struct ss_claim *at = claim; at; at = at->next) {
        struct ss_entry removed;
        while (at->count-- && ss_stack_remove_serial(thread, at->span_serial, &removed))
            leave_ghost(thread, &removed);
        last = at;
    }
    if (last) {
        last->next = free_claims;
        free_claims = claim;
        thread->claims = NULL;
    }
    ss_unlock(&ss_threads_lock);
    ss_stack_remove_void(thread);
}

struct ss_thread *ss_begin_slow(struct ss_thread *thread)
{
    if (!thread)
        thread = ss_thread_attach(NULL);
    if (!thread) {
        atomic_fetch_add(&ss_thread_gone.unjudged[SS_UNJUDGED_MEMORY], 1);
        return NULL;
    }
    uint8_t state = atomic_load_explicit(&thread->state, memory_order_relaxed);
    if (state == SS_BUSY) {
        atomic_fetch_add(&thread->unjudged[SS_UNJUDGED_INSIDE], 1);
        atomic_store(&ss_events_lost, true);
        if (thread != &ss_thread_gone)
            thread->tainted = true;
        return NULL;
    }
    atomic_store_explicit(&thread->state, SS_BUSY, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (state != SS_FREE)
        ss_event_put_marks(thread, state);
    if (atomic_load_explicit(&thread->attention, memory_order_relaxed))
        obey(thread);
    return thread;
}

void ss_thread_claim(struct ss_thread *thread, uint64_t span_serial)
{
    if (!ss_lock(&ss_threads_lock))
        return;
    struct ss_claim *claim = thread->claims;
    while (claim && claim->span_serial != span_serial)
        claim = claim->next;
    if (claim || !atomic_load(&thread->live)) {
        if (claim)
            claim->count++;
        ss_unlock(&ss_threads_lock);
        return;
    }
    claim = free_claims;
    if (claim)
        free_claims = claim->next;
    else
        claim = ss_alloc(sizeof *claim);
    if (claim) {
        claim->span_serial = span_serial;
        claim->count = 1;
        claim->next = thread->claims;
        thread->claims = claim;
        atomic_store(&thread->attention, true);
    }
    ss_unlock(&ss_threads_lock);
}

/* Below how many entries a search begins, where all are wanted. */
enum { ALL_ENTRIES = UINT32_MAX };

/* The innermost entry below the limit-th of that span (0: any) and that instance (0: any), its
 * index, or -1. */
static int64_t search(const struct ss_thread *thread, uint32_t limit, uint64_t span_serial,
                      uint64_t instance_serial, struct ss_open *open)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_acquire);
    const struct ss_entry *entries = atomic_load_explicit(&thread->entries, memory_order_acquire);
    for (uint32_t i = depth < limit ? depth : limit; i--;) {
        const struct ss_entry *entry = &entries[i];
        if (span_serial &&
            atomic_load_explicit(&entry->span_serial, memory_order_relaxed) != span_serial)
            continue;
        if (instance_serial &&
            atomic_load_explicit(&entry->instance_serial, memory_order_relaxed) != instance_serial)
            continue;
        if (open)
            ss_open_copy(entry, open);
        return i;
    }
    return -1;
}

/* The same; any thread may ask. The answer is as old as it takes to give it. */
static int64_t holds(const struct ss_thread *thread, uint32_t limit, uint64_t span_serial,
                     uint64_t instance_serial, struct ss_open *open)
{
    enum { TRIES = 10000, PATIENCE = 100 };
    int64_t found = -1;
    for (unsigned i = 1; i < TRIES; i++) {
        /* The owner may have been interrupted in the middle. */
        if (i % PATIENCE == 0)
            (void)SS_SYSCALL_0(__NR_sched_yield);
        uint32_t moves = atomic_load_explicit(&thread->moves, memory_order_acquire);
        found = search(thread, limit, span_serial, instance_serial, open);
        atomic_thread_fence(memory_order_acquire);
        if (moves % 2 == 0 && atomic_load_explicit(&thread->moves, memory_order_relaxed) == moves)
            break;
    }
    return found;
}

void ss_threads_instance_ended(uint64_t instance_serial)
{
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        if (atomic_load(&thread->live) && holds(thread, ALL_ENTRIES, 0, instance_serial, NULL) >= 0)
            atomic_store(&thread->attention, true);
}

bool ss_threads_close(uint64_t span_serial)
{
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        if (atomic_load_explicit(&thread->closing, memory_order_acquire) == span_serial)
            return true;
        uint32_t depth = atomic_load_explicit(&thread->mark_depth, memory_order_acquire);
        for (uint32_t i = 0; i < depth && i < SS_MARKS; i++)
            if (atomic_load_explicit(&thread->marks[i].span_serial, memory_order_relaxed) ==
                    span_serial &&
                atomic_load_explicit(&thread->marks[i].operation, memory_order_relaxed) ==
                    SS_IN_CLOSE)
                return true;
    }
    return false;
}

bool ss_thread_holds(struct ss_holding *at, const struct ss_thread *self, uint64_t span_serial,
                     struct ss_open *open)
{
    struct ss_thread *thread = at->thread ? at->thread : ss_thread_first();
    uint32_t limit = at->thread ? at->index : ALL_ENTRIES;
    for (; thread; thread = thread->next, limit = ALL_ENTRIES) {
        int64_t found = -1;
        if (thread != self && atomic_load(&thread->live))
            found = holds(thread, limit, span_serial, 0, open);
        if (found >= 0) {
            *at = (struct ss_holding){thread, (uint32_t)found};
            return true;
        }
    }
    return false;
}

struct ss_thread *ss_thread_home(const struct ss_thread *self, uint64_t span_serial,
                                 uint32_t last_entered, struct ss_open *open)
{
    struct ss_thread *home = NULL;
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        if (thread != self && atomic_load(&thread->live) &&
            (!home || thread->serial == last_entered) &&
            holds(thread, ALL_ENTRIES, span_serial, 0, NULL) >= 0)
            home = thread;
    return home && holds(home, ALL_ENTRIES, span_serial, 0, open) >= 0 ? home : NULL;
}

bool ss_thread_left_open(uint64_t span_serial, struct ss_open *open)
{
    bool found = false;
    if (!span_serial || !ss_lock(&ss_threads_lock))
        return false;
    for (uint32_t i = 0; i < LEFT_OPEN && !found; i++) {
        struct left *left = &left_open[i];
        if (atomic_load(&left->open.entry.span_serial) != span_serial)
            continue;
        *open = left->open;
        /* The exit that asks is the one that was missing. */
        atomic_store(&left->open.entry.span_serial, 0);
        if (left->pending)
            atomic_fetch_sub(&left_open_pending, 1);
        left->pending = false;
        found = true;
    }
    ss_unlock(&ss_threads_lock);
    return found;
}

void ss_threads_await_ends(void)
{
    enum { TURNS = 50 };
    const struct {
        uint64_t seconds, nanoseconds;
    } turn = {0, 100000};
    for (unsigned i = 0; i < TURNS; i++) {
        const struct ss_thread *thread = ss_thread_first();
        while (thread && (thread == ss_self || !atomic_load(&thread->live) ||
                          !atomic_load(&thread->depth) || !ss_task_is_running(thread->facts.tid)))
            thread = thread->next;
        if (!thread)
            return;
        (void)SS_SYSCALL_2(__NR_nanosleep, &turn, NULL);
    }
}

bool ss_thread_facts(uint32_t serial, struct ss_thread_facts *out)
{
    memset(out, 0, sizeof *out);
    out->serial = serial;
    if (serial == 0)
        return false;
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        if (!atomic_load(&thread->live) || thread->serial != serial)
            continue;
        *out = thread->facts;
        if (out->tid == ss_sys_getpid())
            memcpy(out->name, "main", sizeof "main");
        else
            ss_task_name(out->tid, out->name);
        atomic_thread_fence(memory_order_acquire);
        /* It may have ended meanwhile, and the record be another's: then it is among the
         * remembered. */
        if (atomic_load(&thread->live) && thread->serial == serial && out->serial == serial)
            return true;
        break;
    }
    memset(out, 0, sizeof *out);
    out->serial = serial;
    if (!ss_lock(&ss_threads_lock))
        return false;
    bool found = remembered[serial % REMEMBERED].serial == serial;
    if (found)
        *out = remembered[serial % REMEMBERED];
    ss_unlock(&ss_threads_lock);
    return found;
}

void ss_threads_forked(void)
{
    /* Serials go on: spans of the parent name its threads by them. */
    for (uint32_t i = 0; i < LEFT_OPEN; i++)
        left_open[i].pending = false;
    atomic_store(&left_open_pending, 0);
    inherited = ss_self && ss_self != &ss_thread_gone ? atomic_load(&ss_self->depth) : 0;
    atomic_store(&unjudged_threads, 0);
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        atomic_store(&thread->created, 0);
        atomic_store(&thread->entered, 0);
        atomic_store(&thread->exited, 0);
        atomic_store(&thread->closed, 0);
        for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
            atomic_store(&thread->unjudged[i], 0);
        thread->unjudged_before = 0;
        if (thread == ss_self) {
            thread->facts.tid = ss_sys_gettid();
            atomic_store(&thread->moves, 0);
            /* Exits of what the parent had open may come here, there, or in both. */
            if (atomic_load(&thread->depth))
                thread->tainted = true;
        } else if (atomic_load(&thread->live)) {
            atomic_store(&thread->depth, 0);
            atomic_store(&thread->live, false);
            thread->claims = NULL;
            atomic_store(&thread->moves, 0);
            thread->next_free = free_records;
            free_records = thread;
        }
    }
}
