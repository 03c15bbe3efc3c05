/* Whether a function holds the body of an async function or block. See bodies.c. */
#ifndef SS_BODIES_H
#define SS_BODIES_H

#include "internal.h"
#include "signature.h"

/* Whether the function at address, in m, does. Reads code and constants of m and of what it is linked
 * with, as they are in memory. False where the function's end is not known. images: room, too much
 * for a stack that is the program's. Any context, no lock. */
SS_HIDDEN bool ss_holds_body(const struct ss_module *m, uintptr_t address,
                             struct ss_image images[2]);

#endif
