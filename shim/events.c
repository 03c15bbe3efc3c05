/* The thunks, and what each event does to the state. The enter and exit thunks are the hot path:
 * memory of the thread, one look at the span, no lock, no system call.
 *
 * Where the original is all that is left to do, it is jumped to; try_close, exit and new_span stay
 * on the stack while it runs, as what happens inside it is judged. A panic unwinds through them:
 * what they left behind (marks) is void as soon as the stack pointer is above it. */
#include "events.h"

#include "activations.h"
#include "closed.h"
#include "history.h"
#include "hook.h"
#include "instances.h"
#include "options.h"
#include "rules.h"
#include "sites.h"
#include "span_stack.h"
#include "stacks.h"
#include "threads.h"
#include "values.h"

/* For what others may read or write meanwhile, where no order matters. SET: what is not _Atomic. */
#define GET(cell) atomic_load_explicit(&(cell), memory_order_relaxed)
#define PUT(cell, value) atomic_store_explicit(&(cell), value, memory_order_relaxed)
#define SET(cell, value) __atomic_store_n(&(cell), value, __ATOMIC_RELAXED)

_Atomic bool ss_events_lost;

/* ---- marks ----------------------------------------------------------------------------------- */

static inline uint32_t mark_depth(const struct ss_thread *thread)
{
    return atomic_load_explicit(&thread->mark_depth, memory_order_relaxed);
}

/* Takes off what a panic left: marks of frames that are gone. */
static inline void drop_stale_marks(struct ss_thread *thread, uintptr_t frame)
{
    uint32_t depth = mark_depth(thread);
    while (SS_UNLIKELY(depth && thread->marks[depth - 1].frame <= frame))
        atomic_store_explicit(&thread->mark_depth, --depth, memory_order_relaxed);
}

/* A number for a call that stays on the stack, greater than those of calls before it; never 0. */
static inline uint32_t next_sequence(struct ss_thread *thread)
{
    if (SS_UNLIKELY(++thread->sequence == 0))
        ++thread->sequence;
    return thread->sequence;
}

/* Puts a mark on, without the moment of the enter; NULL where there are too many to be true. */
static inline __attribute__((always_inline)) struct ss_mark *
put_mark(struct ss_thread *thread, const struct ss_call *call, enum ss_operation operation,
         uint64_t id, struct ss_instance *instance, struct ss_span *span, uint64_t span_serial)
{
    drop_stale_marks(thread, call->frame);
    uint32_t depth = mark_depth(thread);
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
    mark->sequence = next_sequence(thread);
    atomic_store_explicit(&thread->mark_depth, depth + 1, memory_order_release);
    return mark;
}

