/* Guards that outlive the activation that took them: held across an await.
 *
 * An enter notes the frame of the function that holds the guard: its start, its CFA, and the return
 * address that stands below the CFA. Which frame that is each place (a call site's return address)
 * learns from its first exits, at which the same activation is still there; until then the
 * innermost SS_CHAIN frames are noted. At a park, and when something is entered or made, a frame is
 * dead if its CFA is not above the stack pointer, if another return address is below it, or if a
 * walk passes it by: what is dead is not always overwritten. At the exit of an enter whose frames
 * died, the innermost function that is on the stack both times decides: if its frame of the enter is
 * among the dead, and its name does not say that it may, the guard outlived its activation
 * (activation_exits.c).
 *
 * Called from the enter and exit thunks and from the wrappers of parks, work begun, by the thread
 * that owns the entries. Reads the calling thread's own stack only, above its stack pointer. No
 * lock but those of the reports. */
#include "activations.h"

#include <string.h>

#include "history.h"
#include "lock.h"
#include "holders.h"
#include "interpose.h"
#include "names.h"
#include "parks.h"
#include "prim.h"
#include "rules.h"
#include "span_stack.h"
#include "stacks.h"
#include "thread_stacks.h"
#include "threads.h"

/* Entries looked at in a park; when an open guard is suspected. */
enum { ENTRIES_MAX = 64, SUSPECT_PARKS = 3 };
enum { EVENT_WALKS_MAX = 64, UNDER_MAX = 8 };
enum { WATCHES_AT_ONCE = 4 };
static const uint64_t suspect_ns = 1000000000;

_Atomic uint32_t ss_parks_wanted;
_Atomic bool ss_parks_poll;

/* When a guard may have been open for long enough on a thread that sleeps on: the next park of any
 * thread then looks at all. 0: none. */
static _Atomic uint64_t suspects_due;

#define SET(cell, value) __atomic_store_n(&(cell), value, __ATOMIC_RELAXED)

/* ---- watches --------------------------------------------------------------------------------- */

static struct ss_watch *take_watch(struct ss_thread *thread, uint64_t span_serial)
{
    if (!thread->free_watches) {
        struct ss_watch *watches = ss_alloc(WATCHES_AT_ONCE * sizeof *watches);
        for (unsigned i = 0; watches && i < WATCHES_AT_ONCE; i++) {
            watches[i].next_free = thread->free_watches;
            thread->free_watches = &watches[i];
        }
    }
    struct ss_watch *watch = thread->free_watches;
    if (!watch)
        return NULL;
    thread->free_watches = watch->next_free;
    memset(watch, 0, sizeof *watch);
    watch->holder = -1;
    atomic_store_explicit(&watch->span_serial, span_serial, memory_order_relaxed);
    return watch;
}

void ss_watch_drop(struct ss_thread *thread, struct ss_entry *entry)
{
    struct ss_watch *watch = entry->watch;
    if (!watch)
        return;
    SET(entry->watch, NULL);
    watch->next_free = thread->free_watches;
    thread->free_watches = watch;
}

struct ss_open *ss_open_scratch(struct ss_thread *thread)
{
    if (!thread->open)
        thread->open = ss_alloc(sizeof *thread->open);
    return thread->open;
}

/* The watch of an entry whose holder was known: made now. */
static struct ss_watch *watch_holder(struct ss_thread *thread, struct ss_entry *entry)
{
    struct ss_watch *watch = entry->watch;
    if (watch)
        return watch;
    watch = take_watch(thread, atomic_load_explicit(&entry->span_serial, memory_order_relaxed));
    if (!watch)
        return NULL;
    watch->frames[0] = entry->holder;
    watch->count = 1;
    watch->holder = 0;
    SET(entry->watch, watch);
    return watch;
}

