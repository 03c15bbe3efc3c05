/* The span `job` is entered on main and exited on the thread `helper`. */
#define _GNU_SOURCE
#include <pthread.h>

#include "spans.h"

SITE(job, "job");

static void *helper(void *span)
{
    pthread_setname_np(pthread_self(), "helper");
    strayspan_exit(&first_subscriber, *(uint64_t *)span);
    return 0;
}

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    run_on_thread(helper, &span);
    strayspan_close(&first_subscriber, span);
    puts("done");
    return 0;
}
