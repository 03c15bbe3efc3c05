/* Activations: whether the function that took a guard has returned since. See activations.c. */
#ifndef SS_ACTIVATIONS_H
#define SS_ACTIVATIONS_H

#include <stdatomic.h>

#include "events.h"
#include "options.h"

/* ss_place.holding, where the place knows its holder. DIRECT: it is the function that called the
 * subscriber; its CFA is rsp (or rbp) plus the upper half. Else the number of frames between. */
enum {
    SS_HOLDING_DIRECT = 1,
    SS_HOLDING_BY_RBP = 2,
    SS_HOLDING_DEEP = 4,
    SS_HOLDING_ALL = 8, /* it cannot be told: the whole chain is wanted at each enter */
    SS_HOLDING_DEPTH_SHIFT = 8,
    SS_HOLDING_OFFSET_SHIFT = 32
};

/* An open span on a thread, as another thread or the thread's end sees it. */
struct ss_open {
    struct ss_entry entry;
    struct ss_watch watch; /* count 0: nothing is known of its activations */
    bool found;            /* rules.c's */
};

/* The innermost functions on the calling thread's stack, and what they are by name. */
enum { SS_NEARBY = 16 };
struct ss_nearby {
    uint32_t count;
    uintptr_t functions[SS_NEARBY], cfas[SS_NEARBY];
    uint16_t kinds[SS_NEARBY]; /* once named */
    bool named;
};

/* Fills nearby in. False where the stack cannot be followed, or the check is off. */
SS_HIDDEN bool ss_nearby_look(struct ss_thread *thread, struct ss_nearby *nearby);

/* Notes the activations of an enter in a new entry (holder and watch are clear), whatever the place
 * knows; NULL: the call site has none left. rbp: the program's at the call. Work begun. */
SS_HIDDEN void ss_activation_note_slow(struct ss_thread *thread, struct ss_entry *entry,
                                       struct ss_place *place, const struct ss_call *call,
                                       uintptr_t rbp);

/* An exit of an entry that is watched: learns where its guard is held, or judges. */
SS_HIDDEN void ss_activation_exit(struct ss_thread *thread, const struct ss_call *call,
                                  struct ss_entry *entry);

/* Which entry an exit is of, where the index-th was entered while its span was open: the one whose
 * guard is held nearest to the exit. Returns its index. */
SS_HIDDEN uint32_t ss_activation_which(struct ss_thread *thread, uint32_t index);

/* The innermost entry outlived its holder, or may have, when something is entered or made
 * (made) on its thread. */
SS_HIDDEN void ss_activation_outlived(struct ss_thread *thread, struct ss_entry *entry,
                                      uintptr_t sp, bool made);

/* Whether open was entered in the body of a future that is now, on the calling thread, dropping its
 * guard. Returns the index of its frame, or -1. */
SS_HIDDEN int ss_activation_shared(struct ss_nearby *nearby, const struct ss_open *open);

/* Copies an entry and what is known of its activations. Any thread; racing with the owner, values
 * may be of different moments. */
SS_HIDDEN void ss_open_copy(const struct ss_entry *entry, struct ss_open *open);

/* Gives the watch of an entry back, if it has one. Owner only. */
SS_HIDDEN void ss_watch_drop(struct ss_thread *thread, struct ss_entry *entry);

/* At the end of the process: writes suspicions for what is still open. */
SS_HIDDEN void ss_activations_end(void);

/* Room for one copy, the thread's; NULL without memory. */
SS_HIDDEN struct ss_open *ss_open_scratch(struct ss_thread *thread);

/* Whether a frame that was entered on this thread's own stack is dead, sp being where it is now.
 * False where either is on another stack, which may be gone. */
static inline bool ss_activation_dead(const struct ss_thread *thread,
                                      const struct ss_activation *frame, uintptr_t sp)
{
    if (frame->cfa < thread->own_low + sizeof(uintptr_t) || frame->cfa > thread->own_high ||
        sp < thread->own_low || sp >= thread->own_high)
        return false;
    return frame->cfa <= sp || *(const uintptr_t *)(frame->cfa - 8) != frame->return_address;
}

/* Whether an entry may have outlived its holder. */
static inline bool ss_activation_suspect(const struct ss_thread *thread,
                                         const struct ss_entry *entry, uintptr_t sp)
{
    return SS_UNLIKELY(entry->watch) ||
           (entry->holder.function && SS_UNLIKELY(ss_activation_dead(thread, &entry->holder, sp)));
}

/* Looks at the innermost entry before something is entered or made. */
static inline void ss_activation_check(struct ss_thread *thread, struct ss_entry *innermost,
                                       uintptr_t sp, bool made)
{
    if (ss_activation_suspect(thread, innermost, sp))
        ss_activation_outlived(thread, innermost, sp, made);
}

/* Notes the holder of an enter's guard. */
static inline void ss_activation_note(struct ss_thread *thread, struct ss_entry *entry,
                                      struct ss_place *place, const struct ss_call *call,
                                      uintptr_t rbp)
{
    __atomic_store_n(&entry->watch, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->holder.function, 0, __ATOMIC_RELAXED);
    if (SS_UNLIKELY(!call->frame || (!place && !(entry->span && entry->span->site))))
        return;
    uint64_t holding =
        place ? atomic_load_explicit(&place->holding, memory_order_relaxed) : SS_HOLDING_ALL;
    uintptr_t base = holding & SS_HOLDING_BY_RBP ? rbp : call->frame + sizeof(uintptr_t);
    uintptr_t cfa = base + (uintptr_t)((int64_t)holding >> SS_HOLDING_OFFSET_SHIFT);
    if (SS_UNLIKELY(!(holding & SS_HOLDING_DIRECT) || call->frame < thread->own_low ||
                    cfa <= call->frame + sizeof(uintptr_t) || cfa > thread->own_high ||
                    cfa % sizeof(uintptr_t) != 0)) {
        ss_activation_note_slow(thread, entry, place, call, rbp);
        return;
    }
    __atomic_store_n(&entry->holder.cfa, cfa, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->holder.return_address, *(const uintptr_t *)(cfa - 8),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&entry->holder.function,
                     atomic_load_explicit(&place->function, memory_order_relaxed),
                     __ATOMIC_RELAXED);
}

#endif
