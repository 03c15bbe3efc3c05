/* Where the stacks of threads are. */
#ifndef SS_THREAD_STACKS_H
#define SS_THREAD_STACKS_H

#include "types.h"

/* Bounds of the mapping that holds sp, the calling thread's stack pointer; false if unknown. */
SS_HIDDEN bool ss_thread_stack(struct ss_thread *thread, uintptr_t sp, uintptr_t *low,
                               uintptr_t *high);

/* The calling thread, new, has its first frame at this address, on a stack of that size (0: not
 * known): so its bounds need not be looked for. */
SS_HIDDEN void ss_thread_know_stack(struct ss_thread *thread, uintptr_t frame, size_t size);

/* Whether sp, the calling thread's stack pointer, is on the stack that the thread began on. Reads
 * /proc/self/maps once, for the main thread. */
SS_HIDDEN bool ss_thread_own_stack(struct ss_thread *thread, uintptr_t sp);

#endif
