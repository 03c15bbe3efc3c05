/* The image of an ELF file: its segments in one private anonymous reservation, the relocations that
 * need no other file applied. What the shim reads of a loaded module can then be read of a file, by
 * the same code. Called by probe_contents.c.
 *
 * The file is copied, not mapped, as somebody may cut it meanwhile. Nothing that it says is
 * believed: what does not fit is an error, or is left out. */
#include "file_image.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../shim/module_image.h"

enum { HEADERS_MAX = 256, PAGE = 4096, LOWEST = 64 * 1024 /* that a program may be bound to */ };

static const uint64_t image_max = 2ULL << 30, span_max = UINT32_MAX;

/* ---- reading --------------------------------------------------------------------------------- */

bool ss_file_read(int fd, uint64_t offset, void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        /* What lies in a hole is not read: it would take memory to hold zeros. */
        off_t data = lseek(fd, (off_t)(offset + done), SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            data = lseek(fd, 0, SEEK_END) >= (off_t)(offset + size) ? (off_t)(offset + size) : -1;
        else if (data < 0)
            data = (off_t)(offset + done);
        if (data < 0) {
            errno = 0;
            return false;
        }
        if ((uint64_t)data >= offset + size)
            return true;
        done = (uint64_t)data - offset;
        ssize_t got = pread(fd, (char *)buffer + done, size - done, data);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got < 0 ? errno : 0;
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* ---- segments -------------------------------------------------------------------------------- */

/* The program headers of a file, and what the PT_LOADs span, in whole pages. */
struct layout {
    Elf64_Ehdr header;
    Elf64_Phdr segments[HEADERS_MAX];
    uint64_t low, high;
};

static const char *read_layout(int fd, uint64_t file_size, struct layout *layout)
{
    Elf64_Ehdr *header = &layout->header;
    memset(layout, 0, sizeof *layout);
    layout->low = UINT64_MAX;
    if (!ss_file_read(fd, 0, header, sizeof *header) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64 ||
        header->e_phentsize != sizeof(Elf64_Phdr))
        return "its header is damaged";
    if (header->e_phnum > HEADERS_MAX)
        return "it has too many segments";
    if (!ss_file_read(fd, header->e_phoff, layout->segments,
                      header->e_phnum * sizeof layout->segments[0]))
        return "its segments are beyond its end";
    uint64_t total = 0;
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = &layout->segments[i];
        if (segment->p_type != PT_LOAD || segment->p_memsz == 0)
            continue;
        if (segment->p_filesz > segment->p_memsz || segment->p_memsz > UINT64_MAX - PAGE ||
            segment->p_vaddr > UINT64_MAX - PAGE - segment->p_memsz)
            return "a segment of it is damaged";
        if (segment->p_offset > file_size || segment->p_filesz > file_size - segment->p_offset)
            return "it has segments beyond its end";
        uint64_t low = segment->p_vaddr & -(uint64_t)PAGE;
        uint64_t high = (segment->p_vaddr + segment->p_memsz + PAGE - 1) & -(uint64_t)PAGE;
        layout->low = low < layout->low ? low : layout->low;
        layout->high = high > layout->high ? high : layout->high;
        total += segment->p_filesz;
        if (total > image_max || layout->high - layout->low > span_max)
            return "its segments are too large";
    }
    return layout->high > 0 ? NULL : "it has nothing to load";
}

/* Reserves the span: where the file says, if its code is bound to that place. */
static const char *reserve(const struct layout *layout, struct ss_file_image *image)
{
    bool fixed = layout->header.e_type == ET_EXEC;
    if (fixed && layout->low < LOWEST)
        return "its addresses are damaged";
    void *wanted = fixed ? (void *)layout->low : NULL;
    size_t size = layout->high - layout->low;
    void *base = mmap(
        wanted, size, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (fixed ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (base == MAP_FAILED)
        return fixed ? "its addresses are not free here" : "there is no room for it";
    image->base = base;
    image->size = size;
    return fixed && base != wanted ? "its addresses are not free here" : NULL;
}

static const char *load(int fd, const struct layout *layout, struct ss_file_image *image)
{
    uint64_t bias = (uint64_t)image->base - layout->low;
    for (uint32_t i = 0; i < layout->header.e_phnum; i++) {
        const Elf64_Phdr *segment = &layout->segments[i];
        if (segment->p_type != PT_LOAD || segment->p_memsz == 0)
            continue;
        uint64_t start = bias + segment->p_vaddr, page = start & -(uint64_t)PAGE;
        if (mprotect((void *)page, start + segment->p_memsz - page, PROT_READ | PROT_WRITE) != 0)
            return "there is no memory for it";
        if (!ss_file_read(fd, segment->p_offset, (void *)start, segment->p_filesz))
            return errno ? strerror(errno) : "it was cut while it was read";
    }
    return NULL;
}

/* ---- relocations ----------------------------------------------------------------------------- */

/* What PT_DYNAMIC says of them: addresses in the image and sizes, 0 where it has none. */
struct relocations {
    uint64_t rela, rela_size, plt, plt_size, relr, relr_size, symbols;
};

/* The tables of PT_DYNAMIC are the only addresses in it that are looked at. */
static void read_relocations(const struct ss_module *m, struct relocations *out)
{
    *out = (struct relocations){0};
    uintptr_t at = m->dynamic;
    for (; at && ss_module_readable(m, at, sizeof(Elf64_Dyn)); at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, (const void *)at, sizeof entry);
        const struct {
            int64_t tag;
            uint64_t *place, bias;
        } rows[] = {
            {DT_RELA, &out->rela, m->bias},      {DT_RELASZ, &out->rela_size, 0},
            {DT_JMPREL, &out->plt, m->bias},     {DT_PLTRELSZ, &out->plt_size, 0},
            {DT_RELR, &out->relr, m->bias},      {DT_RELRSZ, &out->relr_size, 0},
            {DT_SYMTAB, &out->symbols, m->bias},
        };
        if (entry.d_tag == DT_NULL)
            return;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (entry.d_tag == rows[i].tag)
                *rows[i].place = rows[i].bias + entry.d_un.d_val;
    }
}

/* The place of a relocated word, NULL where the loader could not write. */
static void *place_at(const struct ss_module *m, uint64_t address)
{
    const struct ss_segment *segment = ss_image_segment(m, address);
    return segment && (segment->flags & PF_W) && segment->end - address >= sizeof(uint64_t)
               ? (void *)address
               : NULL;
}

/* The value of a symbol that is defined here; what another file would put before it is not known. */
static bool symbol_value(const struct ss_module *m, uint64_t symbols, uint64_t number,
                         uint64_t *value)
{
    Elf64_Sym symbol;
    uint64_t at = symbols + number * sizeof symbol;
    if (!symbols || !ss_module_readable(m, at, sizeof symbol))
        return false;
    memcpy(&symbol, (const void *)at, sizeof symbol);
    if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC ||
        ELF64_ST_TYPE(symbol.st_info) == STT_TLS)
        return false;
    *value = (symbol.st_shndx == SHN_ABS ? 0 : m->bias) + symbol.st_value;
    return true;
}

static void apply_rela(const struct ss_module *m, uint64_t table, uint64_t size, uint64_t symbols)
{
    if (!table || !ss_module_readable(m, table, size))
        return;
    for (uint64_t done = 0; size - done >= sizeof(Elf64_Rela); done += sizeof(Elf64_Rela)) {
        Elf64_Rela entry;
        memcpy(&entry, (const void *)(table + done), sizeof entry);
        void *place = place_at(m, m->bias + entry.r_offset);
        uint64_t value = 0;
        bool known = false;
        switch (ELF64_R_TYPE(entry.r_info)) {
        case R_X86_64_RELATIVE:
            value = m->bias + (uint64_t)entry.r_addend;
            known = true;
            break;
        case R_X86_64_64:
            known = symbol_value(m, symbols, ELF64_R_SYM(entry.r_info), &value);
            value += (uint64_t)entry.r_addend;
            break;
        case R_X86_64_GLOB_DAT:
        case R_X86_64_JUMP_SLOT:
            known = symbol_value(m, symbols, ELF64_R_SYM(entry.r_info), &value);
            break;
        default:
            break;
        }
        if (place && known)
            memcpy(place, &value, sizeof value);
    }
}

static void add_bias(const struct ss_module *m, uint64_t address)
{
    void *place = place_at(m, address);
    uint64_t value;
    if (!place)
        return;
    memcpy(&value, place, sizeof value);
    value += m->bias;
    memcpy(place, &value, sizeof value);
}

/* Packed relative relocations: an address, or 63 bits for the words that follow the last place. */
static void apply_relr(const struct ss_module *m, uint64_t table, uint64_t size)
{
    uint64_t next = 0, entry;
    if (!table || !ss_module_readable(m, table, size))
        return;
    for (uint64_t done = 0; size - done >= sizeof entry; done += sizeof entry) {
        memcpy(&entry, (const void *)(table + done), sizeof entry);
        if (!(entry & 1)) {
            add_bias(m, m->bias + entry);
            next = m->bias + entry + sizeof entry;
            continue;
        }
        uint64_t place = next;
        for (uint64_t bits = entry >> 1; bits; bits >>= 1, place += sizeof entry)
            if (bits & 1)
                add_bias(m, place);
        next += 63 * sizeof entry;
    }
}

/* ---- the image ------------------------------------------------------------------------------- */

const char *ss_file_image_map(int fd, uint64_t file_size, const char *path,
                              struct ss_file_image *image)
{
    static struct layout layout; /* too large for the stack; one thread */
    struct relocations relocations;
    memset(image, 0, sizeof *image);
    const char *problem = read_layout(fd, file_size, &layout);
    if (!problem)
        problem = reserve(&layout, image);
    if (!problem)
        problem = load(fd, &layout, image);
    if (problem) {
        ss_file_image_unmap(image);
        return problem;
    }
    struct dl_phdr_info info = {.dlpi_addr = (uint64_t)image->base - layout.low,
                                .dlpi_name = path,
                                .dlpi_phdr = layout.segments,
                                .dlpi_phnum = layout.header.e_phnum};
    ss_image_read(&info, &image->module);
    image->module.path = path;
    image->module.loaded = 1;
    read_relocations(&image->module, &relocations);
    apply_relr(&image->module, relocations.relr, relocations.relr_size);
    apply_rela(&image->module, relocations.rela, relocations.rela_size, relocations.symbols);
    apply_rela(&image->module, relocations.plt, relocations.plt_size, relocations.symbols);
    return NULL;
}

void ss_file_image_unmap(struct ss_file_image *image)
{
    if (image->base)
        munmap(image->base, image->size);
    image->base = NULL;
}
