/* What each event does to the state, of whatever provider. Called from thunks.c and annotate.c, by
 * the thread that the event is on, work begun; no lock but the tables' own. */
#include "events.h"

#include "activations.h"
#include "closed.h"
#include "event_state.h"
#include "history.h"
#include "instances.h"
#include "options.h"
#include "proof.h"
#include "rules.h"
#include "sites.h"
#include "span_stack.h"
#include "stacks.h"
#include "threads.h"

_Atomic bool ss_events_lost;

static void cache(struct ss_thread *thread, struct ss_span_ref span, uint64_t id)
{
    unsigned slot = ss_cache_slot(id);
    thread->cached_spans[slot].id = id;
    thread->cached_spans[slot].address =
        atomic_load_explicit(&span.span->address, memory_order_relaxed);
    thread->cached_spans[slot].span = span.span;
    thread->cached_spans[slot].serial = span.serial;
    struct ss_place *place = span.span->site ? GET(span.span->site->settled) : NULL;
    thread->cached_spans[slot].place = place;
    thread->cached_spans[slot].holding = place ? GET(place->holding) : 0;
}

/* Why an instance is not judged. */
static SS_COLD enum ss_unjudged reason_of(const struct ss_instance *instance)
{
    return instance->table && ss_proof_failed(instance->table) ? SS_UNJUDGED_TABLE_OFF
                                                               : SS_UNJUDGED_CONSTANT_ID;
}

struct ss_subject ss_subject_look_up(struct ss_thread *thread, const struct ss_call *call,
                                     uint64_t id)
{
    struct ss_subject subject = {{NULL, 0}, {NULL, 0}, false, false};
    subject.owner = ss_instance_of(thread, call->address, call->table);
    struct ss_instance *instance = subject.owner.instance;
    if (!instance)
        return subject;
    if (atomic_load_explicit(&instance->forwards, memory_order_relaxed)) {
        subject.ignored = subject.forwarded = true;
    } else if (atomic_load_explicit(&instance->constant_id, memory_order_relaxed)) {
        subject.ignored = true;
        ss_count(&thread->unjudged[reason_of(instance)]);
    } else {
        subject.span = ss_span_find(instance, id);
        if (subject.span.span)
            cache(thread, subject.span, id);
    }
    return subject;
}

bool ss_event_new(struct ss_thread *thread, const struct ss_call *call, struct ss_site *site,
                  uint64_t id, uint64_t parent, struct ss_values *values)
{
    struct ss_instance_ref owner = ss_instance_of(thread, call->address, call->table);
    ss_count(&thread->created);
    if (!owner.instance ||
        atomic_load_explicit(&owner.instance->constant_id, memory_order_relaxed)) {
        ss_count(
            &thread->unjudged[owner.instance ? reason_of(owner.instance) : SS_UNJUDGED_MEMORY]);
        return false;
    }
    /* Only what is copied is set: to clear all of it takes longer than the rest. */
    struct ss_span model;
    PUT(model.id, id);
    PUT(model.address, call->address);
    PUT(model.instance, owner.instance);
    PUT(model.instance_serial, owner.serial);
    model.site = site;
    model.values = values;
    model.parent = parent;
    model.created_number = ++thread->made;
    if (site)
        ss_moment_at(thread, ss_place_find(site->creations, call->caller), call->caller,
                     &model.created);
    else
        model.created = (struct ss_moment){0, call->caller, thread->serial, 0};

    bool duplicate;
    struct ss_span_ref span = ss_span_add(&model, &duplicate);
    if (duplicate && atomic_load(&ss_events_lost)) {
        /* Its close may have been among the events that were lost. */
        struct ss_span_ref old = ss_span_find(owner.instance, id);
        if (old.span)
            ss_span_remove(old.span, old.serial);
        span = ss_span_add(&model, &duplicate);
    }
    if (duplicate) {
        ss_instance_distrust(owner.instance);
        ss_count(&thread->unjudged[SS_UNJUDGED_CONSTANT_ID]);
        return false;
    }
    if (!span.span) {
        ss_count(&thread->unjudged[SS_UNJUDGED_MEMORY]);
        ss_proof_excuse(call->table);
        return false;
    }
    cache(thread, span, id);
    if (SS_UNLIKELY(call->table && call->table->by_code))
        ss_proof_made(call->table);
    ss_history_note(thread, SS_HISTORY_NEW, span.span, span.serial, call->caller);
    if (SS_UNLIKELY(call->table && call->table->never_closes)) {
        struct ss_span_ref oldest = ss_instance_note_span(owner.instance, span);
        if (oldest.span)
            ss_span_remove(oldest.span, oldest.serial);
    }
    return true;
}

