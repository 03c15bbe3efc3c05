/* Patching: the slots of a `dyn Subscriber` table get to point to our stubs. One lock around all of
 * it; a table is never unpatched, as threads may be in it.
 *
 * Slot numbers by layout: read in tracing-core's trait of 0.1.12, 0.1.28 and 0.1.30, and seen in
 * binaries. */
#include "hook.h"

#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "lock.h"
#include "maps.h"
#include "options.h"
#include "start.h"

enum { STUB_SIZE = 16, PAGE = 4096, WORDS_TO_LAST_SLOT = 17 };

static const unsigned char slot_numbers[SS_LAYOUT_COUNT][SS_METHOD_COUNT] = {
    [SS_LAYOUT_14] = {[SS_METHOD_DROP] = 0,
                      [SS_METHOD_ENTER] = 10,
                      [SS_METHOD_EXIT] = 11,
                      [SS_METHOD_TRY_CLOSE] = 14,
                      [SS_METHOD_DROP_SPAN] = 13,
                      [SS_METHOD_NEW_SPAN] = 6,
                      [SS_METHOD_CLONE_SPAN] = 12,
                      [SS_METHOD_RECORD] = 7},
    [SS_LAYOUT_15] = {[SS_METHOD_DROP] = 0,
                      [SS_METHOD_ENTER] = 11,
                      [SS_METHOD_EXIT] = 12,
                      [SS_METHOD_TRY_CLOSE] = 15,
                      [SS_METHOD_DROP_SPAN] = 14,
                      [SS_METHOD_NEW_SPAN] = 6,
                      [SS_METHOD_CLONE_SPAN] = 13,
                      [SS_METHOD_RECORD] = 7},
    [SS_LAYOUT_16] = {[SS_METHOD_DROP] = 0,
                      [SS_METHOD_ENTER] = 12,
                      [SS_METHOD_EXIT] = 13,
                      [SS_METHOD_TRY_CLOSE] = 16,
                      [SS_METHOD_DROP_SPAN] = 15,
                      [SS_METHOD_NEW_SPAN] = 7,
                      [SS_METHOD_CLONE_SPAN] = 14,
                      [SS_METHOD_RECORD] = 8},
};

extern const char ss_stubs_drop[] SS_HIDDEN, ss_stubs_enter[] SS_HIDDEN, ss_stubs_exit[] SS_HIDDEN,
    ss_stubs_clone_span[] SS_HIDDEN, ss_stubs_try_close[] SS_HIDDEN, ss_stubs_drop_span[] SS_HIDDEN,
    ss_stubs_record[] SS_HIDDEN, ss_stubs_new_span[] SS_HIDDEN;

/* By method. NoSubscriber's rows: what goes there is lost, what it makes is none. */
static const struct {
    const char *stubs;
    bool of_no_subscriber;
} methods[SS_METHOD_COUNT] = {
    [SS_METHOD_DROP] = {ss_stubs_drop, false},
    [SS_METHOD_ENTER] = {ss_stubs_enter, false},
    [SS_METHOD_EXIT] = {ss_stubs_exit, false},
    [SS_METHOD_CLONE_SPAN] = {ss_stubs_clone_span, false},
    [SS_METHOD_TRY_CLOSE] = {ss_stubs_try_close, true},
    [SS_METHOD_DROP_SPAN] = {ss_stubs_drop_span, true},
    [SS_METHOD_RECORD] = {ss_stubs_record, false},
    [SS_METHOD_NEW_SPAN] = {ss_stubs_new_span, false},
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

static void *_Atomic *slot_of(const struct ss_table_found *found, enum ss_method method)
{
    return (void *_Atomic *)(found->address + slot_numbers[found->layout][method] * sizeof(void *));
}

/* The protection of the pages from start to end, if all of them have the same. */
static bool protection_of(uintptr_t start, uintptr_t end, int *protection)
{
    struct ss_mapping mapping;
    if (!ss_mapping_find(start, &mapping))
        return false;
    *protection = mapping.protection;
    while (mapping.end < end) {
        if (!ss_mapping_find(mapping.end, &mapping) || mapping.protection != *protection)
            return false;
    }
    return true;
}

static void store_slots(const struct ss_table_found *found, uint32_t number)
{
    struct ss_table *table = &ss_hook_tables[number];
    if (number == atomic_load(&count)) {
        *table = (struct ss_table){.module = found->module,
                                   .address = found->address,
                                   .size = ((const uintptr_t *)found->address)[1],
                                   .layout = found->layout,
                                   .no_subscriber = found->no_subscriber,
                                   .never_closes = found->default_try_close,
                                   .type = found->type};
        found->module->tables_hooked++;
        /* Its spans are timed by enter and exit, and mixed up where two threads have one open. */
        enum ss_rule rule = SS_RULE_CONCURRENT_ENTER;
        if (found->type && strstr(found->type, "sentry_tracing") && !ss_options.regraded[rule])
            ss_options.severities[rule] = SS_SEVERITY_WARNING;
    }
    for (enum ss_method method = 0; method < SS_METHOD_COUNT; method++)
        table->originals[method] = atomic_load(slot_of(found, method));
    if (number == atomic_load(&count))
        atomic_store_explicit(&count, number + 1, memory_order_release);
    for (enum ss_method method = 0; method < SS_METHOD_COUNT; method++)
        if (!found->no_subscriber || methods[method].of_no_subscriber)
            atomic_store_explicit(slot_of(found, method),
                                  (void *)(methods[method].stubs + number * STUB_SIZE),
                                  memory_order_release);
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

/* Why a table stays as it is, or NULL once it is patched. */
static const char *patch(const struct ss_table_found *found)
{
    uint32_t number = number_for(found);
    if (ss_start_is_own_code((uintptr_t)atomic_load(slot_of(found, SS_METHOD_TRY_CLOSE))))
        return NULL;
    if (number == SS_TABLES_MAX) {
        atomic_fetch_add(&beyond, 1);
        return "there are too many";
    }
    uintptr_t start = found->address & ~(uintptr_t)(PAGE - 1);
    uintptr_t end =
        (found->address + WORDS_TO_LAST_SLOT * sizeof(void *) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    int protection;
    if (!protection_of(start, end, &protection))
        return "the protection of its pages is not the same, or /proc/self/maps does not tell it";
    if (protection & PROT_EXEC)
        return "its page is executable";
    bool writable = protection & PROT_WRITE;
    if (!writable && ss_sys_protect(start, end - start, PROT_READ | PROT_WRITE) != 0)
        return "its page cannot be made writable";

    store_slots(found, number);
    if (!writable)
        (void)ss_sys_protect(start, end - start, protection);
    return NULL;
}

void ss_hook_table(const struct ss_table_found *found)
{
    if (!ss_lock(&ss_hook_lock))
        return;
    const char *why = patch(found);
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
