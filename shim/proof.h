/* Tables that were found by their code have to prove themselves. See proof.c. */
#ifndef SS_PROOF_H
#define SS_PROOF_H

#include "internal.h"

/* Says that a table was found by its code alone. By hook.c, before it is patched. */
SS_HIDDEN void ss_proof_want(const struct ss_table *table);

/* Whether all of the table's slots may be patched. Lock-free. */
SS_HIDDEN bool ss_proof_given(const struct ss_table *table);

/* Whether it was switched off. Lock-free. */
SS_HIDDEN bool ss_proof_failed(const struct ss_table *table);

/* Its register_callsite is called, by thunks.S, with that for a Metadata: which tells whether the
 * table is one. Returns the function that was to be called. Slow; any program thread. */
SS_HIDDEN const void *ss_proof_called(const struct ss_table *table, uintptr_t metadata);

/* Its new_span returned an id; it was called with an id that no new_span of its is known to have
 * returned. Cheap; table may be NULL. Any program thread. */
SS_HIDDEN void ss_proof_made(const struct ss_table *table);
SS_HIDDEN void ss_proof_doubted(const struct ss_table *table, uint64_t id);

/* A span that it made could not be kept: unknown ids say nothing from now on. */
SS_HIDDEN void ss_proof_excuse(const struct ss_table *table);

/* Whether something may be reported of its spans: what it was called with made sense so far. Else it
 * is switched off, and named. Slow; table may be NULL. */
SS_HIDDEN bool ss_proof_stands(const struct ss_table *table);

#endif
