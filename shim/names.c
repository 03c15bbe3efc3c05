/* What the names of functions say. Asked for where a guard outlived the frame that took it, once
 * per function: the answers stay in a table. A stripped module answers nothing.
 *
 * Slow contexts, no lock held: the module's file is read. names_lock guards the table. */
#include "names.h"

#include <stdatomic.h>
#include <string.h>

#include "elf_symbols.h"
#include "fork.h"
#include "lock.h"

/* Answers that are kept, a power of two; readings of a file in the life of a process, each of which
 * costs milliseconds where the file is large; addresses asked for in one of them. */
enum { ANSWERS = 1024, READINGS_MAX = 128, BATCH = 32, NAME_MAX_LENGTH = 8192 };
enum { RELATIONS = 256 };

struct answer {
    uintptr_t address;
    uint8_t kind;
};

struct ss_lock ss_names_lock;
static struct answer answers[ANSWERS];
static uint32_t readings, relation_readings;
/* By a hash of what was asked. */
static struct answer_to_related {
    uint64_t key;
    bool related;
} related[RELATIONS];

/* ---- names ----------------------------------------------------------------------------------- */

static const struct {
    const char *crate;
    uint8_t kind;
} crates[] = {
    {"tracing", SS_NAME_TRACING},
    {"tracing_core", SS_NAME_TRACING},
    {"tracing_subscriber", SS_NAME_TRACING},
    {"core", SS_NAME_STANDARD},
    {"alloc", SS_NAME_STANDARD},
    {"std", SS_NAME_STANDARD},
    {"tokio", SS_NAME_RUNTIME},
    {"tokio_util", SS_NAME_RUNTIME},
    {"futures_util", SS_NAME_RUNTIME},
    {"futures_executor", SS_NAME_RUNTIME},
    {"futures_lite", SS_NAME_RUNTIME},
    {"async_executor", SS_NAME_RUNTIME},
    {"async_io", SS_NAME_RUNTIME},
    {"async_std", SS_NAME_RUNTIME},
    {"async_task", SS_NAME_RUNTIME},
    {"async_global_executor", SS_NAME_RUNTIME},
    {"smol", SS_NAME_RUNTIME},
    {"pollster", SS_NAME_RUNTIME},
    {"actix_rt", SS_NAME_RUNTIME},
    {"monoio", SS_NAME_RUNTIME},
    {"glommio", SS_NAME_RUNTIME},
    {"hyper", SS_NAME_RUNTIME},
    {"hyper_util", SS_NAME_RUNTIME},
    {"h2", SS_NAME_RUNTIME},
    {"tower", SS_NAME_RUNTIME},
    {"axum", SS_NAME_RUNTIME},
    {"tonic", SS_NAME_RUNTIME},
    {"warp", SS_NAME_RUNTIME},
    {"actix_web", SS_NAME_RUNTIME},
    {"mio", SS_NAME_RUNTIME},
    {"polling", SS_NAME_RUNTIME},
    {"parking", SS_NAME_RUNTIME},
};

static bool contains(struct ss_text text, const char *what)
{
    return memmem(text.data, text.length, what, strlen(what)) != NULL;
}

