/* The close of the span `job` goes to no subscriber. */
#include "spans.h"

SITE(job, "job");

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(0, span);
    puts("done");
    return 0;
}
