/* Patching: the slots of a `dyn Subscriber` table get to point to our stubs. One lock around all of
 * it; a table is never unpatched, as threads may be in it. One that was found by its code alone is
 * patched in two steps (proof.c). */
#include "hook.h"

#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "lock.h"
#include "maps.h"
#include "options.h"
#include "proof.h"
#include "start.h"
#include "trait.h"

enum { STUB_SIZE = 16, PAGE = 4096, WORDS_TO_LAST_SLOT = 17 };

extern const char ss_stubs_drop[] SS_HIDDEN, ss_stubs_enter[] SS_HIDDEN, ss_stubs_exit[] SS_HIDDEN,
    ss_stubs_clone_span[] SS_HIDDEN, ss_stubs_try_close[] SS_HIDDEN, ss_stubs_drop_span[] SS_HIDDEN,
    ss_stubs_record[] SS_HIDDEN, ss_stubs_new_span[] SS_HIDDEN,
    ss_stubs_register_callsite[] SS_HIDDEN;

/* By method. NoSubscriber's rows: what goes there is lost, what it makes is none. */
static const struct {
    const char *stubs;
    enum ss_trait_method method; /* of all but the drop word */
    bool of_no_subscriber;
} methods[SS_METHOD_COUNT] = {
    [SS_METHOD_DROP] = {ss_stubs_drop, 0, false},
    [SS_METHOD_ENTER] = {ss_stubs_enter, SS_TRAIT_ENTER, false},
    [SS_METHOD_EXIT] = {ss_stubs_exit, SS_TRAIT_EXIT, false},
    [SS_METHOD_CLONE_SPAN] = {ss_stubs_clone_span, SS_TRAIT_CLONE_SPAN, false},
    [SS_METHOD_TRY_CLOSE] = {ss_stubs_try_close, SS_TRAIT_TRY_CLOSE, true},
    [SS_METHOD_DROP_SPAN] = {ss_stubs_drop_span, SS_TRAIT_DROP_SPAN, true},
    [SS_METHOD_RECORD] = {ss_stubs_record, SS_TRAIT_RECORD, false},
    [SS_METHOD_NEW_SPAN] = {ss_stubs_new_span, SS_TRAIT_NEW_SPAN, false},
    [SS_METHOD_REGISTER_CALLSITE] = {ss_stubs_register_callsite, SS_TRAIT_REGISTER_CALLSITE, false},
};

struct ss_lock ss_hook_lock;
struct ss_table ss_hook_tables[SS_TABLES_MAX];
static _Atomic uint32_t count;
static _Atomic uint32_t refused, beyond;

uint32_t ss_hook_count(void)
{
    return atomic_load_explicit(&count, memory_order_acquire);
}

uint32_t ss_hook_refused(void)
{
    return atomic_load(&refused);
}

uint32_t ss_hook_beyond(void)
{
    return atomic_load(&beyond);
}

const struct ss_table *ss_hook_table_at(uintptr_t address)
{
    /* The latest first: an address may have come back with another module. */
    for (uint32_t i = ss_hook_count(); i--;)
        if (ss_hook_tables[i].address == address)
            return &ss_hook_tables[i];
    return NULL;
}

static void *_Atomic *slot_of(uintptr_t table, enum ss_layout layout, enum ss_method method)
{
    uint32_t slot = method == SS_METHOD_DROP ? 0 : ss_trait_slot(methods[method].method, layout);
    return (void *_Atomic *)(table + slot * sizeof(void *));
}

/* What the loader has protected is read-only: the whole pages of RELRO. For where there is no /proc. */
static bool protection_by_relro(const struct ss_module *m, uintptr_t start, uintptr_t end,
                                int *protection)
{
    const uintptr_t page_mask = ~(uintptr_t)(PAGE - 1);
    *protection = PROT_READ;
    return start >= (m->relro_start & page_mask) && end <= (m->relro_end & page_mask);
}

/* The protection of the pages from start to end, if all of them have the same. */
static bool protection_of(const struct ss_module *m, uintptr_t start, uintptr_t end,
                          int *protection)
{
    struct ss_mapping mapping;
    if (!ss_mapping_find(start, &mapping))
        return protection_by_relro(m, start, end, protection);
    *protection = mapping.protection;
    while (mapping.end < end) {
        if (!ss_mapping_find(mapping.end, &mapping) || mapping.protection != *protection)
            return false;
    }
    return true;
}

/* Whether the slot is one that is patched; all: the table is known to be one. */
static bool is_due(const struct ss_table *table, enum ss_method method, bool all)
{
    if (table->no_subscriber)
        return methods[method].of_no_subscriber;
    return method == SS_METHOD_REGISTER_CALLSITE ? table->by_code : all;
}

static void store_slots(const struct ss_table *table, bool all)
{
    uint32_t number = (uint32_t)(table - ss_hook_tables);
    for (enum ss_method method = 0; method < SS_METHOD_COUNT; method++)
        if (is_due(table, method, all))
            atomic_store_explicit(slot_of(table->address, table->layout, method),
                                  (void *)(methods[method].stubs + number * STUB_SIZE),
                                  memory_order_release);
}

