/* An image with the table of a subscriber in it, for test_signature.c: what its methods are, of those
 * that compilers made where the table was missed or taken for one. The image lies elsewhere than its
 * addresses say. */
#ifndef SIGNATURE_IMAGE_H
#define SIGNATURE_IMAGE_H

#include <elf.h>
#include <string.h>

#include "signature.h"
#include "trait.h"

enum {
    TEXT = 0x40000000,
    CONSTANTS = TEXT + 0x10000,
    TABLES = TEXT + 0x20000,
    SIZE = 0x30000,
    FUNCTION = 0x100, /* bytes for each */
    TYPE_ID = CONSTANTS + 0x40,
    UNWIND = CONSTANTS + 0x1000,
    GOT = TABLES + 0x8000,
    TABLE = TABLES + 0x100,
};

static struct ss_image image;
static uint8_t *memory;
static uint32_t functions;

static void put(uintptr_t address, const void *bytes, size_t size)
{
    memcpy(memory + (address - TEXT), bytes, size);
}

static void put_word(uintptr_t address, uintptr_t word)
{
    put(address, &word, sizeof word);
}

static void put_int(uintptr_t address, uintptr_t value)
{
    put(address, &value, sizeof(int32_t));
}

/* A new function of these bytes. */
static uintptr_t code(const char *bytes, size_t size)
{
    uintptr_t at = TEXT + FUNCTION * ++functions;
    put(at, bytes, size);
    return at;
}
#define CODE(bytes) code(bytes, sizeof(bytes) - 1)

/* Makes the four bytes that end at `end` in a function the distance from there (and so many bytes
 * more, an immediate's) to an address. */
static void aim(uintptr_t function, size_t end, size_t more, uintptr_t address)
{
    put_int(function + end - 4, address - (function + end + more));
}

/* ---- a table ----------------------------------------------------------------------------------- */

/* What the methods of the next table are. */
static uintptr_t methods[SS_TRAIT_COUNT];

static uintptr_t vector_compare(void)
{
    uintptr_t f = CODE("\xF3\x0F\x6F\x06"                 /* movdqu (%rsi), %xmm0 */
                       "\x66\x0F\x74\x05\0\0\0\0"         /* pcmpeqb constant, %xmm0 */
                       "\x66\x0F\xD7\xC8\x31\xC0"         /* pmovmskb; xor %eax, %eax */
                       "\x81\xF9\xFF\xFF\0\0\x0F\x94\xC0" /* cmp; sete %al */
                       "\x48\x89\xC2\xC3");               /* mov %rax, %rdx; ret */
    aim(f, 12, 0, TYPE_ID);
    return f;
}

static void begin(void)
{
    static const uint8_t type_id[] = {0x6B, 0x91, 0x22, 0xE4, 0x05, 0xB7, 0x5C, 0x81,
                                      0x3D, 0xF0, 0x17, 0x99, 0xA2, 0x48, 0xCC, 0x1E};
    memset(memory, 0xCC, SIZE);
    memset(memory + (TABLES - TEXT), 0, SIZE - (TABLES - TEXT));
    memset(memory + (UNWIND - TEXT), 0, 0x1000);
    functions = 0;
    image =
        (struct ss_image){.memory = (uintptr_t)memory - TEXT,
                          .segment_count = 3,
                          .segments = {{TEXT, CONSTANTS, CONSTANTS, PF_R | PF_X},
                                       {CONSTANTS, TABLES, TABLES, PF_R},
                                       {TABLES, TEXT + SIZE + 0x1000, TEXT + SIZE, PF_R | PF_W}},
                          .relro_start = TABLES,
                          .relro_end = TEXT + SIZE + 0x800};
    put(TYPE_ID, type_id, sizeof type_id);
    /* Says nothing for or against. */
    uintptr_t plain = CODE("\x55\x48\x89\xE5\xE8\0\0\0\0\x48\x8B\x07\x5D\xC3");
    for (uint32_t i = 0; i < SS_TRAIT_COUNT; i++)
        methods[i] = plain;
    methods[SS_TRAIT_TRY_CLOSE] = CODE("\x53\x48\x89\xFB\xE8\0\0\0\0\x0F\x94\xC0\x5B\xC3");
    methods[SS_TRAIT_DOWNCAST_RAW] = vector_compare();
}

