/* Values of fields: numbers become text that reads back as the same number, and ValueSets in
 * made-up modules, in every order of their words that may be, are rendered as they are, those that
 * are recorded later on top of them; broken ones bring nothing down. The blocks they are kept in
 * belong to one span at a time, across threads and forks. */
#include <elf.h>
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "lock.h"
#include "numbers.h"
#include "options.h"
#include "thread_stacks.h"
#include "threads.h"
#include "fork.h"
#include "values.h"

#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 20000 };
#else
enum { ROUNDS = 200000 };
#endif

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

/* ---- stand-ins for what other parts of the shim give: one module, one call site -------------- */

_Atomic int ss_own_pid;
struct ss_options ss_options;
static _Atomic size_t allocated;

/* What the module's read-only segment holds; its code is this program's. */
static uintptr_t constants[4096];
extern const char __executable_start[], etext[];
static struct ss_module module;

struct ss_module *ss_module_of(uintptr_t address)
{
    for (uint32_t i = 0; i < module.segment_count; i++)
        if (address >= module.segments[i].start && address < module.segments[i].end)
            return &module;
    return NULL;
}

bool ss_module_readable(const struct ss_module *m, uintptr_t address, size_t size)
{
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (address >= m->segments[i].start && address < m->segments[i].end)
            return size <= m->segments[i].end - address;
    return false;
}

bool ss_module_executable(const struct ss_module *m, uintptr_t address)
{
    return address >= m->segments[1].start && address < m->segments[1].end;
}

void *ss_alloc(size_t size)
{
    atomic_fetch_add(&allocated, size);
    return calloc(1, size);
}

bool ss_thread_stack(struct ss_thread *thread, uintptr_t sp, uintptr_t *low, uintptr_t *high)
{
    *low = sp;
    *high = thread->stack_high;
    return true;
}

enum { FIELDS = 5, METADATA = 8, FIELD_SET = 16, EMPTY_SET = 24 /* places in constants */ };
static uint32_t field_count = FIELDS;

