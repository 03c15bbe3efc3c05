/* 100,000 spans are open at once on one thread. */
#include <stdlib.h>

#include "spans.h"

SITE(level, "level");

enum { DEPTH = 100000 };

int main(void)
{
    uint64_t *spans = calloc(DEPTH, sizeof *spans);
    if (!spans)
        return 1;
    for (int i = 0; i < DEPTH; i++) {
        spans[i] = strayspan_new(&first_subscriber, &level);
        strayspan_enter(&first_subscriber, spans[i]);
    }
    for (int i = DEPTH; i-- > 0;) {
        strayspan_exit(&first_subscriber, spans[i]);
        strayspan_close(&first_subscriber, spans[i]);
    }
    free(spans);
    puts("done");
    return 0;
}
