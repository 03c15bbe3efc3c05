/* uthash for the cold tables: memory from our arena, no exit on failure. Tables grow by doubling
 * and are few, so what an old bucket array leaves behind is at most as much again. */
#ifndef SS_COLD_TABLES_H
#define SS_COLD_TABLES_H

#include <string.h>

#include "internal.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) ss_alloc(size)
#define uthash_free(pointer, size) ((void)(pointer))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <uthash.h>
#pragma GCC diagnostic pop

#endif
