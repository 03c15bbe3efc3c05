/* The span stack of a thread: the spans open on it, in the order of their enters. Functions here
 * are for its owner, with work begun (ss_begin); others read it through threads.c. */
#ifndef SS_SPAN_STACK_H
#define SS_SPAN_STACK_H

#include <stdatomic.h>

#include "internal.h"

/* Doubles the stack's room. Returns false without memory. */
SS_HIDDEN bool ss_stack_grow(struct ss_thread *thread);

/* Removes an entry that is not the innermost; those above it move down. */
SS_HIDDEN void ss_stack_remove_at(struct ss_thread *thread, uint32_t index);

/* Removes the innermost entry with that span serial, and fills removed. False where there is none.
 */
SS_HIDDEN bool ss_stack_remove_serial(struct ss_thread *thread, uint64_t span_serial,
                                      struct ss_entry *removed);

/* Removes what belongs to instances that have ended. */
SS_HIDDEN void ss_stack_remove_void(struct ss_thread *thread);

/* The innermost valid entry of an instance (NULL: of any), or NULL. */
SS_HIDDEN const struct ss_entry *ss_stack_innermost(const struct ss_thread *thread,
                                                    const struct ss_instance *instance);

static inline struct ss_entry *ss_stack_entries(const struct ss_thread *thread)
{
    return atomic_load_explicit(&thread->entries, memory_order_relaxed);
}

/* Whether an entry's instance still lives. */
static inline bool ss_entry_valid(const struct ss_entry *entry)
{
    return !entry->instance ||
           atomic_load_explicit(&entry->instance->serial, memory_order_relaxed) ==
               atomic_load_explicit(&entry->instance_serial, memory_order_relaxed);
}

/* The room for the next entry, to be filled in and then published; NULL without memory. */
static inline struct ss_entry *ss_stack_next(struct ss_thread *thread)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (SS_UNLIKELY(depth == thread->capacity) && !ss_stack_grow(thread))
        return NULL;
    return &ss_stack_entries(thread)[depth];
}

/* Makes the entry that ss_stack_next gave the innermost. */
static inline void ss_stack_publish(struct ss_thread *thread)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    atomic_store_explicit(&thread->depth, depth + 1, memory_order_release);
}

#endif