bool ss_callsite_decode(uintptr_t address, struct ss_metadata *out)
{
    if (address != (uintptr_t)&constants[METADATA])
        return false;
    memset(out, 0, sizeof *out);
    out->fields = (uintptr_t)&constants[FIELD_SET];
    out->field_count = field_count;
    return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static const char *double_text(double value)
{
    static char text[64];
    struct ss_line line = {.data = text, .size = sizeof text - 1};
    ss_put_double(&line, value);
    CHECK(!line.full);
    text[line.used] = 0;
    return text;
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* The digits without sign, point, exponent, and zeros at either end. Returns how many. */
static int digits_of(const char *text, char *digits)
{
    int count = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (count || *text != '0'))
            digits[count++] = *text;
    while (count && digits[count - 1] == '0')
        count--;
    digits[count] = 0;
    return count;
}

/* Whether the value is halfway between two decimals of so many digits. */
static bool is_half(double value, int count)
{
    char text[1200], digits[1200];
    snprintf(text, sizeof text, "%.1100e", value);
    return digits_of(text, digits) == count + 1 && digits[count] == '5';
}

static bool is_json(const char *text, size_t length)
{
    json_t *json = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_decref(json);
    return json != NULL;
}

static void check_double(double value)
{
    char text[64], shorter[64], nearest[64], ours[40], theirs[40];
    strcpy(text, double_text(value));
    if (!isfinite(value)) {
        CHECK(strcmp(text, isnan(value) ? "\"NaN\"" : value < 0 ? "\"-inf\"" : "\"inf\"") == 0);
        return;
    }
    int count = digits_of(text, ours), before = failures;
    CHECK(same(strtod(text, NULL), value));
    CHECK(strpbrk(text, ".e") != NULL);
    CHECK(count <= 17);
    if (count > 1) {
        snprintf(shorter, sizeof shorter, "%.*e", count - 2, value);
        CHECK(!same(strtod(shorter, NULL), value));
    }
    if (count) {
        /* printf rounds a half to even, we up; and a power of two is not in the middle of what
         * reads back as it. */
        snprintf(nearest, sizeof nearest, "%.*e", count - 1, value);
        digits_of(nearest, theirs);
        CHECK(strcmp(ours, theirs) == 0 || !same(strtod(nearest, NULL), value) ||
              is_half(value, count));
    }
    if (failures != before)
        fprintf(stderr, "%.17g is shown as %s\n", value, text);
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_around(double value)
{
    check_double(value);
    check_double(-value);
    check_double(nextafter(value, INFINITY));
    check_double(nextafter(value, 0));
}

static void test_doubles(unsigned rounds)
{
    static const struct {
        double value;
        const char *text;
    } known[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1, "-1.0"},
        {10, "10.0"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e300"},
        {1e23, "1e23"},
        {9007199254740993.0, "9007199254740992.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e16"},
        {12345678901234567890.0, "1.2345678901234567e19"},
        {0.0001, "0.0001"},
        {0.00001234, "1.234e-5"},
        {123.456, "123.456"},
        {5e-324, "5e-324"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {2.2250738585072011e-308, "2.225073858507201e-308"},
        {DBL_MAX, "1.7976931348623157e308"},
        {INFINITY, "\"inf\""},
        {-INFINITY, "\"-inf\""},
        {NAN, "\"NaN\""},
        {-NAN, "\"NaN\""},
    };
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        CHECK(strcmp(double_text(known[i].value), known[i].text) == 0);
        CHECK(is_json(known[i].text, strlen(known[i].text)));
        check_double(known[i].value);
    }
    for (int i = -1074; i < 1024; i++)
        check_around(ldexp(1, i));
    for (int i = -324; i < 309; i++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", i);
        check_around(strtod(text, NULL));
    }
    for (unsigned i = 0; i < rounds; i++) {
        check_double(from_bits(random_bits()));
        check_double((double)(int64_t)random_bits());
        check_double((double)(random_bits() >> 44) / 1000);
        check_double((float)from_bits(random_bits()));
        check_double(from_bits(random_bits() & 0x000fffffffffffffu)); /* subnormal */
    }
}

/* As an independent way would have it. */
static void check_integer(unsigned __int128 bits, bool is_signed)
{
    char text[64], expected[64], *at = expected + sizeof expected;
    struct ss_line line = {.data = text, .size = sizeof text - 1};
    (is_signed ? ss_put_i128 : ss_put_u128)(&line, (uint64_t)bits, (uint64_t)(bits >> 64));
    text[line.used] = 0;

    bool negative = is_signed && (__int128)bits < 0;
    unsigned __int128 rest = negative ? -bits : bits;
    bool quoted = negative ? (__int128)bits < INT64_MIN : bits > INT64_MAX;
    *--at = 0;
    if (quoted)
        *--at = '"';
    do
        *--at = (char)('0' + (int)(rest % 10));
    while (rest /= 10);
    if (negative)
        *--at = '-';
    if (quoted)
        *--at = '"';
    CHECK(strcmp(text, at) == 0);
    CHECK(is_json(text, line.used));
    if (!quoted)
        CHECK(strtoll(text, NULL, 10) == (int64_t)bits);
}

static void test_integers(unsigned rounds)
{
    for (unsigned shift = 0; shift < 128; shift++)
        for (int near = -1; near <= 1; near++)
            for (int sign = 0; sign < 2; sign++) {
                unsigned __int128 value = ((unsigned __int128)1 << shift) + (unsigned)near;
                check_integer(value, sign);
                check_integer(-value, sign);
            }
    for (unsigned i = 0; i < rounds; i++) {
        unsigned __int128 value = (unsigned __int128)random_bits() << 64 | random_bits();
        check_integer(value >> random_bits() % 128, false);
        check_integer((unsigned __int128)((__int128)value >> random_bits() % 128), true);
    }
}

/* ---- values, as the program would have them -------------------------------------------------- */

struct visit_table {
    void *drop;
    size_t size, align;
    void (*f64)(void *, const void *, double);
    void (*i64)(void *, const void *, int64_t);
    void (*u64)(void *, const void *, uint64_t);
    void (*i128)(void *, const void *, __int128);
    void (*u128)(void *, const void *, unsigned __int128);
    void (*boolean)(void *, const void *, bool);
    void (*str)(void *, const void *, const char *, size_t);
    void (*others[4])(void *, const void *, const void *, const void *);
};

typedef void record_fn(const void *, const void *, void *, const struct visit_table *);

static void record_f64(const void *self, const void *field, void *visitor,
                       const struct visit_table *table)
{
    table->f64(visitor, field, *(const double *)self);
}

static void record_i64(const void *self, const void *field, void *visitor,
                       const struct visit_table *table)
{
    table->i64(visitor, field, *(const int64_t *)self);
}

static void record_u64(const void *self, const void *field, void *visitor,
                       const struct visit_table *table)
{
    table->u64(visitor, field, *(const uint64_t *)self);
}

static void record_i128(const void *self, const void *field, void *visitor,
                        const struct visit_table *table)
{
    table->i128(visitor, field, *(const __int128 *)self);
}

static void record_u128(const void *self, const void *field, void *visitor,
                        const struct visit_table *table)
{
    table->u128(visitor, field, *(const unsigned __int128 *)self);
}

static void record_bool(const void *self, const void *field, void *visitor,
                        const struct visit_table *table)
{
    table->boolean(visitor, field, *(const bool *)self);
}

struct text {
    const char *data;
    size_t length;
};

static void record_str(const void *self, const void *field, void *visitor,
                       const struct visit_table *table)
{
    const struct text *text = self;
    table->str(visitor, field, text->data, text->length);
}

static void record_other(const void *self, const void *field, void *visitor,
                         const struct visit_table *table)
{
    for (unsigned i = 0; i < 4; i++)
        table->others[i](visitor, field, self, self);
}

static void record_nothing(const void *self, const void *field, void *visitor,
                           const struct visit_table *table)
{
    (void)self, (void)field, (void)visitor, (void)table;
}

/* Twice: the first counts. */
static void record_twice(const void *self, const void *field, void *visitor,
                         const struct visit_table *table)
{
    table->i64(visitor, field, *(const int64_t *)self);
    table->i64(visitor, field, 2);
}

static const int64_t good = 7;

/* Only one object is what it should be; any other becomes a string that may be nowhere. */
static void record_broken(const void *self, const void *field, void *visitor,
                          const struct visit_table *table)
{
    if (self == &good)
        table->i64(visitor, field, good);
    else
        table->str(visitor, field, self, 100);
}

enum kind { F64, I64, U64, I128, U128, BOOL, STR, OTHER, NOTHING, TWICE, BROKEN, KINDS };
static record_fn *const records[KINDS] = {record_f64,     record_i64,   record_u64,   record_i128,
                                          record_u128,    record_bool,  record_str,   record_other,
                                          record_nothing, record_twice, record_broken};

enum { VTABLES = 64 };

static uintptr_t vtable(enum kind kind)
{
    return (uintptr_t)&constants[VTABLES + 4 * kind];
}

static const char *names[SS_FIELDS_MAX] = {"a", "b\"c", "d", "e", "f"};
static struct ss_site site = {.fields = names, .field_count = FIELDS};
static struct ss_table table = {.layout = SS_LAYOUT_16};
static __thread struct ss_thread thread;

static void begin_thread(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    thread.stack_high = (uintptr_t)low + size;
}

static void begin_module(void)
{
    module.segment_count = 2;
    module.segments[0] =
        (struct ss_segment){(uintptr_t)constants, (uintptr_t)(constants + 4096), 0, PF_R};
    module.segments[1] =
        (struct ss_segment){(uintptr_t)__executable_start, (uintptr_t)etext, 0, PF_R | PF_X};
    for (unsigned i = 0; i < 4; i++)
        constants[FIELD_SET + i] = 0x1000 + i;
    constants[EMPTY_SET] = 8;
    constants[EMPTY_SET + 2] = (uintptr_t)&constants[FIELD_SET];
    for (unsigned kind = 0; kind < KINDS; kind++) {
        uintptr_t *words = &constants[VTABLES + 4 * kind];
        words[1] = 8;
        words[2] = kind == BOOL ? 1 : 8; /* alignment */
        words[3] = (uintptr_t)records[kind];
    }
}

static struct ss_values *capture(const uintptr_t *set)
{
    struct ss_attributes attributes = {.metadata = (uintptr_t)&constants[METADATA],
                                       .values = (uintptr_t)set};
    return ss_values_capture(&thread, &table, &attributes, &site);
}

static json_t *parse(const struct ss_values *values)
{
    char text[SS_VALUES_SIZE + 2];
    if (values->used > SS_VALUES_SIZE)
        return NULL;
    text[0] = '{';
    memcpy(text + 1, values->text, values->used);
    text[values->used + 1] = '}';
    return json_loadb(text, values->used + 2, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
}

static bool is_object(const struct ss_values *values)
{
    json_t *json = parse(values);
    size_t count = json_object_size(json);
    json_decref(json);
    return json && count == site.field_count;
}

/* That the ValueSet is rendered so; NULL: not at all. */
static void check_set(const uintptr_t *set, const char *expected)
{
    struct ss_values *values = capture(set);
    CHECK(!values == !expected);
    if (!values)
        return;
    CHECK(is_object(values));
    if (expected &&
        (values->used != strlen(expected) || memcmp(values->text, expected, values->used))) {
        fprintf(stderr, "  %.*s\nis %s\n", (int)values->used, values->text, expected);
        CHECK(false);
    }
    ss_values_free(values);
}

static void make_field(uintptr_t field[5], uintptr_t index, bool index_last)
{
    memcpy(field + !index_last, &constants[FIELD_SET], 4 * sizeof *field);
    field[index_last ? 4 : 0] = index;
}

static void test_shapes(void)
{
    const int64_t one = 1, minus = -5;
    const bool yes = true;
    const struct text text = {"t\n", 2};
    const uintptr_t fields = (uintptr_t)&constants[FIELD_SET];
    const char expected[] = "\"a\":1,\"b\\\"c\":-5,\"d\":true,\"e\":\"t\\u000a\",\"f\":null";
    const uintptr_t values[FIELDS][2] = {{(uintptr_t)&one, vtable(I64)},
                                         {(uintptr_t)&minus, vtable(TWICE)},
                                         {(uintptr_t)&yes, vtable(BOOL)},
                                         {(uintptr_t)&text, vtable(STR)},
                                         {(uintptr_t)&one, vtable(OTHER)}};
    /* All of them, in order. */
    check_set((const uintptr_t[]){1, (uintptr_t)values, FIELDS, fields}, expected);
    check_set((const uintptr_t[]){fields, 1, (uintptr_t)values, FIELDS}, expected);
    check_set((const uintptr_t[]){1, (uintptr_t)values, FIELDS - 1, fields}, NULL);
    check_set((const uintptr_t[]){2, (uintptr_t)values, FIELDS, fields}, NULL);

    /* Explicit ones: in order, in reverse, with one that is another FieldSet's and one that is
     * none. */
    for (unsigned way = 0; way < 4; way++) {
        uintptr_t field[FIELDS + 2][5], elements[FIELDS + 2][3];
        bool index_last = way & 1, reverse = way & 2;
        for (unsigned i = 0; i < FIELDS; i++) {
            unsigned index = reverse ? FIELDS - 1 - i : i;
            make_field(field[i], index, index_last);
            elements[i][0] = (uintptr_t)field[i];
            memcpy(&elements[i][1], values[index], sizeof values[index]);
        }
        make_field(field[FIELDS], 0, index_last);
        field[FIELDS][2]++;
        elements[FIELDS][0] = (uintptr_t)field[FIELDS];
        elements[FIELDS][1] = (uintptr_t)&minus;
        elements[FIELDS][2] = vtable(I64);
        make_field(field[FIELDS + 1], FIELDS, index_last);
        memcpy(elements[FIELDS + 1], elements[FIELDS], sizeof elements[0]);
        elements[FIELDS + 1][0] = (uintptr_t)field[FIELDS + 1];
        const uintptr_t first = (uintptr_t)elements, count = FIELDS + 2;
        check_set((const uintptr_t[]){first, count, fields}, expected);
        check_set((const uintptr_t[]){fields, first, count, 0}, expected);
        check_set((const uintptr_t[]){0, first, count, fields}, expected);
        check_set((const uintptr_t[]){fields, 0, first, count}, expected);
        check_set((const uintptr_t[]){first, 2, fields},
                  reverse ? "\"a\":null,\"b\\\"c\":null,\"d\":null,\"e\":\"t\\u000a\",\"f\":null"
                          : "\"a\":1,\"b\\\"c\":-5,\"d\":null,\"e\":null,\"f\":null");
        elements[0][1] = 0;
        check_set((const uintptr_t[]){first, 1, fields},
                  "\"a\":null,\"b\\\"c\":null,\"d\":null,\"e\":null,\"f\":null");
    }
    check_set((const uintptr_t[]){8, 0, fields},
              "\"a\":null,\"b\\\"c\":null,\"d\":null,\"e\":null,\"f\":null");
    check_set((const uintptr_t[]){8, 0, 0, 0}, NULL);
    check_set((const uintptr_t[]){(uintptr_t)values, SS_FIELDS_MAX + 1, fields, 0}, NULL);

    table.layout = SS_LAYOUT_14;
    check_set((const uintptr_t[]){1, (uintptr_t)values, FIELDS, fields}, NULL);
    table.layout = SS_LAYOUT_15;
    check_set((const uintptr_t[]){1, (uintptr_t)values, FIELDS, fields}, expected);
}

/* One string in all five fields. */
static void check_string(const char *data, size_t length, const char *expected)
{
    const struct text text = {data, length};
    const uintptr_t values[FIELDS][2] = {{(uintptr_t)&text, vtable(STR)}};
    char whole[SS_VALUES_SIZE + 1];
    snprintf(whole, sizeof whole, "\"a\":%s,\"b\\\"c\":null,\"d\":null,\"e\":null,\"f\":null",
             expected);
    check_set((const uintptr_t[]){1, (uintptr_t)values, FIELDS, (uintptr_t)&constants[FIELD_SET]},
              whole);
}

static void test_strings(void)
{
    char text[256], expected[300], *page;
    check_string("", 0, "\"\"");
    check_string((const char *)1, 0, "\"\""); /* an empty one's pointer dangles */
    check_string((const char *)1, 1, "null");
    check_string((const char *)0x7ffffffff000, 10, "null");
    check_string("x", SIZE_MAX, "null");

    memset(text, 'x', sizeof text);
    snprintf(expected, sizeof expected, "\"%.200s\"", text);
    check_string(text, 200, expected);
    snprintf(expected, sizeof expected, "\"%.200s\u2026\"", text);
    check_string(text, 201, expected);
    for (unsigned before = 197; before < 201; before++) {
        memcpy(text + before, "\U0001f980", 4);
        snprintf(expected, sizeof expected, "\"%.*s\u2026\"", before, text);
        check_string(text, 256, expected);
        memset(text + before, 'x', 4);
    }
    memset(text, '\1', sizeof text);
    check_string(text, 200, "null"); /* six bytes each do not fit */

    /* At the end of what can be read. */
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && mprotect(page + 4096, 4096, PROT_NONE) == 0);
    memcpy(page + 4094, "ab", 2);
    check_string(page + 4094, 2, "\"ab\"");
    check_string(page + 4094, 3, "null");
    munmap(page, 8192);
}

/* The keys stay and the values go where there is no room; without room for the keys there is
 * nothing. */
static void test_room(void)
{
    static const int64_t number = INT64_MIN;
    uintptr_t values[SS_FIELDS_MAX][2];
    const uintptr_t set[] = {1, (uintptr_t)values, SS_FIELDS_MAX, (uintptr_t)&constants[FIELD_SET]};
    uintptr_t shorter[] = {1, (uintptr_t)values, 0, (uintptr_t)&constants[FIELD_SET]};
    static char text[SS_FIELDS_MAX][8];
    const char *old[FIELDS];
    memcpy(old, names, sizeof old);
    for (unsigned i = 0; i < SS_FIELDS_MAX; i++) {
        values[i][0] = (uintptr_t)&number;
        values[i][1] = vtable(I64);
        snprintf(text[i], sizeof text[i], "n%02x", i);
        names[i] = text[i];
    }
    /* Ten bytes for each with its comma, and one comma less. */
    for (unsigned count = 1; count <= SS_FIELDS_MAX; count++) {
        site.field_count = field_count = count;
        shorter[2] = count;
        struct ss_values *block = capture(shorter);
        CHECK(!block == (count * 11 - 1 > SS_VALUES_SIZE));
        if (!block)
            continue;
        CHECK(is_object(block));
        unsigned shown = 0;
        for (const char *at = block->text;
             (at =
                  memmem(at, block->used - (size_t)(at - block->text), "-9223372036854775808", 20));
             at++)
            shown++;
        unsigned room = (SS_VALUES_SIZE - (count * 11 - 1)) / 16;
        CHECK(shown == (room < count ? room : count));
        ss_values_free(block);
    }
    CHECK(capture(set) == NULL);
    site.field_count = field_count = FIELDS;
    memcpy(names, old, sizeof old);
}

/* ---- values recorded later ------------------------------------------------------------------- */

/* A ValueSet of explicit values, one for each field that has a kind. */
struct given {
    uintptr_t field[FIELDS][5], elements[FIELDS][3], set[3];
};

static const uintptr_t *give(struct given *given, const enum kind kinds[FIELDS],
                             const void *const data[FIELDS])
{
    uintptr_t count = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        if (kinds[i] == KINDS)
            continue;
        make_field(given->field[count], i, i % 2);
        given->elements[count][0] = (uintptr_t)given->field[count];
        given->elements[count][1] = (uintptr_t)data[i];
        given->elements[count][2] = vtable(kinds[i]);
        count++;
    }
    given->set[0] = (uintptr_t)given->elements;
    given->set[1] = count;
    given->set[2] = (uintptr_t)&constants[FIELD_SET];
    return given->set;
}

static void record(struct ss_span *span, uint64_t serial, const uintptr_t *set)
{
    const uintptr_t *const record_of_set = set;
    ss_values_record(&thread, &table, span, serial, &record_of_set);
}

static void check_span(const struct ss_span *span, const char *expected)
{
    struct ss_values copy;
    CHECK(ss_values_copy(span, atomic_load(&span->serial), &copy) == (expected != NULL));
    CHECK(!ss_values_copy(span, atomic_load(&span->serial) + 1, &copy));
    if (!expected)
        return;
    CHECK(is_object(&copy));
    if (copy.used != strlen(expected) || memcmp(copy.text, expected, copy.used)) {
        fprintf(stderr, "  %.*s\nis %s\n", (int)copy.used, copy.text, expected);
        CHECK(false);
    }
}

static const uintptr_t *const nothing_given = &constants[EMPTY_SET];

static void test_record(void)
{
    const int64_t one = 1, minus = -5;
    const bool yes = true;
    const struct text first = {",\":\\{", 5}, last = {"\\", 1}, plain = {"text", 4};
    struct given given;
    const enum kind none = KINDS;
    struct ss_span span = {.serial = 5, .site = &site};
    site.key = (uintptr_t)&constants[METADATA];

    /* On top of what there was, in the order of the fields, and again. */
    span.values = capture(give(&given, (enum kind[]){STR, none, I64, none, STR},
                               (const void *[]){&first, NULL, &one, NULL, &last}));
    check_span(&span, "\"a\":\",\\\":\\\\{\",\"b\\\"c\":null,\"d\":1,\"e\":null,\"f\":\"\\\\\"");
    record(&span, 5,
           give(&given, (enum kind[]){none, none, none, BOOL, none},
                (const void *[]){NULL, NULL, NULL, &yes, NULL}));
    check_span(&span, "\"a\":\",\\\":\\\\{\",\"b\\\"c\":null,\"d\":1,\"e\":true,\"f\":\"\\\\\"");
    record(&span, 5,
           give(&given, (enum kind[]){none, STR, I64, none, I64},
                (const void *[]){NULL, &plain, &minus, NULL, &one}));
    check_span(&span, "\"a\":\",\\\":\\\\{\",\"b\\\"c\":\"text\",\"d\":-5,\"e\":true,\"f\":1");
    /* What says nothing of itself changes nothing; what cannot be told is null. */
    record(&span, 5,
           give(&given, (enum kind[]){NOTHING, OTHER, none, none, NOTHING},
                (const void *[]){&one, &one, NULL, NULL, &one}));
    check_span(&span, "\"a\":\",\\\":\\\\{\",\"b\\\"c\":null,\"d\":-5,\"e\":true,\"f\":1");
    record(&span, 5, nothing_given);
    check_span(&span, "\"a\":\",\\\":\\\\{\",\"b\\\"c\":null,\"d\":-5,\"e\":true,\"f\":1");
    /* All at once, as newer releases have it. */
    const uintptr_t values[FIELDS][2] = {{(uintptr_t)&one, vtable(I64)},
                                         {(uintptr_t)&yes, vtable(BOOL)},
                                         {0, 0},
                                         {(uintptr_t)&one, vtable(NOTHING)},
                                         {(uintptr_t)&plain, vtable(STR)}};
    record(&span, 5, (const uintptr_t[]){1, (uintptr_t)values, FIELDS, nothing_given[2]});
    const char now[] = "\"a\":1,\"b\\\"c\":true,\"d\":-5,\"e\":true,\"f\":\"text\"";
    check_span(&span, now);

    /* Another span's record, and what is no Record. */
    const uintptr_t *set = give(&given, (enum kind[]){I64, none, none, none, none},
                                (const void *[]){&minus, NULL, NULL, NULL, NULL});
    const uintptr_t *const whole = set;
    const uintptr_t *const broken[] = {NULL, (const uintptr_t *)8, set + 1, &constants[4095]};
    record(&span, 6, set);
    ss_values_record(&thread, &table, &span, 5, NULL);
    ss_values_record(&thread, &table, &span, 5, (const char *)&whole + 4);
    for (unsigned i = 0; i < sizeof broken / sizeof broken[0]; i++)
        ss_values_record(&thread, &table, &span, 5, &broken[i]);
    table.layout = SS_LAYOUT_14;
    record(&span, 5, set);
    table.layout = SS_LAYOUT_15;
    site.provider = SS_PROVIDER_ANNOTATION;
    record(&span, 5, set);
    site.provider = SS_PROVIDER_RUST;
    site.key++;
    record(&span, 5, set);
    site.key--;
    span.site = NULL;
    record(&span, 5, set);
    span.site = &site;
    check_span(&span, now);
    record(&span, 5, set);
    check_span(&span, "\"a\":-5,\"b\\\"c\":true,\"d\":-5,\"e\":true,\"f\":\"text\"");

    /* The end, and a span that had none. */
    ss_values_drop(&span);
    check_span(&span, NULL);
    ss_values_drop(&span);
    record(&span, 5, set);
    check_span(&span, NULL);
}

/* What comes later in the order of fields goes where there is no room, and comes back. */
static void test_record_room(void)
{
    char letters[200];
    memset(letters, 'x', sizeof letters);
    const struct text longest = {letters, 200}, shorter = {letters, 60};
    struct given given;
    struct ss_span span = {.serial = 9, .site = &site};
    const enum kind none = KINDS;
    char expected[SS_VALUES_SIZE + 1];
    span.values = capture(give(&given, (enum kind[]){STR, STR, none, none, STR},
                               (const void *[]){&shorter, &longest, NULL, NULL, &shorter}));
    snprintf(expected, sizeof expected,
             "\"a\":\"%.60s\",\"b\\\"c\":\"%.200s\",\"d\":null,\"e\":null,\"f\":\"%.60s\"", letters,
             letters, letters);
    check_span(&span, expected);
    record(&span, 9,
           give(&given, (enum kind[]){STR, none, none, none, none},
                (const void *[]){&longest, NULL, NULL, NULL, NULL}));
    snprintf(expected, sizeof expected,
             "\"a\":\"%.200s\",\"b\\\"c\":\"%.200s\",\"d\":null,\"e\":null,\"f\":null", letters,
             letters);
    check_span(&span, expected);
    record(&span, 9,
           give(&given, (enum kind[]){none, none, none, STR, none},
                (const void *[]){NULL, NULL, NULL, &shorter, NULL}));
    check_span(&span, expected);
    record(&span, 9,
           give(&given, (enum kind[]){STR, none, none, STR, STR},
                (const void *[]){&shorter, NULL, NULL, &shorter, &shorter}));
    snprintf(expected, sizeof expected,
             "\"a\":\"%.60s\",\"b\\\"c\":\"%.200s\",\"d\":null,\"e\":\"%.60s\",\"f\":\"%.60s\"",
             letters, letters, letters, letters);
    check_span(&span, expected);
    ss_values_drop(&span);
}

/* Words that are anything but what they should be; some lead to values that are as they should. */
static void test_broken(unsigned rounds)
{
    char *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t stack[64], field[5];
    make_field(field, 1, false);
    const uintptr_t pool[] = {0,
                              1,
                              2,
                              3,
                              4,
                              FIELDS,
                              SS_FIELDS_MAX,
                              SS_FIELDS_MAX + 1,
                              UINTPTR_MAX,
                              UINTPTR_MAX - 7,
                              (uintptr_t)hole,
                              (uintptr_t)hole + 4088,
                              8,
                              (uintptr_t)&good,
                              vtable(BROKEN),
                              vtable(OTHER),
                              vtable(NOTHING),
                              vtable(BROKEN) + 4,
                              (uintptr_t)&constants[4094],
                              (uintptr_t)&constants[4095],
                              (uintptr_t)&constants[FIELD_SET],
                              (uintptr_t)stack,
                              (uintptr_t)(stack + 5),
                              (uintptr_t)field,
                              thread.stack_high - 8,
                              thread.stack_high - 16,
                              thread.stack_high};
    enum { POOL = sizeof pool / sizeof pool[0] };
    unsigned rendered = 0;
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned w = 0; w < 64; w++)
            stack[w] = pool[random_bits() % POOL];
        for (unsigned n = 0; n < 8; n++) {
            unsigned w = 1 + random_bits() % 62;
            stack[w - 1] = (uintptr_t)field;
            stack[w] = (uintptr_t)&good;
            stack[w + 1] = vtable(BROKEN);
        }
        uintptr_t set[4] = {pool[random_bits() % 3], pool[random_bits() % POOL], random_bits() % 8,
                            (uintptr_t)&constants[FIELD_SET]};
        if (random_bits() % 2)
            memmove(set, set + 1, 3 * sizeof set[0]);
        struct ss_values *values =
            capture(random_bits() % 16 ? set : (const uintptr_t *)pool[random_bits() % POOL]);
        if (values) {
            CHECK(is_object(values));
            rendered += memchr(values->text, '7', values->used) != NULL;
            ss_values_free(values);
        }
    }
    CHECK(rendered > 0);
    munmap(hole, 4096);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