static bool begins(struct ss_text text, const char *what)
{
    size_t length = strlen(what);
    return text.length >= length && memcmp(text.data, what, length) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static uint8_t kind_of_crate(struct ss_text crate)
{
    for (uint32_t i = 0; i < sizeof crates / sizeof crates[0]; i++)
        if (crate.length == strlen(crates[i].crate) &&
            memcmp(crate.data, crates[i].crate, crate.length) == 0)
            return crates[i].kind;
    return 0;
}

/* Takes "<length><that many characters>" off the front of text. */
static bool take_component(struct ss_text *text, struct ss_text *component)
{
    uint32_t length = 0, digits = 0;
    while (digits < text->length && digits < 5 && is_digit(text->data[digits]))
        length = length * 10 + (uint32_t)(text->data[digits++] - '0');
    if (digits == 0 || length > text->length - digits)
        return false;
    *component = (struct ss_text){text->data + digits, length};
    text->data += digits + length;
    text->length -= digits + length;
    return true;
}

/* The crate that a legacy component begins with: itself, or in `_$LT$` impls the first identifier
 * that is followed by a path. */
static struct ss_text crate_in(struct ss_text component)
{
    struct ss_text crate = component;
    if (!begins(component, "_$LT$"))
        return crate;
    uint32_t at = 5;
    while (at < component.length) {
        uint32_t start = at;
        while (at < component.length && is_identifier(component.data[at]))
            at++;
        if (at + 1 < component.length && at > start && component.data[at] == '.' &&
            component.data[at + 1] == '.')
            return (struct ss_text){component.data + start, at - start};
        at++;
    }
    return crate;
}

/* Whether a function is called as what polls futures and streams is, or blocks on them. */
static bool is_polling(struct ss_text name)
{
    static const char *const names[] = {"poll", "poll_next", "poll_unpin", "block_on"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name.length == strlen(names[i]) && begins(name, names[i]))
            return true;
    return false;
}

/* Whether a legacy component is an impl of a future or stream, or of a runtime's. */
static bool is_of_future(struct ss_text first)
{
    return contains(first, "..Future$GT$") || contains(first, "..Stream$GT$") ||
           kind_of_crate(crate_in(first)) == SS_NAME_RUNTIME;
}

/* _ZN <component>.. 17h<hash> E */
static uint8_t legacy_kind(struct ss_text text)
{
    struct ss_text first = {NULL, 0}, component, last = {NULL, 0};
    uint8_t kind = 0;
    while (text.length && text.data[0] != 'E' && take_component(&text, &component)) {
        if (!first.data)
            first = component;
        if (component.length == 17 && component.data[0] == 'h')
            break;
        last = component;
    }
    if (!last.data)
        return 0;
    /* A method of the user's own may be called so, too. */
    if (is_polling(last) && (begins(last, "block_on") || is_of_future(first)))
        kind |= SS_NAME_POLL;
    if (begins(last, "_$u7b$$u7b$closure") || begins(last, "$u7b$$u7b$closure"))
        kind |= SS_NAME_CLOSURE;
    return kind | kind_of_crate(crate_in(first)) | SS_NAME_KNOWN;
}

/* Where a crate's root begins: `Cs<disambiguator>_<length><name>`, or without the disambiguator. */
static struct ss_text v0_crate(struct ss_text text)
{
    struct ss_text none = {NULL, 0}, crate;
    for (uint32_t at = 0; at + 2 < text.length; at++) {
        if (text.data[at] != 'C')
            continue;
        struct ss_text rest = {text.data + at + 1, text.length - at - 1};
        if (rest.data[0] == 's') {
            const char *end = memchr(rest.data, '_', rest.length);
            if (!end)
                return none;
            rest.length -= (uint32_t)(end + 1 - rest.data);
            rest.data = end + 1;
        }
        if (take_component(&rest, &crate))
            return crate;
    }
    return none;
}

/* Whether the name is the last in a v0 path: its generic arguments or a crate may follow. */
static bool ends_in(struct ss_text text, const char *name)
{
    const char *end = text.data + text.length;
    const char *at = memmem(text.data, text.length, name, strlen(name));
    while (at) {
        const char *behind = at + strlen(name);
        if ((at == text.data || !is_digit(at[-1])) &&
            (behind == end || !is_identifier(*behind) || *behind == 'C' || *behind == 'B' ||
             (text.data[0] == 'I' && !is_digit(*behind))))
            return true;
        at = memmem(behind, (size_t)(end - behind), name, strlen(name));
    }
    return false;
}

static uint8_t v0_kind(struct ss_text text)
{
    struct ss_text crate = v0_crate(text);
    if (!crate.data)
        return 0;
    uint8_t kind = SS_NAME_KNOWN | kind_of_crate(crate);
    if (begins(text, "NC") || begins(text, "INC"))
        kind |= SS_NAME_CLOSURE;
    /* The last name, but for what instantiates it. */
    bool of_future =
        contains(text, "6Future") || contains(text, "6Stream") || kind & SS_NAME_RUNTIME;
    if ((of_future && (ends_in(text, "4poll") || ends_in(text, "9poll_next") ||
                       ends_in(text, "10poll_unpin"))) ||
        ends_in(text, "8block_on"))
        kind |= SS_NAME_POLL;
    return kind;
}

uint8_t ss_name_kind(const char *name, size_t length)
{
    struct ss_text text = {name, length < UINT32_MAX ? (uint32_t)length : 0};
    if (begins(text, "_ZN"))
        return legacy_kind((struct ss_text){text.data + 3, text.length - 3});
    if (begins(text, "_R"))
        return v0_kind((struct ss_text){text.data + 2, text.length - 2});
    return length ? SS_NAME_KNOWN : 0;
}

/* Takes the path of a legacy name off text at at; false where another stands there. */
static bool stands_at(const char *at, const char *end, struct ss_text path)
{
    struct ss_text component;
    bool first = true;
    while (path.length && path.data[0] != 'E' && take_component(&path, &component)) {
        if (component.length == 17 && component.data[0] == 'h')
            break;
        /* A component gets an underscore before what no identifier begins with. */
        if (begins(component, "_$"))
            component = (struct ss_text){component.data + 1, component.length - 1};
        uint32_t dots = first ? 0 : 2;
        if ((size_t)(end - at) < dots + component.length || memcmp(at, "..", dots) != 0 ||
            memcmp(at + dots, component.data, component.length) != 0)
            return false;
        at += dots + component.length;
        first = false;
    }
    return !first && end - at >= 4 && memcmp(at, "$GT$", 4) == 0;
}

/* Legacy: `drop_in_place<..<a..b..{{closure}}>..>` for the body `a::b::{{closure}}`. */
static bool is_legacy_glue(struct ss_text name, struct ss_text body)
{
    static const char glue[] = "drop_in_place$LT$", open[] = "$LT$";
    const char *end = name.data + name.length;
    const char *at = memmem(name.data, name.length, glue, sizeof glue - 1);
    while (at && (at = memmem(at, (size_t)(end - at), open, sizeof open - 1))) {
        at += sizeof open - 1;
        if (stands_at(at, end, body))
            return true;
    }
    return false;
}

static bool is_legacy_own_glue(struct ss_text name, struct ss_text body)
{
    static const char glue[] = "drop_in_place$LT$";
    const char *at = memmem(name.data, name.length, glue, sizeof glue - 1);
    return at && stands_at(at + sizeof glue - 1, name.data + name.length, body);
}

/* How much of a v0 name is its path: up to the instantiating crate. */
static uint32_t v0_path_length(struct ss_text body)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i + 1 < body.length; i++)
        if (body.data[i] == '0' || body.data[i] == '_')
            length = i + 1;
    return length;
}