/* What adds to the score, each on its own. */
static void default_drop(void)
{
    methods[SS_TRAIT_DROP_SPAN] = CODE("\xC3");
}
static void default_register(void)
{
    methods[SS_TRAIT_ON_REGISTER_DISPATCH] = CODE("\xC3");
}
static void default_enabled(void)
{
    methods[SS_TRAIT_EVENT_ENABLED] = CODE("\xB0\x01\xC3");
}
static void default_hint(void)
{
    methods[SS_TRAIT_MAX_LEVEL_HINT] = CODE("\xB8\x06\0\0\0\xC3");
}
static void small_hint(void)
{
    methods[SS_TRAIT_MAX_LEVEL_HINT] = CODE("\x6A\x06\x58\xC3");
}
static void default_clone(void)
{
    methods[SS_TRAIT_CLONE_SPAN] = CODE("\x48\x8B\x06\xC3");
}
static void forwarding_clone(void)
{
    methods[SS_TRAIT_CLONE_SPAN] = CODE("\x48\x83\xC7\x10\xE9\0\0\0\0");
}
static void default_current(void)
{
    methods[SS_TRAIT_CURRENT_SPAN] = CODE("\x48\x89\xF8\x48\xC7\x07\x02\0\0\0\xC3");
}
static void forwarding_current(void)
{
    methods[SS_TRAIT_CURRENT_SPAN] = CODE("\x48\x81\xC6\x10\x02\0\0\xE9\0\0\0\0");
}
static void boxed_drop(void)
{
    methods[SS_TRAIT_DROP_SPAN] = CODE("\x48\x8B\x47\x08\x48\x8B\x3F\xFF\xA0\x80\0\0\0");
}
static void jumping_clone(void)
{
    methods[SS_TRAIT_CLONE_SPAN] = CODE("\xE9\0\0\0\0");
}
static void jumping_current(void)
{
    uintptr_t f = methods[SS_TRAIT_CURRENT_SPAN] = CODE("\xF3\x0F\x1E\xFA\xFF\x25\0\0\0\0");
    aim(f, 10, 0, GOT);
    put_word(GOT, methods[0]);
}
static void arc_clone(void)
{
    methods[SS_TRAIT_CLONE_SPAN] =
        CODE("\xB8\xF0\x02\0\0\x48\x03\x07\x48\x89\xC7\xE9\0\0\0\0"); /* add (%rdi), %rax */
}
static void arc_current(void)
{
    methods[SS_TRAIT_CURRENT_SPAN] = CODE("\xB8\xF0\x02\0\0\x48\x03\x06\x48\x89\xC6\xE9\0\0\0\0");
}
static void default_downcast(void)
{
    put(methods[SS_TRAIT_DOWNCAST_RAW] + 29, "\xFA", 1); /* mov %rdi, %rdx */
}
/* Nothing inlined: TypeId::of, then its comparison. */
static void by_calls(void)
{
    uintptr_t of = CODE("\x48\x89\xF8\x48\x8B\x0D\0\0\0\0\x48\x89\x0F"
                        "\x48\x8B\x0D\0\0\0\0\x48\x89\x4F\x08\xC3");
    aim(of, 10, 0, TYPE_ID);
    aim(of, 20, 0, TYPE_ID + 8);
    uintptr_t compare = CODE("\x0F\x10\x07\x0F\x94\xC0\xC3");
    uintptr_t f = methods[SS_TRAIT_DOWNCAST_RAW] =
        CODE("\x48\x83\xEC\x38\x48\x8D\x7C\x24\x28\xFF\x15\0\0\0\0" /* call *of */
             "\x48\x8B\x7C\x24\x10\x48\x8D\x74\x24\x28\xE8\0\0\0\0" /* call compare */
             "\xA8\x01\x75\x0B\x48\xC7\x44\x24\x18\x01\0\0\0\x48\x8B\x54\x24\x20\xC3");
    aim(f, 15, 0, GOT);
    put_word(GOT, of);
    aim(f, 30, 0, compare);
}
/* Both close in the end through what no other method calls. */
static void own_calls(void)
{
    uintptr_t close = CODE("\x31\xC0\xC3");
    uintptr_t drop = methods[SS_TRAIT_DROP_SPAN] = CODE("\x85\xFF\x74\x05\xE8\0\0\0\0\xC3");
    uintptr_t try_close = methods[SS_TRAIT_TRY_CLOSE] =
        CODE("\x53\x85\xFF\x74\x05\xE8\0\0\0\0\x5B\xC3");
    aim(drop, 9, 0, close);
    aim(try_close, 10, 0, close);
}
static void calls_of_all(void)
{
    own_calls();
    methods[SS_TRAIT_EXIT] = methods[SS_TRAIT_TRY_CLOSE];
}

