/* Values of a span's fields, captured at its creation with fields=values. */
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

/* Gives a block back. Any lock of the span table may be held. */
SS_HIDDEN void ss_values_free(struct ss_values *values);

#endif
