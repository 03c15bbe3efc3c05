/* Where x86-64 instructions end, and what they point at: as much of the encoding as it takes to
 * walk compiled code from one instruction to the next. What an instruction does is not known here.
 *
 * Encoding: Intel's manual, volume 2, chapter 2 and appendix A. No state; any context; nothing
 * outside the bytes or the image that it is given is read. */
#include <elf.h>
#include <string.h>

#include "instructions.h"

/* Bytes that are taken from the front; bad once there are none left. */
struct bytes {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t take(struct bytes *bytes)
{
    if (bytes->at == bytes->end) {
        bytes->bad = true;
        return 0;
    }
    return *bytes->at++;
}

static int64_t take_signed(struct bytes *bytes, uint32_t size)
{
    uint64_t value = 0;
    if ((size_t)(bytes->end - bytes->at) < size) {
        bytes->bad = true;
        return 0;
    }
    memcpy(&value, bytes->at, size);
    bytes->at += size;
    if (size == 0 || size == sizeof value)
        return (int64_t)value;
    uint64_t sign = (uint64_t)1 << (size * 8 - 1);
    return (int64_t)((value ^ sign) - sign);
}

/* ---- opcodes --------------------------------------------------------------------------------- */

/* What follows an opcode. */
enum {
    BAD = 1,
    MODRM = 2,
    IMM8 = 4,
    IMM16 = 8,
    IMM32 = 16,      /* 16 bits with 66 */
    DISTANCE32 = 32, /* always 32 bits */
    IMM64 = 64,      /* with REX.W, else as IMM32 */
    GROUP3 = 128,    /* an immediate with the first two of its eight instructions only */
};

/* The opcodes of the first table in runs: from the first on, until the next row. */
struct run {
    uint8_t first, follows;
};

static const struct run one_byte[] = {
    {0x40, BAD /* REX */},
    {0x50, 0},
    {0x60, BAD},
    {0x63, MODRM},
    {0x64, BAD},
    {0x68, IMM32},
    {0x69, MODRM | IMM32},
    {0x6A, IMM8},
    {0x6B, MODRM | IMM8},
    {0x6C, 0},
    {0x70, IMM8},
    {0x80, MODRM | IMM8},
    {0x81, MODRM | IMM32},
    {0x82, BAD},
    {0x83, MODRM | IMM8},
    {0x84, MODRM},
    {0x90, 0},
    {0x9A, BAD},
    {0x9B, 0},
    {0xA0, BAD},
    {0xA4, 0},
    {0xA8, IMM8},
    {0xA9, IMM32},
    {0xAA, 0},
    {0xB0, IMM8},
    {0xB8, IMM64},
    {0xC0, MODRM | IMM8},
    {0xC2, IMM16},
    {0xC3, 0},
    {0xC4, BAD /* VEX */},
    {0xC6, MODRM | IMM8},
    {0xC7, MODRM | IMM32},
    {0xC8, BAD},
    {0xC9, 0},
    {0xCA, BAD},
    {0xCC, 0},
    {0xCD, IMM8},
    {0xCE, BAD},
    {0xD0, MODRM},
    {0xD4, BAD},
    {0xD8, MODRM},
    {0xE0, IMM8},
    {0xE8, DISTANCE32},
    {0xEA, BAD},
    {0xEB, IMM8},
    {0xEC, BAD},
    {0xF4, 0},
    {0xF6, MODRM | IMM8 | GROUP3},
    {0xF7, MODRM | IMM32 | GROUP3},
    {0xF8, 0},
    {0xFE, MODRM},
};

static const struct run after_0f[] = {
    {0x00, MODRM},
    {0x04, BAD},
    {0x05, 0},
    {0x06, BAD},
    {0x0B, 0},
    {0x0C, BAD},
    {0x0D, MODRM},
    {0x0E, BAD},
    {0x10, MODRM},
    {0x24, BAD},
    {0x28, MODRM},
    {0x30, 0},
    {0x38, BAD},
    {0x40, MODRM},
    {0x70, MODRM | IMM8},
    {0x74, MODRM},
    {0x77, 0},
    {0x78, MODRM},
    {0x80, DISTANCE32},
    {0x90, MODRM},
    {0xA0, 0},
    {0xA3, MODRM},
    {0xA4, MODRM | IMM8},
    {0xA5, MODRM},
    {0xA6, BAD},
    {0xA8, 0},
    {0xAB, MODRM},
    {0xAC, MODRM | IMM8},
    {0xAD, MODRM},
    {0xBA, MODRM | IMM8},
    {0xBB, MODRM},
    {0xC2, MODRM | IMM8},
    {0xC3, MODRM},
    {0xC4, MODRM | IMM8},
    {0xC7, MODRM},
    {0xC8, 0},
    {0xD0, MODRM},
};

static uint8_t follows(const struct run *runs, size_t count, uint8_t opcode)
{
    uint8_t found = BAD;
    for (size_t i = 0; i < count && runs[i].first <= opcode; i++)
        found = runs[i].follows;
    return found;
}

static uint8_t follows_opcode(uint8_t map, uint8_t opcode)
{
    switch (map) {
    case SS_MAP_ONE: {
        /* Arithmetic: six forms each, the last two with an immediate. */
        static const uint8_t arithmetic[] = {MODRM, MODRM, MODRM, MODRM, IMM8, IMM32, BAD, BAD};
        if (opcode < 0x40)
            return arithmetic[opcode % 8];
        return follows(one_byte, sizeof one_byte / sizeof *one_byte, opcode);
    }
    case SS_MAP_0F:
        return follows(after_0f, sizeof after_0f / sizeof *after_0f, opcode);
    case SS_MAP_0F38:
        return MODRM;
    case SS_MAP_0F3A:
        return MODRM | IMM8;
    default:
        return BAD;
    }
}

/* ---- prefixes -------------------------------------------------------------------------------- */

/* The bits that extend the numbers of registers. */
struct extension {
    uint8_t reg, rm, index;
};

static void take_rex(struct ss_instruction *out, struct extension *extension, uint8_t rex)
{
    out->wide = rex & 8;
    *extension = (struct extension){(rex & 4) << 1, (rex & 1) << 3, (rex & 2) << 2};
}

static const uint8_t vector_prefixes[] = {0, 0x66, 0xF3, 0xF2};

/* VEX in two or three bytes, EVEX in four; takes the opcode too. */
static void take_vex(struct bytes *bytes, struct ss_instruction *out, struct extension *extension,
                     uint8_t kind)
{
    uint8_t first = take(bytes), second = first;
    uint8_t high = (uint8_t)~first; /* the extensions are stored inverted */
    out->vex = true;
    out->map = SS_MAP_0F;
    extension->reg = (high & 0x80) >> 4;
    if (kind != 0xC5) {
        second = take(bytes);
        extension->index = (high & 0x40) >> 3;
        extension->rm = (high & 0x20) >> 2;
        out->wide = second & 0x80;
        out->map = first & (kind == 0x62 ? 7 : 0x1F);
        if (kind == 0x62)
            (void)take(bytes);
    }
    out->prefix = vector_prefixes[second & 3];
    out->opcode = take(bytes);
    if (out->map == SS_MAP_ONE)
        bytes->bad = true;
}

static void take_opcode(struct bytes *bytes, struct ss_instruction *out,
                        struct extension *extension)
{
    bool small = false;
    uint8_t byte;
    for (;;) {
        byte = take(bytes);
        if (byte == 0x66)
            small = true;
        else if (byte == 0xF2 || byte == 0xF3)
            out->prefix = byte;
        else if (byte != 0x2E && byte != 0x36 && byte != 0x3E && byte != 0x26 && byte != 0x64 &&
                 byte != 0x65 && byte != 0xF0)
            break;
        if (bytes->bad)
            return;
    }
    if (byte == 0xC5 || byte == 0xC4 || byte == 0x62) {
        take_vex(bytes, out, extension, byte);
        return;
    }
    if (small && !out->prefix)
        out->prefix = 0x66;
    if ((byte & 0xF0) == 0x40) {
        take_rex(out, extension, byte);
        byte = take(bytes);
    }
    out->opcode = byte;
    if (byte != 0x0F)
        return;
    out->map = SS_MAP_0F;
    out->opcode = take(bytes);
    if (out->opcode == 0x38 || out->opcode == 0x3A) {
        out->map = out->opcode == 0x38 ? SS_MAP_0F38 : SS_MAP_0F3A;
        out->opcode = take(bytes);
    }
}

/* ---- operands -------------------------------------------------------------------------------- */

static void take_modrm(struct bytes *bytes, struct ss_instruction *out,
                       const struct extension *extension)
{
    uint8_t byte = take(bytes);
    out->has_modrm = true;
    out->mod = byte >> 6;
    out->reg = (byte >> 3 & 7) | extension->reg;
    out->rm = byte & 7;
    uint32_t size = out->mod == 1 ? 1 : out->mod == 2 ? 4 : 0;
    if (out->mod == 3) {
        out->rm |= extension->rm;
        return;
    }
    if (out->rm == SS_RSP) { /* an index byte follows */
        uint8_t index = take(bytes);
        out->indexed = ((index >> 3 & 7) | extension->index) != SS_RSP;
        out->rm = index & 7;
        if (out->rm == SS_RBP && out->mod == 0) {
            out->rm = SS_RM_NONE;
            size = 4;
        }
    } else if (out->rm == SS_RBP && out->mod == 0) {
        out->rm = SS_RM_RIP;
        size = 4;
    }
    if (out->rm < SS_RM_RIP)
        out->rm |= extension->rm;
    out->displacement = (int32_t)take_signed(bytes, size);
}

static uint8_t immediate_size(const struct ss_instruction *in, uint8_t follows)
{
    if ((follows & GROUP3) && (in->reg & 7) > 1)
        return 0;
    if (follows & IMM8)
        return 1;
    if (follows & IMM16)
        return 2;
    if (follows & DISTANCE32)
        return 4;
    if ((follows & IMM64) && in->wide)
        return 8;
    return follows & (IMM32 | IMM64) ? (in->prefix == 0x66 && !in->wide ? 2 : 4) : 0;
}

bool ss_instruction_read(const uint8_t *bytes, size_t size, struct ss_instruction *out)
{
    enum { LONGEST = 15 };
    if (size == 0)
        return false;
    struct bytes left = {bytes, bytes + (size < LONGEST ? size : LONGEST), false};
    struct extension extension = {0, 0, 0};
    *out = (struct ss_instruction){.rm = SS_RM_NONE};
    take_opcode(&left, out, &extension);
    uint8_t what = follows_opcode(out->map, out->opcode);
    if (left.bad || (what & BAD))
        return false;
    if (what & MODRM)
        take_modrm(&left, out, &extension);
    out->immediate_size = immediate_size(out, what);
    out->immediate = take_signed(&left, out->immediate_size);
    out->length = (uint8_t)(left.at - bytes);
    return !left.bad;
}

/* ---- reading --------------------------------------------------------------------------------- */

const uint8_t *ss_image_bytes(const struct ss_image *image, uintptr_t address, size_t size,
                              size_t *left)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct ss_segment *segment = &image->segments[i];
        if (address < segment->start || address >= segment->file_end)
            continue;
        size_t there = segment->file_end - address;
        if (left)
            *left = there;
        return (segment->flags & PF_R) && there >= size ? (const uint8_t *)(address + image->memory)
                                                        : NULL;
    }
    return NULL;
}

