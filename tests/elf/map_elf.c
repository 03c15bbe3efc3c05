/* An ELF file brought into memory as a loader would, without running any of it: the segments, and
 * the relocations that need no other object. For find_tables and the fuzz target: the file may hold
 * anything. All segments can be written, and symbols of other objects stay 0. */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#include "map_elf.h"

enum { PAGE = 4096 };

static bool inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

/* The memory at an address of the file, or NULL where not all of [address, address + length) is of
 * one segment. */
static unsigned char *memory_at(const struct mapped_elf *mapped, uint64_t address, uint64_t length)
{
    for (unsigned i = 0; i < mapped->info.dlpi_phnum; i++) {
        const Elf64_Phdr *header = &mapped->info.dlpi_phdr[i];
        if (header->p_type == PT_LOAD && address >= header->p_vaddr &&
            inside(address - header->p_vaddr, length, header->p_memsz))
            return (unsigned char *)(mapped->info.dlpi_addr + address);
    }
    return NULL;
}

/* ---- segments -------------------------------------------------------------------------------- */

static bool find_bounds(const Elf64_Phdr *headers, unsigned count, size_t file_size, uint64_t *low,
                        uint64_t *high)
{
    *low = UINT64_MAX;
    *high = 0;
    for (unsigned i = 0; i < count; i++) {
        const Elf64_Phdr *header = &headers[i];
        if (header->p_type != PT_LOAD || header->p_memsz == 0)
            continue;
        if (header->p_filesz > header->p_memsz || header->p_vaddr > INT64_MAX ||
            header->p_memsz > INT64_MAX || !inside(header->p_offset, header->p_filesz, file_size))
            return false;
        if (header->p_vaddr < *low)
            *low = header->p_vaddr;
        if (header->p_vaddr + header->p_memsz > *high)
            *high = header->p_vaddr + header->p_memsz;
    }
    *low &= -(uint64_t)PAGE;
    *high = (*high + PAGE - 1) & -(uint64_t)PAGE;
    return *low < *high;
}

static bool lay_out(const unsigned char *file, size_t size, const Elf64_Ehdr *header, size_t limit,
                    struct mapped_elf *mapped)
{
    const Elf64_Phdr *headers = (const Elf64_Phdr *)(file + header->e_phoff);
    uint64_t low, high;
    if (!find_bounds(headers, header->e_phnum, size, &low, &high) || high - low > limit) {
        mapped->why = "its segments cannot be";
        return false;
    }
    bool fixed = header->e_type == ET_EXEC;
    mapped->size = high - low;
    mapped->base = mmap(fixed ? (void *)low : NULL, mapped->size, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | (fixed ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (mapped->base == MAP_FAILED) {
        mapped->base = NULL;
        mapped->why = "there is no room for its segments";
        return false;
    }
    mapped->info.dlpi_addr = (uintptr_t)mapped->base - low;
    mapped->info.dlpi_phdr = headers;
    mapped->info.dlpi_phnum = header->e_phnum;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0)
            continue;
        uintptr_t start = mapped->info.dlpi_addr + headers[i].p_vaddr;
        uintptr_t page = start & -(uintptr_t)PAGE;
        if (mprotect((void *)page, start + headers[i].p_memsz - page, PROT_READ | PROT_WRITE) !=
            0) {
            unmap_elf(mapped);
            mapped->why = "there is no memory for its segments";
            return false;
        }
        memcpy((void *)start, file + headers[i].p_offset, headers[i].p_filesz);
    }
    return true;
}

/* ---- relocations ----------------------------------------------------------------------------- */

/* What PT_DYNAMIC says, by tag. */
enum { TAGS = DT_RELR + 1 };

static void read_dynamic(const struct mapped_elf *mapped, uint64_t said[TAGS])
{
    memset(said, 0, TAGS * sizeof *said);
    const Elf64_Phdr *headers = mapped->info.dlpi_phdr;
    for (unsigned i = 0; i < mapped->info.dlpi_phnum; i++) {
        if (headers[i].p_type != PT_DYNAMIC)
            continue;
        Elf64_Dyn entry;
        uint64_t at = headers[i].p_vaddr;
        const unsigned char *memory;
        for (; (memory = memory_at(mapped, at, sizeof entry)); at += sizeof entry) {
            memcpy(&entry, memory, sizeof entry);
            if (entry.d_tag == DT_NULL)
                return;
            if (entry.d_tag > 0 && entry.d_tag < TAGS)
                said[entry.d_tag] = entry.d_un.d_val;
        }
        return;
    }
}

