/* What a loaded object is called. See module_names.c. */
#ifndef SS_MODULE_NAMES_H
#define SS_MODULE_NAMES_H

#include "internal.h"

/* The path of a module, kept: for all but the program what the loader opened (name, as it has it), from
 * the root on; "[vdso]" for the vdso. NULL: no memory, or not known. One thread at a time. */
SS_HIDDEN const char *ss_module_path_of(const struct ss_module *m, const char *name, bool program);

/* Whether m is, by its path, a library of the system that holds no Rust. */
SS_HIDDEN bool ss_module_is_system(const struct ss_module *m);

#endif