enum { HELD = 16 };
static _Atomic bool stop;

/* Holds some spans' values at once, and looks whether they stay what they were. */
static void churn(uint64_t mark, unsigned rounds)
{
    struct ss_values *held[HELD] = {0};
    uint64_t expected[HELD] = {0};
    for (unsigned i = 0; i < rounds && !atomic_load(&stop); i++) {
        unsigned at = i % HELD;
        char text[64];
        if (held[at]) {
            int length = snprintf(text, sizeof text, "\"a\":%" PRIu64 ",", expected[at]);
            CHECK(held[at]->used > (uint32_t)length &&
                  memcmp(held[at]->text, text, (size_t)length) == 0);
            ss_values_free(held[at]);
        }
        expected[at] = mark * 1000000000 + i;
        const uintptr_t values[FIELDS][2] = {{(uintptr_t)&expected[at], vtable(U64)}};
        held[at] = capture(
            (const uintptr_t[]){1, (uintptr_t)values, FIELDS, (uintptr_t)&constants[FIELD_SET]});
        CHECK(held[at] != NULL);
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i])
            ss_values_free(held[i]);
}

static void *churning(void *mark)
{
    begin_thread();
    churn((uintptr_t)mark, UINT32_MAX);
    return NULL;
}

static void test_blocks(unsigned rounds, unsigned forks)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    size_t before = atomic_load(&allocated);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churning, (void *)(i + 1)) == 0);
    churn(THREADS + 1, rounds);
    /* The other threads do not exist in a child, whatever they were at; the lock is held around the
     * fork, as start.c holds it. */
    for (unsigned i = 0; i < forks; i++) {
        CHECK(ss_lock(&ss_values_lock));
        pid_t child = fork();
        ss_unlock(&ss_values_lock);
        if (child == 0) {
            failures = 0;
            alarm(10);
            atomic_store(&ss_own_pid, getpid());
            churn(THREADS + 2, 100);
            _exit(failures != 0);
        }
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        if (status)
            break;
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* What is given back is used again. */
    CHECK(atomic_load(&allocated) - before <= 2 * (THREADS + 1) * HELD * sizeof(struct ss_values));
}

