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

static const uint8_t *name_nearby(struct ss_nearby *nearby)
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

/* Whether futures are run on the stack now, from the index-th frame outwards. */
static bool futures_run(struct ss_nearby *nearby, uint32_t index)
{
    const uint8_t *kinds = name_nearby(nearby);
    for (uint32_t i = index; i < nearby->count; i++)
        if (ss_runs_futures(kinds[i]))
            return true;
    return false;
}

/* Whether they were where the first park was. */
static bool futures_ran(const struct ss_watch *watch)
{
    uint8_t kinds[SS_CHAIN];
    if (!watch->dead_at_park)
        return false;
    ss_names_of(watch->park_functions, SS_CHAIN, kinds);
    for (uint32_t i = 0; i < SS_CHAIN; i++)
        if (ss_runs_futures(kinds[i]))
            return true;
    return false;
}

/* Whether a closure is a future's body though nothing that runs futures is known: executors are
 * written by hand, too. It is not called in the function that it is written in, and has something
 * to drop where it is left off. */
static bool is_dropped_by_glue(struct ss_nearby *nearby, uint32_t index)
{
    const uint8_t *kinds = name_nearby(nearby);
    uint32_t caller = index + 1;
    while (caller < nearby->count && kinds[caller] & SS_NAME_STANDARD)
        caller++;
    return caller < nearby->count &&
           !ss_names_related(SS_IS_ENCLOSING, nearby->functions[index], &nearby->functions[caller],
                             1) &&
           ss_name_has_glue(nearby->functions[index]);
}

/* Whether a function that had the guard in two of its activations may be the body of a future, or
 * hold it, as names tell: a plain function that keeps a guard from one call to the next is at
 * liberty to, and so is a closure that is none. index: of the function in nearby. at_park: its frame
 * of the enter was found dead at one; else the silence of names is not enough. */
static bool may_poll(const struct ss_watch *watch, struct ss_nearby *nearby, uint32_t index,
                     bool at_park)
{
    uint8_t kind = name_nearby(nearby)[index];
    if (kind & SS_NAME_UNASKED)
        return false;
    if (!kind)
        return at_park;
    if (ss_runs_futures(kind))
        return true;
    if (!(kind & (SS_NAME_CLOSURE | SS_NAME_STANDARD)))
        return false;
    if (futures_run(nearby, index) || futures_ran(watch))
        return true;
    return at_park && kind & SS_NAME_CLOSURE && is_dropped_by_glue(nearby, index);
}

/* The frame of the future's body that the guard was taken in, where the exit comes of the future
 * being dropped; -1 where it does not, or cannot be told. */
static int dropped(const struct ss_watch *watch, const struct ss_nearby *nearby)
{
    uint8_t kind;
    int holder = ss_chain_holder(watch);
    ss_names_of(&watch->frames[holder].function, 1, &kind);
    if (!(kind & SS_NAME_CLOSURE))
        return -1;
    return ss_names_related(SS_IS_GLUE, watch->frames[holder].function, nearby->functions,
                            nearby->count)
               ? holder
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
    return index < 0 || !same || (uint32_t)ss_chain_holder(watch) < dead;
}

/* The index of the frame whose guard outlived it, -1 for none; learns where it did not. */
static int outlived_frame(const struct ss_entry *entry, struct ss_watch *watch,
                          struct ss_nearby *nearby)
{
    uint32_t now;
    bool same;
    int index = shared(watch, nearby, &now, &same);
    bool at_park = index >= 0 && (uint32_t)index < watch->dead_at_park;
    bool at_event = index >= 0 && (uint32_t)index < watch->dead_at_event;
    if ((at_park || at_event) && may_poll(watch, nearby, now, at_park))
        return index;
    int body = outlived_holder(watch, index, same) ? dropped(watch, nearby) : -1;
    if (body >= 0)
        return body;
    if (index >= 0 && same && watch->learning) {
        ss_holder_learn(entry, watch, (uint32_t)index);
    } else if (index < 0 && !watch->learning && watch->dead_at_park) {
        /* The holder that was learned is not where this guard was held. */
        struct ss_site *site = entry->span ? entry->span->site : NULL;
        struct ss_place *place = site ? ss_place_find(site->enters, entry->entered.caller) : NULL;
        if (place)
            atomic_store_explicit(&place->holding, SS_HOLDING_ALL, memory_order_relaxed);
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
        uint8_t kind;
        ss_names_of(&entry->watch->frames[index].function, 1, &kind);
        ss_open_copy(entry, open);
        open->sure = kind;
        ss_judge_held(thread, call, open, (uint32_t)index, false);
    }
    ss_watch_drop(thread, entry);
}

/* Whether a frame that both threads share tells that they run one task, rather than that all tasks
 * run alike: it is the first that is not plumbing, with the user's code in it, or a body of the
 * user's, and futures are run. Without names, frames beyond a few are no user's. */
static bool is_of_one_task(const struct ss_watch *watch, int index, struct ss_nearby *nearby,
                           uint32_t now)
{
    enum { NAMELESS = 4 };
    uint8_t kinds[SS_CHAIN];
    uint8_t kind = name_nearby(nearby)[now];
    if (!kind)
        return index < NAMELESS;
    if (kind & SS_NAME_UNASKED || !futures_run(nearby, now))
        return false;
    bool is_body = kind & SS_NAME_CLOSURE && !(kind & (SS_NAME_RUNTIME | SS_NAME_STANDARD));
    ss_chain_kinds(watch, kinds);
    for (int i = 0; i < index && !is_body; i++)
        if (!ss_is_plumbing(kinds[i]))
            return false;
    return is_body || kind & SS_NAME_STANDARD || ss_runs_futures(kind);
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
    return dropped(&open->watch, nearby);
}
