/* Guards that outlive the activation that took them: held across an await.
 *
 * An enter notes the frame of the function that holds the guard: its start, its CFA, and the return
 * address that stands below the CFA. Which frame that is each place (a call site's return address)
 * learns from its first exits, at which the same activation is still there; until then the
 * innermost SS_CHAIN frames are noted. At a park, and when something is entered or made, a frame is
 * dead if its CFA is not above the stack pointer, if another return address is below it, or if a
 * walk passes it by: what is dead is not always overwritten. At the
 * exit of an enter whose frames died, the innermost function that is on the stack both times
 * decides: if its frame of the enter is among the dead, the guard outlived its activation.
 *
 * Called from the enter and exit thunks and from the wrappers of parks, work begun, by the thread
 * that owns the entries. Reads the calling thread's own stack only, above its stack pointer. No
 * lock but those of the reports. */
#include "activations.h"

#include <string.h>

#include "history.h"
#include "names.h"
#include "parks.h"
#include "prim.h"
#include "rules.h"
#include "span_stack.h"
#include "stacks.h"
#include "threads.h"

/* Entries looked at in a park; readings of /proc/self/maps for stacks that are not known, by
 * thread; when an open guard is suspected; frames of a stack asked for by name. */
enum { ENTRIES_MAX = 64, STACK_READS_MAX = 64, SUSPECT_PARKS = 3, NAMED_FRAMES = 32 };
enum { EVENT_WALKS_MAX = 64 };
enum { WATCHES_AT_ONCE = 4 };
static const uint64_t suspect_ns = 1000000000;

_Atomic uint32_t ss_parks_wanted;

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

/* Whether sp is on the stack whose bounds the thread knows; looks for them where they are not. */
static bool on_known_stack(struct ss_thread *thread, uintptr_t sp)
{
    uintptr_t low, high;
    if (sp >= thread->stack_low && sp < thread->stack_high)
        return true;
    return thread->stack_reads++ < STACK_READS_MAX && ss_thread_stack(thread, sp, &low, &high);
}

