/* The shim's own life: what is up, what is ours. */
#ifndef SS_START_H
#define SS_START_H

#include <stdatomic.h>

#include "internal.h"

/* Whether the constructor has run and nothing keeps the shim passive. */
extern _Atomic bool ss_start_up SS_HIDDEN;

/* Whether spans can be seen: a table is hooked, or an annotation was called. */
extern _Atomic bool ss_start_active SS_HIDDEN;

/* The value of an environment variable as it was at start, or NULL. */
SS_HIDDEN const char *ss_start_environment(const char *name);

/* Whether address lies in our own code. */
SS_HIDDEN bool ss_start_is_own_code(uintptr_t address);

/* Looks at modules that are new or went, and begins to watch once there is something to be watched.
 * Inside the loader: on the thread that is loading, with what it loads relocated. */
SS_HIDDEN void ss_start_look(bool inside_loader);

/* Called once there is something to watch: opens the log where it is asked for. */
SS_HIDDEN void ss_start_activate(void);

/* An address on the main thread's stack, 0 where it is not known. */
SS_HIDDEN uintptr_t ss_start_on_main_stack(void);

#endif
