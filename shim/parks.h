/* Parks: the calls in which a thread goes to sleep, or back to its event loop. Their wrappers
 * (parks.S) call ss_park and then jump to the original, so that no frame of ours blocks, is
 * cancelled or is unwound. */
#ifndef SS_PARKS_H
#define SS_PARKS_H

#include "internal.h"

/* What kind of call a thread parks in. */
enum ss_park_kind {
    SS_PARK_FUTEX, /* waits for another thread: a lock, a channel, a condition, a join */
    SS_PARK_POLL,  /* waits for descriptors that it names in the call */
    SS_PARK_EVENTS /* waits for the events of an event loop: epoll, io_uring */
};

/* Whether parks are looked at. While it is 0 the wrappers do nothing else than to jump. */
extern _Atomic uint32_t ss_parks_wanted SS_HIDDEN;

/* Whether modules that came or went are looked for at parks, as nothing tells of them. */
extern _Atomic bool ss_parks_poll SS_HIDDEN;

/* The calling thread is about to park. sp: its stack pointer at the call, which is the address of
 * the return address; caller: that return address. Any thread, with errno as the program left it,
 * which is kept; maybe inside a signal handler or inside the shim. */
SS_HIDDEN void ss_park(uintptr_t sp, uintptr_t caller, enum ss_park_kind kind);

#endif
