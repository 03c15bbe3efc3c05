/* The judgement: from a breach to a line in the log. Slow contexts, work begun, no lock held. */
#ifndef SS_RULES_H
#define SS_RULES_H

#include "events.h"
#include "span_table.h"

/* An exit of a span that is not on this thread's stack. */
SS_HIDDEN void ss_judge_exit(struct ss_thread *thread, const struct ss_call *call,
                             struct ss_span_ref span);

/* A close while an exit or close is under way: through instance called, NULL for the no-op
 * subscriber. */
SS_HIDDEN void ss_judge_close(struct ss_thread *thread, const struct ss_call *call,
                              struct ss_instance *called, uint64_t id);

/* An annotated close of a span through another instance than its own; called NULL: through none. */
SS_HIDDEN void ss_judge_annotated_close(struct ss_thread *thread, const struct ss_call *call,
                                        struct ss_span_ref span, struct ss_instance *called);

/* Counts of one rule so far. */
struct ss_rule_counts {
    uint64_t violations, fingerprints, suppressed;
};
SS_HIDDEN void ss_rule_counts(enum ss_rule rule, struct ss_rule_counts *out);

/* The child of a fork counts anew. */
SS_HIDDEN void ss_rules_forked(void);

#endif
