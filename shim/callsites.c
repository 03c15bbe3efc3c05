/* The call sites of each loaded module, as metadata.c finds and reads them: which address is one,
 * which is meant by Attributes, which were seen.
 *
 * ss_callsites_find is called by modules.c (start, and from inside the loader) under no lock, by
 * one thread for a module; it publishes the set with one store. The other functions are lock-free
 * and may be called in any context. Memory is read only inside the segments of known modules and,
 * for Attributes, on the calling thread's stack. */
#include <asm/signal.h>
#include <stdatomic.h>
#include <string.h>

#include "internal.h"
#include "metadata.h"
#include "prim.h"

enum {
    REGISTERED = 2,
    INTEREST_NEVER = 0,
    PAGE = 4096,
};

static const struct ss_metadata_set *callsites_of(const struct ss_module *m)
{
    return __atomic_load_n((struct ss_metadata_set *const *)&m->callsites, __ATOMIC_ACQUIRE);
}

static bool readable_elsewhere(uintptr_t address, size_t size)
{
    const struct ss_module *other = ss_module_of(address);
    return other && ss_module_readable(other, address, size);
}

void ss_callsites_find(struct ss_module *m)
{
    struct ss_metadata_set *set =
        ss_metadata_find(&(struct ss_metadata_view){m, readable_elsewhere, ss_alloc});
    if (!set)
        return;
    m->metadata_order = set->order_kind;
    m->call_sites = set->count;
    if (set->order_kind != SS_ORDER_UNKNOWN)
        __atomic_store_n((struct ss_metadata_set **)&m->callsites, set, __ATOMIC_RELEASE);
}

/* ---- reading them ---------------------------------------------------------------------------- */

/* The set that knows address as a Metadata, or NULL. */
static const struct ss_metadata_set *set_with(uintptr_t address)
{
    if (address % sizeof(uintptr_t))
        return NULL;
    const struct ss_module *m = ss_module_of(address);
    const struct ss_metadata_set *set = m ? callsites_of(m) : NULL;
    if (!set)
        return NULL;
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uintptr_t there = m->start + set->at[middle];
        if (there == address)
            return set;
        if (there < address)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool ss_callsite_decode(uintptr_t address, struct ss_metadata *out)
{
    const struct ss_metadata_set *set = set_with(address);
    if (set)
        ss_metadata_decode(address, &set->order, out);
    return set != NULL;
}

/* Whether [address, address + size), size below a page, is on the calling thread's stack. `known`
 * is an address on it that was read. */
static bool on_stack(uintptr_t address, size_t size, uintptr_t known)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), end = address + size - 1;
    if (address % sizeof(uintptr_t) || address < here || end < address)
        return false;
    if (end < known || (end & -(uintptr_t)PAGE) == (known & -(uintptr_t)PAGE))
        return true;
    return ss_is_mapped(address) && ss_is_mapped(end);
}

/* Whether a ValueSet for these fields is at address: {ptr, len, fields} in any order, from 0.1.35
 * with a tag before. */
static bool is_value_set(uintptr_t address, uintptr_t fields, uintptr_t known)
{
    if (!on_stack(address, 3 * sizeof(uintptr_t), known))
        return false;
    const uintptr_t *word = (const uintptr_t *)address;
    if (word[0] == fields || word[1] == fields || word[2] == fields)
        return true;
    return on_stack(address, 4 * sizeof(uintptr_t), known) && word[3] == fields;
}

/* Reads Parent = Root | Current | Explicit(id) from {tag, id}. */
static void read_parent(const uintptr_t *word, struct ss_attributes *out)
{
    if (word[0] == 0) {
        out->parent = SS_PARENT_ROOT;
    } else if (word[0] == 1) {
        out->parent = SS_PARENT_CURRENT;
    } else if (word[0] == 2 && word[1]) {
        out->parent = SS_PARENT_EXPLICIT;
        out->parent_id = word[1];
    }
}

/* Attributes = {&Metadata, &ValueSet, Parent} in any order. Whatever of the four words is not
 * initialised can be the address of another Metadata, but hardly beside a ValueSet of its fields.
 */
