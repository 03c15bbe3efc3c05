/* The read-only view of one module's ELF file: its .symtab and .strtab. See elf_symbols.c. */
#ifndef SS_ELF_SYMBOLS_H
#define SS_ELF_SYMBOLS_H

#include <elf.h>

#include "internal.h"

/* An open file. The buffer is where everything read from it passes through. */
struct ss_elf {
    int fd;
    bool position_dependent; /* ET_EXEC */
    bool separate;           /* a debug file, not the module itself */
    uint64_t symbols, symbols_size;
    uint64_t names, names_size;
    char *buffer;
};

/* Opens the file of m. Returns false, with nothing left open, where that cannot be done, where the
 * file is not the one that was loaded, or where it has no .symtab. */
SS_HIDDEN bool ss_elf_open(const struct ss_module *m, struct ss_elf *elf);
SS_HIDDEN void ss_elf_close(struct ss_elf *elf);

/* Calls each for every name in .strtab that contains one of the words of ss_find_word. offset is
 * the name's place in .strtab, name is not terminated and valid during the call. Stops when each
 * returns false. */
typedef bool ss_elf_name_fn(void *context, uint32_t offset, const char *name, size_t length);
SS_HIDDEN void ss_elf_each_tracing_name(struct ss_elf *elf, ss_elf_name_fn *each, void *context);

/* The same for the names that contain this word. */
SS_HIDDEN void ss_elf_each_name_with(struct ss_elf *elf, const char *word, ss_elf_name_fn *each,
                                     void *context);

/* Calls each for every defined function in .symtab. Stops when each returns false. */
typedef bool ss_elf_symbol_fn(void *context, const Elf64_Sym *symbol);
SS_HIDDEN void ss_elf_each_function(struct ss_elf *elf, ss_elf_symbol_fn *each, void *context);

/* Reads the name at offset into name, terminated. Returns its length, or 0 where it does not fit.
 */
SS_HIDDEN size_t ss_elf_name(const struct ss_elf *elf, uint32_t offset, char *name, size_t size);

/* The first place of "Subscriber", "subscriber" or "dispatcher" in [from, end), or NULL. */
SS_HIDDEN const char *ss_find_word(const char *from, const char *end);

#endif
