/* The read-only view of one module's ELF file: its .symtab and .strtab, which no loader maps. They
 * may be in a file of their own (debug_file.c).
 *
 * Called by discover.c (start, and from inside the loader) and names.c, without any lock. The file is read, not
 * mapped: it may be cut short by somebody else at any time, and a mapping would turn that into
 * SIGBUS in the program. Nothing that it says is believed: offsets and sizes are checked against
 * its size, and its segments against the ones that were loaded. */
#include <asm/fcntl.h>
#include <emmintrin.h>
#include <string.h>

#include "debug_file.h"
#include "elf_symbols.h"
#include "prim.h"

/* The words that are looked for are equally long. */
enum { WORD_LENGTH = sizeof "Subscriber" - 1 };

size_t ss_elf_read(const struct ss_elf *elf, uint64_t offset, void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        long got = SS_SYSCALL_4(__NR_pread64, elf->fd, (char *)buffer + done, size - done,
                                (long)(offset + done));
        if (got == -4 /* EINTR */)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Whether [offset, offset + size) lies inside a file of file_size bytes. */
static bool inside(uint64_t offset, uint64_t size, uint64_t file_size)
{
    return offset <= file_size && size <= file_size - offset;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Says where the section headers are. */
static bool find_sections(struct ss_elf *elf, const Elf64_Ehdr *header)
{
    Elf64_Shdr first;
    elf->sections = header->e_shoff;
    elf->section_count = header->e_shnum;
    elf->section_names = header->e_shstrndx;
    if (header->e_shoff == 0 || header->e_shentsize != sizeof first)
        return false;
    /* More than 65279 sections: the first one says how many, and which has their names. */
    if (elf->section_count == 0 || elf->section_names == SHN_XINDEX) {
        if (ss_elf_read(elf, header->e_shoff, &first, sizeof first) != sizeof first)
            return false;
        elf->section_count = elf->section_count ? elf->section_count : first.sh_size;
        if (elf->section_names == SHN_XINDEX)
            elf->section_names = first.sh_link;
    }
    return elf->section_count <= elf->size / sizeof first &&
           inside(elf->sections, elf->section_count * sizeof first, elf->size);
}

bool ss_elf_open_path(const char *path, struct ss_elf *elf)
{
    /* O_NONBLOCK: the path may lead to a fifo by now. */
    *elf = (struct ss_elf){.fd = (int)ss_sys_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)};
    if (elf->fd < 0)
        return false;

    struct stat status = {0};
    Elf64_Ehdr header;
    if (ss_sys_fstat(elf->fd, &status) == 0 && ss_is_regular(&status) &&
        ss_elf_read(elf, 0, &header, sizeof header) == sizeof header &&
        memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
        header.e_ident[EI_DATA] == ELFDATA2LSB) {
        elf->size = (uint64_t)status.st_size;
        elf->position_dependent = header.e_type == ET_EXEC;
        elf->segments = header.e_phoff;
        elf->segment_count = header.e_phentsize == sizeof(Elf64_Phdr) ? header.e_phnum : 0;
        elf->buffer = ss_sys_map(SS_ELF_BUFFER_SIZE);
        if (elf->buffer && find_sections(elf, &header))
            return true;
    }
    ss_elf_close(elf);
    return false;
}

void ss_elf_close(struct ss_elf *elf)
{
    ss_sys_close(elf->fd);
    if (elf->buffer)
        ss_sys_unmap(elf->buffer, SS_ELF_BUFFER_SIZE);
    elf->fd = -1;
    elf->buffer = NULL;
}

bool ss_elf_has_segments_of(const struct ss_elf *elf, const struct ss_module *m)
{
    size_t size = elf->segment_count * sizeof(Elf64_Phdr);
    if (size > SS_ELF_BUFFER_SIZE || ss_elf_read(elf, elf->segments, elf->buffer, size) != size)
        return false;

    const Elf64_Phdr *headers = (const Elf64_Phdr *)elf->buffer;
    uint32_t segment = 0;
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0)
            continue;
        if (segment == m->segment_count)
            return segment == SS_SEGMENTS_MAX;
        const struct ss_segment *loaded = &m->segments[segment++];
        /* Nothing of the segments is in a debug file. */
        if (loaded->start != m->bias + headers[i].p_vaddr ||
            loaded->end - loaded->start != headers[i].p_memsz ||
            loaded->flags != headers[i].p_flags ||
            (!elf->separate && loaded->file_end - loaded->start != headers[i].p_filesz))
            return false;
    }
    return segment == m->segment_count;
}

