/* What the image of a loaded ELF object says in memory: its segments and build id, whether it is
 * relocated, its dynamic symbols (a look-up like dlsym's, without libc), the crates that are in it.
 *
 * Called by modules.c, and ss_symbol_next by whoever needs an original: from any context in which
 * dl_iterate_phdr may be called, also before anything else of the shim. No state, no lock. Nothing
 * outside the segments is read, and nothing in them believed without a look. */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "module_image.h"

const struct ss_segment *ss_image_segment(const struct ss_module *m, uintptr_t address)
{
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (address >= m->segments[i].start && address < m->segments[i].end)
            return &m->segments[i];
    return NULL;
}

bool ss_module_readable(const struct ss_module *m, uintptr_t address, size_t size)
{
    const struct ss_segment *segment = ss_image_segment(m, address);
    return segment && (segment->flags & PF_R) && size <= segment->end - address;
}

bool ss_module_executable(const struct ss_module *m, uintptr_t address)
{
    const struct ss_segment *segment = ss_image_segment(m, address);
    return segment && (segment->flags & PF_X);
}

/* ---- program headers ------------------------------------------------------------------------- */

static uintptr_t align_up(uintptr_t value, uintptr_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* Takes the build id out of one PT_NOTE. */
static void read_notes(struct ss_module *m, const ElfW(Phdr) * header)
{
    uintptr_t at = m->bias + header->p_vaddr, left = header->p_memsz;
    uintptr_t alignment = header->p_align == 8 ? 8 : 4;
    if (at % sizeof(ElfW(Word)) || !ss_module_readable(m, at, left))
        return;
    while (left >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = sizeof *note;
        uintptr_t content = align_up(name + note->n_namesz, alignment);
        uintptr_t size = align_up(content + note->n_descsz, alignment);
        if (content > left || note->n_descsz > left - content)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp((const char *)at + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 &&
            note->n_descsz <= SS_BUILD_ID_MAX) {
            memcpy(m->build_id, (const char *)at + content, note->n_descsz);
            m->build_id_length = note->n_descsz;
            return;
        }
        if (size >= left)
            return;
        at += size;
        left -= size;
    }
}

static void read_load(struct ss_module *m, const ElfW(Phdr) * header)
{
    uintptr_t start = m->bias + header->p_vaddr, end = start + header->p_memsz;
    if (header->p_memsz == 0 || end < start || header->p_filesz > header->p_memsz)
        return;
    if (m->end == 0 || start < m->start)
        m->start = start;
    if (end > m->end)
        m->end = end;
    if (m->segment_count < SS_SEGMENTS_MAX)
        m->segments[m->segment_count++] =
            (struct ss_segment){start, end, start + header->p_filesz, header->p_flags};
}

void ss_image_read(const struct dl_phdr_info *info, struct ss_module *m)
{
    memset(m, 0, sizeof *m);
    m->bias = info->dlpi_addr;
    for (uint32_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            read_load(m, &info->dlpi_phdr[i]);
    for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = m->bias + header->p_vaddr;
        const struct ss_segment *segment = ss_image_segment(m, start);
        uintptr_t size = header->p_memsz;
        if (!segment || size == 0)
            continue;
        if (size > segment->end - start) /* RELRO may end with the page */
            size = segment->end - start;
        if (header->p_type == PT_GNU_RELRO && (segment->flags & PF_R)) {
            m->relro_start = start;
            m->relro_end = start + size;
        } else if (header->p_type == PT_DYNAMIC && (segment->flags & PF_R) &&
                   start % sizeof(ElfW(Addr)) == 0) {
            m->dynamic = start;
        } else if (header->p_type == PT_GNU_EH_FRAME && (segment->flags & PF_R)) {
            m->eh_frame_hdr = start;
            m->eh_frame_hdr_end = start + size;
        } else if (header->p_type == PT_NOTE && m->build_id_length == 0) {
            read_notes(m, header);
        }
    }
}

void ss_image_of(const struct ss_module *m, struct ss_image *image)
{
    *image = (struct ss_image){.segment_count = m->segment_count,
                               .relro_start = m->relro_start,
                               .relro_end = m->relro_end,
                               .eh_frame_hdr = m->eh_frame_hdr,
                               .eh_frame_hdr_end = m->eh_frame_hdr_end,
                               .position_dependent = m->bias == 0};
    memcpy(image->segments, m->segments, m->segment_count * sizeof m->segments[0]);
}

/* ---- the dynamic section --------------------------------------------------------------------- */

/* What discovery and symbol look-up need of PT_DYNAMIC. Addresses, 0 where absent. */
struct dynamic {
    uintptr_t gnu_hash, hash, symbols, names, versions;
    uintptr_t relocations, relative_count;
};

/* A pointer of PT_DYNAMIC as an address: glibc relocates them in place, musl does not. */
static uintptr_t dynamic_pointer(const struct ss_module *m, uintptr_t value)
{
    return ss_module_readable(m, value, 1) ? value : m->bias + value;
}

static void read_dynamic(const struct ss_module *m, struct dynamic *out)
{
    *out = (struct dynamic){0};
    uintptr_t at = m->dynamic;
    for (; at && ss_module_readable(m, at, sizeof(ElfW(Dyn))); at += sizeof(ElfW(Dyn))) {
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)at;
        uintptr_t *place = NULL;
        switch (entry->d_tag) {
        case DT_NULL:
            return;
        case DT_RELACOUNT:
            out->relative_count = entry->d_un.d_val;
            break;
        case DT_GNU_HASH:
            place = &out->gnu_hash;
            break;
        case DT_HASH:
            place = &out->hash;
            break;
        case DT_SYMTAB:
            place = &out->symbols;
            break;
        case DT_STRTAB:
            place = &out->names;
            break;
        case DT_VERSYM:
            place = &out->versions;
            break;
        case DT_RELA:
            place = &out->relocations;
            break;
        default:
            break;
        }
        if (place)
            *place = dynamic_pointer(m, entry->d_un.d_ptr);
    }
}

