/* The `dyn Subscriber` tables of a module by its symbols, and what its types are called.
 *
 * A table is {drop, size, align, method..} in relocated read-only memory. The symbols say at which
 * addresses the trait's methods are; a table is where enough of them stand in the trait's order.
 * Identical functions are merged, so that an address can have several names and a slot a surprising
 * one: no slot decides alone.
 *
 * The same symbols say where the functions are through which spans of the default subscriber are
 * closed (closers.c).
 *
 * Called by discover.c (start, and from inside the loader), under no lock. The file is untrusted (elf_symbols.c), the memory is the module's own segments. */
#include "symbol_tables.h"

#include <stdatomic.h>
#include <string.h>

#include "closers.h"
#include "method_names.h"
#include "prim.h"

enum {
    ENTRIES_MAX = 1 << 14, /* names, and addresses, that are noted */
    SLOTS_SHIFT = 15,
    SLOTS_MIN = 128,
    SLOTS_MAX = 1 << SLOTS_SHIFT, /* at most half of them are used */
    TYPE_MAX = 16 * 1024,         /* bytes of a mangled name */
    AGREEING_MIN = 5,
    OBJECT_SIZE_MAX = 16 << 20,
    OBJECT_ALIGN_MAX = 4096,
};

/* A name in .strtab that is a method's or a closer's. */
struct function_name {
    uint64_t offset; /* the key */
    int8_t method;   /* enum ss_trait_method, -1: none */
    uint8_t closer;  /* enum ss_closer */
    bool no_subscriber, is_default;
};

/* An address at which methods begin. */
struct method_address {
    uint64_t address; /* the key */
    uint32_t methods; /* bit set of enum ss_trait_method */
    uint32_t symbols; /* how many there are */
    uint32_t name;    /* of one of them: new_span if it is among them */
    bool no_subscriber, default_try_close;
};

/* Which entry of an array has a key: a hash table of their numbers, which grows with them, so that a
 * small program's search touches few pages. Entries begin with their key, which is never 0. Entry 0
 * is the one of no key: all zeros. */
struct index {
    uint32_t count, mask;      /* entries, that one among them; slots - 1 */
    uint32_t slots[SLOTS_MAX]; /* 0: free */
};

/* A table that was found. */
struct found {
    uintptr_t address;
    enum ss_layout layout;
    bool no_subscriber, default_try_close;
    uintptr_t drop; /* 0: none */
    /* Offsets in .strtab of names that tell the type; 0: none. */
    uint32_t drop_name, method_name;
    bool drop_merged; /* the drop function is several types' */
};

/* One module's search; mapped for its duration. */
struct search {
    const struct ss_module *module;
    struct ss_elf *elf;
    uint32_t found_count;
    uintptr_t lowest, highest; /* of the addresses */
    struct index name_index, address_index;
    struct function_name names[ENTRIES_MAX];
    struct method_address addresses[ENTRIES_MAX];
    struct ss_closer_list closers;
    struct found found[SS_TABLES_MAX];
    char type[TYPE_MAX], other_type[TYPE_MAX];
};

static uint64_t key_of(const void *entries, size_t size, uint32_t number)
{
    uint64_t key;
    memcpy(&key, (const char *)entries + number * size, sizeof key);
    return key;
}

/* The slot of the entry with this key, or a free one. */
static uint32_t *slot_of(struct index *index, const void *entries, size_t size, uint64_t key)
{
    uint32_t i = (uint32_t)((key * 0x9E3779B97F4A7C15u) >> (64 - SLOTS_SHIFT)) & index->mask;
    while (index->slots[i] && key_of(entries, size, index->slots[i]) != key)
        i = (i + 1) & index->mask;
    return &index->slots[i];
}

static void index_begin(struct index *index)
{
    index->count = 1;
    index->mask = SLOTS_MIN - 1;
}

/* Takes the next entry into the index; the caller writes it, all but its key. */
static void index_add(struct index *index, void *entries, size_t size, uint64_t key)
{
    if (2 * index->count > index->mask) {
        memset(index->slots, 0, (index->mask + 1) * sizeof *index->slots);
        index->mask = 2 * index->mask + 1;
        for (uint32_t i = 1; i < index->count; i++)
            *slot_of(index, entries, size, key_of(entries, size, i)) = i;
    }
    memcpy((char *)entries + index->count * size, &key, sizeof key);
    *slot_of(index, entries, size, key) = index->count;
    index->count++;
}

/* The entry of that name, else the one of none. */
static struct function_name *name_at(struct search *search, uint32_t offset)
{
    size_t size = sizeof *search->names;
    return &search->names[*slot_of(&search->name_index, search->names, size, offset)];
}

