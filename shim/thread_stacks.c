/* The bounds of threads' stacks: told where a thread begins, else looked for in /proc/self/maps when
 * they are first asked for, and kept in the thread's record.
 *
 * Called by interpose.c as a thread begins, and by activations.c and stacks.c in events; each on the
 * thread that it is about, without a lock. */
#include "thread_stacks.h"

#include "maps.h"
#include "prim.h"
#include "start.h"

void ss_thread_know_stack(struct ss_thread *thread, uintptr_t frame, size_t size)
{
    /* What libc keeps for the thread lies above its frames and counts as part of the size: a little
     * below the true end nobody's stack pointer ever is. */
    enum { PAGE = 4096, LEAST = 16384 };
    uintptr_t high = (frame + PAGE) & ~(uintptr_t)(PAGE - 1);
    if (size < LEAST || size > high)
        size = LEAST;
    thread->stack_high = thread->own_high = high;
    thread->stack_low = thread->own_low = high - size;
}

bool ss_thread_own_stack(struct ss_thread *thread, uintptr_t sp)
{
    /* Between the main stack and the next mapping the kernel leaves 128 MiB at least, for it to
     * grow (arch/x86/mm/mmap.c). */
    enum { GAP = 128 << 20 };
    if (!thread->own_high) {
        /* Asked once: an enter is to make no system call. What the kernel puts above the first frame
         * is part of the main stack, and no frame is above it. */
        bool is_main = thread->facts.tid == ss_sys_getpid();
        uintptr_t high = is_main ? ss_start_on_main_stack() : 0;
        thread->own_high = high ? high : 1;
        thread->own_low = high > GAP ? high - GAP : 0;
    }
    return sp >= thread->own_low && sp < thread->own_high;
}

bool ss_thread_stack(struct ss_thread *thread, uintptr_t sp, uintptr_t *low, uintptr_t *high)
{
    if (sp < thread->stack_low || sp >= thread->stack_high) {
        /* The first time, another stack (a coroutine, sigaltstack), or a main stack that has grown.
         */
        struct ss_mapping mapping = {0, 0, 0};
        bool found = ss_mapping_find(sp, &mapping);
        thread->stack_low = mapping.start;
        thread->stack_high = mapping.end;
        if (!found)
            return false;
    }
    *low = sp;
    *high = thread->stack_high;
    return true;
}
