/* One misuse at two places, the first of them REPEAT times (argument, 1 by default): two distinct
 * violations. The span names hold what a terminal or JSON could trip over. */
#include <stdlib.h>

#include "spans.h"

SITE(first, "evil \033[31m\"name\"\\\n\xc3\xa4\xff");
SITE(second, "second");

static void misuse(const struct strayspan_site *site)
{
    uint64_t span = strayspan_new(&first_subscriber, site);
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
}

int main(int argc, char **argv)
{
    int repeat = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < repeat; i++)
        misuse(&first);
    misuse(&second);
    puts("done");
    return 0;
}