/* The entry of that address, else the one of none. */
static struct method_address *address_at(struct search *search, uintptr_t address)
{
    size_t size = sizeof *search->addresses;
    return &search->addresses[*slot_of(&search->address_index, search->addresses, size, address)];
}

/* ---- which functions are methods and closers ------------------------------------------------- */

static bool note_name(void *context, uint32_t offset, const char *name, size_t length)
{
    struct search *search = context;
    int method = ss_trait_method_of(name, length);
    enum ss_closer closer = ss_closer_of(name, length);
    if ((method < 0 && closer == SS_CLOSER_NONE) || offset == 0)
        return true;
    if (name_at(search, offset)->offset)
        return true;
    index_add(&search->name_index, search->names, sizeof *search->names, offset);
    *name_at(search, offset) = (struct function_name){
        .offset = offset,
        .method = (int8_t)method,
        .closer = (uint8_t)closer,
        .no_subscriber = memmem(name, length, "NoSubscriber", sizeof "NoSubscriber" - 1) != NULL,
        .is_default = method >= 0 && ss_trait_is_default(name, length),
    };
    return search->name_index.count < ENTRIES_MAX;
}

static bool note_function(void *context, const Elf64_Sym *symbol)
{
    struct search *search = context;
    const struct function_name *name = name_at(search, symbol->st_name);
    if (!name->offset)
        return true;
    uintptr_t address = search->module->bias + symbol->st_value;
    if (!ss_module_executable(search->module, address))
        return true;
    if (name->closer != SS_CLOSER_NONE)
        ss_closers_note(&search->closers, search->module, address, symbol->st_size, name->closer);
    if (name->method < 0)
        return true;

    struct method_address *entry = address_at(search, address);
    if (!entry->address) {
        struct index *index = &search->address_index;
        index_add(index, search->addresses, sizeof *search->addresses, address);
        entry = address_at(search, address);
        if (address < search->lowest)
            search->lowest = address;
        if (address > search->highest)
            search->highest = address;
    }
    if (!entry->name || name->method == SS_TRAIT_NEW_SPAN)
        entry->name = name->offset;
    entry->symbols++;
    entry->methods |= 1u << name->method;
    entry->no_subscriber |= name->no_subscriber;
    entry->default_try_close |= name->method == SS_TRAIT_TRY_CLOSE && name->is_default;
    return search->address_index.count < ENTRIES_MAX;
}

/* ---- where tables are ------------------------------------------------------------------------ */

/* Functions of a dylib's table may be another module's. */
static bool is_function(const struct ss_module *m, uintptr_t address)
{
    if (ss_module_executable(m, address))
        return true;
    const struct ss_module *other = ss_module_of(address);
    return other && ss_module_executable(other, address);
}

/* Whether a table of this layout may begin here: its header and that all slots are functions. */
static bool is_plausible(const struct ss_module *m, uintptr_t table, enum ss_layout layout)
{
    uint32_t words = ss_trait_words(layout);
    if (table % sizeof(uintptr_t) || !ss_module_readable(m, table, words * sizeof(uintptr_t)))
        return false;
    const uintptr_t *word = (const uintptr_t *)table;
    uintptr_t size = word[1], align = word[2];
    if (align == 0 || align > OBJECT_ALIGN_MAX || (align & (align - 1)) || size % align ||
        size > OBJECT_SIZE_MAX || (word[0] && !is_function(m, word[0])))
        return false;
    for (uint32_t i = SS_TRAIT_HEADER_WORDS; i < words; i++)
        if (!is_function(m, word[i]))
            return false;
    return true;
}

/* How many slots hold a function of the right name. 0 where none of them is telling: the others
 * alone also stand in tables of look-alike traits. */
static uint32_t agreeing_slots(struct search *search, uintptr_t table, enum ss_layout layout)
{
    const uintptr_t *word = (const uintptr_t *)table;
    const uint32_t telling =
        1u << SS_TRAIT_NEW_SPAN | 1u << SS_TRAIT_TRY_CLOSE | 1u << SS_TRAIT_REGISTER_CALLSITE;
    uint32_t agreeing = 0, methods = 0;
    for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
        uint32_t slot = ss_trait_slot(method, layout);
        if (slot && (address_at(search, word[slot])->methods & 1u << method)) {
            agreeing++;
            methods |= 1u << method;
        }
    }
    return methods & telling ? agreeing : 0;
}

