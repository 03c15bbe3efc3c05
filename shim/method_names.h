/* The methods of tracing_core's trait Subscriber, what closes spans, and their mangled names. See
 * method_names.c. */
#ifndef SS_METHOD_NAMES_H
#define SS_METHOD_NAMES_H

#include "internal.h"
#include "trait.h"

/* Which method of which `impl Subscriber` (or the trait's own default) a mangled function name is
 * for: legacy or v0 mangling, with or without a suffix such as ".llvm.123". -1: none. Any context.
 */
SS_HIDDEN int ss_trait_method_of(const char *name, size_t length);

/* Whether a name that ss_trait_method_of knows is for the trait's own method, not for an impl's. */
SS_HIDDEN bool ss_trait_is_default(const char *name, size_t length);

/* What a function has to do with closes through the thread's default subscriber. */
enum ss_closer {
    SS_CLOSER_NONE,
    SS_CLOSER_BY_DEFAULT, /* of tracing_subscriber::registry::sharded: closes that way */
    SS_CLOSER_FORWARDS,   /* of tracing_core: what it closes, its caller wants closed */
};

/* The same for the name of any function. */
SS_HIDDEN enum ss_closer ss_closer_of(const char *name, size_t length);

#endif
