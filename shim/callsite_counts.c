/* How far the call sites of the process got, by level: for the summary. What is known of a module's
 * call sites is kept when it goes.
 *
 * ss_callsites_keep is called before a dlclose, ss_callsites_count at the end; by any thread and by
 * several at once, under no lock: states only grow, and one that is lost is read again. */
#include <stdatomic.h>
#include <string.h>

#include "internal.h"

struct kept {
    uint32_t number;
    uint8_t states[]; /* as ss_callsites_reached has them */
};

/* By id. */
static struct kept *_Atomic kept_of[SS_MODULES_MAX];

static struct kept *room_for(const struct ss_module *m, uint32_t number)
{
    struct kept *kept = atomic_load_explicit(&kept_of[m->id - 1], memory_order_acquire);
    if (kept && kept->number == number)
        return kept;
    kept = ss_alloc(sizeof *kept + number);
    if (kept) {
        kept->number = number;
        atomic_store_explicit(&kept_of[m->id - 1], kept, memory_order_release);
    }
    return kept;
}

static void keep(const struct ss_module *m)
{
    uint32_t number = ss_callsites_number(m);
    struct kept *kept = number ? room_for(m, number) : NULL;
    if (kept)
        ss_callsites_reached(m, kept->states);
}

void ss_callsites_keep(void)
{
    (void)ss_modules_visit(keep);
}

/* What is kept of the first module of the same file, loaded elsewhere or before. */
static struct kept *first_copy(const struct ss_module *m, uint32_t number)
{
    const struct ss_module *other;
    for (uint32_t i = 0; (other = ss_module_at(i)) != m; i++) {
        struct kept *kept = atomic_load_explicit(&kept_of[other->id - 1], memory_order_acquire);
        if (kept && kept->number == number && m->build_id_length &&
            other->build_id_length == m->build_id_length &&
            memcmp(other->build_id, m->build_id, m->build_id_length) == 0)
            return kept;
    }
    return NULL;
}

void ss_callsites_count(struct ss_interest_counts counts[SS_LEVEL_COUNT])
{
    const struct ss_module *m;
    if (!ss_modules_visit(keep))
        for (uint32_t i = 0; (m = ss_module_at(i)); i++)
            if (atomic_load(&m->loaded))
                keep(m);
    for (uint32_t i = 0; (m = ss_module_at(i)); i++) {
        const struct kept *kept = atomic_load_explicit(&kept_of[m->id - 1], memory_order_acquire);
        struct kept *first = kept ? first_copy(m, kept->number) : NULL;
        for (uint32_t at = 0; first && at < kept->number; at++)
            if (kept->states[at] > first->states[at])
                first->states[at] = kept->states[at];
    }
    for (uint32_t i = 0; (m = ss_module_at(i)); i++) {
        const struct kept *kept = atomic_load_explicit(&kept_of[m->id - 1], memory_order_acquire);
        if (!kept || first_copy(m, kept->number))
            continue;
        for (uint32_t at = 0; at < kept->number; at++) {
            struct ss_interest_counts *level = &counts[kept->states[at] / 4];
            uint32_t *const by_reach[] = {NULL, &level->unreached, &level->filtered, &level->live};
            if (kept->states[at] % 4)
                ++*by_reach[kept->states[at] % 4];
        }
    }
}
