/* What functions are, by their names where their module has any, and by their code. See names.c. */
#ifndef SS_NAMES_H
#define SS_NAMES_H

#include "internal.h"

/* Bits of what a function is. */
enum {
    SS_NAME_KNOWN = 1,
    SS_NAME_TRACING = 2,    /* of tracing's crates */
    SS_NAME_STANDARD = 4,   /* of core, alloc or std */
    SS_NAME_RUNTIME = 8,    /* of a crate that runs futures */
    SS_NAME_CLOSURE = 16,   /* a closure; bodies of async functions and blocks are closures, too */
    SS_NAME_POLL = 32,      /* it polls, or blocks on, a future */
    SS_NAME_BLOCK_ON = 64,  /* it stays while the future that it runs is suspended */
    SS_NAME_SYNC = 128,     /* a future itself, it runs what is none */
    SS_NAME_UNASKED = 256,  /* it may have a name, but the file could not be read just now */
    SS_NAME_BODY = 512,     /* its code holds the body of an async function or block (bodies.c) */
    SS_NAME_EXECUTOR = 1024 /* of what polls tasks: other work is run by it, too */
};

/* What the functions at these addresses are, in kinds; 0 where nothing is known. Reads the symbols
 * of their modules' files, once per function: slow context, no lock held. */
SS_HIDDEN void ss_names_of(const uintptr_t *addresses, uint32_t count, uint16_t *kinds);

/* Whether one of the functions is the drop glue of body (for a future's body: what drops it where it
 * was left off), or of something that holds it. Context as above; answers are kept. */
SS_HIDDEN bool ss_names_drop(uintptr_t body, const uintptr_t *functions, uint32_t count);

/* The same of two mangled names. Pure. */
SS_HIDDEN bool ss_name_is_glue(const char *name, size_t length, const char *body,
                               size_t body_length);

/* What a mangled name says. Pure. */
SS_HIDDEN uint16_t ss_name_kind(const char *name, size_t length);

#endif
