/* The table of live spans: shards of open addressing, each with a lock for writers. Readers try
 * without it: slot arrays are never unmapped, records are type-stable, and a serial read before and
 * after the key tells whether a record changed under them. A writer moves slots about, so a reader
 * that finds nothing asks once more under the lock.
 *
 * A span whose instance has ended is void: nobody finds it, and its record is taken back when its
 * shard runs full. */
#include "span_table.h"

#include <stdatomic.h>
#include <string.h>

#include "closed.h"
#include "lock.h"
#include "threads.h"
#include "values.h"

enum { SHARDS = SS_SPAN_SHARDS, FIRST_SLOTS = 16, RECORDS_AT_ONCE = 32 };

typedef struct ss_span *_Atomic slot;

struct slots {
    uint32_t mask;
    slot at[];
};

static struct shard {
    struct ss_lock lock;
    uint32_t taken; /* slots that are not empty */
    uint64_t made;
    struct slots *_Atomic slots;
    struct ss_span *free;
} __attribute__((aligned(64))) shards[SHARDS];

static struct shard *shard_of(uint64_t hashed)
{
    return &shards[hashed & (SHARDS - 1)];
}

static bool lives(const struct ss_span *span)
{
    return atomic_load_explicit(&span->instance->serial, memory_order_relaxed) ==
           span->instance_serial;
}

static uint32_t home_of(const struct slots *slots, const struct ss_span *span)
{
    return (uint32_t)(ss_span_hash(span->instance, span->id) >> 8) & slots->mask;
}

/* The slot that holds the key, or -1. empty: where one was met that holds nothing. */
static int64_t search(const struct slots *slots, uint64_t hashed,
                      const struct ss_instance *instance, uint64_t id, struct ss_span_ref *found,
                      uint32_t *empty)
{
    uint32_t start = (uint32_t)(hashed >> 8) & slots->mask;
    for (uint32_t n = 0; n <= slots->mask; n++) {
        uint32_t i = (start + n) & slots->mask;
        struct ss_span *span = atomic_load_explicit(&slots->at[i], memory_order_acquire);
        *empty = i;
        if (!span)
            return -1;
        uint64_t serial = atomic_load_explicit(&span->serial, memory_order_acquire);
        if (serial && span->id == id && span->instance == instance && lives(span)) {
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(&span->serial, memory_order_relaxed) == serial) {
                *found = (struct ss_span_ref){span, serial};
                return i;
            }
        }
    }
    return -1;
}

struct ss_span_ref ss_span_find(const struct ss_instance *instance, uint64_t id)
{
    struct ss_span_ref found = {NULL, 0};
    uint64_t hashed = ss_span_hash(instance, id);
    struct shard *shard = shard_of(hashed);
    const struct slots *slots = atomic_load_explicit(&shard->slots, memory_order_acquire);
    uint32_t empty;
    if (!slots || search(slots, hashed, instance, id, &found, &empty) >= 0)
        return found;
    if (ss_lock(&shard->lock)) {
        slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
        (void)search(slots, hashed, instance, id, &found, &empty);
        ss_unlock(&shard->lock);
    }
    return found;
}

static void free_record(struct shard *shard, struct ss_span *span)
{
    ss_values_drop(span);
    atomic_store_explicit(&span->serial, 0, memory_order_release);
    span->next_free = shard->free;
    shard->free = span;
}

static void place_at(struct slots *slots, struct ss_span *span, uint32_t i)
{
    span->slot = i;
    atomic_store_explicit(&slots->at[i], span, memory_order_release);
}

static void place(struct slots *slots, struct ss_span *span)
{
    uint32_t i = home_of(slots, span);
    while (atomic_load_explicit(&slots->at[i], memory_order_relaxed))
        i = (i + 1) & slots->mask;
    place_at(slots, span, i);
}

/* Empties slot i and closes the gap, so that every chain stays whole; frees the record. */
static void remove_at(struct shard *shard, struct slots *slots, uint32_t i)
{
    struct ss_span *span = atomic_load_explicit(&slots->at[i], memory_order_relaxed);
    for (uint32_t j = (i + 1) & slots->mask;; j = (j + 1) & slots->mask) {
        struct ss_span *later = atomic_load_explicit(&slots->at[j], memory_order_relaxed);
        if (!later)
            break;
        uint32_t home = home_of(slots, later);
        /* May move only if its home is not behind the gap: cyclically outside (i, j]. */
        if (((j - home) & slots->mask) < ((j - i) & slots->mask))
            continue;
        place_at(slots, later, i);
        i = j;
    }
    atomic_store_explicit(&slots->at[i], NULL, memory_order_release);
    shard->taken--;
    free_record(shard, span);
}

