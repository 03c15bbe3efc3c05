/* A span is entered again while it is open, on one thread. */
#include "spans.h"

SITE(job, "job");

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    for (int i = 0; i < 3; i++)
        strayspan_enter(&first_subscriber, span);
    for (int i = 0; i < 3; i++)
        strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    puts("done");
    return 0;
}
