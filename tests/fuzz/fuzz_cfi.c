/* libFuzzer target for shim/cfi.c and shim/cfi_program.c: a module, a stack and registers made of
 * the input. Both lie in allocations of their exact size, so that AddressSanitizer sees every byte
 * that is read beyond them. `make fuzz` builds and runs it.
 *
 * Input: 2 bytes of choices, 4 of a function's offset, eight registers of 4 bytes (see meaning), 1
 * byte for the number of words of the stack, these words, 4 bytes each. The rest is the module's
 * .eh_frame: in half of the runs its header is in it, in the others one with or without a table is
 * put before. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../shim/cfi.h"

enum {
    CODE = 1 << 16,
    STACK_WORDS_MAX = 64,
    HEADER_ROWS = 4,
    HEADER = 12 + 8 * HEADER_ROWS,
    MODULE_MAX = 1 << 16,
    WALK_MAX = 32
};

static struct ss_module module;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ss_module *ss_module_of(uintptr_t address)
{
    return address >= module.start && address < module.end ? &module : NULL;
}

/* The input, consumed from its front; zeros after its end. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, uint32_t size)
{
    uint64_t value = 0;
    if (size > input->size)
        size = (uint32_t)input->size;
    memcpy(&value, input->data, size);
    input->data += size;
    input->size -= size;
    return value;
}

/* A word that is likely to mean something: into the stack, into the code, or just itself. */
static uintptr_t meaning(uint64_t raw, uintptr_t stack, uintptr_t code)
{
    switch (raw & 3) {
    case 0:
        return stack + (raw >> 2 & 0x3ff) * 4 - 256;
    case 1:
    case 2:
        return code + (raw >> 2 & (CODE - 1));
    default:
        return raw << 16 | raw;
    }
}

static uint64_t after_length(const uint8_t *tables, size_t size)
{
    uint32_t length = 0;
    if (size >= 4)
        memcpy(&length, tables, 4);
    return length + UINT64_C(4) < size ? length + 4 : 0;
}

/* A header whose table's rows lead to the second record of tables, which a CIE should precede. Its
 * count may go beyond the header's end. */
static void put_header(uint8_t *header, const uint8_t *tables, size_t size, uint64_t choice,
                       uint32_t function)
{
    uint32_t words[HEADER / 4] = {0, HEADER - 4, choice >> 8 & 7};
    memcpy(words, choice & 2 ? "\x01\x1b\x03\x3b" : "\x01\x1b\xff\xff", 4);
    for (uint32_t i = 0; i < HEADER_ROWS; i++) {
        words[3 + 2 * i] = function + (i - (uint32_t)(choice >> 11 & 3)) * 64;
        words[4 + 2 * i] = HEADER + (uint32_t)after_length(tables, size);
    }
    memcpy(header, words, sizeof words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    static uint32_t id;
    uint64_t choice = take(&input, 2), raw_registers[8];
    uint32_t function = (uint32_t)take(&input, 4);
    for (int i = 0; i < 8; i++)
        raw_registers[i] = take(&input, 4);
    uint32_t words = (uint32_t)take(&input, 1) % (STACK_WORDS_MAX + 1);
    uint32_t raw_stack[STACK_WORDS_MAX];
    for (uint32_t i = 0; i < words; i++)
        raw_stack[i] = (uint32_t)take(&input, 4);

    const bool own_header = choice & 1;
    size_t tables = input.size < MODULE_MAX ? input.size : MODULE_MAX;
    size_t bytes = tables + (own_header ? 0 : HEADER);
    uint8_t *image = malloc(bytes);
    uintptr_t *stack = malloc(words * sizeof *stack);
    if (image == NULL || stack == NULL)
        abort();
    memcpy(image + (bytes - tables), input.data, tables);
    if (!own_header)
        put_header(image, input.data, tables, choice, function);

    /* Code follows the tables; nothing reads it, so there is none. */
    uintptr_t start = (uintptr_t)image, code = start + bytes, low = (uintptr_t)stack;
    module = (struct ss_module){.id = id = id % 0xffff + 1,
                                .start = start,
                                .end = code + CODE,
                                .segment_count = 2,
                                .segments = {{.start = start, .end = code, .flags = PF_R},
                                             {.start = code, .end = code + CODE, .flags = PF_X}},
                                .eh_frame_hdr = start + (own_header ? choice >> 4 : 0),
                                .eh_frame_hdr_end = start + (choice & 4   ? bytes
                                                             : own_header ? choice >> 4
                                                                          : HEADER)};
    for (uint32_t i = 0; i < words; i++)
        stack[i] = meaning(raw_stack[i], low, code);
    struct ss_registers registers;
    for (int i = 0; i < 8; i++)
        ((uintptr_t *)&registers)[i] = meaning(raw_registers[i], low, code);

    struct ss_frame *first = calloc(WALK_MAX, sizeof *first),
                    *again = calloc(WALK_MAX, sizeof *again);
    if (first == NULL || again == NULL)
        abort();
    const uintptr_t high = low + words * sizeof *stack;
    uint32_t count = ss_walk(&registers, low, high, first, WALK_MAX);
    if (count > WALK_MAX)
        abort();
    for (uint32_t i = 0; i < count; i++)
        if (first[i].cfa != 0 && (first[i].cfa <= low || first[i].cfa > high ||
                                  (i > 0 && first[i].cfa <= first[i - 1].cfa)))
            abort();
    /* What is cached must say the same. */
    if (ss_walk(&registers, low, high, again, WALK_MAX) != count ||
        memcmp(first, again, count * sizeof *first) != 0)
        abort();
    free(first);
    free(again);
    free(image);
    free(stack);
    return 0;
}
