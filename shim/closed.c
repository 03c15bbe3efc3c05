/* Spans that closed, the latest of those that share a slot: what a later use of one is judged by.
 * A slot is written under the lock of the shard that its spans belong to, with its version odd, and
 * read without; a reader that meets a writer goes without. Hot: one slot per close. */
#include "closed.h"

#include <stdatomic.h>
#include <string.h>

enum { SLOTS = 1024 };

static struct slot {
    _Atomic uint32_t version;
    struct ss_closed closed;
} * _Atomic slots;

/* Spans of one slot are of one shard. */
static struct slot *slot_of(uint64_t hashed)
{
    struct slot *all = atomic_load_explicit(&slots, memory_order_acquire);
    return all ? &all[hashed % SLOTS] : NULL;
}
_Static_assert(SLOTS % SS_SPAN_SHARDS == 0, "a slot's shard is told by the same bits");

/* Makes the slots; whoever comes second leaves its own to the arena. */
static void make_slots(void)
{
    struct slot *none = NULL, *fresh = ss_alloc(SLOTS * sizeof *fresh);
    if (fresh)
        (void)atomic_compare_exchange_strong(&slots, &none, fresh);
}

static void begin_write(struct slot *slot)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    atomic_store_explicit(&slot->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_write(struct slot *slot)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    atomic_store_explicit(&slot->version, version + 1, memory_order_release);
}

void ss_closed_note(struct ss_span_ref ref, uint64_t hashed, const struct ss_moment *moment,
                    bool certain)
{
    const struct ss_span *span = ref.span;
    if (!atomic_load_explicit(&slots, memory_order_relaxed))
        make_slots();
    struct slot *slot = slot_of(hashed);
    if (!slot)
        return;
    begin_write(slot);
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
    end_write(slot);
}

bool ss_closed_find(const struct ss_instance *instance, uint64_t id, struct ss_closed *out)
{
    struct slot *slot = slot_of(ss_span_hash(instance, id));
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

/* The slot of a closed span, with its shard's lock and being written; NULL where it cannot be. */
static struct slot *begin_change(const struct ss_closed *closed)
{
    uint64_t hashed = ss_span_hash(closed->instance, closed->id);
    struct slot *slot = slot_of(hashed);
    if (!slot || !ss_span_lock(hashed))
        return NULL;
    begin_write(slot);
    return slot;
}

static void end_change(const struct ss_closed *closed, struct slot *slot)
{
    end_write(slot);
    ss_span_unlock(ss_span_hash(closed->instance, closed->id));
}

bool ss_closed_report(const struct ss_closed *closed)
{
    struct slot *slot = begin_change(closed);
    if (!slot)
        return false;
    bool first = slot->closed.span_serial == closed->span_serial && !slot->closed.reported;
    slot->closed.reported |= first;
    end_change(closed, slot);
    return first;
}

void ss_closed_name(const struct ss_closed *closed, uint64_t fingerprint, uint64_t group)
{
    struct slot *slot = begin_change(closed);
    if (!slot)
        return;
    if (slot->closed.span_serial == closed->span_serial) {
        slot->closed.fingerprint = fingerprint;
        slot->closed.group = group;
    }
    end_change(closed, slot);
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