bool ss_image_is_code(const struct ss_image *image, uintptr_t address)
{
    for (uint32_t i = 0; i < image->segment_count; i++)
        if (address >= image->segments[i].start && address < image->segments[i].file_end)
            return image->segments[i].flags & PF_X;
    return false;
}

bool ss_image_word(const struct ss_image *image, uintptr_t address, uintptr_t *word)
{
    const uint8_t *bytes = ss_image_bytes(image, address, sizeof *word, NULL);
    if (bytes)
        memcpy(word, bytes, sizeof *word);
    return bytes;
}

static bool read_int(const struct ss_image *image, uintptr_t address, int32_t *value)
{
    const uint8_t *bytes = ss_image_bytes(image, address, sizeof *value, NULL);
    if (bytes)
        memcpy(value, bytes, sizeof *value);
    return bytes;
}

/* ---- functions ------------------------------------------------------------------------------- */

/* As every linker writes .eh_frame_hdr: a table of {function, FDE}, both relative to the header,
 * sorted; in the FDE the function relative to itself, and its size. */
bool ss_code_bounds(const struct ss_image *image, uintptr_t address, uintptr_t *function,
                    uintptr_t *end)
{
    enum { HEADER = 12, ROW = 8, COUNT = 8, IN_FDE = 8, SIZE_IN_FDE = 12 };
    static const uint8_t encodings[] = {1, 0x1B, 0x03, 0x3B};
    uintptr_t start = image->eh_frame_hdr;
    const uint8_t *bytes = start ? ss_image_bytes(image, start, HEADER, NULL) : NULL;
    int32_t count, offset, place, size;
    if (!bytes || memcmp(bytes, encodings, sizeof encodings) != 0 ||
        !read_int(image, start + COUNT, &count) || count < 0 ||
        (uintptr_t)count > (image->eh_frame_hdr_end - start - HEADER) / ROW)
        return false;
    uint32_t low = 0, high = (uint32_t)count;
    while (low < high) { /* the number of rows that are not above */
        uint32_t middle = low + (high - low) / 2;
        if (!read_int(image, start + HEADER + (uintptr_t)middle * ROW, &offset))
            return false;
        if (start + (uintptr_t)(intptr_t)offset <= address)
            low = middle + 1;
        else
            high = middle;
    }
    uintptr_t row = start + HEADER + (uintptr_t)low * ROW - ROW;
    if (low == 0 || !read_int(image, row, &offset) || !read_int(image, row + 4, &place))
        return false;
    *function = start + (uintptr_t)(intptr_t)offset;
    uintptr_t fde = start + (uintptr_t)(intptr_t)place;
    if (!read_int(image, fde + IN_FDE, &place) || !read_int(image, fde + SIZE_IN_FDE, &size) ||
        fde + IN_FDE + (uintptr_t)(intptr_t)place != *function || size <= 0 ||
        address - *function >= (uintptr_t)size)
        return false;
    *end = *function + (uintptr_t)size;
    return true;
}