/* Whether a relocation is of what nobody changes later; where there is no RELRO, of data, which is
 * mostly left as it is. */
static bool is_telling_place(const struct ss_module *m, uintptr_t place)
{
    if (m->relro_start)
        return place >= m->relro_start && place <= m->relro_end - sizeof(uintptr_t);
    const struct ss_segment *segment = ss_image_segment(m, place);
    return segment && (segment->flags & PF_W) && ss_module_readable(m, place, sizeof(uintptr_t));
}

/* Looks at the last of the relative relocations, and at several of them, as tables are patched. */
bool ss_image_is_relocated(const struct ss_module *m)
{
    enum { LOOK_AT = 32 };
    struct dynamic dynamic;
    read_dynamic(m, &dynamic);
    uintptr_t count = dynamic.relative_count;
    if (!dynamic.relocations || dynamic.relocations % sizeof(ElfW(Addr)) || !count ||
        count > UINT32_MAX ||
        !ss_module_readable(m, dynamic.relocations, count * sizeof(ElfW(Rela))))
        return true;
    const ElfW(Rela) *relocations = (const ElfW(Rela) *)dynamic.relocations;
    uint32_t looked_at = 0;
    while (count-- > 0 && looked_at < LOOK_AT) {
        uintptr_t place = m->bias + relocations[count].r_offset;
        if (!is_telling_place(m, place))
            continue;
        uintptr_t value;
        memcpy(&value, (const void *)place, sizeof value);
        if (value == m->bias + (uintptr_t)relocations[count].r_addend)
            return true;
        looked_at++;
    }
    return looked_at == 0;
}

/* ---- symbols --------------------------------------------------------------------------------- */

/* An address in our own object. */
static const char own_place;

/* A symbol that is looked for, and what was found. */
struct symbol {
    const char *name;
    size_t name_length;
    bool passed_us;
    void *address;
    size_t size;
};

/* Whether entry `number` of the symbol table is the one; takes it if so. */
static bool take_symbol(const struct ss_module *m, const struct dynamic *dynamic, uint32_t number,
                        struct symbol *wanted)
{
    uintptr_t at = dynamic->symbols + number * sizeof(ElfW(Sym));
    if (!ss_module_readable(m, at, sizeof(ElfW(Sym))))
        return false;
    const ElfW(Sym) *symbol = (const ElfW(Sym) *)at;
    uintptr_t name = dynamic->names + symbol->st_name;
    if (!ss_module_readable(m, name, wanted->name_length + 1) ||
        memcmp((const char *)name, wanted->name, wanted->name_length + 1) != 0)
        return false;
    uint32_t type = ELF64_ST_TYPE(symbol->st_info), binding = ELF64_ST_BIND(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS || symbol->st_value == 0 ||
        binding == STB_LOCAL || type == STT_TLS || type == STT_GNU_IFUNC)
        return false;
    if (dynamic->versions) {
        uintptr_t version = dynamic->versions + number * sizeof(uint16_t);
        /* Local, or not the default version. */
        if (!ss_module_readable(m, version, sizeof(uint16_t)) ||
            *(const uint16_t *)version == VER_NDX_LOCAL || (*(const uint16_t *)version & 0x8000))
            return false;
    }
    wanted->address = (void *)(m->bias + symbol->st_value);
    wanted->size = symbol->st_size;
    return true;
}

static bool find_by_gnu_hash(const struct ss_module *m, const struct dynamic *dynamic,
                             struct symbol *wanted)
{
    struct {
        uint32_t buckets, first, bloom_words, bloom_shift;
    } header;
    if (!ss_module_readable(m, dynamic->gnu_hash, sizeof header))
        return false;
    memcpy(&header, (const void *)dynamic->gnu_hash, sizeof header);
    uint32_t hash = 5381;
    for (size_t i = 0; i < wanted->name_length; i++)
        hash = hash * 33 + (uint8_t)wanted->name[i];