static inline void moment_of_enter(struct ss_thread *thread, const struct ss_site *site,
                                   struct ss_place *place, uintptr_t caller,
                                   struct ss_moment *moment)
{
    *moment = (struct ss_moment){0, caller, thread->serial, 0};
    if (SS_UNLIKELY(!place && !site))
        return;
    if (SS_LIKELY(place && ss_options.stacks == SS_STACKS_SITE &&
                  atomic_load_explicit(&place->taken, memory_order_relaxed) >= SS_FULL_STACKS))
        moment->stack =
            atomic_load_explicit(&place->typical, memory_order_relaxed) | SS_STACK_TYPICAL;
    else
        ss_moment_at(thread, place, caller, moment);
}

/* The place of an enter at its call site, NULL where there is none. */
static inline struct ss_place *place_of_enter(const struct ss_span *span, uintptr_t caller)
{
    struct ss_site *site = span ? span->site : NULL;
    if (SS_UNLIKELY(!site))
        return NULL;
    struct ss_place *place = &site->enters[0];
    if (SS_LIKELY(atomic_load_explicit(&place->address, memory_order_relaxed) == caller))
        return place;
    return ss_place_find(site->enters, caller);
}

/* Whether nothing is left to learn of a place, and whoever holds its guards is found by a constant
 * (or not asked for): enter_again knows all of it. */
static bool is_settled(const struct ss_place *place, uint64_t holding)
{
    int32_t offset = (int32_t)(holding >> SS_HOLDING_OFFSET_SHIFT);
    if (ss_options.stacks != SS_STACKS_SITE ||
        atomic_load_explicit(&place->taken, memory_order_relaxed) < SS_FULL_STACKS)
        return false;
    if (ss_options.await_check == SS_AWAIT_CHECK_OFF)
        return holding == 0;
    return (holding & SS_HOLDING_DIRECT) && !(holding & SS_HOLDING_BY_RBP) && offset > 0 &&
           offset % (int32_t)sizeof(uintptr_t) == 0;
}

/* Lets enter_again do the next enter of this span at this place. */
static void settle(struct ss_thread *thread, struct ss_span_ref span, uint64_t id,
                   struct ss_place *place)
{
    unsigned slot = ss_cache_slot(id);
    uint64_t holding = atomic_load_explicit(&place->holding, memory_order_relaxed);
    if (thread->cached_spans[slot].span != span.span ||
        thread->cached_spans[slot].serial != span.serial)
        return;
    if (!is_settled(place, holding))
        place = NULL;
    thread->cached_spans[slot].place = place;
    thread->cached_spans[slot].holding = holding;
    if (GET(span.span->site->settled) != place)
        PUT(span.span->site->settled, place);
}

