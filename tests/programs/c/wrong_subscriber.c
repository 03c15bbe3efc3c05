/* The span `job`, which the first subscriber made, is closed through the second. With
 * `lookup [SERVICE]`, localhost is looked up inside the span. */
#include <netdb.h>
#include <string.h>

#include "spans.h"

SITE(job, "job");

int main(int argc, char **argv)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    if (argc > 1 && strcmp(argv[1], "lookup") == 0) {
        struct addrinfo *found = 0;
        if (getaddrinfo("localhost", argc > 2 ? argv[2] : "80", 0, &found) == 0)
            freeaddrinfo(found);
    }
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&second_subscriber, span);
    puts("done");
    return 0;
}
