/* Stacks of return addresses, interned: each distinct one is kept once, under a small id. */
#ifndef SS_STACKS_H
#define SS_STACKS_H

#include "internal.h"

/* One frame: the module's id and the offset in it; module 0 holds a bare address. */
struct ss_stack_frame {
    uint64_t module : 16;
    uint64_t offset : 48;
};

struct ss_stack {
    uint32_t count;
    struct ss_stack_frame frames[];
};

/* Captures the calling thread's stack without frames of our own, at most the option max_frames.
 * Returns its id, 0 where there is nothing or no room. Slow context, no lock held. */
SS_HIDDEN uint32_t ss_stack_capture(struct ss_thread *thread);

/* The part of a stack from the frame of that return address outwards; the stack itself where it
 * does not hold it. */
SS_HIDDEN uint32_t ss_stack_from(uint32_t id, uintptr_t address);

/* The stack of an id (SS_STACK_TYPICAL is ignored), NULL for 0. Lock-free; valid for ever. */
SS_HIDDEN const struct ss_stack *ss_stack_at(uint32_t id);

/* The frame of one address. */
SS_HIDDEN struct ss_stack_frame ss_stack_frame(uintptr_t address);

/* The return address that follows the given one on the calling thread's stack, 0 where it is not
 * found. */
SS_HIDDEN uintptr_t ss_stack_caller_of(struct ss_thread *thread, uintptr_t address);

/* Whether the calling thread runs destructors of thread-locals, or handlers of exit; also where its
 * stack cannot be followed to the end, so that it may. */
SS_HIDDEN bool ss_stack_is_ending(struct ss_thread *thread);

/* Start: finds libc's functions that the question above is about. */
SS_HIDDEN void ss_stacks_start(void);

/* The frames of the calling thread without those of our own, innermost first; at most max, which is
 * at most SS_FRAMES_NEAR. */
enum { SS_FRAMES_NEAR = 16 };
SS_HIDDEN uint32_t ss_stack_frames(struct ss_thread *thread, struct ss_frame *frames, uint32_t max);

/* The frames whose CFAs are at most cfa, those of our own included, in thread->frames: at most
 * SS_FRAMES_PARKED. *all: there are no others. */
SS_HIDDEN uint32_t ss_stack_frames_below(struct ss_thread *thread, uintptr_t cfa, bool *all);

/* The one of SS_PLACES places that is caller's, made where there is room for it; NULL without. */
SS_HIDDEN struct ss_place *ss_place_find(struct ss_place *places, uintptr_t caller);

/* The moment now, at a place (NULL: none of its own): time, thread, caller, and the stack as the
 * option has it. At a place that has had its full stacks, only the caller is taken, with the
 * typical stack of the place. */
SS_HIDDEN void ss_moment_at(struct ss_thread *thread, struct ss_place *place, uintptr_t caller,
                            struct ss_moment *moment);

/* The moment now with a full stack, whatever the option. */
SS_HIDDEN void ss_moment_now(struct ss_thread *thread, uintptr_t caller, struct ss_moment *moment);

#endif
