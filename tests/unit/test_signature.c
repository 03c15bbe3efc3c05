/* What makes words a subscriber's table where no symbol tells: each rule of signature.c, in images
 * made for it (signature_image.h), and images that lie. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "instructions.h"
#include "signature_image.h"

static struct ss_signature_found found[8];
static uint32_t found_count, doubtful_count;

static void note(void *context, const struct ss_signature_found *table)
{
    CHECK(context == &found_count);
    if (table->doubtful) {
        doubtful_count++;
        return;
    }
    if (found_count < sizeof found / sizeof *found)
        found[found_count] = *table;
    found_count++;
}

static uint32_t find(void)
{
    found_count = doubtful_count = 0;
    CHECK(ss_signature_find(&image, note, &found_count) == found_count);
    return found_count;
}

static bool is_found(enum ss_layout layout)
{
    return find() == 1 && found[0].address == TABLE && found[0].layout == layout;
}

/* Whether a table that is one but for this is found. */
static bool finds(void (*change)(void))
{
    begin();
    default_drop();
    default_clone();
    default_hint();
    if (change)
        change();
    put_table(TABLE, SS_LAYOUT_16, 0, 24, 8);
    return is_found(SS_LAYOUT_16);
}

/* ---- rules ------------------------------------------------------------------------------------- */

static bool finds_with(void (*change)(void), void (*other)(void), enum ss_layout layout)
{
    begin();
    change();
    if (other)
        other();
    put_table(TABLE, layout, methods[0], 24, 8);
    return is_found(layout);
}