void ss_open_copy(const struct ss_entry *entry, struct ss_open *open)
{
    open->entry = *entry;
    open->entry.entered = ss_moment_load(&entry->entered);
    const struct ss_watch *watch = __atomic_load_n(&entry->watch, __ATOMIC_RELAXED);
    open->watch.count = 0;
    if (watch && atomic_load_explicit(&watch->span_serial, memory_order_relaxed) ==
                     atomic_load_explicit(&entry->span_serial, memory_order_relaxed)) {
        open->watch = *watch;
    } else if (open->entry.holder.function) {
        memset(&open->watch, 0, sizeof open->watch);
        open->watch.frames[0] = open->entry.holder;
        open->watch.count = 1;
    }
    if (open->watch.count > SS_CHAIN)
        open->watch.count = 0;
    open->entry.watch = NULL;
}

/* ---- at the enter ---------------------------------------------------------------------------- */

/* The activations from the caller of the thunk outwards. */
static uint32_t callers(struct ss_thread *thread, const struct ss_call *call, uintptr_t rbp,
                        struct ss_activation *chain, uint32_t max)
{
    struct ss_frame frames[SS_CHAIN];
    uint32_t count = ss_walk_callers(call->caller, call->frame + sizeof(uintptr_t), rbp,
                                     thread->own_high, frames, max);
    if (count == 0)
        count = ss_stack_frames(thread, frames, max);
    uint32_t known = 0;
    while (known < count && frames[known].function && frames[known].cfa > call->frame &&
           frames[known].cfa <= thread->own_high) {
        chain[known] =
            (struct ss_activation){frames[known].function, frames[known].cfa,
                                   *(const uintptr_t *)(frames[known].cfa - sizeof(uintptr_t))};
        known++;
    }
    return known;
}

void ss_activation_note_slow(struct ss_thread *thread, struct ss_entry *entry,
                             struct ss_place *place, const struct ss_call *call, uintptr_t rbp)
{
    if (ss_options.await_check == SS_AWAIT_CHECK_OFF || !ss_thread_own_stack(thread, call->frame))
        return;
    struct ss_activation chain[SS_CHAIN];
    uint64_t holding =
        place ? atomic_load_explicit(&place->holding, memory_order_relaxed) : SS_HOLDING_ALL;
    bool learned = holding & (SS_HOLDING_DIRECT | SS_HOLDING_DEEP);
    uint32_t depth = holding & SS_HOLDING_DEEP ? (uint8_t)(holding >> SS_HOLDING_DEPTH_SHIFT) : 0;
    uint32_t count = callers(thread, call, rbp, chain, learned ? depth + 1 : SS_CHAIN);
    if (learned) {
        if (count > depth) {
            SET(entry->holder.cfa, chain[depth].cfa);
            SET(entry->holder.return_address, chain[depth].return_address);
            SET(entry->holder.function, chain[depth].function);
        }
        return;
    }
    struct ss_watch *watch = count ? take_watch(thread, entry->span_serial) : NULL;
    if (!watch)
        return;
    memcpy(watch->frames, chain, count * sizeof *chain);
    watch->count = count;
    watch->learning = !(holding & SS_HOLDING_ALL);
    SET(entry->watch, watch);
}

/* ---- while it is open ------------------------------------------------------------------------ */

/* Frames that a walk found, for the entries of one event; made when the first is asked for. */
struct walk {
    bool made, all;
    uint32_t count;
    uintptr_t cfa; /* how far it is to go */
};

/* Whether the walk passes a frame by. */
static bool is_passed_by(struct ss_thread *thread, struct walk *walk,
                         const struct ss_activation *frame)
{
    if (frame->cfa > walk->cfa)
        return false;
    if (!walk->made) {
        walk->made = true;
        walk->count = ss_stack_frames_below(thread, walk->cfa, &walk->all);
    }
    for (uint32_t i = 0; i < walk->count; i++)
        if (thread->frames[i].cfa >= frame->cfa)
            return thread->frames[i].cfa != frame->cfa ||
                   thread->frames[i].function != frame->function;
    return walk->all;
}

static bool is_dead(struct ss_thread *thread, struct walk *walk, const struct ss_activation *frame,
                    uintptr_t sp)
{
    if (ss_activation_dead(thread, frame, sp))
        return true;
    return walk && frame->cfa > sp && frame->cfa <= thread->own_high &&
           is_passed_by(thread, walk, frame);
}

/* How many of the innermost frames are dead, from those that were before. */
static uint32_t count_dead(struct ss_thread *thread, struct walk *walk,
                           const struct ss_watch *watch, uint32_t dead, uintptr_t sp)
{
    while (dead < watch->count && is_dead(thread, walk, &watch->frames[dead], sp))
        dead++;
    return dead;
}

