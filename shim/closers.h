/* Functions through which spans of the default subscriber are closed. See closers.c. */
#ifndef SS_CLOSERS_H
#define SS_CLOSERS_H

#include "internal.h"
#include "method_names.h"

enum { SS_CLOSERS_MAX = 1024 };

/* The code of a closer, in offsets from its module's start. */
struct ss_closer_range {
    uint32_t start, end;
    uint32_t kind; /* enum ss_closer */
};

/* What one search of a module finds, in any order. */
struct ss_closer_list {
    uint32_t count;
    struct ss_closer_range at[SS_CLOSERS_MAX];
};

/* Adds the function of size bytes at address, as far as there is room. */
SS_HIDDEN void ss_closers_note(struct ss_closer_list *list, const struct ss_module *m,
                               uintptr_t address, uint64_t size, enum ss_closer kind);

/* Makes these the closers of m, for ss_closes_by_default and ss_closer_forwards (internal.h). Sorts
 * the list. One thread at a time for a module. */
SS_HIDDEN void ss_closers_publish(struct ss_closer_list *list, const struct ss_module *m);

/* What the code of the function that holds an address of m tells (closer_code.c). Any context. */
SS_HIDDEN enum ss_closer ss_closer_by_code(const struct ss_module *m, uintptr_t address);

#endif
