/* What the names of functions say, where a module has them. See names.c. */
#ifndef SS_NAMES_H
#define SS_NAMES_H

#include "internal.h"

/* Bits of what a function is. */
enum {
    SS_NAME_KNOWN = 1,
    SS_NAME_TRACING = 2,  /* of tracing's crates */
    SS_NAME_STANDARD = 4, /* of core, alloc or std */
    SS_NAME_RUNTIME = 8,  /* of a crate that runs futures */
    SS_NAME_CLOSURE = 16, /* a closure; bodies of async functions and blocks are closures, too */
    SS_NAME_POLL = 32,    /* it polls, or blocks on, a future */
    SS_NAME_UNASKED = 64  /* it may have a name, but too many were asked for already */
};

/* What the functions at these addresses are, in kinds; 0 where nothing is known. Reads the symbols
 * of their modules' files, once per function: slow context, no lock held. */
SS_HIDDEN void ss_names_of(const uintptr_t *addresses, uint32_t count, uint8_t *kinds);

/* What a function may be to the body of a closure: its drop glue (for a future's body: what drops it
 * where it was left off) or that of something that holds it, its own drop glue, or the function that
 * it is written in. */
enum ss_relation { SS_IS_GLUE, SS_IS_OWN_GLUE, SS_IS_ENCLOSING };

/* Whether one of the functions is that to body. Context as above; answers are kept. */
SS_HIDDEN bool ss_names_related(enum ss_relation relation, uintptr_t body,
                                const uintptr_t *functions, uint32_t count);

/* The same of two mangled names. Pure. */
SS_HIDDEN bool ss_name_is(enum ss_relation relation, const char *name, size_t length,
                          const char *body, size_t body_length);

/* Whether a body's module has drop glue of its own for it that does something: a future that holds a
 * guard has, a closure that borrows what it uses has not. */
SS_HIDDEN bool ss_name_has_glue(uintptr_t body);

/* What a mangled name says. Pure. */
SS_HIDDEN uint8_t ss_name_kind(const char *name, size_t length);

#endif
