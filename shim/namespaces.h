/* What the loader keeps apart from us. See namespaces.c. */
#ifndef SS_NAMESPACES_H
#define SS_NAMESPACES_H

#include "internal.h"

enum { SS_APART_MAX = 8 };

/* Looks for objects with tracing in namespaces of their own (dlmopen). Returns how many it found, at
 * most SS_APART_MAX. Slow: reads their files. At the end, by one thread. */
SS_HIDDEN uint32_t ss_namespaces_look(void);

/* The path of one of them, from 0; NULL beyond the last. */
SS_HIDDEN const char *ss_namespaces_at(uint32_t number);

#endif
