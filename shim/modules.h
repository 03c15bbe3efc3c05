/* What discover.c tells modules.c. */
#ifndef SS_MODULES_H
#define SS_MODULES_H

#include "internal.h"

/* Says that a table of m was found and given to ss_hook_table; slot is the place of one of its
 * patched words. */
SS_HIDDEN void ss_module_has_table(struct ss_module *m, uintptr_t slot);

#endif