/* v0: the path of the body, its closure's number included, stands in the glue's as it is, but where
 * a part of it is a back reference. */
static bool is_v0_glue(struct ss_text name, struct ss_text body)
{
    uint32_t length = v0_path_length(body);
    return contains(name, "13drop_in_place") && length > 8 &&
           memmem(name.data, name.length, body.data, length) != NULL;
}

static bool is_v0_own_glue(struct ss_text name, struct ss_text body)
{
    static const char glue[] = "13drop_in_place";
    uint32_t length = v0_path_length(body);
    const char *at = memmem(name.data, name.length, glue, sizeof glue - 1);
    if (!at || length <= 8)
        return false;
    at += sizeof glue - 1;
    return (size_t)(name.data + name.length - at) >= length && memcmp(at, body.data, length) == 0;
}

/* Legacy: `a::b` for the body `a::b::{{closure}}`: what its components are before the last. */
static bool is_legacy_enclosing(struct ss_text name, struct ss_text body)
{
    struct ss_text one, other;
    while (take_component(&name, &one) && take_component(&body, &other)) {
        if (one.length == 17 && one.data[0] == 'h')
            return begins(other, "_$u7b$$u7b$closure") && take_component(&body, &other) &&
                   other.length == 17 && other.data[0] == 'h';
        if (one.length != other.length || memcmp(one.data, other.data, one.length) != 0)
            return false;
    }
    return false;
}

/* v0: the body's name is `NC`, the path that it is written in, and its number there. */
static bool is_v0_enclosing(struct ss_text name, struct ss_text body)
{
    return begins(body, "NC") && name.length > 2 && body.length > name.length + 2 &&
           memcmp(body.data + 2, name.data, name.length) == 0;
}