void ss_event_enter(struct ss_thread *thread, const struct ss_call *call, uint64_t id,
                    uintptr_t rbp)
{
    struct ss_subject subject = ss_subject_find(thread, call, id);
    if (subject.ignored)
        return;
    struct ss_span *span = subject.span.span;
    struct ss_entry *entry = ss_stack_next(thread);
    ss_count(&thread->entered);
    if (SS_UNLIKELY(!entry)) {
        thread->tainted = true;
        ss_count(&thread->unjudged[SS_UNJUDGED_MEMORY]);
        return;
    }
    entry->again = ss_is_open_here(thread, span, subject.span.serial);
    /* What is entered under itself does nobody harm. */
    if (atomic_load_explicit(&thread->depth, memory_order_relaxed) && !entry->again)
        ss_activation_check(thread, entry - 1, call->frame, false);

    struct ss_place *place = place_of_enter(span, call->caller);
    if (place)
        settle(thread, subject.span, id, place);
    struct ss_moment entered;
    moment_of_enter(thread, span ? span->site : NULL, place, call->caller, &entered);
    atomic_store_explicit(&entry->address, call->address, memory_order_relaxed);
    atomic_store_explicit(&entry->id, id, memory_order_relaxed);
    atomic_store_explicit(&entry->span_serial, subject.span.serial, memory_order_relaxed);
    atomic_store_explicit(&entry->instance_serial, subject.owner.serial, memory_order_relaxed);
    entry->instance = subject.owner.instance;
    entry->span = span;
    entry->number = (uint32_t)atomic_load_explicit(&thread->entered, memory_order_relaxed);
    ss_moment_store(&entry->entered, &entered);
    ss_activation_note(thread, entry, place, call, rbp);
    ss_stack_publish(thread);
    ss_history_note(thread, SS_HISTORY_ENTER, span, subject.span.serial, call->caller);

    if (SS_UNLIKELY(!span)) {
        if (subject.owner.instance)
            ss_judge_use(thread, call, subject.owner.instance, id, SS_USE_ENTER, NULL);
    } else if (atomic_load_explicit(&span->last_entered, memory_order_relaxed) != thread->serial) {
        if (SS_UNLIKELY(ss_options.severities[SS_RULE_CONCURRENT_ENTER] &&
                        atomic_load_explicit(&span->last_entered, memory_order_relaxed)))
            ss_judge_enter(thread, call, subject.span);
        atomic_store_explicit(&span->last_entered, thread->serial, memory_order_relaxed);
    }
}

/* The mark of an exit whose entry was found. */
static inline __attribute__((always_inline)) uint32_t mark_exit(struct ss_thread *thread,
                                                                const struct ss_call *call,
                                                                uint64_t id,
                                                                const struct ss_entry *entry)
{
    if (!call->frame)
        return 0;
    struct ss_mark *mark =
        ss_mark_put(thread, call, SS_IN_EXIT, id, entry->instance, entry->span,
                    atomic_load_explicit(&entry->span_serial, memory_order_relaxed));
    if (SS_UNLIKELY(!mark))
        return 0;
    ss_moment_store(&mark->entered, &entry->entered);
    return mark->sequence;
}

/* Puts what exit and close did not put on the stack of marks, as hardly any needs it: whatever
 * enters, exits, makes or closes something begins with this. A frame is 0 where the handler of a
 * signal did so between the look at the state and now. */
void ss_event_put_marks(struct ss_thread *thread, enum ss_thread_state state)
{
    if (state != SS_CLOSING && thread->exit_frame) {
        const struct ss_entry *entry = &ss_stack_entries(thread)[GET(thread->depth)];
        const struct ss_call call = {GET(entry->address), NULL, thread->exit_caller,
                                     thread->exit_frame};
        (void)mark_exit(thread, &call, GET(entry->id), entry);
    }
    thread->exit_frame = 0;
    if (state == SS_EXITING)
        return;
    struct ss_span *span = thread->close_span;
    uint64_t serial = GET(thread->closing);
    const struct ss_call call = {GET(span->address), NULL, thread->close_caller,
                                 thread->close_frame};
    if (call.frame && GET(span->serial) == serial)
        (void)ss_mark_put(thread, &call, SS_IN_CLOSE, GET(span->id), GET(span->instance), span,
                          serial);
    thread->close_frame = 0;
    atomic_store_explicit(&thread->closing, 0, memory_order_release);
}

/* What an exit tells of the entry that it ends, beyond the entry itself. */
static inline void look_at_exit(struct ss_thread *thread, const struct ss_call *call,
                                struct ss_entry *entry)
{
    if (SS_UNLIKELY(entry->watch))
        ss_activation_exit(thread, call, entry);
    const struct ss_span *span = entry->span;
    if (span && SS_UNLIKELY(atomic_load_explicit(&span->serial, memory_order_relaxed) !=
                            atomic_load_explicit(&entry->span_serial, memory_order_relaxed)))
        ss_judge_exit_closed(thread, call, entry);
    ss_history_note(thread, SS_HISTORY_EXIT, span,
                    atomic_load_explicit(&entry->span_serial, memory_order_relaxed), call->caller);
}

