/* The span `job` is exited and was never entered. */
#include "spans.h"

SITE(job, "job");

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    puts("done");
    return 0;
}