/* Records that spans come and go in, as in the table of live spans: ends are under a lock of the
 * table's, recording and copying are not. All of a span's values are its serial. */
enum { SPANS = 4, FIRST_SERIAL = 1000 };
static struct ss_span spans[SPANS];
static pthread_mutex_t spans_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t last_serial = FIRST_SERIAL;
static _Atomic unsigned copied;

static void record_serial(struct ss_span *span, uint64_t serial, unsigned field)
{
    struct given given;
    enum kind kinds[FIELDS] = {KINDS, KINDS, KINDS, KINDS, KINDS};
    const void *data[FIELDS] = {NULL};
    kinds[field] = U64;
    data[field] = &serial;
    record(span, serial, give(&given, kinds, data));
}

static void *recording(void *field_given)
{
    begin_thread();
    unsigned field = (unsigned)(uintptr_t)field_given;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        struct ss_span *span = &spans[i % SPANS];
        uint64_t serial = atomic_load(&span->serial);
        if (serial)
            record_serial(span, serial, field);
    }
    return NULL;
}

static void *ending(void *unused)
{
    begin_thread();
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        struct ss_span *span = &spans[i % SPANS];
        struct ss_values *values = i % 3 ? capture(nothing_given) : NULL;
        pthread_mutex_lock(&spans_lock);
        ss_values_drop(span);
        atomic_store_explicit(&span->serial, 0, memory_order_release);
        __atomic_store_n(&span->values, values, __ATOMIC_RELAXED);
        atomic_store_explicit(&span->serial, atomic_fetch_add(&last_serial, 1),
                              memory_order_release);
        pthread_mutex_unlock(&spans_lock);
        for (unsigned n = 0; n < i % 2000 && !atomic_load(&stop); n++)
            __asm__ volatile("pause");
    }
    return unused;
}

