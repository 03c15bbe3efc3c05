/* A misuse, then the same program again by exec, N times in all: `chain N`. The pid stays. */
#include <stdlib.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

int main(int argc, char **argv)
{
    char left[16];
    int n = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
    if (n > 1) {
        snprintf(left, sizeof left, "%d", n - 1);
        execl("/proc/self/exe", argv[0], left, (char *)0);
        return 1;
    }
    puts("done");
    return 0;
}