/* Something was made or entered while frames of an enter were dead. */
static void count_under(struct ss_watch *watch, bool made)
{
    uint32_t dead =
        watch->dead_at_event > watch->dead_at_park ? watch->dead_at_event : watch->dead_at_park;
    for (uint32_t i = 0; i < dead; i++)
        ++*(made ? &watch->made[i] : &watch->entered_under[i]);
}

void ss_activation_outlived(struct ss_thread *thread, struct ss_entry *entry, uintptr_t sp,
                            bool made)
{
    struct ss_watch *watch = watch_holder(thread, entry);
    if (!watch)
        return;
    uint32_t before =
        watch->dead_at_event > watch->dead_at_park ? watch->dead_at_event : watch->dead_at_park;
    /* One that stays open for long is not walked to for ever. */
    struct walk walk = {.cfa = watch->frames[watch->count - 1].cfa};
    bool walks = before < watch->count && watch->walks < EVENT_WALKS_MAX;
    watch->walks += walks;
    watch->dead_at_event = count_dead(thread, walks ? &walk : NULL, watch, before, sp);
    count_under(watch, made);
    /* It is under those further out, too. */
    const struct ss_entry *outermost = ss_stack_entries(thread);
    for (uint32_t i = 1; i < UNDER_MAX && entry - i >= outermost; i++)
        if (entry[-(int)i].watch)
            count_under(entry[-(int)i].watch, made);
}

/* An entry that was open over parks with dead frames: whether its guard's holder is among them, and
 * for long enough. parks: how many it takes. */
static bool is_suspect(struct ss_entry *entry, struct ss_watch *watch, uint32_t parks, uint64_t now)
{
    if (watch->parks[0] < parks && now - watch->parked_at[0] < suspect_ns)
        return false;
    if (watch->holder < 0)
        watch->holder = ss_chain_holder(watch);
    uint32_t holder = (uint32_t)watch->holder;
    if (holder >= watch->dead_at_park ||
        ss_chain_end_of_poll(watch, holder) > watch->dead_at_park) {
        watch->settled = watch->dead_at_park;
        if (watch->learning && holder >= watch->dead_at_park)
            ss_holder_learn(entry, watch, holder);
        return false;
    }
    if (watch->parks[holder] < parks && now - watch->parked_at[holder] < suspect_ns)
        return false;
    watch->suspected = true;
    return ss_taken_in_a_poll(entry, watch);
}

static void look_at_park(struct ss_thread *thread, struct walk *walk, struct ss_entry *entry,
                         uintptr_t sp, uintptr_t caller)
{
    struct ss_watch *watch = entry->watch;
    if (!watch && (!entry->holder.function || !is_dead(thread, walk, &entry->holder, sp)))
        return;
    watch = watch_holder(thread, entry);
    if (!watch)
        return;
    uint32_t before = watch->dead_at_park, dead = count_dead(thread, walk, watch, before, sp);
    if (dead == 0)
        return;
    bool asks = !watch->suspected && watch->settled != dead;
    uint64_t now = dead > before || asks ? ss_sys_clock(0) : 0;
    if (before == 0) {
        watch->parked = (struct ss_moment){now, caller, thread->serial, 0};
    }
    for (uint32_t i = before; i < dead; i++)
        watch->parked_at[i] = now;
    for (uint32_t i = 0; i < dead; i++)
        watch->parks[i]++;
    watch->dead_at_park = dead;
    if (asks && dead > before)
        atomic_store_explicit(&suspects_due, now + suspect_ns, memory_order_relaxed);
    if (!asks || !is_suspect(entry, watch, SUSPECT_PARKS, now))
        return;
    struct ss_open *open = ss_open_scratch(thread);
    if (open) {
        ss_open_copy(entry, open);
        ss_judge_suspicion(SS_RULE_HELD_ACROSS_AWAIT, open, now);
    }
}

