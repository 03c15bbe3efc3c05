/* Call sites in made-up modules: memory laid out as rustc lays out Metadata and callsites, in the
 * two word orders that are known and in others, with what real and broken programs may hold. */
#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "internal.h"

/* ---- the one module there is ----------------------------------------------------------------- */

enum { PAGE = 4096, CONSTANTS = 64 * PAGE, DATA = 16 * PAGE };

static struct ss_module module;
static char *constants, *data; /* its segments; pages that cannot be read follow both */
static size_t constants_used, data_used;

struct ss_module *ss_module_of(uintptr_t address)
{
    return address >= module.start && address < module.end ? &module : NULL;
}

struct ss_module *ss_module_at(uint32_t number)
{
    return number == 0 ? &module : NULL;
}

bool ss_modules_visit(void (*each)(const struct ss_module *))
{
    if (module.loaded)
        each(&module);
    return true;
}

bool ss_module_readable(const struct ss_module *m, uintptr_t address, size_t size)
{
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (address >= m->segments[i].start && address < m->segments[i].end)
            return size <= m->segments[i].end - address;
    return false;
}

void *ss_alloc(size_t size)
{
    return calloc(1, size); /* the shim never frees it either */
}

static void begin_module(void)
{
    enum { SIZE = CONSTANTS + DATA + 2 * PAGE };
    if (!constants) {
        constants = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        data = constants + CONSTANTS + PAGE;
        CHECK(constants != MAP_FAILED);
        CHECK(mprotect(constants + CONSTANTS, PAGE, PROT_NONE) == 0);
        CHECK(mprotect(data + DATA, PAGE, PROT_NONE) == 0);
    }
    memset(constants, 0, CONSTANTS);
    memset(data, 0, DATA);
    constants_used = data_used = 64;
    module = (struct ss_module){.id = 1, .path = "/made/up", .segment_count = 2};
    module.loaded = 1;
    module.start = (uintptr_t)constants;
    module.end = (uintptr_t)data + DATA;
    module.segments[0] = (struct ss_segment){(uintptr_t)constants, (uintptr_t)constants + CONSTANTS,
                                             (uintptr_t)constants + CONSTANTS, PF_R};
    module.segments[1] = (struct ss_segment){(uintptr_t)data, (uintptr_t)data + DATA,
                                             (uintptr_t)data + DATA, PF_R | PF_W};
}

static void *put(const void *what, size_t size, char *segment, size_t *used)
{
    char *at = segment + *used;
    if (what)
        memcpy(at, what, size);
    *used += (size + 7) & ~(size_t)7;
    return at;
}

static uintptr_t put_text(const char *text, size_t length)
{
    return (uintptr_t)put(text, length, constants, &constants_used);
}

/* ---- what is put into it --------------------------------------------------------------------- */

/* The word at which each part is. */
struct order {
    int level, line, name, target, names, callsite, module_path, file, kind;
};

static const struct order order_a = {4, 13, 0, 2, 9, 11, 5, 7, 14};
static const struct order order_b = {0, 1, 2, 4, 6, 8, 10, 12, 14};
static const struct order order_other = {5, 14, 10, 3, 6, 8, 1, 12, 0};

struct site {
    uintptr_t metadata;
    uint8_t *callsite;
    uint32_t number;
};

enum { SITES_MAX = 300 };
static struct site sites[SITES_MAX];
static uintptr_t callsite_table;

enum { UNREGISTERED_INTEREST = 0xFF };

static void set_text(uintptr_t *pair, const char *text)
{
    pair[0] = text ? put_text(text, strlen(text)) : 0;
    pair[1] = text ? strlen(text) : 0;
}

static const char *level_of(uint32_t n)
{
    static const char *const names[] = {"trace", "debug", "info", "warn", "error"};
    return names[n % 5];
}

