/* A span is made on main, entered and exited on a second thread, closed on a third. */
#include "spans.h"

SITE(job, "job");

static void *work(void *span)
{
    strayspan_enter(&first_subscriber, *(uint64_t *)span);
    strayspan_exit(&first_subscriber, *(uint64_t *)span);
    return 0;
}

static void *end(void *span)
{
    strayspan_close(&first_subscriber, *(uint64_t *)span);
    return 0;
}

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    run_on_thread(work, &span);
    run_on_thread(end, &span);
    puts("done");
    return 0;
}
