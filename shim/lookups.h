/* Name look-ups that the program made (interpose.c). */
#ifndef SS_LOOKUPS_H
#define SS_LOOKUPS_H

#include "internal.h"

/* How many there were while spans were watched. */
SS_HIDDEN uint64_t ss_lookups_seen(void);

/* The name of getaddrinfo's error. */
SS_HIDDEN const char *ss_lookup_error(int result);

#endif
