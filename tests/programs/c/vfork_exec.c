/* Misuses before and after a vfork whose child only executes another program: `vfork_exec N`. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

SITE(before, "before");
SITE(after, "after");

static void misuse(const struct strayspan_site *site)
{
    uint64_t span = strayspan_new(&first_subscriber, site);
    strayspan_exit(&first_subscriber, span);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1;
    misuse(&before);
    for (int i = 0; i < n; i++) {
        int status = 0;
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)0);
            _exit(127);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    misuse(&after);
    puts("done");
    return 0;
}