static inline void take_mark(uint32_t sequence)
{
    struct ss_thread *thread = ss_self;
    uint32_t depth = sequence ? mark_depth(thread) : 0;
    if (depth && thread->marks[depth - 1].sequence == sequence)
        atomic_store_explicit(&thread->mark_depth, depth - 1, memory_order_relaxed);
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* What a call is about, once it is known. */
struct subject {
    struct ss_instance_ref owner;
    struct ss_span_ref span; /* NULL: its creation was not seen */
    bool ignored;            /* forwarded to an instance that counts it, or not judged */
    bool forwarded;
};

static unsigned cache_slot(uint64_t id)
{
    return (unsigned)(id ^ id >> 3) % SS_CACHED_SPANS;
}

static void cache(struct ss_thread *thread, struct ss_span_ref span, uint64_t id)
{
    unsigned slot = cache_slot(id);
    thread->cached_spans[slot].id = id;
    thread->cached_spans[slot].address =
        atomic_load_explicit(&span.span->address, memory_order_relaxed);
    thread->cached_spans[slot].span = span.span;
    thread->cached_spans[slot].serial = span.serial;
    struct ss_place *place = span.span->site ? GET(span.span->site->settled) : NULL;
    thread->cached_spans[slot].place = place;
    thread->cached_spans[slot].holding = place ? GET(place->holding) : 0;
}

static SS_COLD struct subject look_up(struct ss_thread *thread, const struct ss_call *call,
                                      uint64_t id)
{
    struct subject subject = {{NULL, 0}, {NULL, 0}, false, false};
    subject.owner = ss_instance_of(thread, call->address, call->table);
    struct ss_instance *instance = subject.owner.instance;
    if (!instance)
        return subject;
    if (atomic_load_explicit(&instance->forwards, memory_order_relaxed)) {
        subject.ignored = subject.forwarded = true;
    } else if (atomic_load_explicit(&instance->constant_id, memory_order_relaxed)) {
        subject.ignored = true;
        ss_count(&thread->unjudged[SS_UNJUDGED_CONSTANT_ID]);
    } else {
        subject.span = ss_span_find(instance, id);
        if (subject.span.span)
            cache(thread, subject.span, id);
    }
    return subject;
}

/* Whether the record is that span's still, and the span's instance has not ended. */
static inline bool lives(struct ss_span_ref span)
{
    if (SS_UNLIKELY(atomic_load_explicit(&span.span->serial, memory_order_relaxed) != span.serial))
        return false;
    const struct ss_instance *instance =
        atomic_load_explicit(&span.span->instance, memory_order_relaxed);
    return SS_LIKELY(atomic_load_explicit(&instance->serial, memory_order_relaxed) ==
                     atomic_load_explicit(&span.span->instance_serial, memory_order_relaxed));
}

static inline struct subject find(struct ss_thread *thread, const struct ss_call *call, uint64_t id)
{
    unsigned slot = cache_slot(id);
    struct ss_span_ref span = {thread->cached_spans[slot].span, thread->cached_spans[slot].serial};
    if (SS_LIKELY(span.span && thread->cached_spans[slot].id == id &&
                  thread->cached_spans[slot].address == call->address && lives(span)))
        return (struct subject){
            {atomic_load_explicit(&span.span->instance, memory_order_relaxed),
             atomic_load_explicit(&span.span->instance_serial, memory_order_relaxed)},
            span,
            false,
            false};
    return look_up(thread, call, id);
}

/* ---- events ---------------------------------------------------------------------------------- */

bool ss_event_new(struct ss_thread *thread, const struct ss_call *call, struct ss_site *site,
                  uint64_t id, uint64_t parent, struct ss_values *values)
{
    struct ss_instance_ref owner = ss_instance_of(thread, call->address, call->table);
    ss_count(&thread->created);
    if (!owner.instance ||
        atomic_load_explicit(&owner.instance->constant_id, memory_order_relaxed)) {
        ss_count(&thread->unjudged[owner.instance ? SS_UNJUDGED_CONSTANT_ID : SS_UNJUDGED_MEMORY]);
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
        return false;
    }
    cache(thread, span, id);
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

/* Whether the thread has the span open already, among the innermost. */
static inline bool is_open_here(const struct ss_thread *thread, const struct ss_span *span,
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
    unsigned slot = cache_slot(id);
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

/* Notes where a span is entered and who holds the guard, as enter does. Returns false where there
 * may be something to find out. */
static inline __attribute__((always_inline)) bool
enter_at_place(const struct ss_thread *thread, struct ss_entry *entry,
               const struct ss_cached_span *cached, uintptr_t frame)
{
    uintptr_t caller = *(const uintptr_t *)frame;
    const struct ss_place *place = cached->place;
    if (SS_UNLIKELY(!place)) {
        /* A span of no site that could be read has no places: nothing else is noted. */
        SET(entry->entered.caller, caller);
        SET(entry->entered.stack, 0);
        SET(entry->holder.function, 0);
        return !cached->span->site;
    }
    uint64_t holding = GET(place->holding);
    uintptr_t cfa =
        frame + sizeof(uintptr_t) + (uintptr_t)((int64_t)holding >> SS_HOLDING_OFFSET_SHIFT);
    if (SS_UNLIKELY(GET(place->address) != caller || holding != cached->holding ||
                    (holding && (frame < thread->own_low || cfa > thread->own_high))))
        return false;
    SET(entry->entered.caller, caller);
    SET(entry->entered.stack, GET(place->typical) | SS_STACK_TYPICAL);
    SET(entry->holder.cfa, cfa);
    SET(entry->holder.return_address, *(const uintptr_t *)(cfa - sizeof(uintptr_t)));
    SET(entry->holder.function, GET(place->function));
    return true;
}

/* The enter of a span that was entered here before: what enter does where there is nothing to find
 * out. Returns false, with nothing done, where there may be. Work begun; calls nothing. */
static inline __attribute__((always_inline)) bool
enter_again(struct ss_thread *thread, uintptr_t address, uint64_t id, uintptr_t frame)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (SS_UNLIKELY(depth == thread->capacity))
        return false;
    struct ss_entry *entry = &ss_stack_entries(thread)[depth];
    if (SS_UNLIKELY(depth && ss_activation_suspect(thread, entry - 1, frame)))
        return false;

    const struct ss_cached_span *cached = &thread->cached_spans[cache_slot(id)];
    if (SS_UNLIKELY(cached->id != id || cached->address != address))
        return false;
    PUT(entry->id, id);
    PUT(entry->address, address);

    struct ss_span *span = cached->span;
    uint64_t serial = cached->serial;
    if (SS_UNLIKELY(GET(span->serial) != serial || is_open_here(thread, span, serial)))
        return false;
    entry->span = span;
    entry->again = false;
    PUT(entry->span_serial, serial);

    struct ss_instance *instance = GET(span->instance);
    uint64_t instance_serial = GET(span->instance_serial);
    if (SS_UNLIKELY(GET(instance->serial) != instance_serial))
        return false;
    entry->instance = instance;
    PUT(entry->instance_serial, instance_serial);

    uint32_t self = thread->serial, last = GET(span->last_entered);
    if (SS_UNLIKELY(last != self)) {
        if (last)
            return false;
        PUT(span->last_entered, self);
    }
    SET(entry->entered.thread, self);
    SET(entry->entered.time, 0);
    SET(entry->watch, NULL);

    if (SS_UNLIKELY(!enter_at_place(thread, entry, cached, frame)))
        return false;

    uint64_t entered = GET(thread->entered) + 1;
    PUT(thread->entered, entered);
    entry->number = (uint32_t)entered;
    /* Not kept in a register: there are few that nobody has to save. */
    ss_stack_publish(thread);
    return true;
}

/* rbp: the program's. */
static void enter(struct ss_thread *thread, const struct ss_call *call, uint64_t id, uintptr_t rbp)
{
    struct subject subject = find(thread, call, id);
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
    entry->again = is_open_here(thread, span, subject.span.serial);
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

void ss_event_enter(struct ss_thread *thread, const struct ss_call *call, uint64_t id)
{
    enter(thread, call, id, 0);
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
        put_mark(thread, call, SS_IN_EXIT, id, entry->instance, entry->span,
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
        (void)put_mark(thread, &call, SS_IN_CLOSE, GET(span->id), GET(span->instance), span,
                       serial);
    thread->close_frame = 0;
    atomic_store_explicit(&thread->closing, 0, memory_order_release);
}

/* Takes the mark off whose call has returned, where it was put by what happened inside. */
static SS_COLD void take_mark_of(uintptr_t frame)
{
    struct ss_thread *thread = ss_self;
    uint32_t depth = mark_depth(thread);
    if (thread->exit_frame == frame) {
        /* A close inside did not return. */
        thread->close_frame = 0;
        atomic_store_explicit(&thread->closing, 0, memory_order_release);
        PUT(thread->state, SS_FREE);
    } else if (depth && thread->marks[depth - 1].frame == frame)
        atomic_store_explicit(&thread->mark_depth, depth - 1, memory_order_relaxed);
}

/* The exit of the innermost entry: what exit_span does where there is nothing to find out, without
 * the mark. Returns false, with nothing done, where there may be. Work begun; calls nothing. */
static inline __attribute__((always_inline)) bool exit_innermost(struct ss_thread *thread,
                                                                 uintptr_t address, uint64_t id)
{
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (SS_UNLIKELY(!depth))
        return false;
    const struct ss_entry *entry = &ss_stack_entries(thread)[depth - 1];
    const struct ss_span *span = entry->span;
    if (SS_UNLIKELY(atomic_load_explicit(&entry->id, memory_order_relaxed) != id ||
                    atomic_load_explicit(&entry->address, memory_order_relaxed) != address ||
                    entry->watch || entry->again || !span || ss_options.history ||
                    thread->tainted ||
                    atomic_load_explicit(&span->serial, memory_order_relaxed) !=
                        atomic_load_explicit(&entry->span_serial, memory_order_relaxed) ||
                    !ss_entry_valid(entry)))
        return false;
    atomic_store_explicit(&thread->depth, depth - 1, memory_order_release);
    ss_count(&thread->exited);
    return true;
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
    struct subject subject = look_up(thread, call, id);
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
    if (!subject.span.span)
        return 0;
    if (thread->tainted)
        ss_count(&thread->unjudged[SS_UNJUDGED_TAINTED]);
    else
        ss_judge_exit(thread, call, subject.span);
    ss_history_note(thread, SS_HISTORY_EXIT, subject.span.span, subject.span.serial, call->caller);
    return 0;
}

/* Sets *forwarding to the instance where the exit is another's to count. */
static inline __attribute__((always_inline)) uint32_t exit_span(struct ss_thread *thread,
                                                                const struct ss_call *call,
                                                                uint64_t id,
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

uint32_t ss_event_exit(struct ss_thread *thread, const struct ss_call *call, uint64_t id)
{
    struct ss_instance *forwarding = NULL;
    return exit_span(thread, call, id, &forwarding);
}

/* ---- thunks: reached from thunks.S with the table in the third argument ------------- */

_Static_assert(SS_TABLES_MAX == 512 && sizeof(struct ss_table) == 104, "sizes of thunks.S");

#define CALLER_HERE ((uintptr_t)__builtin_return_address(0))
#define FRAME_HERE ((uintptr_t)__builtin_dwarf_cfa() - sizeof(void *))
/* frame: where the thunk's return address is. */
#define CALL_AT(frame, subscriber, table)                                      \
    {                                                                          \
        (uintptr_t)(subscriber), (table), *(const uintptr_t *)(frame), (frame) \
    }
#define CALL_HERE(subscriber, table) CALL_AT(FRAME_HERE, subscriber, table)

typedef void drop_fn(void *subscriber);
typedef void by_reference_fn(void *subscriber, const uint64_t *id);
typedef uint64_t clone_span_fn(void *subscriber, const uint64_t *id);
typedef void record_fn(void *subscriber, const uint64_t *id, const void *record);
typedef uint64_t new_span_fn(void *subscriber, const void *attributes);
typedef bool try_close_fn(void *subscriber, uint64_t id);
typedef void drop_span_fn(void *subscriber, uint64_t id);

SS_HIDDEN void ss_thunk_drop(void *subscriber, uint64_t unused, const struct ss_table *table);
SS_HIDDEN void ss_thunk_enter(void *subscriber, const uint64_t *id, const struct ss_table *table,
                              uintptr_t rbp);
SS_HIDDEN uint64_t ss_thunk_clone_span(void *subscriber, const uint64_t *id,
                                       const struct ss_table *table);
SS_HIDDEN void ss_thunk_record(void *subscriber, const uint64_t *id, const void *record,
                               const struct ss_table *table);
SS_HIDDEN void ss_thunk_exit(void *subscriber, const uint64_t *id, const struct ss_table *table);
SS_HIDDEN bool ss_thunk_try_close(void *subscriber, uint64_t id, const struct ss_table *table);
SS_HIDDEN void ss_thunk_drop_span(void *subscriber, uint64_t id, const struct ss_table *table);
SS_HIDDEN uint64_t ss_thunk_new_span(void *subscriber, const void *attributes,
                                     const struct ss_table *table);

/* The thunks of enter and exit call nothing but the original as long as there is nothing to find
 * out; else they go on to these, in whose place they stood on the stack. */
static __attribute__((noinline)) void enter_slowly(void *subscriber, const uint64_t *id,
                                                   const struct ss_table *table, uintptr_t rbp,
                                                   uintptr_t frame)
{
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        const struct ss_call call = CALL_AT(frame, subscriber, table);
        enter(thread, &call, *id, rbp);
        ss_end(thread);
    }
    ((by_reference_fn *)table->originals[SS_METHOD_ENTER])(subscriber, id);
}

void ss_thunk_enter(void *subscriber, const uint64_t *id, const struct ss_table *table,
                    uintptr_t rbp)
{
    struct ss_thread *thread = ss_self;
    bool done = false;
    if (SS_LIKELY(ss_is_free(thread))) {
        atomic_store_explicit(&thread->state, SS_BUSY, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        done = enter_again(thread, (uintptr_t)subscriber, *id, FRAME_HERE);
        ss_end(thread);
    }
    if (SS_LIKELY(done))
        ((by_reference_fn *)table->originals[SS_METHOD_ENTER])(subscriber, id);
    else
        enter_slowly(subscriber, id, table, rbp, FRAME_HERE);
}

/* An exit of a span came to an instance that was taken for one that forwards, and reached no other:
 * a layer of it only copies its new spans elsewhere. From here on its spans are its own. */
static SS_COLD void doubt_forwarding(struct ss_instance *instance)
{
    atomic_store_explicit(&instance->keeps, true, memory_order_relaxed);
    atomic_store_explicit(&instance->forwards, false, memory_order_relaxed);
}

static __attribute__((noinline)) void exit_slowly(void *subscriber, const uint64_t *id,
                                                  const struct ss_table *table, uintptr_t frame)
{
    uint32_t mark = 0;
    uint64_t exited = 0;
    struct ss_instance *forwarding = NULL;
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        const struct ss_call call = CALL_AT(frame, subscriber, table);
        mark = exit_span(thread, &call, *id, &forwarding);
        exited = atomic_load_explicit(&thread->exited, memory_order_relaxed);
        ss_end(thread);
    }
    ((by_reference_fn *)table->originals[SS_METHOD_EXIT])(subscriber, id);
    take_mark(mark);
    if (SS_UNLIKELY(forwarding) &&
        atomic_load_explicit(&thread->exited, memory_order_relaxed) == exited)
        doubt_forwarding(forwarding);
}

void ss_thunk_exit(void *subscriber, const uint64_t *id, const struct ss_table *table)
{
    struct ss_thread *thread = ss_self;
    if (SS_UNLIKELY(!ss_is_free(thread))) {
        exit_slowly(subscriber, id, table, FRAME_HERE);
        return;
    }
    atomic_store_explicit(&thread->state, SS_BUSY, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (SS_UNLIKELY(!exit_innermost(thread, (uintptr_t)subscriber, *id))) {
        ss_end(thread);
        exit_slowly(subscriber, id, table, FRAME_HERE);
        return;
    }
    thread->exit_frame = FRAME_HERE;
    thread->exit_caller = CALLER_HERE;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&thread->state, SS_EXITING, memory_order_relaxed);
    ((by_reference_fn *)table->originals[SS_METHOD_EXIT])(subscriber, id);
    thread = ss_self;
    if (SS_LIKELY(thread->exit_frame == FRAME_HERE &&
                  atomic_load_explicit(&thread->state, memory_order_relaxed) == SS_EXITING))
        atomic_store_explicit(&thread->state, SS_FREE, memory_order_relaxed);
    else
        take_mark_of(FRAME_HERE);
}

/* Jumps to the original, so that a panic of its own has no frame of ours above it. */
uint64_t ss_thunk_clone_span(void *subscriber, const uint64_t *id, const struct ss_table *table)
{
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        const struct ss_call call = CALL_HERE(subscriber, table);
        struct subject subject = find(thread, &call, *id);
        struct ss_span *span = subject.span.span;
        if (span) {
            atomic_fetch_add_explicit(&span->handles, 1, memory_order_relaxed);
            ss_history_note(thread, SS_HISTORY_CLONE, span, subject.span.serial, call.caller);
        } else if (!subject.ignored && subject.owner.instance) {
            ss_judge_use(thread, &call, subject.owner.instance, *id, SS_USE_NONE, NULL);
        }
        ss_end(thread);
    }
    return ((clone_span_fn *)table->originals[SS_METHOD_CLONE_SPAN])(subscriber, id);
}

void ss_thunk_record(void *subscriber, const uint64_t *id, const void *record,
                     const struct ss_table *table)
{
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        const struct ss_call call = CALL_HERE(subscriber, table);
        struct subject subject = find(thread, &call, *id);
        struct ss_span *span = subject.span.span;
        if (span) {
            if (ss_options.fields == SS_FIELDS_VALUES)
                ss_values_record(thread, call.table, span, subject.span.serial, record);
            ss_history_note(thread, SS_HISTORY_RECORD, span, subject.span.serial, call.caller);
        } else if (!subject.ignored && subject.owner.instance) {
            ss_judge_use(thread, &call, subject.owner.instance, *id, SS_USE_RECORD, NULL);
        }
        ss_end(thread);
    }
    ((record_fn *)table->originals[SS_METHOD_RECORD])(subscriber, id, record);
}

/* Judges a close against what the thread is in the middle of, before anything is done about it. */
static inline void judge_close(struct ss_thread *thread, const struct ss_call *call,
                               struct ss_instance *called, uint64_t id)
{
    drop_stale_marks(thread, call->frame);
    if (mark_depth(thread))
        ss_judge_close(thread, call, called, id);
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

/* Notes that a handle's close was asked for from outside of all exits and closes, where registries
 * settle references of their own; returns how many handles that leaves. */
static int32_t count_handle(struct ss_thread *thread, struct ss_span *span)
{
    if (mark_depth(thread))
        return atomic_load_explicit(&span->handles, memory_order_relaxed);
    /* Of the only one that is left nobody else can make another. */
    if (GET(span->handles) == 1) {
        PUT(span->handles, 0);
        return 0;
    }
    return atomic_fetch_sub_explicit(&span->handles, 1, memory_order_relaxed) - 1;
}

static __attribute__((noinline)) bool close_slowly(void *subscriber, uint64_t id,
                                                   const struct ss_table *table, uintptr_t frame)
{
    const struct ss_call call = CALL_AT(frame, subscriber, table);
    try_close_fn *original = (try_close_fn *)call.table->originals[SS_METHOD_TRY_CLOSE];
    struct ss_span_ref span = {NULL, 0};
    uint32_t sequence = 0;
    int32_t handles = 0;

    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        if (call.table->no_subscriber) {
            judge_close(thread, &call, NULL, id);
        } else {
            struct subject subject = find(thread, &call, id);
            if (!subject.ignored) {
                judge_close(thread, &call, subject.owner.instance, id);
                span = subject.span;
                if (span.span)
                    handles = count_handle(thread, span.span);
                const struct ss_mark *mark = put_mark(
                    thread, &call, SS_IN_CLOSE, id, subject.owner.instance, span.span, span.serial);
                sequence = mark ? mark->sequence : 0;
            }
        }
        ss_end(thread);
    }
    bool closed = original(subscriber, id);
    if (closed && span.span && (thread = ss_begin())) {
        ss_event_close(thread, &call, span, handles <= 0 || atomic_load(&span.span->foreign));
        ss_end(thread);
    }
    /* Last, as whoever gets the id again asks for the mark. */
    take_mark(sequence);
    return closed;
}

/* What a close is about where there is nothing to judge: it is outside of all exits and closes, or
 * in an exit of that span through that subscriber, by which registries give back what the enter
 * took and which is no handle's. span NULL: there may be. */
static inline __attribute__((always_inline)) struct ss_span_ref
find_closing(struct ss_thread *thread, uint8_t state, uintptr_t address, uint64_t id,
             uintptr_t frame, int32_t *handles)
{
    struct ss_span_ref span = {NULL, 0};
    if (state == SS_EXITING) {
        const struct ss_entry *entry = &ss_stack_entries(thread)[GET(thread->depth)];
        /* The frame is 0 where a signal's handler put the mark since the state was read. */
        if (thread->exit_frame > frame && GET(entry->id) == id && GET(entry->address) == address)
            span = (struct ss_span_ref){entry->span, GET(entry->span_serial)};
        if (!span.span || GET(span.span->serial) != span.serial)
            return (struct ss_span_ref){NULL, 0};
        *handles = GET(span.span->handles);
    } else {
        const struct ss_cached_span *cached = &thread->cached_spans[cache_slot(id)];
        if (mark_depth(thread) == 0 && cached->id == id && cached->address == address)
            span = (struct ss_span_ref){cached->span, cached->serial};
        if (!span.span || !lives(span))
            return (struct ss_span_ref){NULL, 0};
        *handles = count_handle(thread, span.span);
    }
    return span;
}

/* A close with state as it was before, SS_FREE or SS_EXITING. */
static inline __attribute__((always_inline)) bool close_quickly(void *subscriber, uint64_t id,
                                                                const struct ss_table *table,
                                                                uintptr_t frame, uint8_t state)
{
    struct ss_thread *thread = ss_self;
    int32_t handles;
    PUT(thread->state, SS_BUSY);
    atomic_signal_fence(memory_order_seq_cst);
    struct ss_span_ref span =
        find_closing(thread, state, (uintptr_t)subscriber, id, frame, &handles);
    if (SS_UNLIKELY(!span.span)) {
        atomic_signal_fence(memory_order_seq_cst);
        PUT(thread->state, state == SS_EXITING && thread->exit_frame ? SS_EXITING : SS_FREE);
        return close_slowly(subscriber, id, table, frame);
    }
    uint8_t closing = state == SS_EXITING ? SS_EXITING_CLOSING : SS_CLOSING;
    thread->close_frame = frame;
    thread->close_caller = *(const uintptr_t *)frame;
    thread->close_span = span.span;
    atomic_store_explicit(&thread->closing, span.serial, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    PUT(thread->state, closing);

    bool closed = ((try_close_fn *)table->originals[SS_METHOD_TRY_CLOSE])(subscriber, id);
    thread = ss_self;
    if (closed && (thread->close_frame == frame || ss_begin())) {
        const struct ss_call call = CALL_AT(frame, subscriber, table);
        PUT(thread->state, SS_BUSY);
        atomic_signal_fence(memory_order_seq_cst);
        ss_event_close(thread, &call, span, handles <= 0 || GET(span.span->foreign));
        ss_end(thread);
    }
    /* Last, as whoever gets the id again asks for it. Where the mark was put, the frame is 0. */
    if (SS_LIKELY(thread->close_frame == frame)) {
        atomic_store_explicit(&thread->closing, 0, memory_order_release);
        PUT(thread->state, state);
    } else {
        take_mark_of(frame);
    }
    return closed;
}

static __attribute__((noinline)) bool close_in_exit(void *subscriber, uint64_t id,
                                                    const struct ss_table *table, uintptr_t frame)
{
    return close_quickly(subscriber, id, table, frame, SS_EXITING);
}

static __attribute__((noinline)) bool close_outside(void *subscriber, uint64_t id,
                                                    const struct ss_table *table, uintptr_t frame)
{
    return close_quickly(subscriber, id, table, frame, SS_FREE);
}

bool ss_thunk_try_close(void *subscriber, uint64_t id, const struct ss_table *table)
{
    const struct ss_thread *thread = ss_self;
    uint8_t state = thread && !GET(thread->attention) ? GET(thread->state) : SS_BUSY;
    if (state == SS_FREE)
        return close_outside(subscriber, id, table, FRAME_HERE);
    if (state == SS_EXITING)
        return close_in_exit(subscriber, id, table, FRAME_HERE);
    return close_slowly(subscriber, id, table, FRAME_HERE);
}

void ss_thunk_drop_span(void *subscriber, uint64_t id, const struct ss_table *table)
{
    struct ss_thread *thread = ss_begin();
    if (thread) {
        const struct ss_call call = CALL_HERE(subscriber, table);
        struct subject subject = {{NULL, 0}, {NULL, 0}, false, false};
        if (!call.table->no_subscriber)
            subject = find(thread, &call, id);
        if (!subject.ignored)
            judge_close(thread, &call, subject.owner.instance, id);
        /* It does not tell whether the span closed: nothing is judged about it from here on. */
        if (subject.span.span)
            ss_span_remove(subject.span.span, subject.span.serial);
        ss_end(thread);
    }
    ((drop_span_fn *)table->originals[SS_METHOD_DROP_SPAN])(subscriber, id);
}

void ss_thunk_drop(void *subscriber, uint64_t unused, const struct ss_table *table)
{
    (void)unused;
    struct ss_thread *thread = ss_self == &ss_thread_gone ? NULL : ss_begin();
    /* A thread that has ended is never inside the shim, and its last subscriber must not stay. */
    if (thread || ss_self == &ss_thread_gone)
        ss_instance_dropped((uintptr_t)subscriber, table);
    if (thread)
        ss_end(thread);
    /* Newer compilers leave the word 0 where nothing is to be done. */
    drop_fn *original = (drop_fn *)table->originals[SS_METHOD_DROP];
    if (original)
        original(subscriber);
}

/* The parent that a span gets, as its instance will see it. */
static uint64_t parent_of(const struct ss_thread *thread, const struct ss_attributes *attributes,
                          const struct ss_instance *instance)
{
    if (attributes->parent == SS_PARENT_EXPLICIT)
        return attributes->parent_id;
    if (attributes->parent != SS_PARENT_CURRENT)
        return 0;
    const struct ss_entry *entry = ss_stack_innermost(thread, instance);
    return entry ? entry->id : 0;
}

static void span_made(struct ss_thread *thread, const struct ss_call *call, const void *attributes,
                      const struct ss_attributes *read, struct ss_site *site, uint64_t id,
                      uint32_t sequence)
{
    struct ss_instance_ref owner = ss_instance_of(thread, call->address, call->table);
    /* An instance that a call of ours reached meanwhile, for the same span: this one only forwards.
     */
    if (thread->last_new.argument == (uintptr_t)attributes && thread->last_new.id == id &&
        (int32_t)(thread->last_new.sequence - sequence) > 0 &&
        thread->last_new.instance != owner.instance) {
        if (owner.instance && !atomic_load_explicit(&owner.instance->keeps, memory_order_relaxed))
            atomic_store_explicit(&owner.instance->forwards, true, memory_order_relaxed);
        if (!owner.instance ||
            atomic_load_explicit(&owner.instance->forwards, memory_order_relaxed))
            return;
    }
    struct ss_values *values = site && ss_options.fields == SS_FIELDS_VALUES
                                   ? ss_values_capture(thread, call->table, read, site)
                                   : NULL;
    if (!ss_event_new(thread, call, site, id, parent_of(thread, read, owner.instance), values) &&
        values)
        ss_values_free(values);
    uint32_t depth = atomic_load_explicit(&thread->depth, memory_order_relaxed);
    if (depth)
        ss_activation_check(thread, &ss_stack_entries(thread)[depth - 1], call->frame, true);
    const struct ss_ghost *ghost = NULL;
    if (SS_UNLIKELY(thread->ghosts) && owner.instance && read->parent == SS_PARENT_CURRENT)
        ghost = ss_thread_ghost(thread, owner.instance);
    if (ghost)
        ss_judge_ghost(thread, call, ghost, site);
    thread->last_new.argument = (uintptr_t)attributes;
    thread->last_new.id = id;
    thread->last_new.instance = owner.instance;
    thread->last_new.sequence = sequence;
}

/* The parent that is named must live: judged before, as the original may panic. */
static void judge_parent(struct ss_thread *thread, const struct ss_call *call,
                         const struct ss_attributes *read, const struct ss_site *site)
{
    struct subject subject = look_up(thread, call, read->parent_id);
    if (!subject.ignored && subject.owner.instance && !subject.span.span)
        ss_judge_use(thread, call, subject.owner.instance, read->parent_id, SS_USE_PARENT, site);
}

uint64_t ss_thunk_new_span(void *subscriber, const void *attributes, const struct ss_table *table)
{
    const struct ss_call call = CALL_HERE(subscriber, table);
    uint32_t sequence = 0;
    struct ss_attributes read;
    struct ss_site *site = NULL;
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        sequence = next_sequence(thread);
        site = ss_site_of_attributes(thread, (uintptr_t)attributes, &read);
        if (SS_UNLIKELY(read.parent == SS_PARENT_EXPLICIT))
            judge_parent(thread, &call, &read, site);
        ss_end(thread);
    }
    uint64_t id =
        ((new_span_fn *)call.table->originals[SS_METHOD_NEW_SPAN])(subscriber, attributes);
    if (sequence && (thread = ss_begin())) {
        span_made(thread, &call, attributes, &read, site, id, sequence);
        ss_end(thread);
    }
    return id;
}
