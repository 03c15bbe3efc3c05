/* Span events, of whatever provider: the steps that thunks and annotations share. All are for the
 * calling thread, with work begun. */
#ifndef SS_EVENTS_H
#define SS_EVENTS_H

#include "internal.h"
#include "span_table.h"

/* One call on a subscriber. */
struct ss_call {
    uintptr_t address;            /* of the subscriber */
    const struct ss_table *table; /* NULL: an annotation's token */
    uintptr_t caller;             /* the thunk's return address */
    uintptr_t frame;              /* where that is on the stack; 0: nothing can nest in this call */
};

/* Records that subscriber made a span with this id at site (NULL: unknown). Returns whether it did:
 * then values (NULL: none) belong to the span. It does not where the id was live: such an instance
 * is not judged any more. */
SS_HIDDEN bool ss_event_new(struct ss_thread *thread, const struct ss_call *call,
                            struct ss_site *site, uint64_t id, uint64_t parent,
                            struct ss_values *values);

/* Judges and records an enter. rbp: the program's at the call, 0: not known. */
SS_HIDDEN void ss_event_enter(struct ss_thread *thread, const struct ss_call *call, uint64_t id,
                              uintptr_t rbp);

/* Judges and records an exit. Returns the mark to be taken off after the original, 0 for none. Sets
 * *forwarding to the instance where the exit is another's to count. */
SS_HIDDEN uint32_t ss_event_exit(struct ss_thread *thread, const struct ss_call *call, uint64_t id,
                                 struct ss_instance **forwarding);

/* Puts the marks of a thread that was SS_EXITING or SS_CLOSING. Work begun. */
SS_HIDDEN void ss_event_put_marks(struct ss_thread *thread, enum ss_thread_state state);

/* Judges and records that a span has closed. certain: nobody has a handle left that it was closed
 * under. */
SS_HIDDEN void ss_event_close(struct ss_thread *thread, const struct ss_call *call,
                              struct ss_span_ref span, bool certain);

/* Whether events came that could not be recorded: then an id that comes back proves nothing. */
extern _Atomic bool ss_events_lost SS_HIDDEN;

#endif
