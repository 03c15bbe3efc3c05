/* The judgement: from a breach to a line in the log. Slow contexts, work begun, no lock held. */
#ifndef SS_RULES_H
#define SS_RULES_H

#include "activations.h"
#include "closed.h"
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

/* An exit of an enter whose guard outlived its activation: the one of the index-th frame that is
 * known of it. changed: on another thread than the enter. */
SS_HIDDEN void ss_judge_held(struct ss_thread *thread, const struct ss_call *call,
                             const struct ss_open *open, uint32_t index, bool changed);

/* What may still turn out well: a span that is open, or was when its thread ended. At most once per
 * span; time: now. */
SS_HIDDEN void ss_judge_suspicion(enum ss_rule rule, const struct ss_open *open, uint64_t time);

/* A span that was left open by a thread that has ended. */
SS_HIDDEN void ss_judge_leak(const struct ss_open *open);

/* A close that closed a span while the calling thread has it open. */
SS_HIDDEN void ss_judge_close_open(struct ss_thread *thread, const struct ss_call *call,
                                   struct ss_span_ref span, const struct ss_entry *entry);

/* An exit of an entry whose span closed elsewhere meanwhile. */
SS_HIDDEN void ss_judge_exit_closed(struct ss_thread *thread, const struct ss_call *call,
                                    const struct ss_entry *entry);

/* A use, or a clone (SS_USE_NONE), of an id that no live span of the instance has. made: of the span
 * that named it its parent. */
SS_HIDDEN void ss_judge_use(struct ss_thread *thread, const struct ss_call *call,
                            struct ss_instance *instance, uint64_t id, enum ss_use use,
                            const struct ss_site *made);

/* An exit, or one of the above, of an id that the instance is not known to have had. */
SS_HIDDEN void ss_judge_unknown(struct ss_thread *thread, const struct ss_instance *instance,
                                uint64_t id);

/* A span was made whose parent is the current one, which the thread no longer has open. */
SS_HIDDEN void ss_judge_ghost(struct ss_thread *thread, const struct ss_call *call,
                              const struct ss_ghost *ghost, const struct ss_site *made);

/* An exit of an entry below which others are open: entry is a copy, above the innermost. */
SS_HIDDEN void ss_judge_order(struct ss_thread *thread, const struct ss_call *call,
                              const struct ss_entry *entry, const struct ss_entry *above);

/* An enter of a span that another thread entered last. */
SS_HIDDEN void ss_judge_enter(struct ss_thread *thread, const struct ss_call *call,
                              struct ss_span_ref span);

/* A look-up that has just returned. */
SS_HIDDEN void ss_judge_lookup(struct ss_thread *thread, uintptr_t caller);

#endif
