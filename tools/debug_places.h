/* Where the separate debug file of a binary may be, and what lies there. See debug_places.c. */
#ifndef SS_DEBUG_PLACES_H
#define SS_DEBUG_PLACES_H

#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether every place where libdw looks for the debug file of the binary at path has a file or
 * nothing. link: the name that the file is called by there, which may be a path; NULL: the binary's
 * own and .debug. */
bool ss_debug_places_are_files(const char *path, const char *link);

/* Why a file that lies where the debug file of the binary at path has to be is not used, with its
 * path; NULL: there is none, or it is the right one. Kept. Opens ordinary files alone. One thread. */
const char *ss_debug_file_problem(const char *path);

/* Whether a file of that size ends before its sections do. */
bool ss_sections_are_cut(Elf *elf, const GElf_Ehdr *header, uint64_t size);

/* Whether a range of a file of that size ends beyond it. */
bool ss_lies_beyond(uint64_t offset, uint64_t length, uint64_t size);

#endif
