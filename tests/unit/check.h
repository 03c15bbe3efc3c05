/* How the unit tests check: a condition that does not hold is said and counted; main returns
 * whether any was. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

enum { CHECKS_SAID = 20 };

static _Atomic int failures;

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition) && failures++ < CHECKS_SAID)                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    } while (0)

#endif