/* Whether another span of the same instance is open above the index-th entry. */
static const struct ss_entry *open_above(const struct ss_thread *thread, uint32_t index)
{
    const struct ss_entry *entries = ss_stack_entries(thread);
    for (uint32_t i = atomic_load_explicit(&thread->depth, memory_order_relaxed); --i > index;)
        if (entries[i].instance == entries[index].instance && entries[i].span &&
            entries[i].span != entries[index].span && ss_entry_valid(&entries[i]))
            return &entries[i];
    return NULL;
}

/* The entry of an exit that is not that of the innermost enter: searched by instance, as it may
 * have been entered through another address of the same. */
static SS_COLD uint32_t exit_slow(struct ss_thread *thread, const struct ss_call *call, uint64_t id,
                                  struct ss_instance **forwarding)
{
    struct ss_subject subject = ss_subject_look_up(thread, call, id);
    if (subject.forwarded)
        *forwarding = subject.owner.instance;
    if (subject.ignored)
        return 0;
    ss_count(&thread->exited);
    struct ss_entry *entries = ss_stack_entries(thread);
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (depth && entries[depth - 1].again && entries[depth - 1].id == id)
        depth = ss_activation_which(thread, depth - 1) + 1;
    for (uint32_t i = depth; i--;) {
        if (atomic_load_explicit(&entries[i].id, memory_order_relaxed) != id ||
            (atomic_load_explicit(&entries[i].address, memory_order_relaxed) != call->address &&
             entries[i].instance != subject.owner.instance) ||
            !ss_entry_valid(&entries[i]))
            continue;
        const struct ss_entry *above = open_above(thread, i);
        look_at_exit(thread, call, &entries[i]);
        if (SS_UNLIKELY(above && ss_options.severities[SS_RULE_OUT_OF_ORDER_EXIT] &&
                        !thread->tainted))
            ss_judge_order(thread, call, &entries[i], above);
        struct ss_entry found = entries[i];
        ss_stack_remove_at(thread, i);
        if (atomic_load_explicit(&thread->depth, memory_order_relaxed) == 0)
            thread->tainted = false;
        return mark_exit(thread, call, id, &found);
    }
    if (!subject.span.span) {
        ss_judge_unknown(thread, subject.owner.instance, id);
        return 0;
    }
    if (thread->tainted)
        ss_count(&thread->unjudged[SS_UNJUDGED_TAINTED]);
    else
        ss_judge_exit(thread, call, subject.span);
    ss_history_note(thread, SS_HISTORY_EXIT, subject.span.span, subject.span.serial, call->caller);
    return 0;
}

uint32_t ss_event_exit(struct ss_thread *thread, const struct ss_call *call, uint64_t id,
                       struct ss_instance **forwarding)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (SS_LIKELY(depth)) {
        struct ss_entry *entry = &ss_stack_entries(thread)[depth - 1];
        if (SS_LIKELY(entry->id == id && entry->address == call->address && ss_entry_valid(entry) &&
                      !entry->again)) {
            look_at_exit(thread, call, entry);
            atomic_store_explicit(&thread->depth, depth - 1, memory_order_release);
            ss_count(&thread->exited);
            if (depth == 1)
                thread->tainted = false;
            return mark_exit(thread, call, id, entry);
        }
    }
    return exit_slow(thread, call, id, forwarding);
}

void ss_event_close(struct ss_thread *thread, const struct ss_call *call, struct ss_span_ref span,
                    bool certain)
{
    enum { ENTRIES_MAX = 64 };
    const struct ss_moment moment = {0, call->caller, thread->serial, 0};
    certain = certain && !thread->tainted &&
              !atomic_load_explicit(&span.span->instance->constant_id, memory_order_relaxed);
    ss_count(&thread->closed);
    ss_history_note(thread, SS_HISTORY_CLOSE, span.span, span.serial, call->caller);
    const struct ss_entry *entries = ss_stack_entries(thread);
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    for (uint32_t i = depth; certain && i-- && depth - i <= ENTRIES_MAX;)
        if (atomic_load_explicit(&entries[i].span_serial, memory_order_relaxed) == span.serial) {
            ss_judge_close_open(thread, call, span, &entries[i]);
            break;
        }
    ss_span_close(span.span, span.serial, &moment, certain);
}