/* Takes down what is found; the table's number is in use from then on. */
static struct ss_table *take(const struct ss_table_found *found, uint32_t number)
{
    struct ss_table *table = &ss_hook_tables[number];
    bool is_new = number == atomic_load(&count);
    if (is_new) {
        *table = (struct ss_table){.module = found->module,
                                   .address = found->address,
                                   .size = ((const uintptr_t *)found->address)[1],
                                   .layout = found->layout,
                                   .no_subscriber = found->no_subscriber,
                                   .by_code = found->by_code && !found->no_subscriber,
                                   .never_closes = found->default_try_close,
                                   .type = found->type};
        found->module->tables_hooked++;
        /* Its spans are timed by enter and exit, and mixed up where two threads have one open. */
        enum ss_rule rule = SS_RULE_CONCURRENT_ENTER;
        if (found->type && strstr(found->type, "sentry_tracing") && !ss_options.regraded[rule])
            ss_options.severities[rule] = SS_SEVERITY_WARNING;
    }
    for (enum ss_method method = 0; method < SS_METHOD_COUNT; method++)
        table->originals[method] = atomic_load(slot_of(found->address, found->layout, method));
    if (table->by_code)
        ss_proof_want(table);
    if (is_new)
        atomic_store_explicit(&count, number + 1, memory_order_release);
    return table;
}

/* The number of a table: a new one, or its own where its module was unloaded and came back to its
 * place. What still uses the number then means the same table. */
static uint32_t number_for(const struct ss_table_found *found)
{
    uint32_t end = atomic_load(&count), number = 0;
    while (number < end && (ss_hook_tables[number].address != found->address ||
                            ss_hook_tables[number].module != found->module))
        number++;
    return number;
}

/* The pages of a table while they are writable. */
struct pages {
    uintptr_t start, size;
    int protection;
};

/* Why the table stays as it is, or NULL where its slots may be stored to now. */
static const char *open_pages(const struct ss_module *module, uintptr_t table, struct pages *pages)
{
    pages->start = table & ~(uintptr_t)(PAGE - 1);
    uintptr_t end =
        (table + WORDS_TO_LAST_SLOT * sizeof(void *) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    pages->size = end - pages->start;
    if (!protection_of(module, pages->start, end, &pages->protection))
        return "the protection of its pages is not the same, or /proc/self/maps does not tell it";
    if (pages->protection & PROT_EXEC)
        return "its page is executable";
    if (!(pages->protection & PROT_WRITE) &&
        ss_sys_protect(pages->start, pages->size, PROT_READ | PROT_WRITE) != 0)
        return "its page cannot be made writable";
    return NULL;
}

static void close_pages(const struct pages *pages)
{
    if (!(pages->protection & PROT_WRITE))
        (void)ss_sys_protect(pages->start, pages->size, pages->protection);
}

static bool is_patched(const struct ss_table_found *found)
{
    static const enum ss_method either[] = {SS_METHOD_TRY_CLOSE, SS_METHOD_REGISTER_CALLSITE};
    for (size_t i = 0; i < sizeof either / sizeof *either; i++)
        if (ss_start_is_own_code(
                (uintptr_t)atomic_load(slot_of(found->address, found->layout, either[i]))))
            return true;
    return false;
}

/* Why a table stays as it is, or NULL once it is patched. */
static const char *hook(const struct ss_table_found *found)
{
    struct pages pages;
    uint32_t number = number_for(found);
    if (is_patched(found))
        return NULL;
    if (number == SS_TABLES_MAX) {
        atomic_fetch_add(&beyond, 1);
        return "there are too many";
    }
    const char *why = open_pages(found->module, found->address, &pages);
    if (why)
        return why;
    const struct ss_table *table = take(found, number);
    store_slots(table, ss_proof_given(table));
    close_pages(&pages);
    return NULL;
}

bool ss_hook_rest(const struct ss_table *table)
{
    struct pages pages;
    if (!ss_lock(&ss_hook_lock))
        return false;
    bool opened = !open_pages(table->module, table->address, &pages);
    if (opened) {
        store_slots(table, true);
        close_pages(&pages);
    }
    ss_unlock(&ss_hook_lock);
    return opened;
}

void ss_hook_table(const struct ss_table_found *found)
{
    if (!ss_lock(&ss_hook_lock))
        return;
    const char *why = hook(found);
    ss_unlock(&ss_hook_lock);
    if (why) {
        found->module->tables_unhooked++;
        atomic_fetch_add(&refused, 1);
        SS_WARN(found->module->path, ": a subscriber table is not hooked: ", why);
        return;
    }
    SS_VERBOSE(1, found->module->path, ": hooked ", found->type ? found->type : "a subscriber",
               " by ", found->evidence);
}
