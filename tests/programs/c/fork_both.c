/* Parent and forked child each commit a misuse of their own; the child also leaves the span that
 * its parent had open, which it inherited. */
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

SITE(shared, "shared");
SITE(in_parent, "in_parent");
SITE(in_child, "in_child");

int main(void)
{
    int status = 0;
    uint64_t open = strayspan_new(&first_subscriber, &shared);
    strayspan_enter(&first_subscriber, open);
    pid_t child = fork();
    const struct strayspan_site *site = child == 0 ? &in_child : &in_parent;
    strayspan_exit(&first_subscriber, open);
    uint64_t span = strayspan_new(&first_subscriber, site);
    strayspan_exit(&first_subscriber, span);
    if (child == 0)
        return 0;
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    puts("done");
    return 0;
}
