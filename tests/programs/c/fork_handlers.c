/* Linked with a library (fork_library.c) whose fork handlers make a thread and a span, and wait for
 * both. Forks a few times; prints "done". */
#include <sys/wait.h>
#include <unistd.h>

#include "spans.h"

int fork_library_forks(void);

SITE(site, "around_fork");

int main(void)
{
    uint64_t id = strayspan_new(&first_subscriber, &site);
    strayspan_enter(&first_subscriber, id);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, 0, 0);
    }
    strayspan_exit(&first_subscriber, id);
    strayspan_close(&first_subscriber, id);
    puts(fork_library_forks() == 5 ? "done" : "handlers did not run");
    return 0;
}