bool ss_elf_section(const struct ss_elf *elf, uint64_t index, Elf64_Shdr *section)
{
    return index < elf->section_count &&
           ss_elf_read(elf, elf->sections + index * sizeof *section, section, sizeof *section) ==
               sizeof *section &&
           (section->sh_type == SHT_NOBITS ||
            inside(section->sh_offset, section->sh_size, elf->size));
}

bool ss_elf_find_section(const struct ss_elf *elf, ss_elf_section_fn *each, void *context,
                         Elf64_Shdr *section)
{
    const uint64_t batch = SS_ELF_BUFFER_SIZE / sizeof *section;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)elf->buffer;
    uint64_t at = 0;
    while (at < elf->section_count) {
        uint64_t here = elf->section_count - at < batch ? elf->section_count - at : batch;
        size_t size = here * sizeof *section;
        if (ss_elf_read(elf, elf->sections + at * sizeof *section, elf->buffer, size) != size)
            return false;
        uint64_t i = 0;
        while (i < here && !each(context, &sections[i]))
            i++;
        at += i;
        if (i < here)
            return ss_elf_section(elf, at, section);
    }
    return false;
}

static bool is_symbols(void *context, const Elf64_Shdr *section)
{
    (void)context;
    return section->sh_type == SHT_SYMTAB;
}

bool ss_elf_find_symbols(struct ss_elf *elf)
{
    Elf64_Shdr section, names;
    if (!ss_elf_find_section(elf, is_symbols, NULL, &section) ||
        section.sh_entsize != sizeof(Elf64_Sym) || !ss_elf_section(elf, section.sh_link, &names) ||
        names.sh_type != SHT_STRTAB || names.sh_size > UINT32_MAX)
        return false;
    elf->symbols = section.sh_offset;
    elf->symbols_size = section.sh_size - section.sh_size % sizeof(Elf64_Sym);
    elf->names = names.sh_offset;
    elf->names_size = names.sh_size;
    return true;
}

/* The module's own file. */
static bool open_own(const struct ss_module *m, const char *path, struct ss_elf *elf)
{
    if (!ss_elf_open_path(path, elf))
        return false;
    /* The path may by now lead to another file (an upgrade), or always have (a program started as
     * an argument of the loader). */
    if (ss_elf_has_segments_of(elf, m))
        return true;
    ss_elf_close(elf);
    return false;
}

bool ss_elf_open(const struct ss_module *m, struct ss_elf *elf)
{
    struct ss_debug_link link = {.crc = 0};
    /* The program's own link leads to it even where its path no longer does. */
    if ((m->id == 1 && open_own(m, "/proc/self/exe", elf)) || open_own(m, m->path, elf)) {
        if (ss_elf_find_symbols(elf))
            return true;
        ss_debug_link_read(elf, &link);
        ss_elf_close(elf);
    }
    return ss_debug_file_open(m, &link, elf);
}

/* ---- names and symbols ----------------------------------------------------------------------- */

static bool is_word(const char *place)
{
    return memcmp(place, "Subscriber", WORD_LENGTH) == 0 ||
           memcmp(place, "subscriber", WORD_LENGTH) == 0 ||
           memcmp(place, "dispatcher", WORD_LENGTH) == 0;
}

/* Sixteen places at a time: where the third and the eighth letter are those of a word, which is
 * rarer than the first and the last. */
