/* What events.c and thunks.c share of the calling thread's state: the marks of calls that stay on the
 * stack, and the cache of spans that it met. All are for the calling thread, with work begun. */
#ifndef SS_EVENT_STATE_H
#define SS_EVENT_STATE_H

#include <stdatomic.h>

#include "events.h"
#include "instances.h"
#include "span_stack.h"
#include "threads.h"

/* For what others may read or write meanwhile, where no order matters. SET: what is not _Atomic. */
#define GET(cell) atomic_load_explicit(&(cell), memory_order_relaxed)
#define PUT(cell, value) atomic_store_explicit(&(cell), value, memory_order_relaxed)
#define SET(cell, value) __atomic_store_n(&(cell), value, __ATOMIC_RELAXED)

/* ---- marks ----------------------------------------------------------------------------------- */

static inline uint32_t ss_mark_depth(const struct ss_thread *thread)
{
    return atomic_load_explicit(&thread->mark_depth, memory_order_relaxed);
}

/* Takes off what a panic left: marks of frames that are gone. */
static inline void ss_marks_drop_stale(struct ss_thread *thread, uintptr_t frame)
{
    uint32_t depth = ss_mark_depth(thread);
    while (SS_UNLIKELY(depth && thread->marks[depth - 1].frame <= frame))
        atomic_store_explicit(&thread->mark_depth, --depth, memory_order_relaxed);
}

/* A number for a call that stays on the stack, greater than those of calls before it; never 0. */
static inline uint32_t ss_next_sequence(struct ss_thread *thread)
{
    if (SS_UNLIKELY(++thread->sequence == 0))
        ++thread->sequence;
    return thread->sequence;
}

/* Puts a mark on, without the moment of the enter; NULL where there are too many to be true. */
static inline __attribute__((always_inline)) struct ss_mark *
ss_mark_put(struct ss_thread *thread, const struct ss_call *call, enum ss_operation operation,
            uint64_t id, struct ss_instance *instance, struct ss_span *span, uint64_t span_serial)
{
    ss_marks_drop_stale(thread, call->frame);
    uint32_t depth = ss_mark_depth(thread);
    if (SS_UNLIKELY(depth == SS_MARKS))
        return NULL;
    struct ss_mark *mark = &thread->marks[depth];
    mark->frame = call->frame;
    mark->address = call->address;
    mark->caller = call->caller;
    mark->id = id;
    mark->instance = instance;
    mark->span = span;
    atomic_store_explicit(&mark->span_serial, span_serial, memory_order_relaxed);
    atomic_store_explicit(&mark->operation, operation, memory_order_relaxed);
    mark->created_number = thread->made;
    mark->sequence = ss_next_sequence(thread);
    atomic_store_explicit(&thread->mark_depth, depth + 1, memory_order_release);
    return mark;
}

static inline void ss_mark_take(uint32_t sequence)
{
    struct ss_thread *thread = ss_self;
    uint32_t depth = sequence ? ss_mark_depth(thread) : 0;
    if (depth && thread->marks[depth - 1].sequence == sequence)
        atomic_store_explicit(&thread->mark_depth, depth - 1, memory_order_relaxed);
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* What a call is about, once it is known. */
struct ss_subject {
    struct ss_instance_ref owner;
    struct ss_span_ref span; /* NULL: its creation was not seen */
    bool ignored;            /* forwarded to an instance that counts it, or not judged */
    bool forwarded;
};

static inline unsigned ss_cache_slot(uint64_t id)
{
    return (unsigned)(id ^ id >> 3) % SS_CACHED_SPANS;
}

/* Asks the tables; fills the cache. */
SS_HIDDEN struct ss_subject ss_subject_look_up(struct ss_thread *thread, const struct ss_call *call,
                                               uint64_t id);

/* Whether the record is that span's still, and the span's instance has not ended. */
static inline bool ss_span_lives(struct ss_span_ref span)
{
    if (SS_UNLIKELY(atomic_load_explicit(&span.span->serial, memory_order_relaxed) != span.serial))
        return false;
    const struct ss_instance *instance =
        atomic_load_explicit(&span.span->instance, memory_order_relaxed);
    return SS_LIKELY(atomic_load_explicit(&instance->serial, memory_order_relaxed) ==
                     atomic_load_explicit(&span.span->instance_serial, memory_order_relaxed));
}

static inline struct ss_subject ss_subject_find(struct ss_thread *thread,
                                                const struct ss_call *call, uint64_t id)
{
    unsigned slot = ss_cache_slot(id);
    struct ss_span_ref span = {thread->cached_spans[slot].span, thread->cached_spans[slot].serial};
    if (SS_LIKELY(span.span && thread->cached_spans[slot].id == id &&
                  thread->cached_spans[slot].address == call->address && ss_span_lives(span)))
        return (struct ss_subject){
            {atomic_load_explicit(&span.span->instance, memory_order_relaxed),
             atomic_load_explicit(&span.span->instance_serial, memory_order_relaxed)},
            span,
            false,
            false};
    return ss_subject_look_up(thread, call, id);
}

/* Whether the thread has the span open already, among the innermost. */
static inline bool ss_is_open_here(const struct ss_thread *thread, const struct ss_span *span,
                                   uint64_t span_serial)
{
    enum { ENTRIES = 8 };
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    const struct ss_entry *entries = ss_stack_entries(thread);
    if (SS_LIKELY(depth == 0 || !span ||
                  atomic_load_explicit(&span->last_entered, memory_order_relaxed) !=
                      thread->serial))
        return false;
    for (uint32_t i = depth; i-- && depth - i <= ENTRIES;)
        if (atomic_load_explicit(&entries[i].span_serial, memory_order_relaxed) == span_serial)
            return true;
    return false;
}

#endif
