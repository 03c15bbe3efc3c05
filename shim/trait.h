/* tracing_core's trait Subscriber: its methods, and where each is in a table. */
#ifndef SS_TRAIT_H
#define SS_TRAIT_H

#include "types.h"

/* The trait's methods: X(NAME, name), in the order of their declaration in tracing-core 0.1.30 and
 * later. 0.1.28 lacks the first one, 0.1.12 event_enabled as well. */
#define SS_TRAIT_METHODS(X)                       \
    X(ON_REGISTER_DISPATCH, on_register_dispatch) \
    X(REGISTER_CALLSITE, register_callsite)       \
    X(ENABLED, enabled)                           \
    X(MAX_LEVEL_HINT, max_level_hint)             \
    X(NEW_SPAN, new_span)                         \
    X(RECORD, record)                             \
    X(RECORD_FOLLOWS_FROM, record_follows_from)   \
    X(EVENT_ENABLED, event_enabled)               \
    X(EVENT, event)                               \
    X(ENTER, enter)                               \
    X(EXIT, exit)                                 \
    X(CLONE_SPAN, clone_span)                     \
    X(DROP_SPAN, drop_span)                       \
    X(TRY_CLOSE, try_close)                       \
    X(CURRENT_SPAN, current_span)                 \
    X(DOWNCAST_RAW, downcast_raw)

enum ss_trait_method {
#define X(upper, lower) SS_TRAIT_##upper,
    SS_TRAIT_METHODS(X)
#undef X
        SS_TRAIT_COUNT
};

/* A table begins with {drop, size, align}. */
enum { SS_TRAIT_HEADER_WORDS = 3 };

/* The number of a method's slot, counted from the drop word on; 0 where the layout lacks it. Pure.
 */
static inline uint32_t ss_trait_slot(enum ss_trait_method method, enum ss_layout layout)
{
    uint32_t missing = 0;
    if (layout != SS_LAYOUT_16) {
        if (method == SS_TRAIT_ON_REGISTER_DISPATCH)
            return 0;
        missing++;
    }
    if (layout == SS_LAYOUT_14) {
        if (method == SS_TRAIT_EVENT_ENABLED)
            return 0;
        missing += method > SS_TRAIT_EVENT_ENABLED;
    }
    return SS_TRAIT_HEADER_WORDS + (uint32_t)method - missing;
}

/* How many words a table has. */
static inline uint32_t ss_trait_words(enum ss_layout layout)
{
    return ss_trait_slot(SS_TRAIT_DOWNCAST_RAW, layout) + 1;
}

#endif