/* The defaults where nothing is optimized: the arguments are put onto the stack first. */
#define SPILL_ONE "\x48\x89\x7C\x24\xF8"
#define SPILL_TWO "\x48\x89\x7C\x24\xF0\x48\x89\x74\x24\xF8"
static void spilled_drop(void)
{
    methods[SS_TRAIT_DROP_SPAN] = CODE(SPILL_TWO "\xC3");
}
static void framed_drop(void)
{
    methods[SS_TRAIT_DROP_SPAN] =
        CODE("\x55\x48\x89\xE5\x48\x83\xEC\x10\x48\x89\x7D\xF0\x48\x89\x75\xF8\xC9\xC3");
}
static void spilled_register(void)
{
    methods[SS_TRAIT_ON_REGISTER_DISPATCH] = CODE(SPILL_TWO "\xC3");
}
static void spilled_enabled(void)
{
    methods[SS_TRAIT_EVENT_ENABLED] = CODE(SPILL_TWO "\xB0\x01\x24\x01\xC3");
}
static void spilled_hint(void)
{
    methods[SS_TRAIT_MAX_LEVEL_HINT] = CODE(SPILL_ONE "\xB8\x06\0\0\0\xC3");
}
static void other_hint(void)
{
    methods[SS_TRAIT_MAX_LEVEL_HINT] = CODE(SPILL_ONE "\xB8\x05\0\0\0\xC3");
}
static void disabled(void)
{
    methods[SS_TRAIT_EVENT_ENABLED] = CODE("\x31\xC0\xC3");
}
static void writing_register(void)
{
    methods[SS_TRAIT_ON_REGISTER_DISPATCH] = CODE("\x48\x89\x77\x08\xC3"); /* mov %rsi, 8(%rdi) */
}

/* These are two points. */
static void tail_drop(void)
{
    uintptr_t f = methods[SS_TRAIT_DROP_SPAN] = CODE("\xE9\0\0\0\0");
    aim(f, 5, 0, methods[SS_TRAIT_TRY_CLOSE]);
}
static void calling_drop(void)
{
    uintptr_t f = methods[SS_TRAIT_DROP_SPAN] = CODE("\x50\xE8\0\0\0\0\x58\xC3");
    aim(f, 6, 0, methods[SS_TRAIT_TRY_CLOSE]);
}
static void got_drop(void)
{
    uintptr_t f = methods[SS_TRAIT_DROP_SPAN] = CODE("\xFF\x25\0\0\0\0");
    aim(f, 6, 0, GOT);
    put_word(GOT, methods[SS_TRAIT_TRY_CLOSE]);
}
/* A Box's, where nothing is inlined: both fetch what is in it, and close through that. */
static void same_calls(void)
{
    uintptr_t inside = CODE("\x48\x8B\x07\xC3"), close = CODE("\x31\xC0\xC3");
    uintptr_t drop = methods[SS_TRAIT_DROP_SPAN] =
        CODE("\x50\xE8\0\0\0\0\x48\x89\xC7\xE8\0\0\0\0\x58\xC3");
    uintptr_t try_close = methods[SS_TRAIT_TRY_CLOSE] =
        CODE("\x50\xE8\0\0\0\0\x48\x89\xC7\xE8\0\0\0\0\x24\x01\x58\xC3");
    aim(drop, 6, 0, inside);
    aim(try_close, 6, 0, inside);
    aim(drop, 14, 0, close);
    aim(try_close, 14, 0, close);
}

/* An Arc's: the same, but that the last call is a jump. */
static void same_jumps(void)
{
    uintptr_t close = CODE("\x31\xC0\xC3");
    uintptr_t drop = methods[SS_TRAIT_DROP_SPAN] = CODE("\x48\x8B\x3F\x48\x83\xC7\x10\xE9\0\0\0\0");
    uintptr_t try_close = methods[SS_TRAIT_TRY_CLOSE] =
        CODE("\x48\x8B\x3F\x48\x83\xC7\x10\xE9\0\0\0\0");
    aim(drop, 12, 0, close);
    aim(try_close, 12, 0, close);
}
static void other_jumps(void)
{
    same_jumps();
    aim(methods[SS_TRAIT_DROP_SPAN], 12, 0, methods[0]);
}

/* Puts the table there, behind a header. Returns the address after it. */
static uintptr_t put_table(uintptr_t at, enum ss_layout layout, uintptr_t drop, uintptr_t size,
                           uintptr_t align)
{
    const uintptr_t header[] = {drop, size, align};
    put(at, header, sizeof header);
    for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++)
        if (ss_trait_slot(method, layout))
            put_word(at + ss_trait_slot(method, layout) * sizeof(uintptr_t), methods[method]);
    return at + ss_trait_words(layout) * sizeof(uintptr_t);
}

#endif
