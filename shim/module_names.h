/* What a loaded object is called. See module_names.c. */
#ifndef SS_MODULE_NAMES_H
#define SS_MODULE_NAMES_H

#include "internal.h"

/* The path of a module, kept: for all but the program what the loader opened (name, as it has it), from
 * the root on; "[vdso]" for the vdso. NULL: no memory, or not known. One thread at a time. */
SS_HIDDEN const char *ss_module_path_of(const struct ss_module *m, const char *name, bool program);

/* Puts the path of the program's file into `to`, terminated: as the kernel has it, without /proc as it
 * was executed. Returns its length, 0 where it is not known. Any context. */
SS_HIDDEN size_t ss_program_path(char *to, size_t size);

/* Whether m is, by its path, a library of the system that holds no Rust. */
SS_HIDDEN bool ss_module_is_system(const struct ss_module *m);

#endif
