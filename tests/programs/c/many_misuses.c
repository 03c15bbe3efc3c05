/* COUNT distinct misuses, one per site: `many_misuses COUNT [fsize BYTES]`. With fsize, no file of
 * this process may grow beyond BYTES, and a write beyond raises SIGXFSZ, which ends a process by
 * default. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "spans.h"

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1;
    struct strayspan_site *sites = calloc((size_t)count, sizeof *sites);
    if (!sites)
        return 1;
    if (argc > 3) {
        rlim_t bytes = (rlim_t)atol(argv[3]);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes});
    }
    for (int i = 0; i < count; i++) {
        sites[i] =
            (struct strayspan_site){"job", "sample", __FILE__, (uint32_t)i + 1, STRAYSPAN_INFO};
        uint64_t span = strayspan_new(&first_subscriber, &sites[i]);
        strayspan_exit(&first_subscriber, span);
        strayspan_close(&first_subscriber, span);
    }
    sigset_t pending;
    sigpending(&pending);
    puts(sigismember(&pending, SIGXFSZ) || sigismember(&pending, SIGPIPE) ? "signal pending"
                                                                          : "done");
    return 0;
}
