/* test_state with ThreadSanitizer: it watches what threads share (tests.mk). */
#include "test_state.c"
