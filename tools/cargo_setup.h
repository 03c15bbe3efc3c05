/* What cargo would do, found out before it is run. */
#ifndef SS_CARGO_SETUP_H
#define SS_CARGO_SETUP_H

#include <stdbool.h>

struct ss_cargo {
    const char *path;     /* of cargo itself */
    const char *variable; /* CARGO_TARGET_<TRIPLE>_RUNNER, for what it builds for */
    const char *runner;   /* the user's own, in that variable; NULL: none */
    const char
        *target_directory; /* absolute; NULL where there is no workspace, which cargo will say */
};

/* Asks cargo, the environment and cargo's configuration files; argv (ended by NULL) is what cargo will
 * get. False, and said: there is no cargo, or a runner is configured where it cannot be kept. */
bool ss_cargo_setup(struct ss_cargo *cargo, char **argv);

#endif
