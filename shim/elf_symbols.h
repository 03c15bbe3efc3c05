/* The read-only view of one module's ELF file: its .symtab and .strtab. See elf_symbols.c. */
#ifndef SS_ELF_SYMBOLS_H
#define SS_ELF_SYMBOLS_H

#include <elf.h>

#include "internal.h"

enum { SS_ELF_BUFFER_SIZE = 64 * 1024 };

/* An open file. The buffer is where everything read from it passes through. */
struct ss_elf {
    int fd;
    bool position_dependent; /* ET_EXEC */
    bool separate;           /* a debug file, not the module itself */
    uint64_t size;
    uint64_t segments, sections; /* headers */
    uint32_t segment_count;
    uint64_t section_count, section_names; /* lies in the file; perhaps a number of none */
    uint64_t symbols, symbols_size;        /* .symtab and .strtab: 0 before ss_elf_find_symbols */
    uint64_t names, names_size;
    char *buffer;
};

/* Opens the file of m, or where that has no .symtab its separate debug file. Returns false, with
 * nothing left open, where neither can be done, or the file is not the one that was loaded. */
SS_HIDDEN bool ss_elf_open(const struct ss_module *m, struct ss_elf *elf);
SS_HIDDEN void ss_elf_close(struct ss_elf *elf);

/* The parts of that. Opens whatever ELF file is at path; false with nothing left open. */
SS_HIDDEN bool ss_elf_open_path(const char *path, struct ss_elf *elf);

/* Whether the program headers in the file say what was loaded as m. */
SS_HIDDEN bool ss_elf_has_segments_of(const struct ss_elf *elf, const struct ss_module *m);

/* Whether there is a .symtab; then what is below can be asked for. */
SS_HIDDEN bool ss_elf_find_symbols(struct ss_elf *elf);

/* Reads up to size bytes at offset into buffer. Returns how many were read. */
SS_HIDDEN size_t ss_elf_read(const struct ss_elf *elf, uint64_t offset, void *buffer, size_t size);

/* The header of a section by number, or of the first for which each returns true (it must not use
 * the buffer). False where there is none, or its content is not inside the file. */
SS_HIDDEN bool ss_elf_section(const struct ss_elf *elf, uint64_t index, Elf64_Shdr *section);
typedef bool ss_elf_section_fn(void *context, const Elf64_Shdr *section);
SS_HIDDEN bool ss_elf_find_section(const struct ss_elf *elf, ss_elf_section_fn *each, void *context,
                                   Elf64_Shdr *section);

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
