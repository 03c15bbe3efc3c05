/* What the wrappers of libc functions share: libc's errno, which is part of their contract. For the
 * files that hold wrappers, in any context. */
#ifndef SS_INTERPOSE_H
#define SS_INTERPOSE_H

#include <stdbool.h>

/* Every libc of Linux has it; weak, so that one without can load us. */
extern int *__errno_location(void) __attribute__((weak));

/* Ours, or that of a program which brings one (interpose.c). */
extern void __gmon_start__(void);

/* Start: finds the originals, as looking for one later takes the loader's lock. Child: whether the
 * parent had other threads than the one that forked. */
__attribute__((visibility("hidden"))) void ss_interpose_start(void);
__attribute__((visibility("hidden"))) bool ss_interpose_forked(void);

/* Looks at modules that came or went, from outside the loader. Slow context. */
__attribute__((visibility("hidden"))) void ss_poll_modules(void);

static inline int ss_errno(void)
{
    return __errno_location ? *__errno_location() : 0;
}

static inline void ss_set_errno(int value)
{
    if (__errno_location)
        *__errno_location() = value;
}

#endif