static void wants_two_points(void)
{
    static const struct {
        void (*change)(void);
        enum ss_trait_method method; /* that it changes */
        uint32_t points;
    } rows[] = {
        {default_drop, SS_TRAIT_DROP_SPAN, 1},
        {spilled_drop, SS_TRAIT_DROP_SPAN, 1},
        {framed_drop, SS_TRAIT_DROP_SPAN, 1},
        {boxed_drop, SS_TRAIT_DROP_SPAN, 1},
        {own_calls, SS_TRAIT_DROP_SPAN, 1},
        {calls_of_all, SS_TRAIT_DROP_SPAN, 0},
        {tail_drop, SS_TRAIT_DROP_SPAN, 2},
        {calling_drop, SS_TRAIT_DROP_SPAN, 2},
        {got_drop, SS_TRAIT_DROP_SPAN, 2},
        {same_calls, SS_TRAIT_DROP_SPAN, 2},
        {same_jumps, SS_TRAIT_DROP_SPAN, 2},
        {other_jumps, SS_TRAIT_DROP_SPAN, 0},
        {default_register, SS_TRAIT_ON_REGISTER_DISPATCH, 1},
        {spilled_register, SS_TRAIT_ON_REGISTER_DISPATCH, 1},
        {writing_register, SS_TRAIT_ON_REGISTER_DISPATCH, 0},
        {default_enabled, SS_TRAIT_EVENT_ENABLED, 1},
        {spilled_enabled, SS_TRAIT_EVENT_ENABLED, 1},
        {disabled, SS_TRAIT_EVENT_ENABLED, 0},
        {default_hint, SS_TRAIT_MAX_LEVEL_HINT, 1},
        {small_hint, SS_TRAIT_MAX_LEVEL_HINT, 1},
        {spilled_hint, SS_TRAIT_MAX_LEVEL_HINT, 1},
        {other_hint, SS_TRAIT_MAX_LEVEL_HINT, 0},
        {default_clone, SS_TRAIT_CLONE_SPAN, 1},
        {forwarding_clone, SS_TRAIT_CLONE_SPAN, 1},
        {jumping_clone, SS_TRAIT_CLONE_SPAN, 1},
        {arc_clone, SS_TRAIT_CLONE_SPAN, 1},
        {forwarding_current, SS_TRAIT_CURRENT_SPAN, 1},
        {jumping_current, SS_TRAIT_CURRENT_SPAN, 1},
        {arc_current, SS_TRAIT_CURRENT_SPAN, 1},
        {default_current, SS_TRAIT_CURRENT_SPAN, 1},
        {default_downcast, SS_TRAIT_DOWNCAST_RAW, 1},
        {by_calls, SS_TRAIT_DOWNCAST_RAW, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void (*another)(void) =
            rows[i].method == SS_TRAIT_DROP_SPAN ? default_register : default_drop;
        if (finds_with(rows[i].change, NULL, SS_LAYOUT_16) != (rows[i].points == 2) ||
            doubtful_count != (rows[i].points == 1) ||
            finds_with(rows[i].change, another, SS_LAYOUT_16) != (rows[i].points > 0)) {
            fprintf(stderr, "points %zu\n", i);
            failures++;
        }
    }
    begin();
    put_table(TABLE, SS_LAYOUT_16, 0, 24, 8);
    CHECK(!find());
}

static void two_points(void)
{
    default_drop();
    default_hint();
}

/* What looks so in a table of `dyn Layer` as well, which has as many methods as an older table. */
static void counts_less_in_older_layouts(void)
{
    for (enum ss_layout layout = SS_LAYOUT_14; layout < SS_LAYOUT_16; layout++) {
        CHECK(finds_with(forwarding_clone, two_points, layout));
        CHECK(!finds_with(jumping_clone, two_points, layout));
        CHECK(doubtful_count == 0);
        CHECK(!finds_with(jumping_current, two_points, layout));
        CHECK(!finds_with(default_downcast, two_points, layout));
    }
}

static void wants_a_header(void)
{
    static const struct {
        uintptr_t drop, size, align;
        bool right;
    } headers[] = {{0, 24, 8, true},          {TEXT + FUNCTION, 0, 1, true},
                   {0, 16 << 20, 4096, true}, {0, 24, 0, false},
                   {0, 24, 24, false},        {0, 20, 8, false},
                   {0, 32 << 20, 8, false},   {0, 8192, 8192, false},
                   {TABLE, 24, 8, false},     {1, 24, 8, false}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        finds(NULL);
        put_table(TABLE, SS_LAYOUT_16, headers[i].drop, headers[i].size, headers[i].align);
        CHECK(is_found(SS_LAYOUT_16) == headers[i].right);
    }
}

static void knows_layouts(void)
{
    static void (*const points[])(void) = {default_drop, default_clone, default_current};
    for (enum ss_layout layout = SS_LAYOUT_14; layout <= SS_LAYOUT_16; layout++) {
        begin();
        for (size_t i = 0; i < 3; i++) {
            put_table(TABLE, layout, 0, 24, 8);
            /* The shorter ones, which look like other traits, want one more. */
            CHECK(find() == (layout == SS_LAYOUT_16 && i == 2));
            points[i]();
        }
        put_table(TABLE, layout, 0, 24, 8);
        CHECK(is_found(layout));
        /* In the shorter tables, a Layer's default methods would be in these places. */
        methods[SS_TRAIT_TRY_CLOSE] = CODE("\xC3");
        put_table(TABLE, layout, 0, 24, 8);
        CHECK(!find());
    }
}

static void finds_neighbours(void)
{
    finds(NULL);
    uintptr_t at = TABLE;
    for (int i = 0; i < 5; i++)
        at = put_table(at, i % 2 ? SS_LAYOUT_16 : SS_LAYOUT_14, methods[0], 24, 8);
    default_current();
    at = TABLE;
    for (int i = 0; i < 5; i++)
        at = put_table(at, i % 2 ? SS_LAYOUT_16 : SS_LAYOUT_14, methods[0], 24, 8);
    CHECK(find() == 5);
    for (int i = 1; i < 5; i++)
        CHECK(found[i].address > found[i - 1].address);
    /* Further functions behind the last. */
    put_word(at, methods[0]);
    for (uintptr_t more = 0; more < 40; more++)
        put_word(at + more * sizeof at, methods[0]);
    CHECK(find() == 5);
}

static void no_random_constant(void)
{
    put_word(TYPE_ID + 8, 0x7FFF);
}
static void zeros_in_constant(void)
{
    put(TYPE_ID + 1, "\0\0\0\0\0\0", 6);
}
static void beyond_return(void)
{
    put(methods[SS_TRAIT_DOWNCAST_RAW], "\xC3\x90\x90\x90", 4);
}
static void two_immediates(void)
{
    methods[SS_TRAIT_DOWNCAST_RAW] = CODE("\x48\xB8\x6B\x91\x22\xE4\x05\xB7\x5C\x81" /* movabs */
                                          "\x48\x33\x06" /* xor (%rsi) */
                                          "\x48\xB9\x3D\xF0\x17\x99\xA2\x48\xCC\x1E"
                                          "\x48\x33\x4E\x08" /* xor 8(%rsi) */
                                          "\x48\x09\xC1\x0F\x94\xC0\xC3");
}
static void immediates_without_reads(void)
{
    two_immediates();
    put(methods[SS_TRAIT_DOWNCAST_RAW] + 25, "\x0C", 1); /* another offset */
    put(methods[SS_TRAIT_DOWNCAST_RAW] + 26, "\x10", 1);
}
static void compared_with_rsi(void)
{
    methods[SS_TRAIT_DOWNCAST_RAW] =
        CODE("\x48\xB8\x6B\x91\x22\xE4\x05\xB7\x5C\x81\x48\x39\xC6\x0F\x94\xC0\x48\x89\xFA\xC3");
}
static void vex(void)
{
    uintptr_t f = methods[SS_TRAIT_DOWNCAST_RAW] = CODE(
        "\xC5\xFA\x6F\x06\xC5\xF9\x74\x05\0\0\0\0\xC5\xF9\xD7\xC8\x0F\x94\xC0\x48\x89\xFA\xC3");
    aim(f, 12, 0, TYPE_ID);
}
static void by_other_calls(void)
{
    by_calls();
    put_word(GOT, methods[0]);
}
static void nothing_tested(void)
{
    by_calls();
    put(methods[SS_TRAIT_DOWNCAST_RAW] + 30, "\x90\x90", 2);
}
static void marked(void)
{
    for (uint32_t i = 0; i < SS_TRAIT_COUNT; i++) {
        uint8_t bytes[FUNCTION];
        memcpy(bytes, memory + (methods[i] - TEXT), sizeof bytes);
        uintptr_t f = CODE("\xF3\x0F\x1E\xFA");
        put(f + 4, bytes, 64);
        methods[i] = f;
    }
    aim(methods[SS_TRAIT_DOWNCAST_RAW], 16, 0, TYPE_ID);
}
static void no_instruction(void)
{
    put(methods[SS_TRAIT_DOWNCAST_RAW], "\x06", 1);
}

static void wants_a_comparison(void)
{
    static const struct {
        void (*change)(void);
        bool right;
    } rows[] = {{NULL, true},
                {no_random_constant, false},
                {zeros_in_constant, false},
                {beyond_return, false},
                {two_immediates, true},
                {immediates_without_reads, false},
                {compared_with_rsi, true},
                {vex, true},
                {by_calls, true},
                {by_other_calls, false},
                {nothing_tested, false},
                {marked, true},
                {no_instruction, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (finds(rows[i].change) != rows[i].right) {
            fprintf(stderr, "comparison %zu\n", i);
            failures++;
        }
}

/* ---- with unwind tables ------------------------------------------------------------------------ */

/* A header with one row, for downcast_raw, and its FDE. */
static void put_unwind(uint32_t size)
{
    uintptr_t f = methods[SS_TRAIT_DOWNCAST_RAW], fde = UNWIND + 0x40;
    image.eh_frame_hdr = UNWIND;
    image.eh_frame_hdr_end = UNWIND + 0x20;
    put(UNWIND, "\x01\x1B\x03\x3B", 4);
    put_int(UNWIND + 8, 1);
    put_int(UNWIND + 12, f - UNWIND);
    put_int(UNWIND + 16, fde - UNWIND);
    put_int(fde + 8, f - (fde + 8));
    put_int(fde + 12, size);
}

static void uses_unwind_tables(void)
{
    /* Goes on behind a return, as far as the function does. */
    finds(NULL);
    uintptr_t f = methods[SS_TRAIT_DOWNCAST_RAW];
    uint8_t whole[FUNCTION];
    memcpy(whole, memory + (f - TEXT), sizeof whole);
    put(f, "\x74\x01\xC3", 3);
    put(f + 3, whole, 64);
    aim(f, 15, 0, TYPE_ID);
    CHECK(!find());
    put_unwind(0x30);
    CHECK(is_found(SS_LAYOUT_16));
    put_unwind(12);
    CHECK(!find());
    /* One that never returns Some: as anyhow's object_downcast, which gives a pointer or null. */
    finds(NULL);
    put_unwind(0x22);
    CHECK(is_found(SS_LAYOUT_16));
    put(methods[SS_TRAIT_DOWNCAST_RAW] + 27, "\x48\x89\xF8", 3);
    CHECK(!find());
    /* What does not fit is as if it were not there. */
    put_int(UNWIND + 0x40 + 8, 0);
    CHECK(is_found(SS_LAYOUT_16));
    put_unwind(0x22);
    put_int(UNWIND + 8, 1000);
    CHECK(is_found(SS_LAYOUT_16));
}

/* ---- what is told of a table ------------------------------------------------------------------- */

static void tells_no_subscriber(void)
{
    finds(NULL);
    CHECK(!found[0].no_subscriber && !found[0].default_try_close);
    methods[SS_TRAIT_NEW_SPAN] = CODE("\xB8\xAD\xDE\0\0\xC3");
    put_table(TABLE, SS_LAYOUT_16, 0, 24, 8);
    CHECK(find() == 1 && !found[0].no_subscriber);
    put_table(TABLE, SS_LAYOUT_16, 0, 0, 1);
    CHECK(find() == 1 && found[0].no_subscriber);
    methods[SS_TRAIT_NEW_SPAN] =
        CODE("\x48\x83\xEC\x18" SPILL_TWO "\xBF\xAD\xDE\0\0\xE8\0\0\0\0\x48\x83\xC4\x18\xC3");
    put_table(TABLE, SS_LAYOUT_16, 0, 0, 1);
    CHECK(find() == 1 && found[0].no_subscriber);
}

static void tells_what_never_closes(void)
{
    static const struct {
        const char *code;
        size_t size;
        bool never;
    } rows[] = {
        {"\x31\xC0\xC3", 3, true},
        {"\x50\xE8\0\0\0\0\x31\xC0\x24\x01\x59\xC3", 12, true},
        {"\x48\x83\xEC\x18\x48\x89\x7C\x24\x08\xE8\0\0\0\0\x31\xC0\x48\x83\xC4\x18\xC3", 21, true},
        {"\xF3\x0F\x1E\xFA\x31\xC0\xC3", 7, true},
        {"\xB0\x01\xC3", 3, false},
        {"\x31\xC0\x74\x02\xB0\x01\xC3", 7, false},
        {"\x31\xC0\x0F\x94\xC0\xC3", 6, false},
        {"\x31\xC0\xE9\0\0\0\0", 7, false},
        {"\x31\xC0\xE8\0\0\0\0\xC3", 8, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        finds(NULL);
        methods[SS_TRAIT_TRY_CLOSE] = code(rows[i].code, rows[i].size);
        put_table(TABLE, SS_LAYOUT_16, 0, 24, 8);
        CHECK(find() == 1 && found[0].default_try_close == rows[i].never);
    }
}

/* ---- where it looks ---------------------------------------------------------------------------- */

static void looks_where_tables_are(void)
{
    finds(NULL);
    put_table(CONSTANTS + 0x8000, SS_LAYOUT_16, 0, 24, 8);
    CHECK(find() == 1); /* constants need no relocation, and so are none of a module that moves */
    image.position_dependent = true;
    CHECK(find() == 2);
    image.position_dependent = false;
    image.relro_start = image.relro_end = 0;
    CHECK(find() == 2);
    image.relro_start = TABLE + 8;
    image.relro_end = TABLES + 0x8000;
    CHECK(is_found(SS_LAYOUT_16)); /* its drop word is outside, but there */
    image.relro_start = TABLE + 0x40;
    CHECK(!find());
    image.relro_start = TABLES;
    image.segments[0].flags = PF_X; /* code that cannot be read */
    CHECK(!find());
    image.segments[0].flags = PF_R;
    CHECK(!find());
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* AddressSanitizer watches over the memory, which ends with the image. */
static void survives_lies(void)
{
    uint32_t random = 2463534242, survivors = 0;
    for (int round = 0; round < 20000; round++) {
        finds(round % 2 ? NULL : by_calls);
        put_unwind(0x40);
        for (uint32_t n = next_random(&random) % 4; n > 0; n--) {
            static const uintptr_t wheres[] = {UNWIND, UNWIND + 0x40, TABLE, TEXT + FUNCTION};
            uintptr_t where = wheres[next_random(&random) % 4] + next_random(&random) % 0x100;
            uint32_t what = next_random(&random) % 2 ? next_random(&random) : 0;
            put(where, &what, next_random(&random) % 4 + 1);
        }
        for (uint32_t n = next_random(&random) % 3; n > 0; n--) {
            uintptr_t *fields[] = {&image.relro_start,          &image.relro_end,
                                   &image.eh_frame_hdr,         &image.eh_frame_hdr_end,
                                   &image.segments[0].start,    &image.segments[1].file_end,
                                   &image.segments[2].file_end, &image.segments[2].start};
            uintptr_t *field = fields[next_random(&random) % 8];
            uintptr_t value = TEXT + next_random(&random) % SIZE;
            /* The segments are what is there. */
            *field = field >= &image.segments[0].start || next_random(&random) % 2
                         ? value
                         : next_random(&random) - (uintptr_t)16;
        }
        survivors += find() > 0;
    }
    printf("20000 images, %u of them with a table\n", survivors);
    CHECK(survivors > 1000 && survivors < 19000);
}

/* ---- instructions ------------------------------------------------------------------------------ */

static void reads_instructions(void)
{
    static const struct {
        const char *bytes;
        uint8_t size;
        uint8_t rm;
        int64_t value; /* immediate, or displacement where there is none */
    } rows[] = {
        {"\xC3", 1, SS_RM_NONE, 0},
        {"\x48\x89\xF8", 3, SS_RAX, 0},
        {"\x4C\x8B\x4E\xF8", 4, SS_RSI, -8},
        {"\x48\xB8\1\2\3\4\5\6\7\x88", 10, SS_RM_NONE, (int64_t)0x8807060504030201},
        {"\x66\xB8\x34\x12", 4, SS_RM_NONE, 0x1234},
        {"\xF6\x05\1\0\0\0\x80", 7, SS_RM_RIP, -128},
        {"\xF7\xD8", 2, SS_RAX, 0},
        {"\x41\xFF\x54\x24\x18", 5, 12, 0x18},
        {"\x80\x3C\x25\0\0\0\0\x07", 8, SS_RM_NONE, 7},
        {"\x0F\x84\xFC\xFF\xFF\xFF", 6, SS_RM_NONE, -4},
        {"\x66\x0F\x3A\x0F\xC1\x08", 6, SS_RCX, 8},
        {"\xC4\xE2\x71\x29\x05\0\1\0\0", 9, SS_RM_RIP, 0x100},
        {"\x62\xF1\xFE\x08\x6F\x06", 6, SS_RSI, 0},
        {"\x2E\x66\x0F\x1F\x84\0\0\0\0\0", 10, SS_RAX, 0},
        {"\xF0\x48\x0F\xC1\x48\x18", 6, SS_RAX, 0x18},
    };
    struct ss_instruction in;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t *bytes = (const uint8_t *)rows[i].bytes;
        CHECK(ss_instruction_read(bytes, 15, &in) && in.length == rows[i].size &&
              in.rm == rows[i].rm &&
              (in.immediate_size ? in.immediate : in.displacement) == rows[i].value);
        for (uint8_t size = 0; size < rows[i].size; size++)
            CHECK(!ss_instruction_read(bytes, size, &in));
    }
    static const char *const none[] = {"\x06", "\x0F\x04", "\xEA", "\x66\x66", "\x0F\x0F\xC0\x9A"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK(!ss_instruction_read((const uint8_t *)none[i], strlen(none[i]), &in));
}

int main(void)
{
    memory = malloc(SIZE);
    reads_instructions();
    wants_two_points();
    counts_less_in_older_layouts();
    wants_a_header();
    knows_layouts();
    finds_neighbours();
    wants_a_comparison();
    uses_unwind_tables();
    tells_no_subscriber();
    tells_what_never_closes();
    looks_where_tables_are();
    survives_lies();
    free(memory);
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