/* One call site, its parts told by its number. */
static void put_site(struct site *site, uint32_t n, const struct order *order)
{
    char text[64];
    uintptr_t *word = put(NULL, 15 * sizeof *word, constants, &constants_used);
    uintptr_t *callsite = put(NULL, 3 * sizeof *callsite, data, &data_used);
    callsite[0] = (uintptr_t)word;
    callsite[2] = UNREGISTERED_INTEREST;
    word[order->level] = n % 5;
    word[order->line] = n % 11 == 3 ? 0 : (uintptr_t)(n + 10) << 32 | 1;
    snprintf(text, sizeof text, "name \xc3\xa9 %u %s", n, level_of(n));
    set_text(word + order->name, text);
    snprintf(text, sizeof text, n % 9 == 4 ? "custom_%u" : "crate::part_%u", n % 7);
    set_text(word + order->target, text);
    snprintf(text, sizeof text, "crate::part_%u", n % 7);
    set_text(word + order->module_path, n % 50 == 7 ? NULL : text);
    snprintf(text, sizeof text, "src/part_%u.rs", n % 7);
    set_text(word + order->file, n % 50 == 8 ? NULL : text);
    uint32_t fields = n % 4;
    uintptr_t pairs[2 * 4];
    for (uint32_t i = 0; i < fields; i++) {
        snprintf(text, sizeof text, "field_%u", i);
        set_text(pairs + 2 * i, text);
    }
    word[order->names] =
        fields ? (uintptr_t)put(pairs, fields * 16, constants, &constants_used) : 8;
    word[order->names + 1] = fields;
    word[order->callsite] = (uintptr_t)callsite;
    word[order->callsite + 1] = callsite_table;
    word[order->kind] = n % 3 == 0 ? 1 : 2; /* an event, a span */
    *site = (struct site){(uintptr_t)word, (uint8_t *)callsite, n};
}

static void put_sites(uint32_t count, const struct order *order)
{
    begin_module();
    const uintptr_t table[] = {0, 24, 8, module.start, module.start};
    callsite_table = (uintptr_t)put(table, sizeof table, constants, &constants_used);
    /* Pointers that are no cycles: a constant's own address, a number, a text. */
    const uintptr_t noise[] = {(uintptr_t)constants, 0x1234, callsite_table, (uintptr_t)data};
    put(noise, sizeof noise, data, &data_used);
    for (uint32_t i = 0; i < count; i++)
        put_site(&sites[i], i, order);
    put(noise, sizeof noise, data, &data_used);
}

static uintptr_t *word_of(uint32_t i)
{
    return (uintptr_t *)sites[i].metadata;
}

static bool text_is(struct ss_text text, const char *wanted)
{
    if (!wanted)
        return !text.data && !text.length;
    return text.data && text.length == strlen(wanted) &&
           memcmp(text.data, wanted, text.length) == 0;
}

/* Whether call site i is decoded as what put_site wrote. */
static bool decodes(uint32_t i, const struct order *order)
{
    char name[64], target[64], path[64], file[64];
    uint32_t n = sites[i].number;
    snprintf(name, sizeof name, "name \xc3\xa9 %u %s", n, level_of(n));
    snprintf(target, sizeof target, n % 9 == 4 ? "custom_%u" : "crate::part_%u", n % 7);
    snprintf(path, sizeof path, "crate::part_%u", n % 7);
    snprintf(file, sizeof file, "src/part_%u.rs", n % 7);
    struct ss_metadata m;
    if (!ss_callsite_decode(sites[i].metadata, &m))
        return false;
    int fields = order->names < order->callsite ? order->names : order->callsite;
    return text_is(m.name, name) && text_is(m.target, target) &&
           text_is(m.module_path, n % 50 == 7 ? NULL : path) &&
           text_is(m.file, n % 50 == 8 ? NULL : file) && m.line == (n % 11 == 3 ? 0 : n + 10) &&
           m.level == n % 5 && m.field_count == n % 4 && (m.field_count == 0 || m.names[1] == 7) &&
           m.fields == sites[i].metadata + (size_t)fields * 8;
}

