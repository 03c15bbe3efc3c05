/* What functions are: asked for where a guard outlived the frame that took it, once per function, as
 * the answers stay in a table.
 *
 * Slow contexts, no lock held: the module's file is read, its .symtab once as a whole and then only
 * names. names_lock guards the tables of answers. */
#include "names.h"

#include <stdatomic.h>
#include <string.h>

#include "bodies.h"
#include "elf_symbols.h"
#include "fork.h"
#include "lock.h"
#include "prim.h"

/* Answers that are kept, powers of two; addresses asked for in one reading of a file. */
enum { ANSWERS = 1024, RELATIONS = 256, BATCH = 32, NAME_MAX_LENGTH = 8192 };

struct ss_lock ss_names_lock;
static struct answer {
    uintptr_t address;
    uint32_t module; /* its id: another module can come to the same place */
    uint16_t kind;
} answers[ANSWERS];

/* By a hash of what was asked. */
static struct answer_to_related {
    uint64_t key;
    bool related;
} related[RELATIONS];

/* ---- the functions of a module --------------------------------------------------------------- */

/* Where its functions are, and their names in .strtab: read once, never freed. */
struct functions {
    uint32_t count, room;
    struct {
        uint32_t start, size, name;
    } at[];
};

static struct functions *_Atomic functions_of[SS_MODULES_MAX]; /* by id */
static struct functions nameless;                              /* of modules without symbols */

static bool add_function(void *context, const Elf64_Sym *symbol)
{
    struct functions *all = context;
    if (symbol->st_value <= UINT32_MAX && symbol->st_size <= UINT32_MAX && symbol->st_name) {
        all->at[all->count].start = (uint32_t)symbol->st_value;
        all->at[all->count].size = (uint32_t)symbol->st_size;
        all->at[all->count++].name = symbol->st_name;
    }
    return all->count < all->room;
}

/* Reads all functions from the file. NULL without memory. */
static struct functions *read_functions(struct ss_elf *elf)
{
    size_t room = elf->symbols_size / sizeof(Elf64_Sym);
    struct functions *all;
    size_t size = sizeof *all + room * sizeof all->at[0];
    if (room == 0 || room > UINT32_MAX || !(all = ss_sys_map(size)))
        return NULL;
    all->room = (uint32_t)room;
    ss_elf_each_function(elf, add_function, all);
    return all;
}

/* Opens the file that a module's names are in. False with nothing left open; *has_none: it has none,
 * rather than that they cannot be read now. */
static bool open_names(const struct ss_module *module, struct ss_elf *elf, bool *has_none)
{
    *has_none = false;
    if (ss_elf_open(module, elf))
        return true;
    if (ss_elf_open_path(module->path, elf)) {
        *has_none = true;
        ss_elf_close(elf);
    }
    return false;
}

/* The functions of a module whose file is open, or &nameless; NULL: not known now. */
static const struct functions *functions_in(const struct ss_module *module, struct ss_elf *elf)
{
    struct functions *_Atomic *place = &functions_of[module->id - 1];
    struct functions *known = atomic_load(place), *fresh;
    if (known || !(fresh = read_functions(elf)))
        return known;
    if (atomic_compare_exchange_strong(place, &known, fresh))
        return fresh;
    ss_sys_unmap(fresh, sizeof *fresh + fresh->room * sizeof fresh->at[0]);
    return known;
}

/* Addresses in one module. */
struct wanted {
    const struct ss_module *module;
    uint32_t count;
    uintptr_t addresses[BATCH];
    uint32_t names[BATCH]; /* offsets in .strtab, 0: not found */
};

static void find_names(struct wanted *wanted, const struct functions *all)
{
    uintptr_t bias = wanted->module->bias;
    memset(wanted->names, 0, sizeof wanted->names);
    for (uint32_t i = 0; i < all->count; i++)
        for (uint32_t j = 0; j < wanted->count; j++)
            if (wanted->addresses[j] - bias - all->at[i].start < all->at[i].size)
                wanted->names[j] = all->at[i].name;
}

/* Opens the file of wanted's module and finds the names. False where there are none, with nothing
 * left open. */
static bool open_wanted(struct wanted *wanted, struct ss_elf *elf, bool *has_none)
{
    struct functions *_Atomic *place = &functions_of[wanted->module->id - 1];
    *has_none = atomic_load(place) == &nameless;
    if (*has_none)
        return false;
    if (!open_names(wanted->module, elf, has_none)) {
        struct functions *none = NULL;
        if (*has_none)
            atomic_compare_exchange_strong(place, &none, &nameless);
        return false;
    }
    const struct functions *all = functions_in(wanted->module, elf);
    if (all) {
        find_names(wanted, all);
        return true;
    }
    ss_elf_close(elf);
    return false;
}

/* ---- what they are --------------------------------------------------------------------------- */

/* The slot of an address: its own, or a free one, or the one that is given up for it. */
static struct answer *slot_of(uintptr_t address, const struct ss_module *module)
{
    enum { TRIES = 8 };
    uint32_t start = (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 40);
    for (uint32_t i = 0; i < TRIES; i++) {
        struct answer *slot = &answers[(start + i) & (ANSWERS - 1)];
        if ((slot->address == address && slot->module == module->id) || slot->address == 0)
            return slot;
    }
    return &answers[start & (ANSWERS - 1)];
}

