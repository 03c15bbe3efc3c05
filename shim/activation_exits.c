/* Whether a guard outlived the activation that took it: the judgement at its exit. What is looked for
 * is told in activations.c.
 *
 * Called from the exit thunk and by rules.c, work begun, by the thread that exits. Reads the calling
 * thread's own stack only. No lock but those of the reports. */
#include <stdatomic.h>

#include "activations.h"
#include "holders.h"
#include "names.h"
#include "options.h"
#include "rules.h"
#include "span_stack.h"
#include "stacks.h"

enum { ENTRIES_MAX = 64 }; /* looked at for one that an exit may be of */

bool ss_nearby_look(struct ss_thread *thread, struct ss_nearby *nearby)
{
    struct ss_frame frames[SS_NEARBY];
    nearby->count = 0;
    if (ss_options.await_check == SS_AWAIT_CHECK_OFF)
        return false;
    nearby->count = ss_stack_frames(thread, frames, SS_NEARBY);
    for (uint32_t i = 0; i < nearby->count; i++) {
        nearby->functions[i] = frames[i].function;
        nearby->cfas[i] = frames[i].cfa;
    }
    nearby->named = false;
    return nearby->count;
}

static const uint16_t *name_nearby(struct ss_nearby *nearby)
{
    if (!nearby->named)
        ss_names_of(nearby->functions, nearby->count, nearby->kinds);
    nearby->named = true;
    return nearby->kinds;
}

/* The innermost frame of the enter whose function is on the stack now, innermost in nearby's
 * *now; -1 for none. *same: it is the same activation. */
static int shared(const struct ss_watch *watch, const struct ss_nearby *nearby, uint32_t *now,
                  bool *same)
{
    for (uint32_t i = 0; i < watch->count; i++) {
        *now = nearby->count;
        *same = false;
        for (uint32_t j = nearby->count; j--;)
            if (nearby->functions[j] == watch->frames[i].function) {
                *now = j;
                *same |= nearby->cfas[j] == watch->frames[i].cfa;
            }
        if (*now < nearby->count)
            return (int)i;
    }
    return -1;
}

/* Whether a function that had the guard in two of its activations is the body of a future, or run by
 * one's poll, as code and names tell: others are at liberty to keep a guard from one call to the next.
 * index: of the function in the chain; now: in nearby. */
static bool may_poll(const struct ss_entry *entry, const struct ss_watch *watch, uint32_t index,
                     struct ss_nearby *nearby, uint32_t now)
{
    uint16_t kind = name_nearby(nearby)[now];
    if (kind & (SS_NAME_UNASKED | SS_NAME_SYNC))
        return false;
    /* What polls a task drops it, too. */
    if (ss_is_future(kind) || (kind & SS_NAME_POLL && ss_chain_has_body(watch, index)))
        return true;
    return kind & (SS_NAME_CLOSURE | SS_NAME_STANDARD) &&
           (ss_is_polled(nearby->kinds, nearby->count, now) || ss_was_polled(entry, watch, index));
}

/* The frame of the future's body that the guard was taken in, where the exit comes of the future
 * being dropped; -1 where it does not, or cannot be told. */
static int dropped(const struct ss_entry *entry, const struct ss_watch *watch,
                   const struct ss_nearby *nearby)
{
    uint16_t kind;
    int holder = ss_chain_holder(watch);
    uintptr_t function = watch->frames[holder].function;
    ss_names_of(&function, 1, &kind);
    if (!(kind & SS_NAME_CLOSURE) || !ss_names_drop(function, nearby->functions, nearby->count))
        return -1;
    return kind & SS_NAME_BODY || ss_was_polled(entry, watch, (uint32_t)holder) ? holder : -1;
}

static uint32_t most_dead(const struct ss_watch *watch)
{
    return watch->dead_at_park > watch->dead_at_event ? watch->dead_at_park : watch->dead_at_event;
}

/* Whether it is worth asking how a guard went whose exit shares no dead frame with its enter: some
 * frames died, and the holder is not known to live. */
static bool outlived_holder(const struct ss_watch *watch, int index, bool same)
{
    uint32_t dead = most_dead(watch);
    if (dead == 0 || index == 0)
        return false;
    return index < 0 || !same || (uint32_t)ss_chain_holder(watch) < dead;
}

/* From now on the whole chain is noted at an entry's place. */
static void watch_all(const struct ss_entry *entry)
{
    struct ss_site *site = entry->span ? entry->span->site : NULL;
    struct ss_place *place = site ? ss_place_find(site->enters, entry->entered.caller) : NULL;
    if (place)
        atomic_store_explicit(&place->holding, SS_HOLDING_ALL, memory_order_relaxed);
}

