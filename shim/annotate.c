/* The annotation provider: what strayspan.h's functions look up. Same state, same rules; ids are
 * ours, so a close through another subscriber is certain by itself and needs no call that it
 * happens in.
 *
 * Called by the program on any thread, not from signal handlers. An id holds the index of its
 * instance in its low bits, so that its span is found whoever names it. */
#define STRAYSPAN_IMPLEMENTATION
#include "strayspan.h"

#include <stdatomic.h>

#include "events.h"
#include "instances.h"
#include "rules.h"
#include "sites.h"
#include "span_stack.h"
#include "start.h"
#include "threads.h"

enum { INSTANCE_BITS = 16 };

SS_EXPORT uint64_t strayspan_annotate_new(const void *subscriber,
                                          const struct strayspan_site *annotation);
SS_EXPORT void strayspan_annotate_enter(const void *subscriber, uint64_t id);
SS_EXPORT void strayspan_annotate_exit(const void *subscriber, uint64_t id);
SS_EXPORT void strayspan_annotate_close(const void *subscriber, uint64_t id);

#define CALL_HERE(subscriber)                                                    \
    {                                                                            \
        (uintptr_t)(subscriber), NULL, (uintptr_t)__builtin_return_address(0), 0 \
    }

static struct ss_thread *begin(void)
{
    if (!atomic_load_explicit(&ss_start_up, memory_order_acquire))
        return NULL;
    if (SS_UNLIKELY(!atomic_load_explicit(&ss_start_active, memory_order_relaxed)))
        ss_start_activate();
    return ss_begin();
}

uint64_t strayspan_annotate_new(const void *subscriber, const struct strayspan_site *annotation)
{
    static _Atomic uint64_t made;
    const struct ss_call call = CALL_HERE(subscriber);
    uint64_t id = 0;
    struct ss_thread *thread = begin();
    if (!thread)
        return 0;
    struct ss_instance_ref owner = ss_instance_of(thread, call.address, NULL);
    if (owner.instance) {
        id = (atomic_fetch_add(&made, 1) + 1) << INSTANCE_BITS | owner.instance->index;
        const struct ss_entry *parent = ss_stack_innermost(thread, owner.instance);
        (void)ss_event_new(thread, &call, ss_site_of_annotation(annotation), id,
                           parent ? parent->id : 0, NULL);
    } else {
        static _Atomic bool warned;
        ss_count(&thread->unjudged[SS_UNJUDGED_MEMORY]);
        if (!atomic_exchange(&warned, true))
            SS_WARN("too many annotated subscribers: spans of further ones are not watched");
    }
    ss_end(thread);
    return id;
}

void strayspan_annotate_enter(const void *subscriber, uint64_t id)
{
    const struct ss_call call = CALL_HERE(subscriber);
    struct ss_thread *thread = id ? begin() : NULL;
    if (!thread)
        return;
    ss_event_enter(thread, &call, id, 0);
    ss_end(thread);
}

void strayspan_annotate_exit(const void *subscriber, uint64_t id)
{
    const struct ss_call call = CALL_HERE(subscriber);
    struct ss_thread *thread = id ? begin() : NULL;
    if (!thread)
        return;
    struct ss_instance *forwarding;
    (void)ss_event_exit(thread, &call, id, &forwarding);
    ss_end(thread);
}

void strayspan_annotate_close(const void *subscriber, uint64_t id)
{
    const struct ss_call call = CALL_HERE(subscriber);
    struct ss_thread *thread = id ? begin() : NULL;
    if (!thread)
        return;
    struct ss_instance *owner = ss_instance_at(id & ((1u << INSTANCE_BITS) - 1));
    struct ss_span_ref span = {NULL, 0};
    if (owner)
        span = ss_span_find(owner, id);
    if (span.span && !subscriber) {
        ss_judge_annotated_close(thread, &call, span, NULL);
    } else if (span.span) {
        struct ss_instance_ref called = ss_instance_of(thread, call.address, NULL);
        if (called.instance != owner) {
            ss_judge_annotated_close(thread, &call, span, called.instance);
        } else {
            ss_event_close(thread, &call, span, true);
        }
    }
    ss_end(thread);
}