bool ss_name_is(enum ss_relation relation, const char *name, size_t length, const char *body,
                size_t body_length)
{
    static bool (*const checks[][2])(struct ss_text, struct ss_text) = {
        [SS_IS_GLUE] = {is_legacy_glue, is_v0_glue},
        [SS_IS_OWN_GLUE] = {is_legacy_own_glue, is_v0_own_glue},
        [SS_IS_ENCLOSING] = {is_legacy_enclosing, is_v0_enclosing},
    };
    struct ss_text text = {name, length < UINT32_MAX ? (uint32_t)length : 0};
    struct ss_text other = {body, body_length < UINT32_MAX ? (uint32_t)body_length : 0};
    if (begins(text, "_ZN") && begins(other, "_ZN"))
        return checks[relation][0]((struct ss_text){name + 3, text.length - 3},
                                   (struct ss_text){body + 3, other.length - 3});
    if (begins(text, "_R") && begins(other, "_R"))
        return checks[relation][1]((struct ss_text){name + 2, text.length - 2},
                                   (struct ss_text){body + 2, other.length - 2});
    return false;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* The slot of an address: its own, or a free one, or the one that is given up for it. */
static struct answer *slot_of(uintptr_t address)
{
    enum { TRIES = 8 };
    uint32_t start = (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 40);
    for (uint32_t i = 0; i < TRIES; i++) {
        struct answer *slot = &answers[(start + i) & (ANSWERS - 1)];
        if (slot->address == address || slot->address == 0)
            return slot;
    }
    return &answers[start & (ANSWERS - 1)];
}

struct wanted {
    const struct ss_module *module;
    uint32_t count;
    uintptr_t addresses[BATCH];
    uint32_t names[BATCH]; /* offsets in .strtab, 0: not found */
};

static bool compare(void *context, const Elf64_Sym *symbol)
{
    struct wanted *wanted = context;
    uintptr_t start = symbol->st_value + wanted->module->bias;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (wanted->addresses[i] - start < symbol->st_size)
            wanted->names[i] = symbol->st_name;
    return true;
}

static void read_names(struct wanted *wanted)
{
    struct ss_elf elf;
    uint8_t kinds[BATCH] = {0};
    if (ss_elf_open(wanted->module, &elf)) {
        ss_elf_each_function(&elf, compare, wanted);
        for (uint32_t i = 0; i < wanted->count; i++)
            if (wanted->names[i])
                kinds[i] = ss_name_kind(
                    elf.buffer, ss_elf_name(&elf, wanted->names[i], elf.buffer, NAME_MAX_LENGTH));
        ss_elf_close(&elf);
    }
    if (!ss_lock(&ss_names_lock))
        return;
    for (uint32_t i = 0; i < wanted->count; i++)
        *slot_of(wanted->addresses[i]) = (struct answer){wanted->addresses[i], kinds[i]};
    ss_unlock(&ss_names_lock);
}

/* Fills in what is known; returns how many are not, and puts those of one module into wanted. */
static uint32_t look_up(const uintptr_t *addresses, uint32_t count, uint8_t *kinds,
                        struct wanted *wanted)
{
    uint32_t unknown = 0;
    wanted->module = NULL;
    wanted->count = 0;
    if (!ss_lock(&ss_names_lock))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct answer *slot = slot_of(addresses[i]);
        const struct ss_module *module = ss_module_of(addresses[i]);
        if (slot->address == addresses[i])
            kinds[i] = slot->kind;
        if (slot->address == addresses[i] || !module)
            continue;
        unknown++;
        if (!wanted->module)
            wanted->module = module;
        if (wanted->module == module && wanted->count < BATCH)
            wanted->addresses[wanted->count++] = addresses[i];
    }
    if (unknown && readings >= READINGS_MAX) {
        for (uint32_t i = 0; i < count; i++)
            if (slot_of(addresses[i])->address != addresses[i] && ss_module_of(addresses[i]))
                kinds[i] = SS_NAME_UNASKED;
        unknown = 0;
    }
    readings += unknown != 0;
    ss_unlock(&ss_names_lock);
    return unknown;
}

void ss_names_of(const uintptr_t *addresses, uint32_t count, uint8_t *kinds)
{
    struct wanted wanted;
    memset(&wanted, 0, sizeof wanted);
    memset(kinds, 0, count * sizeof *kinds);
    /* Each turn asks one module; the last fills in what the one before has read. */
    for (uint32_t turn = 0; turn <= count && look_up(addresses, count, kinds, &wanted); turn++) {
        memset(wanted.names, 0, sizeof wanted.names);
        read_names(&wanted);
    }
}

/* ---- relations ------------------------------------------------------------------------------- */

static struct answer_to_related *relation_of(uint64_t key)
{
    return &related[key & (RELATIONS - 1)];
}

static uint64_t relation_key(uint64_t relation, uintptr_t body, uintptr_t function)
{
    uint64_t key = (body * 3 + relation) * UINT64_C(0x9e3779b97f4a7c15) ^ function;
    key *= UINT64_C(0xff51afd7ed558ccd);
    return key ^ key >> 32;
}

/* Reads which of wanted's further functions are that to its first. */
static void read_relations(enum ss_relation relation, struct wanted *wanted, bool found[BATCH])
{
    struct ss_elf elf;
    size_t length = 0;
    if (!ss_elf_open(wanted->module, &elf))
        return;
    ss_elf_each_function(&elf, compare, wanted);
    char *name = elf.buffer + NAME_MAX_LENGTH;
    if (wanted->names[0])
        length = ss_elf_name(&elf, wanted->names[0], elf.buffer, NAME_MAX_LENGTH);
    for (uint32_t i = 1; length && i < wanted->count; i++)
        found[i] =
            wanted->names[i] &&
            ss_name_is(relation, name, ss_elf_name(&elf, wanted->names[i], name, NAME_MAX_LENGTH),
                       elf.buffer, length);
    ss_elf_close(&elf);
}