const char *ss_find_word(const char *from, const char *end)
{
    enum { THIRD = 2, EIGHTH = 7 };
    const __m128i b = _mm_set1_epi8('b'), s = _mm_set1_epi8('s'), h = _mm_set1_epi8('h');
    for (; end - from >= 16 + WORD_LENGTH - 1; from += 16) {
        __m128i third = _mm_loadu_si128((const __m128i *)(from + THIRD));
        __m128i eighth = _mm_loadu_si128((const __m128i *)(from + EIGHTH));
        __m128i ubscriber = _mm_and_si128(_mm_cmpeq_epi8(third, b), _mm_cmpeq_epi8(eighth, b));
        __m128i dispatcher = _mm_and_si128(_mm_cmpeq_epi8(third, s), _mm_cmpeq_epi8(eighth, h));
        unsigned places = (unsigned)_mm_movemask_epi8(_mm_or_si128(ubscriber, dispatcher));
        for (; places; places &= places - 1) {
            const char *place = from + __builtin_ctz(places);
            if (is_word(place))
                return place;
        }
    }
    for (; end - from >= WORD_LENGTH; from++)
        if (is_word(from))
            return from;
    return NULL;
}

/* Reports the names in the terminated strings of [buffer, end) that contain the word (NULL: one of
 * ss_find_word); offset is buffer's in .strtab. */
static bool report_names(const char *word, const char *buffer, const char *end, uint64_t offset,
                         ss_elf_name_fn *each, void *context)
{
    const char *name_end = buffer;
    for (;;) {
        const char *found = word ? memmem(name_end, (size_t)(end - name_end), word, strlen(word))
                                 : ss_find_word(name_end, end);
        if (!found)
            return true;
        const char *name = found;
        while (name > buffer && name[-1])
            name--;
        name_end = memchr(found, 0, (size_t)(end - found));
        if (!each(context, (uint32_t)(offset + (uint64_t)(name - buffer)), name,
                  (size_t)(name_end - name)))
            return false;
    }
}

static void each_name(struct ss_elf *elf, const char *word, ss_elf_name_fn *each, void *context)
{
    uint64_t next = 0;  /* the first offset not read yet */
    size_t carried = 0; /* bytes at the buffer's start: a name that is not complete yet */
    while (next < elf->names_size) {
        uint64_t left = elf->names_size - next;
        size_t room = SS_ELF_BUFFER_SIZE - carried;
        size_t got = ss_elf_read(elf, elf->names + next, elf->buffer + carried,
                                 left < room ? (size_t)left : room);
        if (got == 0)
            return;
        size_t filled = carried + got;
        uint64_t offset = next - carried;
        next += got;

        size_t complete = filled;
        while (complete > 0 && elf->buffer[complete - 1])
            complete--;
        if (complete > 0 &&
            !report_names(word, elf->buffer, elf->buffer + complete, offset, each, context))
            return;
        carried = filled - complete;
        if (carried == SS_ELF_BUFFER_SIZE || (complete > 0 && carried > complete))
            carried = 0; /* no name is that long */
        else if (complete > 0)
            memcpy(elf->buffer, elf->buffer + complete, carried);
    }
}

void ss_elf_each_tracing_name(struct ss_elf *elf, ss_elf_name_fn *each, void *context)
{
    each_name(elf, NULL, each, context);
}

void ss_elf_each_name_with(struct ss_elf *elf, const char *word, ss_elf_name_fn *each,
                           void *context)
{
    each_name(elf, word, each, context);
}

void ss_elf_each_function(struct ss_elf *elf, ss_elf_symbol_fn *each, void *context)
{
    const size_t batch = SS_ELF_BUFFER_SIZE - SS_ELF_BUFFER_SIZE % sizeof(Elf64_Sym);
    for (uint64_t done = 0; done < elf->symbols_size; done += batch) {
        uint64_t left = elf->symbols_size - done;
        size_t got =
            ss_elf_read(elf, elf->symbols + done, elf->buffer, left < batch ? (size_t)left : batch);
        const Elf64_Sym *symbols = (const Elf64_Sym *)elf->buffer;
        for (size_t i = 0; i < got / sizeof *symbols; i++) {
            if (ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC || symbols[i].st_shndx == SHN_UNDEF)
                continue;
            if (!each(context, &symbols[i]))
                return;
        }
        if (got < batch)
            return;
    }
}

size_t ss_elf_name(const struct ss_elf *elf, uint32_t offset, char *name, size_t size)
{
    if (offset >= elf->names_size || size == 0)
        return 0;
    uint64_t left = elf->names_size - offset;
    size_t got = ss_elf_read(elf, elf->names + offset, name, left < size ? (size_t)left : size);
    const char *end = memchr(name, 0, got);
    return end ? (size_t)(end - name) : 0;
}