/* Makes room for one more: takes void spans out, then doubles if it is still half full. */
static bool make_room(struct shard *shard)
{
    struct slots *old = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    for (uint32_t i = 0; old && i <= old->mask;) {
        struct ss_span *span = atomic_load_explicit(&old->at[i], memory_order_relaxed);
        if (span && !lives(span))
            remove_at(shard, old, i);
        else
            i++;
    }
    uint32_t size = old ? old->mask + 1 : 0;
    if (old && shard->taken < size / 2)
        return true;
    size = old ? size * 2 : FIRST_SLOTS;
    struct slots *fresh = ss_alloc(sizeof *fresh + size * sizeof(slot));
    if (!fresh)
        return old && shard->taken < old->mask;
    fresh->mask = size - 1;
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        struct ss_span *span = atomic_load_explicit(&old->at[i], memory_order_relaxed);
        if (span)
            place(fresh, span);
    }
    atomic_store_explicit(&shard->slots, fresh, memory_order_release);
    return true;
}

static struct ss_span *take_record(struct shard *shard)
{
    if (!shard->free) {
        struct ss_span *records = ss_alloc(RECORDS_AT_ONCE * sizeof *records);
        if (!records)
            return NULL;
        for (unsigned i = 0; i < RECORDS_AT_ONCE; i++)
            free_record(shard, &records[i]);
    }
    struct ss_span *span = shard->free;
    shard->free = span->next_free;
    return span;
}

static struct ss_span_ref add(struct shard *shard, uint64_t hashed, const struct ss_span *model,
                              bool *duplicate)
{
    struct ss_span_ref none = {NULL, 0}, found = {NULL, 0};
    struct slots *slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    uint32_t empty = 0;
    int64_t at = slots ? search(slots, hashed, model->instance, model->id, &found, &empty) : -1;
    if (at >= 0) {
        /* An id may come back while the close that freed it is still on its way to us. */
        if (!ss_threads_close(found.serial)) {
            *duplicate = true;
            return none;
        }
        remove_at(shard, slots, (uint32_t)at);
    }
    bool full = !slots || shard->taken >= (slots->mask + 1) / 4 * 3;
    if (full && !make_room(shard))
        return none;
    struct ss_span *span = take_record(shard);
    if (!span)
        return none;
    uint64_t serial = ++shard->made * SHARDS + (uint64_t)(shard - shards);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&span->id, model->id, memory_order_relaxed);
    atomic_store_explicit(&span->address, model->address, memory_order_relaxed);
    atomic_store_explicit(&span->instance, model->instance, memory_order_relaxed);
    atomic_store_explicit(&span->instance_serial, model->instance_serial, memory_order_relaxed);
    span->site = model->site;
    span->values = model->values;
    span->parent = model->parent;
    ss_moment_store(&span->created, &model->created);
    span->created_number = model->created_number;
    atomic_store_explicit(&span->last_entered, 0, memory_order_relaxed);
    atomic_store_explicit(&span->reported, false, memory_order_relaxed);
    atomic_store_explicit(&span->foreign, false, memory_order_relaxed);
    atomic_store_explicit(&span->handles, 1, memory_order_relaxed);
    atomic_store_explicit(&span->fingerprint, 0, memory_order_relaxed);
    atomic_store_explicit(&span->serial, serial, memory_order_release);
    if (SS_UNLIKELY(full || at >= 0))
        place(atomic_load_explicit(&shard->slots, memory_order_relaxed), span);
    else
        place_at(slots, span, empty);
    shard->taken++;
    return (struct ss_span_ref){span, serial};
}

struct ss_span_ref ss_span_add(const struct ss_span *model, bool *duplicate)
{
    struct ss_span_ref added = {NULL, 0};
    uint64_t hashed = ss_span_hash(model->instance, model->id);
    struct shard *shard = shard_of(hashed);
    *duplicate = false;
    if (!ss_lock(&shard->lock))
        return added;
    added = add(shard, hashed, model, duplicate);
    ss_unlock(&shard->lock);
    return added;
}

void ss_span_close(struct ss_span *span, uint64_t serial, const struct ss_moment *closed,
                   bool certain)
{
    if (atomic_load_explicit(&span->serial, memory_order_acquire) != serial)
        return;
    uint64_t hashed = ss_span_hash(span->instance, span->id);
    struct shard *shard = shard_of(hashed);
    if (!ss_lock(&shard->lock))
        return;
    struct slots *slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    /* The record may have changed before the lock was taken. */
    if (atomic_load_explicit(&span->serial, memory_order_relaxed) == serial) {
        if (closed)
            ss_closed_note((struct ss_span_ref){span, serial}, hashed, closed, certain);
        remove_at(shard, slots, span->slot);
    }
    ss_unlock(&shard->lock);
}

void ss_span_remove(struct ss_span *span, uint64_t serial)
{
    ss_span_close(span, serial, NULL, false);
}

bool ss_span_lock(uint64_t hashed)
{
    return ss_lock(&shard_of(hashed)->lock);
}

void ss_span_unlock(uint64_t hashed)
{
    ss_unlock(&shard_of(hashed)->lock);
}

void ss_span_table_lock(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        (void)ss_lock(&shards[i].lock);
}

void ss_span_table_unlock(void)
{
    for (unsigned i = SHARDS; i--;)
        ss_unlock(&shards[i].lock);
}

void ss_span_table_forked(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        atomic_store(&shards[i].lock.state, 0);
}
