/* The functions through which spans of the default subscriber are closed: ranges of code, each
 * module's in order of address. Of modules without symbols their code tells (closer_code.c).
 *
 * Filled in by symbol_tables.c, when it meets a module (start, and from inside the loader); asked
 * for from any context, without a lock. */
#include "closers.h"

#include <stdatomic.h>
#include <string.h>

/* A module's closers: sorted, none overlaps the next. */
struct closers {
    uint32_t count;
    struct ss_closer_range at[];
};

/* By id. What one points to never changes. */
static struct closers *_Atomic closers_of[SS_MODULES_MAX];

void ss_closers_note(struct ss_closer_list *list, const struct ss_module *m, uintptr_t address,
                     uint64_t size, enum ss_closer kind)
{
    uintptr_t offset = address - m->start;
    if (size > 0 && size <= UINT32_MAX - offset && list->count < SS_CLOSERS_MAX)
        list->at[list->count++] =
            (struct ss_closer_range){(uint32_t)offset, (uint32_t)(offset + size), kind};
}

static bool is_before(const struct ss_closer_range *a, const struct ss_closer_range *b)
{
    return a->start != b->start ? a->start < b->start : a->end > b->end;
}

/* Sorts the closers, in the order that they have in the file mostly, and makes each end where the
 * next one begins at the latest. One that has names of both kinds is none: it was merged. */
static void tidy(struct ss_closer_list *list)
{
    struct ss_closer_range *all = list->at;
    for (uint32_t i = 1; i < list->count; i++) {
        struct ss_closer_range closer = all[i];
        uint32_t hole = i;
        for (; hole > 0 && is_before(&closer, &all[hole - 1]); hole--)
            all[hole] = all[hole - 1];
        all[hole] = closer;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct ss_closer_range *last = &all[kept ? kept - 1 : 0];
        if (kept > 0 && last->start == all[i].start) {
            if (last->kind != all[i].kind)
                last->kind = SS_CLOSER_NONE;
            continue;
        }
        if (kept > 0 && last->end > all[i].start)
            last->end = all[i].start;
        all[kept++] = all[i];
    }
    list->count = kept;
}

/* A module that comes back to its place has the closers that it had; the arena takes nothing back.
 */
void ss_closers_publish(struct ss_closer_list *list, const struct ss_module *m)
{
    tidy(list);
    struct closers *_Atomic *place = &closers_of[m->id - 1];
    const struct closers *old = atomic_load_explicit(place, memory_order_relaxed);
    size_t size = list->count * sizeof list->at[0];
    if (old ? old->count == list->count && memcmp(old->at, list->at, size) == 0 : list->count == 0)
        return;
    struct closers *closers = ss_alloc(sizeof *closers + size);
    if (closers) {
        closers->count = list->count;
        memcpy(closers->at, list->at, size);
    }
    atomic_store_explicit(place, closers, memory_order_release);
}

/* Whether no symbol told of the module's tables. */
static bool is_nameless(const struct ss_module *m)
{
    return m->evidence && strcmp(m->evidence, "signature") == 0;
}

static enum ss_closer closer_at(uintptr_t return_address)
{
    uintptr_t address = return_address - 1; /* in the call: it may be the last instruction */
    const struct ss_module *m = ss_module_of(address);
    if (m && is_nameless(m))
        return ss_closer_by_code(m, address);
    const struct closers *closers =
        m ? atomic_load_explicit(&closers_of[m->id - 1], memory_order_acquire) : NULL;
    if (!closers)
        return SS_CLOSER_NONE;
    uintptr_t offset = address - m->start;
    uint32_t low = 0, high = closers->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (closers->at[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < closers->count && closers->at[low].start <= offset
               ? (enum ss_closer)closers->at[low].kind
               : SS_CLOSER_NONE;
}

/* Code tells less than names: a layer's own may have been inlined beside the registry's. But it does
 * not close through get_default. */
bool ss_closes_by_default(uintptr_t return_address, bool forwarded)
{
    const struct ss_module *m = forwarded ? NULL : ss_module_of(return_address - 1);
    return (!m || !is_nameless(m)) && closer_at(return_address) == SS_CLOSER_BY_DEFAULT;
}

bool ss_closer_forwards(uintptr_t return_address)
{
    return closer_at(return_address) == SS_CLOSER_FORWARDS;
}
