/* Which function of an enter's stack holds the guard, and whether futures are run on a stack, as names
 * and code tell. Kinds are those of names.h, of the frames of a stack, innermost first. */
#ifndef SS_HOLDERS_H
#define SS_HOLDERS_H

#include "names.h"
#include "types.h"

static inline bool ss_is_plumbing(uint16_t kind)
{
    return kind & (SS_NAME_TRACING | SS_NAME_STANDARD);
}

static inline bool ss_runs_futures(uint16_t kind)
{
    return kind & (SS_NAME_POLL | SS_NAME_RUNTIME);
}

/* Whether a function is a future's own: it holds a body, or polls, and is not what polls tasks, by which
 * callbacks and blocking jobs are run, too. */
static inline bool ss_is_future(uint16_t kind)
{
    return kind & SS_NAME_BODY || (kind & (SS_NAME_POLL | SS_NAME_EXECUTOR)) == SS_NAME_POLL;
}

/* Whether the function of the index-th frame, which holds no body, is run by a future's poll: going
 * outwards, closures and Rust's own crates apart, a function that polls or holds a body comes first.
 * What is neither runs what it calls, be it below a runtime's own loop. */
SS_HIDDEN bool ss_is_polled(const uint16_t *kinds, uint32_t count, uint32_t index);

/* What the functions of a chain are. */
SS_HIDDEN void ss_chain_kinds(const struct ss_watch *watch, uint16_t kinds[SS_CHAIN]);

/* The index of the frame that holds the guard: the innermost that is not part of tracing or of
 * Rust's own crates. Without names it is the outermost of the chain. */
SS_HIDDEN int ss_chain_holder(const struct ss_watch *watch);

/* Whether a frame of the chain within the index-th holds a future's body. */
SS_HIDDEN bool ss_chain_has_body(const struct ss_watch *watch, uint32_t index);

/* Up to where the chain's frames are dead once the task has been suspended that the holder runs in, as
 * far as can be told. A function that recurses gave its guard to what is alive of it; a closure that
 * keeps one is called by a body that is. */
SS_HIDDEN uint32_t ss_chain_end_of_task(const struct ss_watch *watch, uint32_t holder);

/* The same through the user's functions, too: up to the first that runs futures. */
SS_HIDDEN uint32_t ss_chain_end_of_poll(const struct ss_watch *watch, uint32_t holder);

/* Whether the index-th frame of the chain was polled at the enter. */
SS_HIDDEN bool ss_was_polled(const struct ss_entry *entry, const struct ss_watch *watch,
                             uint32_t index);

/* Whether the guard was taken in code that a future's poll runs. */
SS_HIDDEN bool ss_taken_in_a_poll(const struct ss_entry *entry, const struct ss_watch *watch);

/* The place of an entry learns that the depth-th frame of its chain holds the guard. */
SS_HIDDEN void ss_holder_learn(const struct ss_entry *entry, const struct ss_watch *watch,
                               uint32_t depth);

#endif
