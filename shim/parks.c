/* What the wrappers of parks.S want of C: the originals, and which system calls park.
 *
 * Called by the wrappers, from any context in which the program may call what is wrapped, maybe
 * before our constructors. No lock; nothing is kept but the originals' addresses. */
#include "parks.h"

#include <linux/futex.h>
#include <linux/io_uring.h>
#include <stdatomic.h>

#include "interpose.h"
#include "prim.h"

/* parks.S has the numbers. */
_Static_assert(SS_PARK_FUTEX == 0 && SS_PARK_POLL == 1 && SS_PARK_EVENTS == 2, "kinds of parks.S");

SS_HIDDEN void ss_parks_resolve(void);
SS_HIDDEN int ss_parks_kind_of(long number, long a, long b, long c, long d);

/* ---- originals ------------------------------------------------------------------------------- */

/* Where libc lacks a function (epoll_pwait2 in glibc before 2.35 and in musl), who found ours gets
 * the system call itself. That is no cancellation point. */
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
    long result = ss_syscall(number, a, b, c, d, e, f);
    if (result >= 0 || result < -4095)
        return result;
    ss_set_errno((int)-result);
    return -1;
}

enum { SIGNAL_SET_SIZE = 8 }; /* the kernel's, not libc's */

static long raw_epoll_wait(long epoll, long events, long count, long timeout)
{
    return raw(__NR_epoll_wait, epoll, events, count, timeout, 0, 0);
}

static long raw_epoll_pwait(long epoll, long events, long count, long timeout, long mask)
{
    return raw(__NR_epoll_pwait, epoll, events, count, timeout, mask, SIGNAL_SET_SIZE);
}

static long raw_epoll_pwait2(long epoll, long events, long count, long timeout, long mask)
{
    return raw(__NR_epoll_pwait2, epoll, events, count, timeout, mask, SIGNAL_SET_SIZE);
}

static long raw_poll(long descriptors, long count, long timeout)
{
    return raw(__NR_poll, descriptors, count, timeout, 0, 0, 0);
}

/* The kernel writes what is left of the time into it, libc does not. */
static long raw_ppoll(long descriptors, long count, const struct __kernel_timespec *timeout,
                      long mask)
{
    struct __kernel_timespec left;
    if (timeout)
        left = *timeout;
    return raw(__NR_ppoll, descriptors, count, timeout ? (long)&left : 0, mask, SIGNAL_SET_SIZE, 0);
}

static long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    return raw(number, a, b, c, d, e, f);
}

/* What each wrapper jumps to; at first a stub of parks.S that calls ss_parks_resolve. */
#define WRAPPED(X) X(epoll_wait) X(epoll_pwait) X(epoll_pwait2) X(poll) X(ppoll) X(syscall)

#define X(name) extern void *_Atomic ss_real_##name SS_HIDDEN;
WRAPPED(X)
#undef X

static const struct {
    const char *name;
    void *_Atomic *real;
    void *raw;
} originals[] = {
#define X(name) {#name, &ss_real_##name, raw_##name},
    WRAPPED(X)
#undef X
};

/* At start, as a look-up in a signal handler or in a fork's child may meet the loader's locks; by a
 * wrapper only where libraries call it before that. */
__attribute__((constructor)) void ss_parks_resolve(void)
{
    int saved = ss_errno();
    for (unsigned i = 0; i < sizeof originals / sizeof originals[0]; i++) {
        void *found = ss_symbol_next(originals[i].name, NULL);
        atomic_store_explicit(originals[i].real, found ? found : originals[i].raw,
                              memory_order_release);
    }
    ss_set_errno(saved);
}

/* ---- system calls ---------------------------------------------------------------------------- */

enum when { NEVER, ALWAYS, FUTEX_WAITS, RING_WAITS };

static const struct {
    uint8_t when, kind;
} calls[] = {
    [__NR_poll] = {ALWAYS, SS_PARK_POLL},
    [__NR_futex] = {FUTEX_WAITS, SS_PARK_FUTEX},
    [__NR_epoll_wait] = {ALWAYS, SS_PARK_EVENTS},
    [__NR_ppoll] = {ALWAYS, SS_PARK_POLL},
    [__NR_epoll_pwait] = {ALWAYS, SS_PARK_EVENTS},
    [__NR_io_uring_enter] = {RING_WAITS, SS_PARK_EVENTS},
    [__NR_epoll_pwait2] = {ALWAYS, SS_PARK_EVENTS},
    [__NR_futex_waitv] = {ALWAYS, SS_PARK_FUTEX},
};

/* The operations of futex that wait. */
static const uint32_t futex_waits = 1u << FUTEX_WAIT | 1u << FUTEX_LOCK_PI |
                                    1u << FUTEX_WAIT_BITSET | 1u << FUTEX_WAIT_REQUEUE_PI |
                                    1u << FUTEX_LOCK_PI2;

/* The kind of park that this system call is, or -1. The arguments are those that the program gave
 * to syscall; those beyond what the call takes are whatever the registers held. */
int ss_parks_kind_of(long number, long a, long b, long c, long d)
{
    (void)a;
    if ((unsigned long)number >= sizeof calls / sizeof calls[0])
        return -1;
    bool parks = false;
    switch ((enum when)calls[number].when) {
    case NEVER:
        break;
    case ALWAYS:
        parks = true;
        break;
    case FUTEX_WAITS: {
        uint32_t operation = (uint32_t)b & (uint32_t)FUTEX_CMD_MASK;
        parks = operation < 32 && (futex_waits >> operation & 1);
        break;
    }
    case RING_WAITS:
        parks = (uint32_t)c > 0 || ((uint32_t)d & IORING_ENTER_GETEVENTS);
        break;
    }
    return parks ? calls[number].kind : -1;
}
