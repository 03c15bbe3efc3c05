/* Where the symbols of a stripped module may be. See debug_file.c. */
#ifndef SS_DEBUG_FILE_H
#define SS_DEBUG_FILE_H

#include "elf_symbols.h"

/* What .gnu_debuglink says: empty where there is none. */
struct ss_debug_link {
    char name[256];
    uint32_t crc;
};

/* Reads the link of a module's own file. */
SS_HIDDEN void ss_debug_link_read(const struct ss_elf *own, struct ss_debug_link *link);

/* Opens the separate debug file of m that has its symbols: by build id, else by the link. False with
 * nothing left open where there is none. */
SS_HIDDEN bool ss_debug_file_open(const struct ss_module *m, const struct ss_debug_link *link,
                                  struct ss_elf *elf);

#endif
