/* The table of live spans, by (instance, id). */
#ifndef SS_SPAN_TABLE_H
#define SS_SPAN_TABLE_H

#include "internal.h"

/* A span and the serial that it had when it was found: a record whose serial is another is another.
 */
struct ss_span_ref {
    struct ss_span *span; /* NULL: none */
    uint64_t serial;
};

/* Finds a live span: without a lock where it is there, with its shard's where it is not. */
SS_HIDDEN struct ss_span_ref ss_span_find(const struct ss_instance *instance, uint64_t id);

/* Adds a copy of model (its serial is ignored) and returns it. Where a live span of that id is
 * there and not closing, nothing is added and *duplicate is set. NULL without memory. */
SS_HIDDEN struct ss_span_ref ss_span_add(const struct ss_span *model, bool *duplicate);

/* Removes a span, if it still is the one with that serial. */
SS_HIDDEN void ss_span_remove(struct ss_span *span, uint64_t serial);

/* All shards' locks, for fork. */
SS_HIDDEN void ss_span_table_lock(void);
SS_HIDDEN void ss_span_table_unlock(void);
SS_HIDDEN void ss_span_table_forked(void);

#endif