static void decodes_all(uint32_t count, const struct order *order, uint32_t as)
{
    put_sites(count, order);
    ss_callsites_find(&module);
    CHECK(module.metadata_order == as);
    CHECK(module.call_sites == count);
    for (uint32_t i = 0; i < count; i++)
        CHECK(decodes(i, order));
    struct ss_metadata m;
    CHECK(!ss_callsite_decode(sites[0].metadata + 8, &m));
    CHECK(!ss_callsite_decode(sites[0].metadata + 4, &m));
    CHECK(!ss_callsite_decode((uintptr_t)sites[0].callsite, &m));
    CHECK(!ss_callsite_decode(0, &m) && !ss_callsite_decode(UINTPTR_MAX, &m));
    CHECK(!ss_callsite_decode(module.start, &m) && !ss_callsite_decode(module.end - 8, &m));
}

static void finds_none(void)
{
    begin_module();
    ss_callsites_find(&module);
    CHECK(module.call_sites == 0 && module.metadata_order == SS_ORDER_UNKNOWN && !module.callsites);
}

/* ---- what is broken -------------------------------------------------------------------------- */

/* Ways to break one. */
static void break_site(uint32_t i, uint32_t how)
{
    uintptr_t *word = word_of(i);
    static const char not_utf8[] = "\xc3(\xed\xa0\x80";
    switch (how % 10) {
    case 0:
        word[0] = 5; /* the level */
        break;
    case 1:
        word[1] = 2; /* the line's tag */
        break;
    case 2:
        word[2] = put_text(not_utf8, 5);
        word[3] = 5;
        break;
    case 3:
        word[3] = SS_STRING_MAX + 1;
        break;
    case 4:
        word[4] = 0; /* no target */
        break;
    case 5:
        word[7] = SS_FIELDS_MAX + 1;
        break;
    case 6:
        word[6] = module.end; /* names outside */
        word[7] = 1;
        break;
    case 7:
        word[12] = (uintptr_t)constants + CONSTANTS - 2; /* a file that ends outside */
        word[13] = 3;
        break;
    case 8:
        word[10] = (uintptr_t)&failures; /* a path of no module */
        word[11] = 4;
        break;
    default:
        word[14] = 99; /* the kind */
        break;
    }
}

static void leaves_broken_ones_out(void)
{
    for (uint32_t how = 0; how < 10; how++) {
        put_sites(200, &order_b);
        for (uint32_t i = 0; i < 9; i++)
            break_site(20 * i + 4, how);
        ss_callsites_find(&module);
        CHECK(module.metadata_order == SS_ORDER_B && module.call_sites == 191);
        struct ss_metadata m;
        for (uint32_t i = 0; i < 200; i++) {
            bool broken = i % 20 == 4 && i < 180;
            CHECK(broken ? !ss_callsite_decode(sites[i].metadata, &m) : decodes(i, &order_b));
        }
    }
}

static void decodes_nothing_by_guess(void)
{
    put_sites(200, &order_b);
    for (uint32_t i = 0; i < 40; i++)
        break_site(5 * i, i);
    ss_callsites_find(&module);
    CHECK(module.metadata_order == SS_ORDER_UNKNOWN && module.call_sites == 200);
    struct ss_metadata m;
    for (uint32_t i = 0; i < 200; i++)
        CHECK(!ss_callsite_decode(sites[i].metadata, &m));

    /* An order that cannot be learned: level and kind are never told apart. */
    put_sites(30, &order_other);
    for (uint32_t i = 0; i < 30; i++)
        word_of(i)[order_other.level] = 1;
    ss_callsites_find(&module);
    CHECK(module.metadata_order == SS_ORDER_UNKNOWN);
}

