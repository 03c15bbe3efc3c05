/* A misuse, and then an end that runs no exit handlers: `ends
 * _exit|kill|abort|quick_exit|exit|exec`. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

int main(int argc, char **argv)
{
    const char *end = argc > 1 ? argv[1] : "exit";
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_exit(&first_subscriber, span);
    if (strcmp(end, "_exit") == 0)
        _exit(3);
    if (strcmp(end, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(end, "abort") == 0)
        abort();
    if (strcmp(end, "quick_exit") == 0)
        quick_exit(4);
    if (strcmp(end, "exec") == 0)
        execl("/bin/true", "true", (char *)0);
    if (strcmp(end, "list") == 0)
        execl("/bin/ls", "ls", "-l", "/proc/self/fd", (char *)0);
    return 5;
}
