/* The span stack's colder parts. Owner only, no lock: other threads that search it may read an old
 * array, or an entry while it moves, and ask ss_thread.moves whether they did. */
#include "span_stack.h"

#include <string.h>

#include "activations.h"

bool ss_stack_grow(struct ss_thread *thread)
{
    uint32_t capacity = thread->capacity * 2;
    struct ss_entry *entries = ss_alloc(capacity * sizeof *entries);
    if (!entries)
        return false;
    memcpy(entries, ss_stack_entries(thread), thread->capacity * sizeof *entries);
    /* Readers may still hold the old array: it stays as it is. */
    atomic_store_explicit(&thread->entries, entries, memory_order_release);
    thread->capacity = capacity;
    return true;
}

void ss_stack_remove_at(struct ss_thread *thread, uint32_t index)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    struct ss_entry *entries = ss_stack_entries(thread);
    uint32_t moves = atomic_load_explicit(&thread->moves, memory_order_relaxed);
    atomic_store_explicit(&thread->moves, moves + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memmove(&entries[index], &entries[index + 1], (depth - index - 1) * sizeof *entries);
    atomic_store_explicit(&thread->depth, depth - 1, memory_order_release);
    atomic_store_explicit(&thread->moves, moves + 2, memory_order_release);
}

bool ss_stack_remove_serial(struct ss_thread *thread, uint64_t span_serial,
                            struct ss_entry *removed)
{
    struct ss_entry *entries = ss_stack_entries(thread);
    for (uint32_t i = atomic_load_explicit(&thread->depth, memory_order_relaxed); i--;)
        if (atomic_load_explicit(&entries[i].span_serial, memory_order_relaxed) == span_serial) {
            *removed = entries[i];
            ss_watch_drop(thread, &entries[i]);
            ss_stack_remove_at(thread, i);
            return true;
        }
    return false;
}

void ss_stack_remove_void(struct ss_thread *thread)
{
    struct ss_entry *entries = ss_stack_entries(thread);
    for (uint32_t i = atomic_load_explicit(&thread->depth, memory_order_relaxed); i--;)
        if (!ss_entry_valid(&entries[i])) {
            ss_watch_drop(thread, &entries[i]);
            ss_stack_remove_at(thread, i);
        }
}

const struct ss_entry *ss_stack_innermost(const struct ss_thread *thread,
                                          const struct ss_instance *instance)
{
    const struct ss_entry *entries = ss_stack_entries(thread);
    for (uint32_t i = atomic_load_explicit(&thread->depth, memory_order_relaxed); i--;)
        if ((!instance || entries[i].instance == instance) && ss_entry_valid(&entries[i]))
            return &entries[i];
    return NULL;
}