/* The activations from the caller of the thunk outwards. */
static uint32_t callers(struct ss_thread *thread, const struct ss_call *call, uintptr_t rbp,
                        struct ss_activation *chain, uint32_t max)
{
    struct ss_frame frames[SS_CHAIN];
    uint32_t count = ss_walk_callers(call->caller, call->frame + sizeof(uintptr_t), rbp,
                                     thread->stack_high, frames, max);
    if (count == 0)
        count = ss_stack_frames(thread, frames, max);
    uint32_t known = 0;
    while (known < count && frames[known].function && frames[known].cfa > call->frame &&
           frames[known].cfa <= thread->stack_high) {
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
    if (ss_options.await_check == SS_AWAIT_CHECK_OFF || !on_known_stack(thread, call->frame))
        return;
    struct ss_activation chain[SS_CHAIN];
    uint64_t holding = atomic_load_explicit(&place->holding, memory_order_relaxed);
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
    return walk && frame->cfa > sp && frame->cfa <= thread->stack_high &&
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
    for (uint32_t i = 0; i < watch->dead_at_event; i++)
        ++*(made ? &watch->made[i] : &watch->entered_under[i]);
}

/* What functions are, by name, on the stack of an enter: from its full or typical stack, or from
 * the chain. Returns how many. */
static uint32_t name_enter(const struct ss_entry *entry, const struct ss_watch *watch,
                           uint8_t kinds[NAMED_FRAMES])
{
    uintptr_t addresses[NAMED_FRAMES];
    uint32_t count = 0;
    const struct ss_stack *stack = ss_stack_at(entry->entered.stack);
    for (; stack && count < stack->count && count < NAMED_FRAMES; count++) {
        const struct ss_stack_frame frame = stack->frames[count];
        const struct ss_module *module = frame.module ? ss_module_at(frame.module - 1) : NULL;
        addresses[count] = (module ? module->bias : 0) + frame.offset - 1;
    }
    for (; !stack && count < watch->count; count++)
        addresses[count] = watch->frames[count].function;
    ss_names_of(addresses, count, kinds);
    return count;
}

static bool is_plumbing(uint8_t kind)
{
    return kind & (SS_NAME_TRACING | SS_NAME_STANDARD);
}

/* Which frame of the chain holds the guard, as names tell: the innermost that is not part of
 * tracing or of Rust's own crates. Without names it is the outermost of the chain. */
static int holder_of(const struct ss_watch *watch)
{
    uintptr_t addresses[SS_CHAIN];
    uint8_t kinds[SS_CHAIN];
    for (uint32_t i = 0; i < watch->count; i++)
        addresses[i] = watch->frames[i].function;
    ss_names_of(addresses, watch->count, kinds);
    for (uint32_t i = 0; i < watch->count; i++)
        if (kinds[i] && !is_plumbing(kinds[i]))
            return (int)i;
    return (int)watch->count - 1;
}

/* Whether the guard was taken in code that a future's poll runs: by names where there are any, else
 * by what the thread sleeps in. */
static bool in_a_poll(const struct ss_entry *entry, const struct ss_watch *watch, bool event_loop)
{
    uint8_t kinds[NAMED_FRAMES];
    uint32_t count = name_enter(entry, watch, kinds), i = 0, known = 0;
    while (i < count && (!kinds[i] || is_plumbing(kinds[i])))
        known += kinds[i++] != 0;
    if (i == count)
        return known == 0 && event_loop;
    if (!(kinds[i] & (SS_NAME_CLOSURE | SS_NAME_POLL | SS_NAME_RUNTIME)))
        return false;
    for (; i < count; i++)
        if (kinds[i] & (SS_NAME_POLL | SS_NAME_RUNTIME))
            return true;
    return false;
}

/* The place of an entry knows its holder now. */
static void learn(const struct ss_entry *entry, const struct ss_watch *watch, uint32_t depth)
{
    struct ss_site *site = entry->span ? entry->span->site : NULL;
    struct ss_place *place = site ? ss_place_find(site->enters, entry->entered.caller) : NULL;
    if (!place || ss_options.await_check == SS_AWAIT_CHECK_FULL)
        return;
    bool by_rbp;
    int32_t offset;
    uintptr_t function;
    uint64_t holding = SS_HOLDING_DEEP | (uint64_t)depth << SS_HOLDING_DEPTH_SHIFT;
    if (depth == 0 && ss_frame_rule(entry->entered.caller, &by_rbp, &offset, &function) &&
        function == watch->frames[0].function) {
        holding = SS_HOLDING_DIRECT | (by_rbp ? SS_HOLDING_BY_RBP : 0) |
                  (uint64_t)(uint32_t)offset << SS_HOLDING_OFFSET_SHIFT;
        atomic_store_explicit(&place->function, function, memory_order_relaxed);
    }
    atomic_store_explicit(&place->holding, holding, memory_order_relaxed);
}

/* An entry that was open over parks with dead frames: whether its guard's holder is among them, and
 * for long enough. parks: how many it takes. */
static bool is_suspect(struct ss_entry *entry, struct ss_watch *watch, uint32_t parks, uint64_t now,
                       bool event_loop)
{
    if (watch->parks[0] < parks && now - watch->parked_at[0] < suspect_ns)
        return false;
    if (watch->holder < 0) {
        watch->holder = holder_of(watch);
        if (watch->learning && (uint32_t)watch->holder >= watch->dead_at_park)
            learn(entry, watch, (uint32_t)watch->holder);
    }
    uint32_t holder = (uint32_t)watch->holder;
    if (holder >= watch->dead_at_park ||
        (watch->parks[holder] < parks && now - watch->parked_at[holder] < suspect_ns))
        return false;
    watch->suspected = true;
    return in_a_poll(entry, watch, event_loop);
}

/* What a park was called through: its names are asked for only if they matter. */
static void note_park(struct ss_thread *thread, struct ss_watch *watch)
{
    struct ss_frame frames[SS_CHAIN];
    uint32_t count = ss_stack_frames(thread, frames, SS_CHAIN);
    for (uint32_t i = 0; i < SS_CHAIN; i++)
        watch->park_functions[i] = i < count ? frames[i].function : 0;
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
    uint64_t now = dead > before || !watch->suspected ? ss_sys_clock(0) : 0;
    if (before == 0) {
        watch->parked = (struct ss_moment){now, caller, thread->serial, 0};
        note_park(thread, watch);
    }
    for (uint32_t i = before; i < dead; i++)
        watch->parked_at[i] = now;
    for (uint32_t i = 0; i < dead; i++)
        watch->parks[i]++;
    watch->dead_at_park = dead;
    if (!watch->suspected && is_suspect(entry, watch, SUSPECT_PARKS, now, thread->event_loop)) {
        struct ss_open open;
        ss_open_copy(entry, &open);
        ss_judge_suspicion(SS_RULE_HELD_ACROSS_AWAIT, &open, now);
    }
}

/* The outermost frame of an entry that matters. */
static uintptr_t outermost_cfa(const struct ss_entry *entry)
{
    const struct ss_watch *watch = entry->watch;
    return watch ? watch->frames[watch->count - 1].cfa : entry->holder.cfa;
}

static void look_at_entries(struct ss_thread *thread, uint32_t depth, uintptr_t sp,
                            uintptr_t caller)
{
    struct ss_entry *entries = ss_stack_entries(thread);
    struct walk walk = {.cfa = 0};
    uint32_t least = depth > ENTRIES_MAX ? depth - ENTRIES_MAX : 0;
    for (uint32_t i = least; i < depth; i++) {
        uintptr_t cfa =
            entries[i].watch || entries[i].holder.function ? outermost_cfa(&entries[i]) : 0;
        if (cfa > walk.cfa && cfa <= thread->stack_high && ss_entry_valid(&entries[i]))
            walk.cfa = cfa;
    }
    for (uint32_t i = depth; walk.cfa && i-- > least;)
        if (ss_entry_valid(&entries[i]))
            look_at_park(thread, &walk, &entries[i], sp, caller);
}

void ss_park(uintptr_t sp, uintptr_t caller, enum ss_park_kind kind)
{
    struct ss_thread *thread = ss_self;
    /* A thread without spans is known only where it matters that it waits for events. */
    if (!thread && kind == SS_PARK_EVENTS && ss_options.severities[SS_RULE_BLOCKING_LOOKUP] &&
        (thread = ss_begin()))
        ss_end(thread);
    if (!thread || atomic_load_explicit(&thread->busy, memory_order_relaxed))
        return;
    if (kind == SS_PARK_EVENTS)
        thread->event_loop = true;
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if ((depth == 0 && !ss_options.history) || !ss_begin())
        return;
    ss_history_note(thread, SS_HISTORY_PARK, NULL, 0, caller);
    ss_threads_judge_left(false);
    depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (depth && ss_options.await_check != SS_AWAIT_CHECK_OFF && on_known_stack(thread, sp))
        look_at_entries(thread, depth, sp, caller);
    ss_end(thread);
}

void ss_activations_end(void)
{
    uint64_t now = ss_sys_clock(0);
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        if (!atomic_load(&thread->live))
            continue;
        uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_acquire);
        struct ss_entry *entries = ss_stack_entries(thread);
        for (uint32_t i = depth; i-- && depth - i <= ENTRIES_MAX;) {
            struct ss_open open;
            ss_open_copy(&entries[i], &open);
            if (open.watch.count && open.watch.dead_at_park && !open.watch.suspected &&
                ss_entry_valid(&open.entry) &&
                is_suspect(&open.entry, &open.watch, 1, now, thread->event_loop))
                ss_judge_suspicion(SS_RULE_HELD_ACROSS_AWAIT, &open, now);
        }
    }
}

