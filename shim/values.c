/* Values of a span's fields: the ValueSet is read in place, each value is asked for what it is
 * through its own `record`, with a `dyn Visit` of ours, and what it says is rendered at once.
 *
 * `Value` is a sealed trait whose implementations only forward to one method of the visitor, so
 * none of the program's code runs. Display and Debug values would: they are left alone. The
 * visitor's methods are called by Rust code: they take no lock, and nothing in them can fail.
 *
 * ss_values_capture is called in the new_span thunk, where the Attributes still live,
 * and ss_values_record in that of record; ss_values_free by the span table, under the lock of a
 * shard. A live span's block never changes: what is recorded later comes with a new one. The lock
 * here guards the free blocks, so that under it no block that a span still has is used again; it is
 * held while some hundred bytes are copied, and nothing else is taken inside it. */
#include "values.h"

#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "lock.h"
#include "numbers.h"
#include "thread_stacks.h"
#include "threads.h"

enum { WORD = sizeof(uintptr_t), BLOCKS_AT_ONCE = 8, TEXT_SHOWN = 200, PAGE = 4096 };

/* ---- free blocks ----------------------------------------------------------------------------- */

static struct ss_values *free_blocks;

struct ss_lock ss_values_lock;

/* Gives a chain of blocks back. */
static void give(struct ss_values *first, struct ss_values *last)
{
    if (!ss_lock(&ss_values_lock))
        return;
    last->next_free = free_blocks;
    atomic_signal_fence(memory_order_release);
    free_blocks = first;
    ss_unlock(&ss_values_lock);
}

static struct ss_values *take(void)
{
    struct ss_values *block = NULL;
    if (ss_lock(&ss_values_lock)) {
        block = free_blocks;
        if (block)
            free_blocks = block->next_free;
        ss_unlock(&ss_values_lock);
    }
    if (block)
        return block;
    block = ss_alloc(BLOCKS_AT_ONCE * sizeof *block);
    if (!block)
        return NULL;
    for (unsigned i = 1; i + 1 < BLOCKS_AT_ONCE; i++)
        block[i].next_free = &block[i + 1];
    give(&block[1], &block[BLOCKS_AT_ONCE - 1]);
    return block;
}

void ss_values_free(struct ss_values *values)
{
    give(values, values);
}

/* ---- what may be read ------------------------------------------------------------------------ */

/* The calling thread's stack, as far as it is in use. */
struct stack {
    uintptr_t low, high;
};

static bool on_stack(const struct stack *stack, uintptr_t address, size_t size)
{
    return address >= stack->low && address < stack->high && size <= stack->high - address;
}

static bool in_module(uintptr_t address, size_t size)
{
    const struct ss_module *module = ss_module_of(address);
    return module && ss_module_readable(module, address, size);
}

/* `count` words. */
static bool readable(const struct stack *stack, uintptr_t address, size_t count)
{
    return address % WORD == 0 &&
           (on_stack(stack, address, count * WORD) || in_module(address, count * WORD));
}

/* ---- the visitor ----------------------------------------------------------------------------- */

/* `&mut dyn Visit` is this and the table below. Where the value does not fit, or is none of ours,
 * nothing is said of it. */
struct visitor {
    struct ss_line *line;
    const struct stack *stack;
    bool visited; /* by the value that is asked now */
};

/* What a method may add to; NULL once the value has spoken. */
static struct ss_line *line_of(struct visitor *visitor)
{
    if (visitor->visited)
        return NULL;
    visitor->visited = true;
    return visitor->line;
}

static void visit_f64(struct visitor *visitor, const void *field, double value)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line)
        ss_put_double(line, value);
}

static void visit_i64(struct visitor *visitor, const void *field, int64_t value)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line)
        ss_put_signed(line, value);
}

static void visit_u64(struct visitor *visitor, const void *field, uint64_t value)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line)
        ss_put_u128(line, value, 0);
}

