/* The thunks, which hooked slots lead to: thunks.S jumps here with the table in the third argument.
 * Those of enter and exit are the hot path: memory of the thread, one look at the span, no lock, no
 * system call, and as long as there is nothing to find out no call but the original; else they go on
 * to events.c.
 *
 * Where the original is all that is left to do, it is jumped to; try_close, exit and new_span stay
 * on the stack while it runs, as what happens inside it is judged. A panic unwinds through them:
 * what they left behind (marks) is void as soon as the stack pointer is above it. */
#include "activations.h"
#include "event_state.h"
#include "history.h"
#include "hook.h"
#include "options.h"
#include "proof.h"
#include "rules.h"
#include "sites.h"
#include "values.h"

_Static_assert(SS_TABLES_MAX == 512 && sizeof(struct ss_table) == 112, "sizes of thunks.S");

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

/* ---- where nothing is to be found out --------------------------------------------------------- */

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

    const struct ss_cached_span *cached = &thread->cached_spans[ss_cache_slot(id)];
    if (SS_UNLIKELY(cached->id != id || cached->address != address))
        return false;
    PUT(entry->id, id);
    PUT(entry->address, address);

    struct ss_span *span = cached->span;
    uint64_t serial = cached->serial;
    if (SS_UNLIKELY(GET(span->serial) != serial || ss_is_open_here(thread, span, serial)))
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

/* ---- enter and exit -------------------------------------------------------------------------- */

/* The thunks of enter and exit call nothing but the original as long as there is nothing to find
 * out; else they go on to these, in whose place they stood on the stack. */
static __attribute__((noinline)) void enter_slowly(void *subscriber, const uint64_t *id,
                                                   const struct ss_table *table, uintptr_t rbp,
                                                   uintptr_t frame)
{
    struct ss_thread *thread = ss_begin();
    if (SS_LIKELY(thread)) {
        const struct ss_call call = CALL_AT(frame, subscriber, table);
        ss_event_enter(thread, &call, *id, rbp);
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
        mark = ss_event_exit(thread, &call, *id, &forwarding);
        exited = atomic_load_explicit(&thread->exited, memory_order_relaxed);
        ss_end(thread);
    }
    ((by_reference_fn *)table->originals[SS_METHOD_EXIT])(subscriber, id);
    ss_mark_take(mark);
    if (SS_UNLIKELY(forwarding) &&
        atomic_load_explicit(&thread->exited, memory_order_relaxed) == exited)
        doubt_forwarding(forwarding);
}

/* Takes the mark off whose call has returned, where it was put by what happened inside. */
static SS_COLD void take_mark_of(uintptr_t frame)
{
    struct ss_thread *thread = ss_self;
    uint32_t depth = ss_mark_depth(thread);
    if (thread->exit_frame == frame) {
        /* A close inside did not return. */
        thread->close_frame = 0;
        atomic_store_explicit(&thread->closing, 0, memory_order_release);
        PUT(thread->state, SS_FREE);
    } else if (depth && thread->marks[depth - 1].frame == frame)
        atomic_store_explicit(&thread->mark_depth, depth - 1, memory_order_relaxed);
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
        struct ss_subject subject = ss_subject_find(thread, &call, *id);
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
        struct ss_subject subject = ss_subject_find(thread, &call, *id);
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
    ss_marks_drop_stale(thread, call->frame);
    if (ss_mark_depth(thread))
        ss_judge_close(thread, call, called, id);
}

/* Notes that a handle's close was asked for from outside of all exits and closes, where registries
 * settle references of their own; returns how many handles that leaves. */
static int32_t count_handle(struct ss_thread *thread, struct ss_span *span)
{
    if (ss_mark_depth(thread))
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
            struct ss_subject subject = ss_subject_find(thread, &call, id);
            if (!subject.ignored) {
                judge_close(thread, &call, subject.owner.instance, id);
                span = subject.span;
                if (span.span)
                    handles = count_handle(thread, span.span);
                const struct ss_mark *mark = ss_mark_put(
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
    ss_mark_take(sequence);
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
        const struct ss_cached_span *cached = &thread->cached_spans[ss_cache_slot(id)];
        if (ss_mark_depth(thread) == 0 && cached->id == id && cached->address == address)
            span = (struct ss_span_ref){cached->span, cached->serial};
        if (!span.span || !ss_span_lives(span))
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
        struct ss_subject subject = {{NULL, 0}, {NULL, 0}, false, false};
        if (!call.table->no_subscriber)
            subject = ss_subject_find(thread, &call, id);
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
    struct ss_subject subject = ss_subject_look_up(thread, call, read->parent_id);
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
        sequence = ss_next_sequence(thread);
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