/* Whether new_span returns 0xDEAD, as NoSubscriber's does: the constant is in its first bytes. */
static bool returns_dead(const struct ss_module *m, uintptr_t new_span)
{
    enum { LOOK_AT = 48 };
    static const char constant[] = {(char)0xAD, (char)0xDE, 0, 0};
    return ss_module_readable(m, new_span, LOOK_AT) &&
           memmem((const void *)new_span, LOOK_AT, constant, sizeof constant);
}

/* The name of a method that tells the type, for where the drop function does not: of one that every
 * impl has to write itself, and that is no other type's as well, if there is any. */
static uint32_t telling_method(struct search *search, const uintptr_t *word, enum ss_layout layout)
{
    static const uint8_t own[] = {SS_TRAIT_NEW_SPAN, SS_TRAIT_ENABLED, SS_TRAIT_EVENT,
                                  SS_TRAIT_ENTER,    SS_TRAIT_EXIT,    SS_TRAIT_RECORD};
    for (uint32_t most = 1; most <= 2; most++) {
        for (size_t i = 0; i < sizeof own; i++) {
            const struct method_address *method =
                address_at(search, word[ss_trait_slot(own[i], layout)]);
            if ((method->methods & 1u << own[i]) && (method->symbols == 1 || most > 1))
                return method->name;
        }
    }
    return 0;
}

static void add_found(struct search *search, uintptr_t table, enum ss_layout layout)
{
    const uintptr_t *word = (const uintptr_t *)table;
    bool named = false;
    for (uint32_t i = SS_TRAIT_HEADER_WORDS; i < ss_trait_words(layout); i++)
        named |= address_at(search, word[i])->no_subscriber;
    enum { RETURN = 0xC3 }; /* drops nothing: shared by many types, under the name of any */
    bool drops_nothing =
        ss_module_readable(search->module, word[0], 1) && *(const uint8_t *)word[0] == RETURN;
    search->found[search->found_count++] = (struct found){
        .address = table,
        .layout = layout,
        .drop = word[0],
        .drop_merged = drops_nothing,
        .method_name = telling_method(search, word, layout),
        .no_subscriber =
            named && returns_dead(search->module, word[ss_trait_slot(SS_TRAIT_NEW_SPAN, layout)]),
        .default_try_close =
            address_at(search, word[ss_trait_slot(SS_TRAIT_TRY_CLOSE, layout)])->default_try_close,
    };
}

/* Looks at the tables in which the word at `place`, a method's address, would be that method's
 * slot, and adds the one that most slots agree with. `after` is the end of the table found last.
 * Returns the end of the one added, or `after`. */
static uintptr_t try_place(struct search *search, uintptr_t place, uint32_t methods,
                           uintptr_t after)
{
    uint32_t best = 0, second = 0;
    uintptr_t best_table = 0;
    enum ss_layout best_layout = SS_LAYOUT_16;
    for (uint32_t layout = 0; layout < SS_LAYOUT_COUNT; layout++) {
        for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
            uint32_t slot = ss_trait_slot(method, layout);
            uintptr_t table = place - slot * sizeof(uintptr_t);
            if (!(methods & 1u << method) || !slot || table < after || table > place ||
                !is_plausible(search->module, table, layout))
                continue;
            uint32_t agreeing = agreeing_slots(search, table, layout);
            if (agreeing > best) {
                second = best;
                best = agreeing;
                best_table = table;
                best_layout = layout;
            } else if (agreeing > second) {
                second = agreeing;
            }
        }
    }
    if (best < AGREEING_MIN || best < second + 2 || search->found_count == SS_TABLES_MAX)
        return after;
    add_found(search, best_table, best_layout);
    return best_table + ss_trait_words(best_layout) * sizeof(uintptr_t);
}