/* A cycle with an object that is no callsite: what it says of its size does not fit. */
static void checks_the_callsite(void)
{
    static const uintptr_t tables[][3] = {{0, 8192, 8}, {0, 0, 8}, {0, 24, 3}};
    for (uint32_t how = 0; how < 4; how++) {
        put_sites(50, &order_b);
        uintptr_t table =
            how < 3 ? (uintptr_t)put(tables[how], 24, constants, &constants_used) : module.end - 8;
        for (uint32_t i = 0; i < 50; i++)
            word_of(i)[9] = table;
        ss_callsites_find(&module);
        CHECK(module.call_sites == 0 && !module.callsites);
    }
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* Four words on this stack, read; known is what is expected of Metadata and values. */
static void attributes_say(const uintptr_t given[4], uintptr_t metadata, uintptr_t values,
                           uint32_t parent, uint64_t id)
{
    uintptr_t words[4];
    memcpy(words, given, sizeof words);
    struct ss_attributes said;
    ss_attributes_read((uintptr_t)words, &said);
    if (said.metadata == metadata && said.values == values && said.parent == parent &&
        said.parent_id == id)
        return;
    fprintf(stderr, "attributes {%lx %lx %lx %lx}: %lx %lx %u %lu, not %lx %lx %u %lu\n", given[0],
            given[1], given[2], given[3], said.metadata, said.values, said.parent, said.parent_id,
            metadata, values, parent, id);
    failures++;
}

static void reads_attributes(void)
{
    put_sites(100, &order_b);
    ss_callsites_find(&module);
    uintptr_t m = sites[17].metadata, stale = sites[18].metadata;
    uintptr_t far_away[8192]; /* pages from the words that are read */
    uintptr_t old[3] = {0x1000, 2, m + 48}, new[4] = {1, 0x1000, 2, m + 48};
    uintptr_t fields_first[3] = {m + 48, 0x1000, 2}, others[3] = {0x1000, 2, stale + 48};
    memcpy(far_away, old, sizeof old);
    memcpy(far_away + 8000, new, sizeof new);
    uintptr_t sets[] = {(uintptr_t)old, (uintptr_t) new, (uintptr_t)fields_first,
                        (uintptr_t)far_away, (uintptr_t)(far_away + 8000)};

    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uintptr_t v = sets[i];
        for (uint32_t swap = 0; swap < 2; swap++) {
            uintptr_t a = swap ? v : m, b = swap ? m : v;
            attributes_say((uintptr_t[]){0, 0, a, b}, m, v, SS_PARENT_ROOT, 0);
            attributes_say((uintptr_t[]){0, stale, a, b}, m, v, SS_PARENT_ROOT, 0);
            attributes_say((uintptr_t[]){1, stale, a, b}, m, v, SS_PARENT_CURRENT, 0);
            attributes_say((uintptr_t[]){2, 77, a, b}, m, v, SS_PARENT_EXPLICIT, 77);
            attributes_say((uintptr_t[]){2, UINT64_MAX, a, b}, m, v, SS_PARENT_EXPLICIT,
                           UINT64_MAX);
            attributes_say((uintptr_t[]){a, b, 1, stale}, m, v, SS_PARENT_CURRENT, 0);
            attributes_say((uintptr_t[]){a, b, 2, 5}, m, v, SS_PARENT_EXPLICIT, 5);
            attributes_say((uintptr_t[]){a, 2, 5, b}, m, v, SS_PARENT_EXPLICIT, 5);
            /* No parent that there can be: its words apart, a strange tag, an id of 0. */
            attributes_say((uintptr_t[]){2, a, 5, b}, m, v, SS_PARENT_UNKNOWN, 0);
            attributes_say((uintptr_t[]){2, a, b, 5}, m, v, SS_PARENT_UNKNOWN, 0);
            attributes_say((uintptr_t[]){3, 5, a, b}, m, v, SS_PARENT_UNKNOWN, 0);
            attributes_say((uintptr_t[]){2, 0, a, b}, m, v, SS_PARENT_UNKNOWN, 0);
        }
    }

    /* No ValueSet of the Metadata's own fields; or none that can be read. */
    uintptr_t nowhere[] = {0,
                           8,
                           16,
                           m,
                           (uintptr_t)data + DATA,
                           (uintptr_t)constants + CONSTANTS,
                           UINTPTR_MAX - 7,
                           0x8000000000000000,
                           (uintptr_t)old + 1};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        attributes_say((uintptr_t[]){1, stale, m, nowhere[i]}, 0, 0, SS_PARENT_UNKNOWN, 0);
    attributes_say((uintptr_t[]){1, 0, m, (uintptr_t)others}, 0, 0, SS_PARENT_UNKNOWN, 0);
    attributes_say((uintptr_t[]){1, 1, m + 8, (uintptr_t)old}, 0, 0, SS_PARENT_UNKNOWN, 0);
    attributes_say((uintptr_t[]){0, 0, 0, 0}, 0, 0, SS_PARENT_UNKNOWN, 0);
}

