/* An ELF file brought into memory as a loader would, without running any of it. See map_elf.c. */
#ifndef MAP_ELF_H
#define MAP_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapped file. `info` is what dl_iterate_phdr would give for it. */
struct mapped_elf {
    struct dl_phdr_info info;
    unsigned char *base;
    size_t size;
    const char *why; /* it could not be mapped */
};

enum { MAPPED_SEGMENTS_MAX = 64 };

/* Lays out the segments of the file whose `size` bytes are at `file`, and relocates them against
 * themselves: relative relocations, and those to symbols that the file defines. `file` must stay.
 * A position-dependent file lies at its own addresses, or is not mapped. At most `limit` bytes of
 * memory are taken. False with *why where it is no x86-64 ELF file that could be loaded. */
bool map_elf(const unsigned char *file, size_t size, size_t limit, struct mapped_elf *mapped);

void unmap_elf(struct mapped_elf *mapped);

#endif