    uintptr_t buckets = dynamic->gnu_hash + sizeof header + header.bloom_words * sizeof(uintptr_t);
    uintptr_t chains = buckets + header.buckets * sizeof(uint32_t);
    if (header.buckets == 0)
        return false;
    uintptr_t bucket = buckets + hash % header.buckets * sizeof(uint32_t);
    if (!ss_module_readable(m, bucket, sizeof(uint32_t)))
        return false;
    uint32_t number = *(const uint32_t *)bucket;
    if (number < header.first)
        return false;
    for (;; number++) {
        uintptr_t chain = chains + (uintptr_t)(number - header.first) * sizeof(uint32_t);
        if (!ss_module_readable(m, chain, sizeof(uint32_t)))
            return false;
        uint32_t value = *(const uint32_t *)chain;
        if ((value | 1) == (hash | 1) && take_symbol(m, dynamic, number, wanted))
            return true;
        if (value & 1)
            return false;
    }
}

static bool find_by_hash(const struct ss_module *m, const struct dynamic *dynamic,
                         struct symbol *wanted)
{
    uint32_t counts[2]; /* of buckets, of chain words */
    if (!ss_module_readable(m, dynamic->hash, sizeof counts))
        return false;
    memcpy(counts, (const void *)dynamic->hash, sizeof counts);
    uint32_t hash = 0;
    for (size_t i = 0; i < wanted->name_length; i++) {
        hash = (hash << 4) + (uint8_t)wanted->name[i];
        uint32_t top = hash & 0xf0000000;
        hash = (hash ^ top >> 24) & ~top;
    }
    uintptr_t words = dynamic->hash + sizeof counts;
    if (counts[0] == 0 ||
        !ss_module_readable(m, words, ((uintptr_t)counts[0] + counts[1]) * sizeof(uint32_t)))
        return false;
    const uint32_t *buckets = (const uint32_t *)words, *chains = buckets + counts[0];
    uint32_t number = buckets[hash % counts[0]];
    for (uint32_t steps = 0; number && number < counts[1] && steps < counts[1]; steps++) {
        if (take_symbol(m, dynamic, number, wanted))
            return true;
        number = chains[number];
    }
    return false;
}

static int find_symbol(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct symbol *wanted = context;
    struct ss_module m;
    ss_image_read(info, &m);
    if (!wanted->passed_us) {
        wanted->passed_us = ss_image_segment(&m, (uintptr_t)&own_place) != NULL;
        return 0;
    }
    struct dynamic dynamic;
    read_dynamic(&m, &dynamic);
    if (!dynamic.symbols || !dynamic.names)
        return 0;
    return dynamic.gnu_hash ? find_by_gnu_hash(&m, &dynamic, wanted)
           : dynamic.hash   ? find_by_hash(&m, &dynamic, wanted)
                            : 0;
}

void *ss_symbol_next(const char *name, size_t *size)
{
    struct symbol wanted = {.name = name, .name_length = strlen(name)};
    if (dl_iterate_phdr)
        (void)dl_iterate_phdr(find_symbol, &wanted);
    if (size)
        *size = wanted.size;
    return wanted.address;
}

/* ---- crate versions -------------------------------------------------------------------------- */

/* Takes the version out of "<crate>-<version>/src/" at text; `crate` begins and ends with its
 * separators. */
static void take_version(const char *text, size_t left, const char *crate, char version[32])
{
    size_t length = strlen(crate), digits = 0;
    if (version[0] || left < length || memcmp(text, crate, length) != 0)
        return;
    text += length;
    left -= length;
    while (digits < left && digits < 31 &&
           ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.' ||
            text[digits] == '-' || text[digits] == '+' ||
            (text[digits] >= 'a' && text[digits] <= 'z')))
        digits++;
    if (digits == 0 || text[0] < '0' || text[0] > '9' || left - digits < 5 ||
        memcmp(text + digits, "/src/", 5) != 0)
        return;
    memcpy(version, text, digits);
    version[digits] = 0;
}

static void read_versions(const struct ss_segment *segment, char core[32], char subscriber[32])
{
    static const char common[] = "/tracing-";
    const char *at = (const char *)segment->start, *end = (const char *)segment->file_end;
    while (!core[0] || !subscriber[0]) {
        at = memmem(at, (size_t)(end - at), common, sizeof common - 1);
        if (!at)
            return;
        take_version(at, (size_t)(end - at), "/tracing-core-", core);
        take_version(at, (size_t)(end - at), "/tracing-subscriber-", subscriber);
        at += sizeof common - 1;
    }
}

void ss_module_versions(struct ss_module *m, char core[32], char subscriber[32])
{
    core[0] = subscriber[0] = 0;
    if (!m->evidence && !m->call_sites)
        return;
    /* Constants share the code's segment only in modules that have no segment for them alone. */
    for (uint32_t code = 0; code <= 1; code++) {
        bool any = false;
        for (uint32_t i = 0; i < m->segment_count; i++) {
            const struct ss_segment *segment = &m->segments[i];
            if (!(segment->flags & PF_R) || (segment->flags & PF_W) ||
                !!(segment->flags & PF_X) != (code == 1))
                continue;
            any = true;
            read_versions(segment, core, subscriber);
        }
        if (any)
            return;
    }
}
