/* libFuzzer target for what probe does with a file before it knows anything of it: tools/file_image.c
 * and the search for tables and call sites over the image. `make fuzz` builds and runs it.
 *
 * Input: the file. Its identification is put right and its headers are kept few, so that most inputs
 * get as far as a mapped image. In one of two runs the image ends in a second page of call sites
 * that lead to each other, for the input to damage: without a cycle nothing is decoded. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../tools/probe_tables.h"
#include "../../tools/text.h"

enum { FILE_MAX = 1 << 20, HEADERS = 8, PAGE = 4096, SITES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the memory that tools keep, freed after each run ---------------------------------------- */

static void **kept;
static size_t kept_count, kept_room;

void *ss_keep(size_t size)
{
    if (kept_count == kept_room) {
        kept_room = kept_room ? 2 * kept_room : 64;
        kept = realloc(kept, kept_room * sizeof *kept);
        if (!kept)
            abort();
    }
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        abort();
    return kept[kept_count++] = memory;
}

char *ss_text_copy(const char *text, size_t length)
{
    char *copy = ss_keep(length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *ss_text(const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0)
        abort();
    char *copy = ss_text_copy(text, (size_t)length);
    free(text);
    return copy;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void set_headers(uint8_t *file, size_t size)
{
    Elf64_Ehdr header;
    memcpy(&header, file, sizeof header);
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_type = header.e_type % 4 == 0 ? ET_EXEC : ET_DYN;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phoff = header.e_phoff % 2 ? header.e_phoff : sizeof header;
    header.e_phnum = 1 + header.e_phnum % HEADERS;
    memcpy(file, &header, sizeof header);
    if (header.e_phoff != sizeof header || size < sizeof header + sizeof(Elf64_Phdr))
        return;
    /* Most of the bits of a size or an address lead nowhere. */
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        size_t at = sizeof header + i * sizeof segment;
        if (size - at < sizeof segment)
            return;
        memcpy(&segment, file + at, sizeof segment);
        if (segment.p_flags & 0x80)
            continue;
        segment.p_offset %= size;
        segment.p_filesz %= size - segment.p_offset + 1;
        segment.p_vaddr %= 64 * PAGE;
        segment.p_memsz = segment.p_filesz + segment.p_memsz % PAGE;
        memcpy(file + at, &segment, sizeof segment);
    }
}

/* A file of one segment to read and one to write, where call sites lead to each other, and what the
 * input puts over it: triples of {place, value} in units of words. */
static size_t make_sites(uint8_t *file, const uint8_t *data, size_t size)
{
    enum { WORDS = 15, CONSTANTS = PAGE, DATA = 2 * PAGE, END = 3 * PAGE, BASE = 0x10000000 };
    const uint64_t table = BASE + CONSTANTS, text = BASE + CONSTANTS + 64;
    Elf64_Ehdr header = {.e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 2};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    const Elf64_Phdr segments[] = {
        {PT_LOAD, PF_R, CONSTANTS, table, table, PAGE, PAGE, PAGE},
        {PT_LOAD, PF_R | PF_W, DATA, BASE + DATA, BASE + DATA, PAGE, PAGE, PAGE},
    };
    memset(file, 0, END);
    memcpy(file, &header, sizeof header);
    memcpy(file + sizeof header, segments, sizeof segments);
    uint64_t *constants = (uint64_t *)(file + CONSTANTS), *writable = (uint64_t *)(file + DATA);
    constants[1] = 24;
    constants[2] = 8;
    memcpy(file + CONSTANTS + 64, "a/name.rs", 9);
    for (uint64_t i = 0; i < SITES; i++) {
        uint64_t *word = constants + 32 + i * WORDS, *callsite = writable + i * 3;
        const uint64_t words[WORDS] = {
            i % 5,    (i + 1) << 32 | 1,    text,  6 + i % 4, text, 9,    8,
            0,        BASE + DATA + i * 24, table, text,      9,    text, 9,
            1 + i % 2};
        memcpy(word, words, sizeof words);
        callsite[0] = table + (uint64_t)((uint8_t *)word - (file + CONSTANTS));
        callsite[2] = 0xFF;
    }
    for (; size >= 4; data += 4, size -= 4) {
        size_t place = (data[0] | (size_t)data[1] << 8) % (2 * PAGE / 8);
        constants[place] = data[3] & 1   ? data[2]
                           : data[3] & 2 ? table + data[2] * 8
                           : data[3] & 4 ? (uint64_t)data[2] << 32 | 1
                           : data[3] & 8 ? text + data[2] - 64
                                         : constants[place] + data[2];
    }
    return END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[FILE_MAX];
    struct ss_probe_tables tables;
    int fd = memfd_create("probe", 0);
    if (fd < 0 || size > sizeof file || size < 1 + sizeof(Elf64_Ehdr))
        goto done;
    bool sites = *data++ & 1;
    size--;
    if (sites) {
        size = make_sites(file, data, size);
    } else {
        memcpy(file, data, size);
        set_headers(file, size);
    }
    if (write(fd, file, size) != (ssize_t)size)
        abort();
    ss_probe_find_tables(fd, size, "/no/such/file", true, data[0] & 1, &tables);
    for (size_t i = 0; !tables.problem && i < tables.site_count; i++)
        if (tables.sites[i].level >= SS_PROBE_LEVELS)
            abort();
done:
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < kept_count; i++)
        free(kept[i]);
    kept_count = 0;
    return 0;
}