static void check_copies(unsigned wanted)
{
    for (unsigned i = 0; atomic_load(&copied) < wanted; i++) {
        struct ss_span *span = &spans[i % SPANS];
        struct ss_values copy;
        uint64_t serial = atomic_load(&span->serial);
        if (!serial || !ss_values_copy(span, serial, &copy))
            continue;
        json_t *json = parse(&copy);
        CHECK(json && json_object_size(json) == FIELDS);
        const char *name;
        json_t *value;
        json_object_foreach(json, name, value)
        {
            CHECK(json_is_null(value) || (uint64_t)json_integer_value(value) == serial);
            if (!json_is_null(value))
                atomic_fetch_add(&copied, 1);
        }
        json_decref(json);
    }
}

static void test_races(unsigned rounds)
{
    pthread_t threads[FIELDS + 1];
    size_t before = atomic_load(&allocated);
    for (unsigned i = 0; i < SPANS; i++) {
        spans[i].site = &site;
        atomic_store(&spans[i].serial, i + 1);
    }
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < FIELDS - 1; i++)
        CHECK(pthread_create(&threads[i], NULL, recording, (void *)i) == 0);
    CHECK(pthread_create(&threads[FIELDS - 1], NULL, ending, NULL) == 0);
    check_copies(rounds);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < FIELDS; i++)
        pthread_join(threads[i], NULL);
    /* No block was lost on the way, and none is two spans'. */
    CHECK(atomic_load(&allocated) - before <= 100 * sizeof(struct ss_values));
    for (unsigned i = 0; i < SPANS; i++)
        ss_values_drop(&spans[i]);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : ROUNDS;
    atomic_store(&ss_own_pid, getpid());
    begin_module();
    begin_thread();
    test_record();
    test_record_room();
    test_doubles(rounds);
    test_integers(rounds);
    test_shapes();
    test_strings();
    test_room();
    test_broken(rounds);
    test_blocks(rounds, 200);
    test_races(rounds);
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