struct ss_code ss_code_of(const struct ss_image *image, uintptr_t function, size_t window)
{
    static const uint8_t endbr64[] = {0xF3, 0x0F, 0x1E, 0xFA};
    struct ss_code walk = {.image = image, .next = function};
    walk.bytes = ss_image_bytes(image, function, 1, &walk.left);
    uintptr_t start, end;
    walk.bounded = ss_code_bounds(image, function, &start, &end) && start == function;
    if (!walk.bytes)
        walk.left = 0;
    if (walk.bounded && walk.left > end - function)
        walk.left = end - function;
    if (walk.left >= sizeof endbr64 && memcmp(walk.bytes, endbr64, sizeof endbr64) == 0) {
        walk.bytes += sizeof endbr64;
        walk.left -= sizeof endbr64;
        walk.next += sizeof endbr64;
    }
    if (walk.left > window)
        walk.left = window;
    return walk;
}

bool ss_code_next(struct ss_code *walk)
{
    if (walk->ended || !ss_instruction_read(walk->bytes, walk->left, &walk->in))
        return false;
    walk->bytes += walk->in.length;
    walk->left -= walk->in.length;
    walk->next += walk->in.length;
    walk->ended = !walk->bounded && walk->in.map == SS_MAP_ONE && walk->in.opcode == SS_OP_RETURN;
    return true;
}

uintptr_t ss_code_target(const struct ss_code *walk, bool call)
{
    enum { INDIRECT = 0xFF, INDIRECT_CALL = 2, INDIRECT_JUMP = 4 };
    const struct ss_instruction *in = &walk->in;
    uintptr_t word;
    if (ss_is_opcode(in, call ? SS_OP_CALL : SS_OP_JUMP) ||
        (!call && ss_is_opcode(in, SS_OP_JUMP_SHORT)))
        return walk->next + (uintptr_t)in->immediate;
    if (ss_is_opcode(in, INDIRECT) && (in->reg & 7) == (call ? INDIRECT_CALL : INDIRECT_JUMP) &&
        ss_is_memory(in, SS_RM_RIP) && ss_image_word(walk->image, ss_code_rip(walk), &word))
        return word;
    return 0;
}