/* The index of the frame whose guard outlived it, -1 for none; learns where it did not. */
static int outlived_frame(const struct ss_entry *entry, struct ss_watch *watch,
                          struct ss_nearby *nearby)
{
    uint32_t now;
    bool same;
    int index = shared(watch, nearby, &now, &same);
    uint32_t dead = most_dead(watch);
    if (index >= 0 && (uint32_t)index < dead &&
        ss_chain_end_of_task(watch, (uint32_t)index) <= dead &&
        may_poll(entry, watch, (uint32_t)index, nearby, now)) {
        if (watch->count > 1 || nearby->kinds[now] & SS_NAME_BODY)
            return index;
        /* Who called the closure is not known of this enter: of the next ones it will be. */
        watch_all(entry);
    }
    int body = outlived_holder(watch, index, same) ? dropped(entry, watch, nearby) : -1;
    if (body >= 0 && ss_chain_end_of_task(watch, (uint32_t)body) <= dead)
        return body;
    if (index >= 0 && same && watch->learning) {
        ss_holder_learn(entry, watch, (uint32_t)index);
    } else if (index < 0 && !watch->learning && watch->dead_at_park) {
        /* The holder that was learned is not where this guard was held. */
        watch_all(entry);
    }
    return -1;
}

/* Where on the stack the function is that holds an entry's guard; UINT32_MAX: not on it. */
static uint32_t nearness(const struct ss_entry *entry, const struct ss_nearby *nearby)
{
    uint32_t now = 0;
    bool same;
    if (entry->watch)
        return shared(entry->watch, nearby, &now, &same) < 0 ? UINT32_MAX : now;
    while (now < nearby->count && nearby->functions[now] != entry->holder.function)
        now++;
    return now < nearby->count && entry->holder.function ? now : UINT32_MAX;
}

uint32_t ss_activation_which(struct ss_thread *thread, uint32_t index)
{
    const struct ss_entry *entries = ss_stack_entries(thread);
    uint64_t serial = atomic_load_explicit(&entries[index].span_serial, memory_order_relaxed);
    uint32_t best = index, nearest = UINT32_MAX;
    struct ss_nearby nearby;
    if (!ss_nearby_look(thread, &nearby))
        return index;
    for (uint32_t i = index + 1; i-- && index - i < ENTRIES_MAX;) {
        if (atomic_load_explicit(&entries[i].span_serial, memory_order_relaxed) != serial)
            continue;
        uint32_t distance = nearness(&entries[i], &nearby);
        if (distance < nearest) {
            nearest = distance;
            best = i;
        }
    }
    return best;
}

void ss_activation_exit(struct ss_thread *thread, const struct ss_call *call,
                        struct ss_entry *entry)
{
    const struct ss_watch *watch = entry->watch;
    struct ss_nearby nearby;
    int index = -1;
    bool learns = watch->learning && ss_options.await_check != SS_AWAIT_CHECK_FULL;
    if ((learns || watch->dead_at_park || watch->dead_at_event) && ss_nearby_look(thread, &nearby))
        index = outlived_frame(entry, entry->watch, &nearby);
    struct ss_open *open = index >= 0 ? ss_open_scratch(thread) : NULL;
    if (open) {
        ss_open_copy(entry, open);
        ss_judge_held(thread, call, open, (uint32_t)index, false);
    }
    ss_watch_drop(thread, entry);
}

/* Whether a frame that both threads share tells that they run one task, rather than that all tasks
 * run alike: it is the first that is not plumbing, with the user's code in it, or a body of the
 * user's, and futures are run. Without names a body is told by its code, and frames beyond a few are
 * no user's. */
static bool is_of_one_task(const struct ss_watch *watch, int index, struct ss_nearby *nearby,
                           uint32_t now)
{
    enum { NAMELESS = 4 };
    uint16_t kinds[SS_CHAIN];
    uint16_t kind = name_nearby(nearby)[now];
    if (!kind)
        return index < NAMELESS && ss_chain_has_body(watch, (uint32_t)index);
    if (kind & (SS_NAME_UNASKED | SS_NAME_SYNC) ||
        !(kind & (SS_NAME_BODY | SS_NAME_POLL) || ss_is_polled(nearby->kinds, nearby->count, now)))
        return false;
    bool is_body = kind & SS_NAME_BODY ||
                   (kind & SS_NAME_CLOSURE && !(kind & (SS_NAME_RUNTIME | SS_NAME_STANDARD)));
    ss_chain_kinds(watch, kinds);
    for (int i = 0; i < index && !is_body; i++)
        if (!ss_is_plumbing(kinds[i]))
            return false;
    return is_body || kind & (SS_NAME_STANDARD | SS_NAME_POLL);
}

int ss_activation_shared(struct ss_nearby *nearby, const struct ss_open *open)
{
    uint32_t now;
    bool same;
    if (open->watch.count == 0)
        return -1;
    int index = shared(&open->watch, nearby, &now, &same);
    if (index >= 0 && is_of_one_task(&open->watch, index, nearby, now))
        return index;
    return dropped(&open->entry, &open->watch, nearby);
}
