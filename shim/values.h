/* Values of a span's fields, captured at its creation and recorded later, with fields=values. */
#ifndef SS_VALUES_H
#define SS_VALUES_H

#include "internal.h"

/* Renders what the span's ValueSet holds: integers, booleans, floats and strings, by the program's
 * own `record` of each value with a visitor of ours; others are null. Reads nothing that was not
 * validated; NULL where the ValueSet is not of a known shape, where the table (of the subscriber
 * that was asked) is of a tracing-core whose visitors are not known, or without memory. Called
 * inside new_span. */
SS_HIDDEN struct ss_values *ss_values_capture(struct ss_thread *thread,
                                              const struct ss_table *table,
                                              const struct ss_attributes *attributes,
                                              const struct ss_site *site);

/* Adds what a `Record` holds to the values of a span that may end at any time, and to which others
 * may record as well: a field that has a value gets the new one. A span without captured values
 * stays without. Called inside record, where the Record lives. */
SS_HIDDEN void ss_values_record(struct ss_thread *thread, const struct ss_table *table,
                                struct ss_span *span, uint64_t span_serial, const void *record);

/* Copies the values of a span that may end, or be recorded to, meanwhile. Returns false where it
 * has none, or is another span by now. */
SS_HIDDEN bool ss_values_copy(const struct ss_span *span, uint64_t span_serial,
                              struct ss_values *out);

/* Takes a span's values from it, and gives the block back. Any lock of the span table may be held.
 */
SS_HIDDEN void ss_values_drop(struct ss_span *span);

/* Gives back a block that no span has. The same. */
SS_HIDDEN void ss_values_free(struct ss_values *values);

#endif
