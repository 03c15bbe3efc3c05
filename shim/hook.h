/* Hooked tables: patched slots and the originals behind them. */
#ifndef SS_HOOK_H
#define SS_HOOK_H

#include "internal.h"

/* The tables by number; those below ss_hook_count are constant. */
extern struct ss_table ss_hook_tables[SS_TABLES_MAX] SS_HIDDEN;

/* The hooked table at that address, or NULL. Lock-free. */
SS_HIDDEN const struct ss_table *ss_hook_table_at(uintptr_t address);

/* Patches the slots of a table that was found by its code and has proven itself. False where that
 * cannot be done. Slow. */
SS_HIDDEN bool ss_hook_rest(const struct ss_table *table);

/* How many tables are hooked, how many of those found are not, how many of these were beyond the
 * limit. */
SS_HIDDEN uint32_t ss_hook_count(void);
SS_HIDDEN uint32_t ss_hook_refused(void);
SS_HIDDEN uint32_t ss_hook_beyond(void);

#endif
