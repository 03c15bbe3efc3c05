/* The tests of Rust's own harness: what a test program is asked for, and which test it was. */
#ifndef SS_TESTS_H
#define SS_TESTS_H

#include <stdbool.h>

#include "report.h"

/* Whether a program is a test program that is only asked which tests it has, or for its help. */
bool ss_test_lists(const char *path, char **argv);

/* Whether a program is one that rustdoc made of a doctest, or of several, as it does since edition 2024. */
bool ss_test_is_doctest(const char *program);

/* The variable by which rustdoc has such a program run each of its tests in a process of its own. It leaves it
 * out where there is a runner: the program to start would be that. Ours starts what it is given. */
#define SS_TEST_DOCTEST_VARIABLE "RUSTDOC_DOCTEST_BIN_PATH"

/* The one test that a program is asked for (`--exact NAME`), or what a doctest's program is called; NULL for
 * others. Kept. */
const char *ss_test_asked(const char *path, char **argv);

/* What a process is called by its label, as `CRATE::TEST`; NULL where it has none. */
const char *ss_test_label(const struct ss_process *process);

/* Names the tests that a violation was seen in, as `CRATE::TEST`: by the labels of its processes, and where
 * there are none, by its frames, which are filled, and the names of its threads. A name that was cut ends in
 * an ellipsis. */
void ss_test_name(struct ss_violation *violation);

/* Whether the name of any test is known that a violation was seen in. */
bool ss_test_known(const struct ss_violation *violation);

/* `orders::total, orders::tax and 12 more`: the tests that a violation was seen in at a place of it (NULL: its
 * own), at most max of them, fit for a terminal. Of several processes, those without a test's name are named by
 * their program. First what the process has that the violation's details are of. NULL: there is no name. */
const char *ss_test_names(const struct ss_violation *violation, const struct ss_other_place *place,
                          size_t max);

#endif