static void visit_i128(struct visitor *visitor, const void *field, uint64_t low, uint64_t high)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line)
        ss_put_i128(line, low, high);
}

static void visit_u128(struct visitor *visitor, const void *field, uint64_t low, uint64_t high)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line)
        ss_put_u128(line, low, high);
}

static void visit_bool(struct visitor *visitor, const void *field, uint8_t value)
{
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (line && value <= 1)
        ss_puts(line, value ? "true" : "false");
}

/* A string may be anywhere. It is one, unless the program was built with tracing_unstable, whose
 * visitors have one more method before all others: what is said of such a program's values may be
 * wrong, but nothing is read that cannot be. */
static bool is_text(const struct stack *stack, uintptr_t address, uintptr_t length)
{
    if (length > SIZE_MAX / 2 || address < PAGE)
        return length == 0;
    size_t read = length <= TEXT_SHOWN ? length : TEXT_SHOWN + 1;
    return read == 0 || on_stack(stack, address, read) || in_module(address, read) ||
           (ss_is_mapped(address) && ss_is_mapped(address + read - 1));
}

static void visit_str(struct visitor *visitor, const void *field, const char *text, size_t length)
{
    static const char ellipsis[] = "\u2026";
    (void)field;
    struct ss_line *line = line_of(visitor);
    if (!line || !is_text(visitor->stack, (uintptr_t)text, length))
        return;
    if (length <= TEXT_SHOWN) {
        ss_put_json(line, text, length);
        return;
    }
    char shown[TEXT_SHOWN + sizeof ellipsis];
    size_t cut = TEXT_SHOWN;
    while (cut > TEXT_SHOWN - 3 && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--;
    memcpy(shown, text, cut);
    memcpy(shown + cut, ellipsis, sizeof ellipsis - 1);
    ss_put_json(line, shown, cut + sizeof ellipsis - 1);
}

/* Bytes, errors and what has Debug alone, in the order of the program's tracing-core; and with
 * tracing_unstable, strings. */
static void visit_other(struct visitor *visitor)
{
    visitor->visited = true;
}

/* The visitor table from tracing-core 0.1.28 on: the version that gave the subscriber's table
 * SS_LAYOUT_15 (read in every tag from 0.1.20 to 0.1.36). */
static const struct visit_table {
    void (*drop)(void *);
    size_t size, align;
    void (*f64)(struct visitor *, const void *, double);
    void (*i64)(struct visitor *, const void *, int64_t);
    void (*u64)(struct visitor *, const void *, uint64_t);
    void (*i128)(struct visitor *, const void *, uint64_t, uint64_t);
    void (*u128)(struct visitor *, const void *, uint64_t, uint64_t);
    void (*boolean)(struct visitor *, const void *, uint8_t);
    void (*str)(struct visitor *, const void *, const char *, size_t);
    void (*others[4])(struct visitor *);
} visit_table = {
    NULL,
    sizeof(struct visitor),
    _Alignof(struct visitor),
    visit_f64,
    visit_i64,
    visit_u64,
    visit_i128,
    visit_u128,
    visit_bool,
    visit_str,
    {visit_other, visit_other, visit_other, visit_other},
};

/* ---- the ValueSet ---------------------------------------------------------------------------- */

/* Its elements: {&Field, data, vtable} each or, with a value for every field in their order, {data,
 * vtable}. */
struct value_set {
    const uintptr_t *elements;
    uintptr_t count;
    unsigned size; /* words of an element */
};

enum { EXPLICIT_WORDS = 3, ALL_WORDS = 2, FIELD_SET_WORDS = 4, VTABLE_WORDS = 4 };

/* {ptr, len, fields} with explicit ones; from tracing-core 0.1.35 on {tag, ptr, len, fields}, where
 * the tag is that of Explicit or All. `fields` may come first as well. */
static bool read_value_set(const struct stack *stack, uintptr_t address, uintptr_t fields,
                           uint32_t field_count, struct value_set *set)
{
    enum { TAG_EXPLICIT, TAG_ALL };
    if (!readable(stack, address, 3))
        return false;
    const uintptr_t *word = (const uintptr_t *)address;
    uintptr_t tag = TAG_EXPLICIT;
    const uintptr_t *elements;
    if (word[2] == fields) {
        elements = word;
    } else if (word[0] == fields && word[1] > TAG_ALL) { /* no pointer is so small */
        elements = word + 1;
    } else {
        if (!readable(stack, address, 4) || (word[0] != fields && word[3] != fields))
            return false;
        tag = word[0] == fields ? word[1] : word[0];
        elements = word[0] == fields ? word + 2 : word + 1;
    }
    set->elements = (const uintptr_t *)elements[0];
    set->count = elements[1];
    set->size = tag == TAG_ALL ? ALL_WORDS : EXPLICIT_WORDS;
    return tag <= TAG_ALL && set->count <= SS_FIELDS_MAX &&
           (tag != TAG_ALL || set->count == field_count) &&
           (set->count == 0 || readable(stack, elements[0], set->count * set->size));
}

/* Whether the Field at address is the index-th of these fields: a FieldSet, before or behind it the
 * index. */
static bool is_field(const struct stack *stack, uintptr_t address, const uintptr_t *fields,
                     uint32_t index)
{
    if (!readable(stack, address, FIELD_SET_WORDS + 1))
        return false;
    const uintptr_t *word = (const uintptr_t *)address;
    const size_t size = FIELD_SET_WORDS * WORD;
    return (word[0] == index && memcmp(word + 1, fields, size) == 0) ||
           (word[FIELD_SET_WORDS] == index && memcmp(word, fields, size) == 0);
}

/* The value of the index-th field, {data, vtable}; NULL for none. Explicit ones hardly ever come in
 * another order than their fields. */
static const uintptr_t *value_of(const struct stack *stack, const struct value_set *set,
                                 const uintptr_t *fields, uint32_t index)
{
    if (set->size == ALL_WORDS)
        return set->elements + (uintptr_t)index * ALL_WORDS;
    for (uintptr_t n = 0; n < set->count; n++) {
        const uintptr_t *element = set->elements + (index + n) % set->count * EXPLICIT_WORDS;
        if (is_field(stack, element[0], fields, index))
            return element + 1;
    }
    return NULL;
}

typedef void record_fn(const void *self, const void *field, struct visitor *visitor,
                       const struct visit_table *table);

/* Lets the value {data, vtable} record itself with the visitor. */
static void record(const uintptr_t *value, struct visitor *visitor)
{
    /* Forwarded to our methods, which have no use for it. */
    static const uintptr_t field[2 * (FIELD_SET_WORDS + 1)];
    uintptr_t data = value[0], vtable = value[1];
    if (!data || vtable % WORD || !in_module(vtable, VTABLE_WORDS * WORD))
        return;
    const uintptr_t *word = (const uintptr_t *)vtable; /* drop, size, align, record */
    const struct ss_module *module = ss_module_of(word[3]);
    if (!word[2] || (word[2] & (word[2] - 1)) || data % word[2] || !module ||
        !ss_module_executable(module, word[3]))
        return;
    ((record_fn *)word[3])((const void *)data, field, visitor, &visit_table);
}

/* ---- rendering ------------------------------------------------------------------------------- */

/* `"name":`, after a comma where something is before it. */
static void put_key(struct ss_line *line, const char *name)
{
    if (line->used)
        ss_put(line, ",", 1);
    ss_put_json(line, name, strlen(name));
    ss_put(line, ":", 1);
}

enum { NULL_LENGTH = 4 };

/* How long the members are with nothing but nulls; more than fits: SIZE_MAX. Writes over the text.
 */
static size_t least_length(struct ss_values *values, const struct ss_site *site)
{
    struct ss_line line = {.data = values->text, .size = sizeof values->text};
    for (uint32_t i = 0; i < site->field_count; i++)
        if (site->fields[i]) {
            put_key(&line, site->fields[i]);
            ss_put(&line, "null", NULL_LENGTH);
        }
    return line.full ? SIZE_MAX : line.used;
}

/* Writes the value of the index-th field, or nothing. */
typedef void put_value_fn(struct ss_line *line, uint32_t index, void *source);

/* Writes all members. A value gets the room that the nulls of all later fields leave it; where it
 * writes nothing or does not fit, it is null. */
static bool render(struct ss_values *values, const struct ss_site *site, put_value_fn *put_value,
                   void *source)
{
    struct ss_line line = {.data = values->text, .size = sizeof values->text};
    size_t later = least_length(values, site);
    if (later == SIZE_MAX)
        return false;
    for (uint32_t i = 0; i < site->field_count; i++) {
        if (!site->fields[i])
            continue;
        size_t before = line.used;
        put_key(&line, site->fields[i]);
        size_t start = line.used;
        later -= start - before + NULL_LENGTH;

        line.size = sizeof values->text - later;
        put_value(&line, i, source);
        if (line.full)
            line.used = start;
        line.full = false;
        if (line.used == start)
            ss_put(&line, "null", NULL_LENGTH);
        line.size = sizeof values->text;
    }
    values->used = (uint32_t)line.used;
    return true;
}

/* ---- at the creation, and later -------------------------------------------------------------- */

/* A ValueSet, and which of the fields said something of themselves when they were asked. */
struct asked {
    struct stack stack;
    struct value_set set;
    const uintptr_t *fields;
    uint64_t said[SS_FIELDS_MAX / 64];
};

static void put_asked(struct ss_line *line, uint32_t index, void *source)
{
    struct asked *asked = source;
    const uintptr_t *value = value_of(&asked->stack, &asked->set, asked->fields, index);
    struct visitor visitor = {line, &asked->stack, false};
    if (value)
        record(value, &visitor);
    if (visitor.visited)
        asked->said[index / 64] |= (uint64_t)1 << index % 64;
}

static bool begin(struct asked *asked, struct ss_thread *thread)
{
    memset(asked, 0, sizeof *asked);
    return ss_thread_stack(thread, (uintptr_t)__builtin_frame_address(0), &asked->stack.low,
                           &asked->stack.high);
}

/* The values of the ValueSet at address; NULL where it cannot be read. */
static struct ss_values *ask(struct asked *asked, uintptr_t address, uintptr_t fields,
                             const struct ss_site *site)
{
    if (!read_value_set(&asked->stack, address, fields, site->field_count, &asked->set))
        return NULL;
    asked->fields = (const uintptr_t *)fields;
    struct ss_values *values = take();
    if (values && !render(values, site, put_asked, asked)) {
        ss_values_free(values);
        values = NULL;
    }
    return values;
}

/* The FieldSet of a site's Metadata; 0 where its fields are not to be had. Tables of SS_LAYOUT_14
 * have visitors with fewer methods, and which is not known. */
static uintptr_t fields_of(const struct ss_table *table, uintptr_t metadata,
                           const struct ss_site *site)
{
    struct ss_metadata read;
    return table->layout != SS_LAYOUT_14 && ss_callsite_decode(metadata, &read) &&
                   read.field_count == site->field_count
               ? read.fields
               : 0;
}

struct ss_values *ss_values_capture(struct ss_thread *thread, const struct ss_table *table,
                                    const struct ss_attributes *attributes,
                                    const struct ss_site *site)
{
    struct asked asked;
    uintptr_t fields = attributes->values ? fields_of(table, attributes->metadata, site) : 0;
    return fields && begin(&asked, thread) ? ask(&asked, attributes->values, fields, site) : NULL;
}

/* Members as they were rendered, read in their order. */
struct members {
    const char *at, *end;
};

static void pass_string(struct members *members)
{
    for (members->at++; members->at < members->end && *members->at != '"'; members->at++)
        members->at += *members->at == '\\';
    members->at++;
}

/* The next member's value; empty behind the last. */
static struct ss_text next_value(struct members *members)
{
    if (members->at >= members->end)
        return (struct ss_text){NULL, 0};
    members->at += *members->at == ',';
    pass_string(members);
    const char *start = ++members->at; /* behind the colon */
    if (*start == '"')
        pass_string(members);
    else
        while (members->at < members->end && *members->at != ',')
            members->at++;
    return (struct ss_text){start, (uint32_t)(members->at - start)};
}

/* What a span had, and what was recorded since. */
struct merged {
    struct members before, since;
    const uint64_t *said;
};

static void put_merged(struct ss_line *line, uint32_t index, void *source)
{
    struct merged *merged = source;
    struct ss_text before = next_value(&merged->before), since = next_value(&merged->since);
    bool replaced = merged->said[index / 64] >> index % 64 & 1;
    struct ss_text value = replaced ? since : before;
    ss_put(line, value.data, value.length);
}

static struct members members_of(const struct ss_values *values)
{
    return (struct members){values->text, values->text + values->used};
}

static bool is_still(const struct ss_span *span, uint64_t serial)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&span->serial, memory_order_acquire) == serial;
}

