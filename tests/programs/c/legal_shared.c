/* A span is open on two threads at once, and each exits what it entered; then main, which had left
 * it, enters and exits it once more. */
#include "spans.h"

SITE(job, "job");

static void *work(void *span)
{
    strayspan_enter(&first_subscriber, *(uint64_t *)span);
    strayspan_exit(&first_subscriber, *(uint64_t *)span);
    return 0;
}

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    run_on_thread(work, &span);
    strayspan_exit(&first_subscriber, span);
    work(&span);
    strayspan_close(&first_subscriber, span);
    puts("done");
    return 0;
}
