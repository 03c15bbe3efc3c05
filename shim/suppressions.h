/* The suppressions in force: read at start, constant afterwards but for their counts. */
#ifndef SS_SUPPRESSIONS_H
#define SS_SUPPRESSIONS_H

#include "internal.h"
#include "suppression_lines.h"

struct ss_suppression {
    struct ss_suppression_line line;
    uint64_t
        count; /* how often it held a breach back: under the lock of breaches.c, or when all is over */
};

/* Reads the file that the option names. Says once what is wrong with it; lines that can be used are. At start,
 * before anything is hooked. */
SS_HIDDEN void ss_suppressions_read(void);

/* The first suppression that a breach of the rule by a span of the site (may be NULL) is like; NULL where
 * there is none. Nothing is counted. Work begun; any thread. */
SS_HIDDEN struct ss_suppression *ss_suppression_of(enum ss_rule rule, const struct ss_site *site);

/* By index, NULL beyond the last. */
SS_HIDDEN struct ss_suppression *ss_suppression_at(uint32_t index);

/* The child of a fork counts anew. */
SS_HIDDEN void ss_suppressions_forked(void);

#endif
