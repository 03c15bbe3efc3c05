/* Threads: whose events these are, what each is in the middle of, who made whom. */
#ifndef SS_THREADS_H
#define SS_THREADS_H

#include <stdatomic.h>

#include "activations.h"

/* The calling thread's record: NULL before its first event, ss_thread_gone after its last. */
extern __thread struct ss_thread *ss_self SS_HIDDEN;
extern struct ss_thread ss_thread_gone SS_HIDDEN;

SS_HIDDEN struct ss_thread *ss_begin_slow(struct ss_thread *thread);

/* Whether work can begin on the calling thread's state, and nothing was left to do before. */
static inline bool ss_is_free(const struct ss_thread *thread)
{
    return thread && atomic_load_explicit(&thread->state, memory_order_relaxed) == SS_FREE &&
           !atomic_load_explicit(&thread->attention, memory_order_relaxed);
}

/* Begins work on the calling thread's state: whatever arrives on it until ss_end is dropped and
 * counted. Returns NULL where nothing may be done: inside the shim already (a signal), thread gone,
 * no memory. */
static inline struct ss_thread *ss_begin(void)
{
    struct ss_thread *thread = ss_self;
    if (SS_UNLIKELY(!ss_is_free(thread)))
        return ss_begin_slow(thread);
    atomic_store_explicit(&thread->state, SS_BUSY, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return thread;
}

static inline void ss_end(struct ss_thread *thread)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&thread->state, SS_FREE, memory_order_relaxed);
}

/* Adds one to a counter that only the calling thread writes. */
static inline void ss_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The first of all threads' records; follow next. Some are not live. Lock-free. */
SS_HIDDEN struct ss_thread *ss_thread_first(void);

/* Makes the calling thread known; facts say who made it, or NULL. Called with no work under way. */
SS_HIDDEN struct ss_thread *ss_thread_attach(const struct ss_thread_facts *facts);

/* Says that an exit elsewhere removed the span from thread's stack; thread does so at its next
 * event. */
SS_HIDDEN void ss_thread_claim(struct ss_thread *thread, uint64_t span_serial);

/* Tells every thread that has spans of the instance open that it has ended. */
SS_HIDDEN void ss_threads_instance_ended(uint64_t instance_serial);

/* Whether some thread is about to hear that the span closed: its close is under way. */
SS_HIDDEN bool ss_threads_close(uint64_t span_serial);

/* The thread, other than self, that has the span open; the one that entered it last where there are
 * several. Fills open. NULL for none. */
SS_HIDDEN struct ss_thread *ss_thread_home(const struct ss_thread *self, uint64_t span_serial,
                                           uint32_t last_entered, struct ss_open *open);

/* An entry of a span on another thread's stack. */
struct ss_holding {
    struct ss_thread *thread;
    uint32_t index;
};

/* The next entry of that span on threads other than self, after at (thread NULL: the first); fills
 * at and open. False for no more. */
SS_HIDDEN bool ss_thread_holds(struct ss_holding *at, const struct ss_thread *self,
                               uint64_t span_serial, struct ss_open *open);

/* Whether a thread ended with the span open, of late; fills open. What was to be said of the thread
 * that left it so is not said any more. */
SS_HIDDEN bool ss_thread_left_open(uint64_t span_serial, struct ss_open *open);

/* Judges what ended threads have left open, at the end of the process: until then somebody may come
 * for it. Work begun, no lock held. */
SS_HIDDEN void ss_threads_judge_left(void);

/* At the end of the process: waits, a few milliseconds at most, for threads that have spans open
 * and are on their way. A scoped thread has let its maker go on before it has ended, and what it
 * leaves open is only then known to be left. */
SS_HIDDEN void ss_threads_await_ends(void);

/* The ghost that a subscriber takes for the thread's innermost span of an instance, or NULL. Owner
 * only. */
SS_HIDDEN const struct ss_ghost *ss_thread_ghost(const struct ss_thread *thread,
                                                 const struct ss_instance *instance);

/* What is known of the thread with that serial, dead ones included. Returns false, with only the
 * serial filled in, where nothing is known any more. Reads /proc for a live thread's name. */
SS_HIDDEN bool ss_thread_facts(uint32_t serial, struct ss_thread_facts *out);

/* How many spans were open on the thread that forked this process, 0 where none did. */
SS_HIDDEN uint64_t ss_threads_inherited(void);

/* How many threads were seen. */
SS_HIDDEN uint32_t ss_threads_seen(void);

/* How many threads had events that were not judged. */
SS_HIDDEN uint64_t ss_threads_unjudged(void);

/* Start: makes the key whose destructor ends a thread's record. Child: forgets the other threads
 * and begins all counts again. */
SS_HIDDEN void ss_threads_start(void);
SS_HIDDEN void ss_threads_forked(void);

#endif