bool ss_names_related(enum ss_relation relation, uintptr_t body, const uintptr_t *functions,
                      uint32_t count)
{
    struct wanted wanted;
    bool found[BATCH] = {false}, is = false;
    memset(&wanted, 0, sizeof wanted);
    wanted.module = ss_module_of(body);
    wanted.addresses[wanted.count++] = body;
    if (!wanted.module || !ss_lock(&ss_names_lock))
        return false;
    for (uint32_t i = 0; i < count && wanted.count < BATCH; i++) {
        const struct answer_to_related *answer =
            relation_of(relation_key(relation, body, functions[i]));
        if (answer->key == relation_key(relation, body, functions[i]))
            is |= answer->related;
        else if (ss_module_of(functions[i]) == wanted.module)
            wanted.addresses[wanted.count++] = functions[i];
    }
    bool reads = !is && wanted.count > 1 && relation_readings < READINGS_MAX;
    relation_readings += reads;
    ss_unlock(&ss_names_lock);
    if (!reads)
        return is;

    read_relations(relation, &wanted, found);
    if (!ss_lock(&ss_names_lock))
        return false;
    for (uint32_t i = 1; i < wanted.count; i++) {
        uint64_t key = relation_key(relation, body, wanted.addresses[i]);
        *relation_of(key) = (struct answer_to_related){key, found[i]};
        is |= found[i];
    }
    ss_unlock(&ss_names_lock);
    return is;
}

/* ---- glue anywhere in a module --------------------------------------------------------------- */

/* What does nothing is this short at most, unoptimized. */
enum { GLUES_MAX = 8, EMPTY_GLUE = 48 };

struct glue {
    const char *body;
    size_t length;
    uint32_t count, names[GLUES_MAX];
    bool found;
};

static bool note_glue(void *context, uint32_t offset, const char *name, size_t length)
{
    struct glue *glue = context;
    if (ss_name_is(SS_IS_OWN_GLUE, name, length, glue->body, glue->length))
        glue->names[glue->count++] = offset;
    return glue->count < GLUES_MAX;
}

static bool look_at_glue(void *context, const Elf64_Sym *symbol)
{
    struct glue *glue = context;
    for (uint32_t i = 0; i < glue->count && symbol->st_size > EMPTY_GLUE; i++)
        glue->found |= symbol->st_name == glue->names[i];
    return !glue->found;
}

static bool read_glue(const struct ss_module *module, uintptr_t body)
{
    static char name[NAME_MAX_LENGTH]; /* one reads at a time */
    struct wanted wanted;
    struct ss_elf elf;
    struct glue glue = {.body = name};
    memset(&wanted, 0, sizeof wanted);
    wanted.module = module;
    wanted.addresses[wanted.count++] = body;
    if (!ss_elf_open(module, &elf))
        return false;
    ss_elf_each_function(&elf, compare, &wanted);
    if (wanted.names[0])
        glue.length = ss_elf_name(&elf, wanted.names[0], name, sizeof name);
    if (glue.length)
        ss_elf_each_name_with(&elf, "drop_in_place", note_glue, &glue);
    if (glue.count)
        ss_elf_each_function(&elf, look_at_glue, &glue);
    ss_elf_close(&elf);
    return glue.found;
}

bool ss_name_has_glue(uintptr_t body)
{
    enum { ANYWHERE = SS_IS_ENCLOSING + 1 };
    static _Atomic bool reading;
    const struct ss_module *module = ss_module_of(body);
    uint64_t key = relation_key(ANYWHERE, body, 0);
    if (!module || !ss_lock(&ss_names_lock))
        return false;
    struct answer_to_related answer = *relation_of(key);
    bool known = answer.key == key;
    bool reads = !known && relation_readings < READINGS_MAX && !atomic_exchange(&reading, true);
    relation_readings += reads;
    ss_unlock(&ss_names_lock);
    if (!reads)
        return known && answer.related;

    answer = (struct answer_to_related){key, read_glue(module, body)};
    atomic_store(&reading, false);
    if (!ss_lock(&ss_names_lock))
        return false;
    *relation_of(key) = answer;
    ss_unlock(&ss_names_lock);
    return answer.related;
}