/* Writes suspicions of all threads' guards that were open for so many parks, or long enough. */
static void suspect_all(uint32_t parks, uint64_t now)
{
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        if (!atomic_load(&thread->live) || thread->tainted)
            continue;
        uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_acquire);
        struct ss_entry *entries = ss_stack_entries(thread);
        for (uint32_t i = depth; i-- && depth - i <= ENTRIES_MAX;) {
            struct ss_open open;
            ss_open_copy(&entries[i], &open);
            if (open.watch.count && open.watch.dead_at_park && !open.watch.suspected &&
                ss_entry_valid(&open.entry) && is_suspect(&open.entry, &open.watch, parks, now))
                ss_judge_suspicion(SS_RULE_HELD_ACROSS_AWAIT, &open, now);
        }
    }
}

/* Looks at all threads once it is time. */
static void suspect_others(uint64_t due)
{
    uint64_t now = ss_sys_clock(0);
    if (now >= due && atomic_compare_exchange_strong(&suspects_due, &due, 0))
        suspect_all(UINT32_MAX, now);
}

/* The outermost frame of an entry that matters. */
static uintptr_t outermost_cfa(const struct ss_entry *entry)
{
    const struct ss_watch *watch = entry->watch;
    return watch ? watch->frames[watch->count - 1].cfa : entry->holder.cfa;
}

/* Whether the last walk that found nothing dead was from the same place, with the same spans open: what
 * was entered and exited in between changes nothing of them. */
static bool was_here(struct ss_thread *thread, uint32_t depth, uintptr_t sp, uintptr_t caller)
{
    const uint64_t here[4] = {sp, caller, depth, ss_stack_entries(thread)[depth - 1].number};
    bool same = memcmp(thread->walked_at, here, sizeof here) == 0;
    memcpy(thread->walked_at, here, sizeof here);
    return same;
}

static void look_at_entries(struct ss_thread *thread, uint32_t depth, uintptr_t sp,
                            uintptr_t caller)
{
    struct ss_entry *entries = ss_stack_entries(thread);
    struct walk walk = {.cfa = 0};
    uint32_t least = depth > ENTRIES_MAX ? depth - ENTRIES_MAX : 0;
    bool walks = !was_here(thread, depth, sp, caller);
    for (uint32_t i = least; i < depth; i++) {
        uintptr_t cfa =
            entries[i].watch || entries[i].holder.function ? outermost_cfa(&entries[i]) : 0;
        if (cfa > walk.cfa && cfa <= thread->own_high && ss_entry_valid(&entries[i]))
            walk.cfa = cfa;
    }
    for (uint32_t i = depth; walk.cfa && i-- > least;)
        if (ss_entry_valid(&entries[i]))
            look_at_park(thread, walks ? &walk : NULL, &entries[i], sp, caller);
}

void ss_park(uintptr_t sp, uintptr_t caller, enum ss_park_kind kind)
{
    struct ss_thread *thread = ss_self;
    /* A thread without spans is known only where it matters that it waits for events. */
    if (!thread && kind == SS_PARK_EVENTS && ss_options.severities[SS_RULE_BLOCKING_LOOKUP] &&
        (thread = ss_begin()))
        ss_end(thread);
    if (thread && atomic_load_explicit(&thread->state, memory_order_relaxed) == SS_BUSY)
        return;
    /* Not in a signal handler that came while a lock of ours was held. */
    if (SS_UNLIKELY(atomic_load_explicit(&ss_parks_poll, memory_order_relaxed)) && !ss_locks_held)
        ss_poll_modules();
    if (!thread)
        return;
    if (kind == SS_PARK_EVENTS)
        thread->event_loop = true;
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    uint64_t due = atomic_load_explicit(&suspects_due, memory_order_relaxed);
    if ((depth == 0 && !ss_options.history && !due) || !ss_begin())
        return;
    ss_history_note(thread, SS_HISTORY_PARK, NULL, 0, caller);
    if (SS_UNLIKELY(due))
        suspect_others(due);
    depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (depth && !thread->tainted && ss_options.await_check != SS_AWAIT_CHECK_OFF &&
        ss_thread_own_stack(thread, sp))
        look_at_entries(thread, depth, sp, caller);
    ss_end(thread);
}

void ss_activations_end(void)
{
    suspect_all(1, ss_sys_clock(0));
}
