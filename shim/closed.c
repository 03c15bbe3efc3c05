/* Spans that closed, the latest of those that share a slot: what a later use of one is judged by.
 * A slot is written under its version (odd: being written) and read without a lock; a reader or
 * writer that meets a writer goes without. Hot: one slot per close. */
#include "closed.h"

#include <stdatomic.h>
#include <string.h>

enum { SLOTS = 1024 };

static struct slot {
    _Atomic uint32_t version;
    struct ss_closed closed;
} * _Atomic slots;

static struct slot *slot_of(const struct ss_instance *instance, uint64_t id)
{
    struct slot *all = atomic_load_explicit(&slots, memory_order_acquire);
    uint64_t mixed = ((uintptr_t)instance >> 4 ^ id) * 0x9e3779b97f4a7c15u;
    return all ? &all[mixed >> 54] : NULL;
}
_Static_assert(SLOTS == 1 << (64 - 54), "the hash's top bits are the slot");

/* Makes the slots; whoever comes second leaves its own to the arena. */
static void make_slots(void)
{
    struct slot *none = NULL, *fresh = ss_alloc(SLOTS * sizeof *fresh);
    if (fresh)
        (void)atomic_compare_exchange_strong(&slots, &none, fresh);
}

static bool begin_write(struct slot *slot, uint32_t *version)
{
    *version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    return *version % 2 == 0 &&
           atomic_compare_exchange_strong_explicit(&slot->version, version, *version + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void end_write(struct slot *slot, uint32_t version)
{
    atomic_store_explicit(&slot->version, version + 2, memory_order_release);
}

void ss_closed_note(struct ss_span_ref ref, const struct ss_moment *moment, bool certain)
{
    const struct ss_span *span = ref.span;
    if (!atomic_load_explicit(&slots, memory_order_relaxed))
        make_slots();
    struct slot *slot = slot_of(span->instance, span->id);
    uint32_t version;
    if (!slot || !begin_write(slot, &version))
        return;
    struct ss_closed *closed = &slot->closed;
    closed->span_serial = certain ? ref.serial : 0;
    closed->id = span->id;
    closed->instance = span->instance;
    closed->instance_serial = span->instance_serial;
    closed->site = span->site;
    closed->fingerprint = atomic_load_explicit(&span->fingerprint, memory_order_relaxed);
    closed->group = atomic_load_explicit(&span->group, memory_order_relaxed);
    closed->reported = atomic_load_explicit(&span->reported, memory_order_relaxed);
    closed->foreign = atomic_load_explicit(&span->foreign, memory_order_relaxed);
    ss_moment_store(&closed->created, &span->created);
    ss_moment_store(&closed->closed, moment);
    end_write(slot, version);
}

bool ss_closed_find(const struct ss_instance *instance, uint64_t id, struct ss_closed *out)
{
    struct slot *slot = slot_of(instance, id);
    if (!slot)
        return false;
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_acquire);
    memcpy(out, &slot->closed, sizeof *out);
    atomic_thread_fence(memory_order_acquire);
    return version % 2 == 0 &&
           atomic_load_explicit(&slot->version, memory_order_relaxed) == version &&
           out->span_serial && out->instance == instance && out->id == id &&
           out->instance_serial == atomic_load(&instance->serial);
}

bool ss_closed_report(const struct ss_closed *closed)
{
    struct slot *slot = slot_of(closed->instance, closed->id);
    uint32_t version;
    if (!slot || !begin_write(slot, &version))
        return false;
    bool first = slot->closed.span_serial == closed->span_serial && !slot->closed.reported;
    slot->closed.reported |= first;
    end_write(slot, version);
    return first;
}

void ss_closed_name(const struct ss_closed *closed, uint64_t fingerprint, uint64_t group)
{
    struct slot *slot = slot_of(closed->instance, closed->id);
    uint32_t version;
    if (!slot || !begin_write(slot, &version))
        return;
    if (slot->closed.span_serial == closed->span_serial) {
        slot->closed.fingerprint = fingerprint;
        slot->closed.group = group;
    }
    end_write(slot, version);
}

void ss_closed_forked(void)
{
    struct slot *all = atomic_load(&slots);
    for (uint32_t i = 0; all && i < SLOTS; i++) {
        uint32_t version = atomic_load(&all[i].version);
        if (version % 2) {
            all[i].closed.span_serial = 0;
            atomic_store(&all[i].version, version + 1);
        }
    }
}