/* Finds out what wanted's functions are. */
static void read_kinds(struct wanted *wanted, uint16_t kinds[BATCH])
{
    struct ss_elf elf;
    bool has_none;
    bool open = open_wanted(wanted, &elf, &has_none);
    struct ss_image *images = ss_sys_map(2 * sizeof *images);
    for (uint32_t i = 0; i < wanted->count; i++) {
        kinds[i] = open || has_none ? 0 : SS_NAME_UNASKED;
        if (open && wanted->names[i])
            kinds[i] = ss_name_kind(
                elf.buffer, ss_elf_name(&elf, wanted->names[i], elf.buffer, NAME_MAX_LENGTH));
        if (images && !(kinds[i] & SS_NAME_SYNC) &&
            ss_holds_body(wanted->module, wanted->addresses[i], images))
            kinds[i] |= SS_NAME_BODY;
    }
    if (images)
        ss_sys_unmap(images, 2 * sizeof *images);
    if (open)
        ss_elf_close(&elf);
    if ((!open && !has_none) || !ss_lock(&ss_names_lock))
        return;
    for (uint32_t i = 0; i < wanted->count; i++)
        *slot_of(wanted->addresses[i], wanted->module) =
            (struct answer){wanted->addresses[i], wanted->module->id, kinds[i]};
    ss_unlock(&ss_names_lock);
}

void ss_names_of(const uintptr_t *addresses, uint32_t count, uint16_t *kinds)
{
    struct wanted wanted;
    uint16_t fresh[BATCH] = {0};
    uint32_t places[BATCH];
    bool known[count + 1];
    memset(kinds, 0, count * sizeof *kinds);
    if (!ss_lock(&ss_names_lock))
        return;
    for (uint32_t i = 0; i < count; i++) {
        const struct ss_module *module = ss_module_of(addresses[i]);
        const struct answer *slot = module ? slot_of(addresses[i], module) : NULL;
        known[i] = !slot || slot->address == addresses[i];
        if (slot && known[i])
            kinds[i] = slot->kind;
    }
    ss_unlock(&ss_names_lock);
    /* Those of one module at a time. */
    for (uint32_t first = 0; first < count; first++) {
        if (known[first] || !(wanted.module = ss_module_of(addresses[first])))
            continue;
        uint32_t taken = 0;
        for (uint32_t i = first; i < count && taken < BATCH; i++)
            if (!known[i] && ss_module_of(addresses[i]) == wanted.module) {
                places[taken] = i;
                wanted.addresses[taken++] = addresses[i];
                known[i] = true;
            }
        wanted.count = taken;
        read_kinds(&wanted, fresh);
        for (uint32_t i = 0; i < taken; i++)
            kinds[places[i]] = fresh[i];
    }
}

/* ---- what drops them ------------------------------------------------------------------------- */

static struct answer_to_related *relation_of(uint64_t key)
{
    return &related[key & (RELATIONS - 1)];
}

static uint64_t relation_key(const struct ss_module *module, uintptr_t body, uintptr_t function)
{
    uint64_t key = (body * 3 + module->id) * UINT64_C(0x9e3779b97f4a7c15) ^ function;
    key *= UINT64_C(0xff51afd7ed558ccd);
    return key ^ key >> 32;
}

/* Reads which of wanted's further functions are the glue of its first. False: not known now. */
static bool read_glue(struct wanted *wanted, bool found[BATCH])
{
    struct ss_elf elf;
    size_t length = 0;
    bool has_none;
    memset(found, 0, BATCH * sizeof *found);
    if (!open_wanted(wanted, &elf, &has_none))
        return has_none;
    char *name = elf.buffer + NAME_MAX_LENGTH;
    if (wanted->names[0])
        length = ss_elf_name(&elf, wanted->names[0], elf.buffer, NAME_MAX_LENGTH);
    for (uint32_t i = 1; length && i < wanted->count; i++)
        found[i] = wanted->names[i] &&
                   ss_name_is_glue(name, ss_elf_name(&elf, wanted->names[i], name, NAME_MAX_LENGTH),
                                   elf.buffer, length);
    ss_elf_close(&elf);
    return true;
}

bool ss_names_drop(uintptr_t body, const uintptr_t *functions, uint32_t count)
{
    struct wanted wanted = {.module = ss_module_of(body), .count = 1, .addresses = {body}};
    bool found[BATCH], is = false;
    if (!wanted.module || !ss_lock(&ss_names_lock))
        return false;
    for (uint32_t i = 0; i < count && wanted.count < BATCH; i++) {
        uint64_t key = relation_key(wanted.module, body, functions[i]);
        if (relation_of(key)->key == key)
            is |= relation_of(key)->related;
        else if (ss_module_of(functions[i]) == wanted.module)
            wanted.addresses[wanted.count++] = functions[i];
    }
    ss_unlock(&ss_names_lock);
    if (is || wanted.count == 1 || !read_glue(&wanted, found) || !ss_lock(&ss_names_lock))
        return is;
    for (uint32_t i = 1; i < wanted.count; i++) {
        uint64_t key = relation_key(wanted.module, body, wanted.addresses[i]);
        *relation_of(key) = (struct answer_to_related){key, found[i]};
        is |= found[i];
    }
    ss_unlock(&ss_names_lock);
    return is;
}