/* ---- at the exit ----------------------------------------------------------------------------- */

/* The innermost frame of the enter whose function is on the stack now, innermost in frames[*now];
 * -1 for none. *same: it is the same activation. */
static int shared(const struct ss_watch *watch, const struct ss_frame *frames, uint32_t count,
                  uint32_t *now, bool *same)
{
    for (uint32_t i = 0; i < watch->count; i++) {
        *now = count;
        *same = false;
        for (uint32_t j = count; j--;)
            if (frames[j].function == watch->frames[i].function) {
                *now = j;
                *same |= frames[j].cfa == watch->frames[i].cfa;
            }
        if (*now < count)
            return (int)i;
    }
    return -1;
}

static bool runs_futures(uint8_t kind)
{
    return kind & (SS_NAME_POLL | SS_NAME_RUNTIME);
}

/* Whether what is on the stack now beyond the function, or was at the park, runs futures. */
static bool futures_run(const struct ss_watch *watch, const uint8_t *kinds, uint32_t count)
{
    uint8_t at_park[SS_CHAIN];
    for (uint32_t i = 0; i < count; i++)
        if (runs_futures(kinds[i]))
            return true;
    if (!watch->dead_at_park)
        return false;
    ss_names_of(watch->park_functions, SS_CHAIN, at_park);
    for (uint32_t i = 0; i < SS_CHAIN; i++)
        if (runs_futures(at_park[i]))
            return true;
    return false;
}

/* Whether a function that had the guard in two of its activations may be the body of a future, or
 * hold it, as names tell: a plain function that keeps a guard from one call to the next is at
 * liberty to. Bodies of futures are closures by name; where nothing is known to run futures, a
 * closure that is called in the function that it is written in is no such body. frames: now, from
 * the function outwards. surely: silence of names is not enough. */
static bool may_poll(const struct ss_watch *watch, const struct ss_frame *frames, uint32_t count,
                     bool surely)
{
    uintptr_t functions[SS_FRAMES_NEAR];
    uint8_t kinds[SS_FRAMES_NEAR];
    for (uint32_t i = 0; i < count; i++)
        functions[i] = frames[i].function;
    ss_names_of(functions, count, kinds);
    if (!kinds[0])
        return !surely;
    if (runs_futures(kinds[0]))
        return true;
    if (!(kinds[0] & (SS_NAME_CLOSURE | SS_NAME_STANDARD)))
        return false;
    if (futures_run(watch, kinds, count))
        return true;
    uint32_t caller = 1;
    while (caller < count && kinds[caller] & SS_NAME_STANDARD)
        caller++;
    return kinds[0] & SS_NAME_CLOSURE && caller < count &&
           !ss_names_related(SS_IS_ENCLOSING, functions[0], &functions[caller], 1);
}

