/* test_values with ThreadSanitizer: it watches what threads share (tests.mk). */
#include "test_values.c"
