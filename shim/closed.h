/* What is remembered of spans that closed. See closed.c. */
#ifndef SS_CLOSED_H
#define SS_CLOSED_H

#include "internal.h"
#include "span_table.h"

/* A span that closed. */
struct ss_closed {
    uint64_t span_serial; /* 0: none */
    uint64_t id, instance_serial;
    struct ss_instance *instance;
    struct ss_site *site;
    uint64_t fingerprint, group; /* of what was reported of it, 0 for nothing */
    bool reported;
    bool foreign; /* it was closed by a breach that another span made */
    struct ss_moment created, closed;
};

/* Remembers a span that is about to leave the table; hashed: of its key; moment: of the close. Not
 * certain: it may not be closed for all that hold it, and nothing is to be judged by it. Any thread,
 * with its shard's lock: called by span_table.c. */
SS_HIDDEN void ss_closed_note(struct ss_span_ref span, uint64_t hashed,
                              const struct ss_moment *moment, bool certain);

/* The span of that id that the instance closed last. False where it is not remembered. */
SS_HIDDEN bool ss_closed_find(const struct ss_instance *instance, uint64_t id,
                              struct ss_closed *out);

/* Marks it as reported. False where it was already, or is remembered no more. */
SS_HIDDEN bool ss_closed_report(const struct ss_closed *closed);

/* Says as what it was reported. */
SS_HIDDEN void ss_closed_name(const struct ss_closed *closed, uint64_t fingerprint, uint64_t group);

/* The child of a fork: whoever was writing is not there any more. */
SS_HIDDEN void ss_closed_forked(void);

#endif
