/* Numbers of any size as JSON. */
#ifndef SS_NUMBERS_H
#define SS_NUMBERS_H

#include "output.h"

/* An integer of 128 bits, as its low and high half. What an int64_t cannot hold becomes a string:
 * readers of JSON refuse or round larger numbers. */
SS_HIDDEN void ss_put_u128(struct ss_line *line, uint64_t low, uint64_t high);
SS_HIDDEN void ss_put_i128(struct ss_line *line, uint64_t low, uint64_t high);

/* The shortest decimal that reads back as the same double, the closest of these, in the form in
 * which Rust shows it: always with a point or an exponent. "NaN", "inf" and "-inf" are strings. */
SS_HIDDEN void ss_put_double(struct ss_line *line, double value);

#endif
