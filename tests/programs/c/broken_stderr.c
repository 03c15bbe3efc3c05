/* Runs PROGRAM with a stderr that nobody reads: `broken_stderr closed|full PROGRAM [ARG...]`.
 * Closed: a write raises SIGPIPE. Full: a write blocks for good. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int ends[2];
    char byte = 0;
    if (argc < 3 || pipe(ends) != 0)
        return 2;
    if (strcmp(argv[1], "closed") == 0) {
        close(ends[0]);
    } else {
        int flags = fcntl(ends[1], F_GETFL);
        fcntl(ends[1], F_SETFL, flags | O_NONBLOCK);
        while (write(ends[1], &byte, 1) == 1)
            ;
        fcntl(ends[1], F_SETFL, flags);
    }
    dup2(ends[1], 2);
    execvp(argv[2], argv + 2);
    return 127;
}
