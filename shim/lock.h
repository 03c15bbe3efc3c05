/* A lock of four bytes that needs no libc. Not for signal handlers; not recursive.
 *
 * A child made behind our back (_Fork, vfork, clone) may find a lock held by a thread that it does
 * not have. Waiting is the only place where that would matter, so the waiter looks at its pid
 * there: a lock held by another process is not worth waiting for, and ss_lock says false. */
#ifndef SS_LOCK_H
#define SS_LOCK_H

#include <linux/futex.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "prim.h"

enum { SS_LOCK_TRIES = 50, SS_LOCK_WAIT_NS = 1000000 };

struct ss_lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and waited for */
};

/* The pid of the process that our state belongs to (start.c). */
extern _Atomic int ss_own_pid __attribute__((visibility("hidden")));

/* How many locks of ours the calling thread holds or is about to take: a fork in the handler of a signal
 * must not wait for them. Weak, as every file has it. */
__thread uint32_t ss_locks_held __attribute__((weak, visibility("hidden")));

/* Takes the lock. Returns false, without it, in a process that is not the state's owner. */
static inline bool ss_lock(struct ss_lock *lock)
{
    uint32_t expected = 0;
    ss_locks_held++;
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return true;
    /* Most are held for a few instructions. */
    for (unsigned tries = 0; tries < SS_LOCK_TRIES; tries++) {
        __builtin_ia32_pause();
        expected = 0;
        if (atomic_compare_exchange_weak_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    }
    if (ss_sys_getpid() != atomic_load_explicit(&ss_own_pid, memory_order_relaxed)) {
        ss_locks_held--;
        return false;
    }
    const struct __kernel_timespec soon = {0, SS_LOCK_WAIT_NS};
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        (void)SS_SYSCALL_4(__NR_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, &soon);
    return true;
}

/* An exchange takes longer than most of what is done under a lock. Without one, whoever begins to
 * wait between the look and the store is not woken, and looks again by itself soon. */
static inline void ss_unlock(struct ss_lock *lock)
{
    if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 1)
        atomic_store_explicit(&lock->state, 0, memory_order_release);
    else if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        (void)SS_SYSCALL_3(__NR_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1);
    atomic_signal_fence(memory_order_seq_cst);
    ss_locks_held--;
}

#endif