void ss_attributes_read(uintptr_t attributes, struct ss_attributes *out)
{
    *out = (struct ss_attributes){.parent = SS_PARENT_UNKNOWN};
    if (!attributes || attributes % sizeof(uintptr_t))
        return;
    const uintptr_t *word = (const uintptr_t *)attributes;
    for (uint32_t turn = 0; turn < 4; turn++) {
        uint32_t i = (turn + 2) % 4; /* the third in every build seen */
        const struct ss_metadata_set *set = set_with(word[i]);
        if (!set)
            continue;
        uintptr_t fields = ss_metadata_fields(word[i], &set->order);
        for (uint32_t other = 1; other < 4; other++) {
            uint32_t j = (i + other) % 4;
            if (j == i || !is_value_set(word[j], fields, attributes))
                continue;
            out->metadata = word[i];
            out->values = word[j];
            /* Parent's two words stay together. */
            uint32_t low = i < j ? i : j, high = i < j ? j : i;
            if (high - low == 1 && low != 1)
                read_parent(word + (low == 0 ? 2 : 0), out);
            else if (low == 0 && high == 3)
                read_parent(word + 1, out);
            return;
        }
    }
}

bool ss_attributes_are_of(uintptr_t attributes, const struct ss_site *site, uintptr_t stack_high,
                          struct ss_attributes *out)
{
    const uintptr_t *word = (const uintptr_t *)attributes, *values = (const uintptr_t *)word[3];
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), fields = site->field_set;
    bool near = word[3] % sizeof(uintptr_t) == 0 && word[3] > here && stack_high > word[3] &&
                stack_high - word[3] >= 4 * sizeof(uintptr_t);
    if (near ? values[3] != fields && values[2] != fields && values[1] != fields &&
                   values[0] != fields
             : !is_value_set(word[3], fields, attributes))
        return false;
    *out = (struct ss_attributes){word[2], word[3], SS_PARENT_UNKNOWN, 0};
    read_parent(word, out);
    return true;
}

/* ---- how far they got -------------------------------------------------------------------------- */

/* Whether the page of address is mapped still; asked once for neighbours. */
static bool is_still_there(uintptr_t address, uintptr_t *last_page)
{
    uintptr_t page = address & -(uintptr_t)PAGE;
    if (page != *last_page && !ss_is_mapped(address))
        return false;
    *last_page = page;
    return true;
}

uint32_t ss_callsites_number(const struct ss_module *m)
{
    const struct ss_metadata_set *set = callsites_of(m);
    return set && set->interest_known ? set->count : 0;
}

/* At the end of some processes the module may have gone unnoticed (callsite_counts.c), and something
 * else come in its place. */
void ss_callsites_reached(const struct ss_module *m, uint8_t *states)
{
    const struct ss_metadata_set *set = callsites_of(m);
    uintptr_t metadata_page = 0, callsite_page = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const uintptr_t *word = (const uintptr_t *)(m->start + set->at[i]);
        if (!is_still_there((uintptr_t)word, &metadata_page) ||
            !is_still_there((uintptr_t)(word + SS_METADATA_WORDS) - 1, &metadata_page))
            return;
        uintptr_t callsite = word[set->order.callsite], level = word[set->order.level];
        uintptr_t at = callsite + set->interest;
        if (level >= SS_LEVEL_COUNT || !ss_module_readable(m, at, 2) ||
            !is_still_there(at, &callsite_page) ||
            (set->kinds_tell && ((uint8_t)word[set->order.kind] & SS_KIND_EVENT)))
            continue;
        const uint8_t *byte = (const uint8_t *)at; /* interest, registration: in one word */
        uint8_t interest = __atomic_load_n(&byte[0], __ATOMIC_RELAXED);
        uint8_t registration = __atomic_load_n(&byte[1], __ATOMIC_RELAXED);
        enum ss_reach reach = registration != REGISTERED   ? SS_REACH_NONE
                              : interest == INTEREST_NEVER ? SS_REACH_FILTERED
                                                           : SS_REACH_LIVE;
        uint8_t state = (uint8_t)(level * 4 + reach);
        if (state > states[i])
            states[i] = state;
    }
}
