/* `closed` is closed while it is open, `used` is entered after it was closed, and `forgotten` is left open
 * by a thread that ends. */
#include "spans.h"

SITE(closed, "closed");
SITE(used, "used");
SITE(forgotten, "forgotten");

static void *forget(void *span)
{
    strayspan_enter(&first_subscriber, *(uint64_t *)span);
    return 0;
}

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &closed);
    strayspan_enter(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    strayspan_exit(&first_subscriber, span);

    span = strayspan_new(&first_subscriber, &used);
    strayspan_close(&first_subscriber, span);
    strayspan_enter(&first_subscriber, span);
    strayspan_exit(&first_subscriber, span);

    span = strayspan_new(&first_subscriber, &forgotten);
    run_on_thread(forget, &span);
    puts("done");
    return 0;
}