/* The frame of the future's body that the guard was taken in, where the exit comes of the future
 * being dropped; -1 where it does not, or cannot be told. */
static int dropped(const struct ss_watch *watch, const struct ss_frame *frames, uint32_t count)
{
    int holder = holder_of(watch);
    uintptr_t functions[SS_FRAMES_NEAR];
    for (uint32_t i = 0; i < count; i++)
        functions[i] = frames[i].function;
    return ss_names_related(SS_IS_GLUE, watch->frames[holder].function, functions, count) ? holder
                                                                                          : -1;
}

/* Whether it is worth asking how a guard went whose exit shares no dead frame with its enter: some
 * frames died, and the holder is not known to live. */
static bool outlived_holder(const struct ss_watch *watch, int index, bool same)
{
    uint32_t dead =
        watch->dead_at_park > watch->dead_at_event ? watch->dead_at_park : watch->dead_at_event;
    if (dead == 0 || index == 0)
        return false;
    return index < 0 || !same || (uint32_t)holder_of(watch) < dead;
}

/* On a frame of its own: the copy is large. */
static SS_COLD void judge_outlived(struct ss_thread *thread, const struct ss_call *call,
                                   const struct ss_entry *entry, uint32_t index)
{
    struct ss_open open;
    ss_open_copy(entry, &open);
    ss_judge_held(thread, call, &open, index, false);
}

void ss_activation_exit(struct ss_thread *thread, const struct ss_call *call,
                        struct ss_entry *entry)
{
    struct ss_watch *watch = entry->watch;
    struct ss_frame frames[SS_FRAMES_NEAR];
    uint32_t count = ss_stack_frames(thread, frames, SS_FRAMES_NEAR);
    uint32_t now;
    bool same, learning = watch->learning;
    int index = shared(watch, frames, count, &now, &same);
    bool at_park = index >= 0 && (uint32_t)index < watch->dead_at_park;
    bool at_event = index >= 0 && (uint32_t)index < watch->dead_at_event;
    int body = -1;
    if ((at_park || at_event) && may_poll(watch, &frames[now], count - now, !at_park))
        body = index;
    else if (outlived_holder(watch, index, same))
        body = dropped(watch, frames, count);
    if (body >= 0)
        judge_outlived(thread, call, entry, (uint32_t)body);
    else if (index >= 0 && same && learning) {
        learn(entry, watch, (uint32_t)index);
    } else if (index < 0 && !learning && watch->dead_at_park) {
        /* The holder that was learned is not where this guard was held. */
        struct ss_site *site = entry->span ? entry->span->site : NULL;
        struct ss_place *place = site ? ss_place_find(site->enters, entry->entered.caller) : NULL;
        if (place)
            atomic_store_explicit(&place->holding, SS_HOLDING_ALL, memory_order_relaxed);
    }
    ss_watch_drop(thread, entry);
}

/* Whether a frame that both threads share tells that they run one task, rather than that all tasks
 * run alike: it is the first that is not plumbing, with the user's code in it, or a body of the
 * user's. Without names, frames beyond a few are no user's. */
static bool is_of_one_task(const struct ss_watch *watch, int index)
{
    enum { NAMELESS = 4 };
    uintptr_t addresses[SS_CHAIN];
    uint8_t kinds[SS_CHAIN];
    for (int i = 0; i <= index; i++)
        addresses[i] = watch->frames[i].function;
    ss_names_of(addresses, (uint32_t)index + 1, kinds);
    if (!kinds[index])
        return index < NAMELESS;
    if (!(kinds[index] & (SS_NAME_CLOSURE | SS_NAME_POLL | SS_NAME_RUNTIME | SS_NAME_STANDARD)))
        return false;
    bool is_body =
        kinds[index] & SS_NAME_CLOSURE && !(kinds[index] & (SS_NAME_RUNTIME | SS_NAME_STANDARD));
    for (int i = 0; i < index && !is_body; i++)
        if (!is_plumbing(kinds[i]))
            return false;
    return true;
}

int ss_activation_shared(struct ss_thread *thread, const struct ss_open *open)
{
    struct ss_frame frames[SS_FRAMES_NEAR];
    uint32_t now;
    bool same;
    if (open->watch.count == 0 || ss_options.await_check == SS_AWAIT_CHECK_OFF)
        return -1;
    uint32_t count = ss_stack_frames(thread, frames, SS_FRAMES_NEAR);
    int index = shared(&open->watch, frames, count, &now, &same);
    if (index >= 0 && is_of_one_task(&open->watch, index))
        return index;
    return dropped(&open->watch, frames, count);
}
