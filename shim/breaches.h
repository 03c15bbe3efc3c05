/* Breaches by fingerprint, and what came of them: counted, for rules.c and the summary. Work begun or
 * at the process's end; any thread. */
#ifndef SS_BREACHES_H
#define SS_BREACHES_H

#include "rule_table.h"
#include "types.h"

/* In place of the fingerprint of what is suppressed. */
#define SS_FINGERPRINT_SUPPRESSED UINT64_MAX

/* One fingerprint; never freed. */
struct ss_breach;

/* Counts the breach, and fills in its count so far (UINT64_MAX: unknown), fingerprint and group.
 * Returns NULL where it cannot be kept, or is suppressed: then its fingerprint is
 * SS_FINGERPRINT_SUPPRESSED, and what comes of it is not told either. */
SS_HIDDEN struct ss_breach *ss_breach_count(struct ss_violation *violation);

/* The same for a suspicion. False where it is suppressed, or its fingerprint has been written as often as
 * wanted. */
SS_HIDDEN bool ss_breach_count_suspicion(struct ss_violation *violation);

/* Counts what came of a breach; returns how often it did at that place so far. */
SS_HIDDEN uint64_t ss_breach_count_outcome(const struct ss_consequence *consequence);

/* Says that the first breach of its kind is written; lets nobody go on before it is, into what may
 * panic by it: not for long. */
SS_HIDDEN void ss_breach_set_written(struct ss_breach *breach);
SS_HIDDEN void ss_breach_await_written(const struct ss_breach *breach);

/* Counts of one rule so far. */
struct ss_rule_counts {
    uint64_t violations, fingerprints, suppressed;
};
SS_HIDDEN void ss_breach_counts(enum ss_rule rule, struct ss_rule_counts *out);

/* How many suspicions were written; what came of breaches, by index: false beyond the last. */
SS_HIDDEN uint64_t ss_breaches_suspicions(void);
SS_HIDDEN bool ss_breaches_consequence_at(uint32_t index, uint64_t *of,
                                          enum ss_consequence_kind *kind, uint64_t *count);

/* A fingerprint of which a later case was graded worse than the one that was written. */
enum { SS_WORSE_MAX = 16 };
struct ss_worse {
    uint64_t of, spans_under;
    enum ss_severity severity;
    bool thread_changed;
};

/* Fills in the first SS_WORSE_MAX of them; returns how many. */
SS_HIDDEN uint32_t ss_breaches_worse(struct ss_worse worse[SS_WORSE_MAX]);

/* The child of a fork counts anew. */
SS_HIDDEN void ss_breaches_forked(void);

#endif
