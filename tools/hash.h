/* uthash for the command's tables: the command ends where there is no memory, as with ss_keep. */
#ifndef SS_HASH_H
#define SS_HASH_H

#include <stdio.h>
#include <stdlib.h>

#define uthash_fatal(message) (fprintf(stderr, "strayspan: %s\n", message), exit(125))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <uthash.h>
#pragma GCC diagnostic pop

#endif
