/* Annotated, and correct: says whether somebody listens. */
#include "spans.h"

SITE(job, "job");

int main(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
    puts(span ? "watched" : "not watched");
    return 0;
}