static void put(const struct mapped_elf *mapped, uint64_t address, uint64_t value)
{
    unsigned char *place = memory_at(mapped, address, sizeof value);
    if (place)
        memcpy(place, &value, sizeof value);
}

static void apply_rela(const struct mapped_elf *mapped, uint64_t from, uint64_t size,
                       uint64_t symbols)
{
    Elf64_Rela relocation;
    const unsigned char *memory;
    for (uint64_t done = 0; size >= sizeof relocation && done <= size - sizeof relocation &&
                            (memory = memory_at(mapped, from + done, sizeof relocation));
         done += sizeof relocation) {
        memcpy(&relocation, memory, sizeof relocation);
        uint64_t base = mapped->info.dlpi_addr, addend = (uint64_t)relocation.r_addend;
        unsigned type = ELF64_R_TYPE(relocation.r_info);
        if (type == R_X86_64_RELATIVE)
            put(mapped, relocation.r_offset, base + addend);
        if (type != R_X86_64_64 && type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT)
            continue;
        Elf64_Sym symbol;
        memory = memory_at(mapped, symbols + ELF64_R_SYM(relocation.r_info) * sizeof symbol,
                           sizeof symbol);
        if (!memory)
            continue;
        memcpy(&symbol, memory, sizeof symbol);
        if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) != STT_TLS)
            put(mapped, relocation.r_offset,
                base + symbol.st_value + (type == R_X86_64_64 ? addend : 0));
    }
}

static void add_base(const struct mapped_elf *mapped, uint64_t address)
{
    unsigned char *place = memory_at(mapped, address, sizeof(uint64_t));
    uint64_t value;
    if (!place)
        return;
    memcpy(&value, place, sizeof value);
    put(mapped, address, value + mapped->info.dlpi_addr);
}

/* An even word is an address; the bits of an odd one say which of the next 63 words are meant. */
static void apply_relr(const struct mapped_elf *mapped, uint64_t from, uint64_t size)
{
    enum { WORD = sizeof(uint64_t), BITS = 63 };
    uint64_t next = 0, word;
    const unsigned char *memory;
    for (uint64_t done = 0;
         size >= WORD && done <= size - WORD && (memory = memory_at(mapped, from + done, WORD));
         done += WORD) {
        memcpy(&word, memory, sizeof word);
        if (!(word & 1)) {
            add_base(mapped, word);
            next = word + WORD;
            continue;
        }
        for (unsigned bit = 0; bit < BITS; bit++)
            if (word >> (bit + 1) & 1)
                add_base(mapped, next + bit * WORD);
        next += BITS * WORD;
    }
}

bool map_elf(const unsigned char *file, size_t size, size_t limit, struct mapped_elf *mapped)
{
    memset(mapped, 0, sizeof *mapped);
    Elf64_Ehdr header;
    if (size < sizeof header || memcmp(file, ELFMAG, SELFMAG) != 0) {
        mapped->why = "it is no ELF file";
        return false;
    }
    memcpy(&header, file, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_DYN && header.e_type != ET_EXEC)) {
        mapped->why = "it is no program or library for x86-64";
        return false;
    }
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > MAPPED_SEGMENTS_MAX ||
        header.e_phoff % sizeof(uint64_t) ||
        !inside(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr), size)) {
        mapped->why = "its program headers cannot be";
        return false;
    }
    if (!lay_out(file, size, &header, limit, mapped))
        return false;
    uint64_t said[TAGS];
    read_dynamic(mapped, said);
    apply_relr(mapped, said[DT_RELR], said[DT_RELRSZ]);
    apply_rela(mapped, said[DT_RELA], said[DT_RELASZ], said[DT_SYMTAB]);
    if (said[DT_PLTREL] == DT_RELA)
        apply_rela(mapped, said[DT_JMPREL], said[DT_PLTRELSZ], said[DT_SYMTAB]);
    return true;
}

void unmap_elf(struct mapped_elf *mapped)
{
    if (mapped->base)
        munmap(mapped->base, mapped->size);
    mapped->base = NULL;
}
