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

enum { SS_SPAN_SHARDS = 64 }; /* by the lowest bits of: */
static inline uint64_t ss_span_hash(const struct ss_instance *instance, uint64_t id)
{
    uint64_t mixed = ((uintptr_t)instance >> 4) * 0x9e3779b97f4a7c15u ^ id;
    mixed *= 0xff51afd7ed558ccdu;
    return mixed ^ mixed >> 32;
}

/* Finds a live span: without a lock where it is there, with its shard's where it is not. */
SS_HIDDEN struct ss_span_ref ss_span_find(const struct ss_instance *instance, uint64_t id);

/* Adds a copy of model (its serial is ignored) and returns it. Where a live span of that id is
 * there and not closing, nothing is added and *duplicate is set. NULL without memory. */
SS_HIDDEN struct ss_span_ref ss_span_add(const struct ss_span *model, bool *duplicate);

/* Removes a span, if it still is the one with that serial. */
SS_HIDDEN void ss_span_remove(struct ss_span *span, uint64_t serial);

/* The same of a span that closed at that moment, which is noted (closed.h). */
SS_HIDDEN void ss_span_close(struct ss_span *span, uint64_t serial, const struct ss_moment *closed,
                             bool certain);

/* The lock of the shard that a hash belongs to, for closed.c. False: without it. */
SS_HIDDEN bool ss_span_lock(uint64_t hashed);
SS_HIDDEN void ss_span_unlock(uint64_t hashed);

/* All shards' locks, for fork. */
SS_HIDDEN void ss_span_table_lock(void);
SS_HIDDEN void ss_span_table_unlock(void);
SS_HIDDEN void ss_span_table_forked(void);

#endif