/* The last words of a stack are read, and not what lies behind them. */
static void *read_at_the_end(void *stack_end)
{
    uintptr_t m = sites[17].metadata;
    uintptr_t *end = stack_end;
    uintptr_t saved[8];
    memcpy(saved, end - 8, sizeof saved); /* may be libc's: put back below */
    end[-1] = m + 48;
    uintptr_t words[4] = {1, 0, m, (uintptr_t)(end - 3)},
              at_end[4] = {1, 0, m, (uintptr_t)(end - 1)};
    struct ss_attributes said, nothing;
    ss_attributes_read((uintptr_t)words, &said);
    ss_attributes_read((uintptr_t)at_end, &nothing);
    memcpy(end - 8, saved, sizeof saved);
    CHECK(said.metadata == m && said.values == (uintptr_t)(end - 3));
    CHECK(nothing.metadata == 0);
    return NULL;
}

static void stays_on_the_stack(void)
{
    enum { STACK = 64 * PAGE };
    char *stack =
        mmap(NULL, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED && mprotect(stack + STACK, PAGE, PROT_NONE) == 0);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &attributes, read_at_the_end, stack + STACK) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- counting -------------------------------------------------------------------------------- */

static void counts_by_interest(void)
{
    put_sites(100, &order_b);
    ss_callsites_find(&module);
    struct ss_interest_counts expected[SS_LEVEL_COUNT] = {{0}}, counts[SS_LEVEL_COUNT] = {{0}};
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t interest = i / 5 % 3, registration = i % 4 == 1 ? 0 : i % 4 == 3 ? 1 : 2;
        sites[i].callsite[16] = registration == 2 ? interest : UNREGISTERED_INTEREST;
        sites[i].callsite[17] = registration;
        if (i % 3 == 0)
            continue; /* an event */
        struct ss_interest_counts *level = &expected[i % 5];
        *(registration != 2 ? &level->unreached : interest ? &level->live : &level->filtered) += 1;
    }
    ss_callsites_count(counts);
    CHECK(memcmp(counts, expected, sizeof counts) == 0);

    /* What was counted once holds: when less of it is there, when the module is gone without a word
     * and the space taken by something else, then empty, and when it is known to be gone. */
    for (unsigned round = 0; round < 4; round++) {
        memset(counts, 0, sizeof counts);
        for (uint32_t i = 0; round == 0 && i < 100; i++)
            sites[i].callsite[17] = 0;
        if (round == 1)
            memset(constants, 0xA5, CONSTANTS);
        CHECK(mprotect(constants, CONSTANTS, round == 2 ? PROT_NONE : PROT_READ | PROT_WRITE) == 0);
        module.loaded = round < 3;
        ss_callsites_count(counts);
        CHECK(memcmp(counts, expected, sizeof counts) == 0);
    }

    /* One that was never counted while it was there. */
    put_sites(101, &order_b);
    ss_callsites_find(&module);
    module.loaded = 0;
    module.id = 2;
    memset(counts, 0, sizeof counts);
    memset(expected, 0, sizeof expected);
    ss_callsites_count(counts);
    CHECK(memcmp(counts, expected, sizeof counts) == 0);
}

int main(void)
{
    finds_none();
    decodes_all(200, &order_b, SS_ORDER_B);
    decodes_all(200, &order_a, SS_ORDER_A);
    decodes_all(1, &order_b, SS_ORDER_B);
    decodes_all(200, &order_other, SS_ORDER_LEARNED);
    leaves_broken_ones_out();
    decodes_nothing_by_guess();
    checks_the_callsite();
    reads_attributes();
    stays_on_the_stack();
    counts_by_interest();
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