/* Finds the tables in [from, to). */
static void scan(struct search *search, uintptr_t from, uintptr_t to)
{
    uintptr_t after = from;
    uintptr_t span = search->highest - search->lowest;
    from = (from + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
    for (uintptr_t place = from; place + sizeof(uintptr_t) <= to; place += sizeof(uintptr_t)) {
        uintptr_t word = *(const uintptr_t *)place;
        if (SS_LIKELY(word - search->lowest > span) || place < after)
            continue;
        const struct method_address *method = address_at(search, word);
        if (method->address)
            after = try_place(search, place, method->methods, after);
    }
}

/* Tables need relocation in a position-independent module, and so lie in RELRO. Without RELRO they
 * are in writable data; in position-dependent code they need none, and can be constants beside the
 * code. */
static void scan_module(struct search *search)
{
    const struct ss_module *m = search->module;
    if (m->relro_start && !search->elf->position_dependent) {
        scan(search, m->relro_start, m->relro_end);
        return;
    }
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (m->segments[i].flags & PF_R)
            scan(search, m->segments[i].start, m->segments[i].file_end);
}

/* ---- what their types are called ------------------------------------------------------------- */

/* Drop functions were renamed in 2026. */
static bool is_drop_name(const char *name, size_t length)
{
    return memmem(name, length, "drop_in_place", 13) || memmem(name, length, "drop_glue", 9);
}

/* How much of a mangled name is the same in all copies of one function. */
static size_t stem_length(const char *name, size_t length)
{
    const char *suffix = memmem(name, length, ".llvm.", 6);
    if (suffix)
        length = (size_t)(suffix - name);
    enum { HASH_LENGTH = 20 }; /* legacy mangling: 17h, 16 digits, E */
    bool legacy = length > HASH_LENGTH && memcmp(name, "_ZN", 3) == 0 &&
                  memcmp(name + length - HASH_LENGTH, "17h", 3) == 0;
    return legacy ? length - HASH_LENGTH : length;
}

static size_t read_type(struct search *search, uint32_t name, char type[TYPE_MAX])
{
    return name ? ss_elf_name(search->elf, name, type, TYPE_MAX) : 0;
}

/* Takes the names of the drop functions. One that drops nothing is merged with those of other
 * types, and then names none of them. */
static bool note_drop_name(void *context, const Elf64_Sym *symbol)
{
    struct search *search = context;
    uintptr_t address = search->module->bias + symbol->st_value;
    size_t length = 0;
    for (uint32_t i = 0; i < search->found_count; i++) {
        struct found *found = &search->found[i];
        if (SS_LIKELY(found->drop != address) || found->drop_merged)
            continue;
        if (length == 0)
            length = read_type(search, symbol->st_name, search->type);
        if (length == 0 || !is_drop_name(search->type, length))
            return true;
        if (!found->drop_name) {
            found->drop_name = symbol->st_name;
            continue;
        }
        size_t stem = stem_length(search->type, length);
        size_t other = read_type(search, found->drop_name, search->other_type);
        found->drop_merged = stem_length(search->other_type, other) != stem ||
                             memcmp(search->type, search->other_type, stem) != 0;
    }
    return true;
}

/* A copy of a type's name: the same one each time that a plugin comes back. NULL for an empty name.
 */
static const char *keep_type(const char *name, size_t length)
{
    static const char *_Atomic kept[SS_TABLES_MAX];
    const char *copy = NULL;
    for (uint32_t i = 0; length && i < SS_TABLES_MAX; i++) {
        const char *there = atomic_load(&kept[i]);
        if (!there && !copy && !(copy = ss_copy_text(name, length)))
            return NULL;
        if (!there && atomic_compare_exchange_strong(&kept[i], &there, copy))
            return copy;
        if (strlen(there) == length && memcmp(there, name, length) == 0)
            return there;
    }
    return length && !copy ? ss_copy_text(name, length) : copy;
}

/* Hands over what was found. */
static void give(struct search *search, struct ss_table_found *tables)
{
    ss_elf_each_function(search->elf, note_drop_name, search);
    for (uint32_t i = 0; i < search->found_count; i++) {
        const struct found *found = &search->found[i];
        bool by_drop = found->drop_name && (!found->drop_merged || !found->method_name);
        size_t length =
            read_type(search, by_drop ? found->drop_name : found->method_name, search->type);
        tables[i] = (struct ss_table_found){
            .address = found->address,
            .layout = found->layout,
            .no_subscriber = found->no_subscriber,
            .default_try_close = found->default_try_close,
            .type = keep_type(search->type, length),
        };
    }
}

uint32_t ss_symbol_tables(const struct ss_module *m, struct ss_elf *elf,
                          struct ss_table_found tables[SS_TABLES_MAX])
{
    struct search *search = ss_sys_map(sizeof *search);
    if (!search)
        return 0;
    search->module = m;
    search->elf = elf;
    search->lowest = UINTPTR_MAX;
    index_begin(&search->name_index);
    index_begin(&search->address_index);
    ss_elf_each_tracing_name(elf, note_name, search);
    if (search->name_index.count > 1)
        ss_elf_each_function(elf, note_function, search);
    ss_closers_publish(&search->closers, m);
    if (search->address_index.count > 1)
        scan_module(search);
    uint32_t count = search->found_count;
    if (count)
        give(search, tables);
    ss_sys_unmap(search, sizeof *search);
    return count;
}
