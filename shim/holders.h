/* Which function of an enter's stack holds the guard, as names tell. */
#ifndef SS_HOLDERS_H
#define SS_HOLDERS_H

#include "names.h"
#include "types.h"

static inline bool ss_is_plumbing(uint8_t kind)
{
    return kind & (SS_NAME_TRACING | SS_NAME_STANDARD);
}

static inline bool ss_runs_futures(uint8_t kind)
{
    return kind & (SS_NAME_POLL | SS_NAME_RUNTIME);
}

/* What the functions of a chain are. */
SS_HIDDEN void ss_chain_kinds(const struct ss_watch *watch, uint8_t kinds[SS_CHAIN]);

/* The index of the frame that holds the guard: the innermost that is not part of tracing or of
 * Rust's own crates. Without names it is the outermost of the chain. */
SS_HIDDEN int ss_chain_holder(const struct ss_watch *watch);

/* Up to where the chain's frames are dead once a poll has returned: through the user's functions,
 * the first that runs futures excluded. */
SS_HIDDEN uint32_t ss_chain_end_of_poll(const struct ss_watch *watch, uint32_t holder);

/* Whether the guard was taken in code that a future's poll runs: by names where there are any, else
 * by what the thread sleeps in. */
SS_HIDDEN bool ss_taken_in_a_poll(const struct ss_entry *entry, const struct ss_watch *watch,
                                  bool event_loop);

/* The place of an entry learns that the depth-th frame of its chain holds the guard. */
SS_HIDDEN void ss_holder_learn(const struct ss_entry *entry, const struct ss_watch *watch,
                               uint32_t depth);

#endif