/* Gives the span what it had with what was recorded on top of it, in the block fresh. Returns the
 * block that is not needed any more. Under the lock: no block that a span has is used again
 * meanwhile, and only the span's end, which does not take the lock, can come between. */
static struct ss_values *merge(struct ss_span *span, uint64_t span_serial,
                               const struct ss_site *site, const struct ss_values *recorded,
                               const uint64_t *said, struct ss_values *fresh)
{
    struct ss_values *before = __atomic_load_n(&span->values, __ATOMIC_ACQUIRE);
    if (!before || !is_still(span, span_serial))
        return fresh;
    struct merged merged = {members_of(before), members_of(recorded), said};
    struct ss_values *expected = before;
    bool given = render(fresh, site, put_merged, &merged) &&
                 __atomic_compare_exchange_n(&span->values, &expected, fresh, false,
                                             __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return given ? before : fresh;
}

void ss_values_record(struct ss_thread *thread, const struct ss_table *table, struct ss_span *span,
                      uint64_t span_serial, const void *record)
{
    const struct ss_site *site = span->site;
    struct asked asked;
    if (!is_still(span, span_serial) || !site || site->provider != SS_PROVIDER_RUST ||
        !begin(&asked, thread) || !readable(&asked.stack, (uintptr_t)record, 1))
        return;
    /* A Record is one word: the address of its ValueSet (read in every tag up to 0.1.36).
     */
    uintptr_t set = *(const uintptr_t *)record, fields = fields_of(table, site->key, site);
    struct ss_values *recorded = fields ? ask(&asked, set, fields, site) : NULL;
    struct ss_values *spare = recorded ? take() : NULL;
    if (spare && ss_lock(&ss_values_lock)) {
        spare = merge(span, span_serial, site, recorded, asked.said, spare);
        ss_unlock(&ss_values_lock);
    }
    if (spare)
        ss_values_free(spare);
    if (recorded)
        ss_values_free(recorded);
}

bool ss_values_copy(const struct ss_span *span, uint64_t span_serial, struct ss_values *out)
{
    if (!ss_lock(&ss_values_lock))
        return false;
    const struct ss_values *values = __atomic_load_n(&span->values, __ATOMIC_ACQUIRE);
    if (values)
        memcpy(out, values, sizeof *out);
    ss_unlock(&ss_values_lock);
    return values && is_still(span, span_serial);
}

void ss_values_drop(struct ss_span *span)
{
    if (SS_LIKELY(!__atomic_load_n(&span->values, __ATOMIC_RELAXED)))
        return;
    struct ss_values *values = __atomic_exchange_n(&span->values, NULL, __ATOMIC_ACQ_REL);
    if (values)
        ss_values_free(values);
}
