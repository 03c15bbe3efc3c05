/* The process's mappings, as the kernel tells them. */
#ifndef SS_MAPS_H
#define SS_MAPS_H

#include "internal.h"

struct ss_mapping {
    uintptr_t start, end;
    int protection; /* PROT_* */
};

/* Finds the mapping that holds address; false where there is none. Reads /proc; no lock, any
 * thread. */
SS_HIDDEN bool ss_mapping_find(uintptr_t address, struct ss_mapping *out);

#endif
