/* Subscriber tables by the symbols of a module. See symbol_tables.c. */
#ifndef SS_SYMBOL_TABLES_H
#define SS_SYMBOL_TABLES_H

#include "elf_symbols.h"
#include "internal.h"

/* Finds the tables of m by the symbols of elf, fills in `tables` but for module and evidence, and
 * publishes the closers that the symbols name. Returns how many tables there are. One thread at a
 * time for a module, no lock held. */
SS_HIDDEN uint32_t ss_symbol_tables(const struct ss_module *m, struct ss_elf *elf,
                                    struct ss_table_found tables[SS_TABLES_MAX]);

#endif
