/* Instances: which subscriber an address is. */
#ifndef SS_INSTANCES_H
#define SS_INSTANCES_H

#include <stdatomic.h>

#include "internal.h"
#include "span_table.h"

/* An instance and the serial that it had when it was found. */
struct ss_instance_ref {
    struct ss_instance *instance; /* NULL: no memory */
    uint64_t serial;
};

SS_HIDDEN struct ss_instance_ref ss_instance_of_slow(struct ss_thread *thread, uintptr_t address,
                                                     const struct ss_table *table);

static inline unsigned ss_instance_slot(uintptr_t address)
{
    return (unsigned)(address >> 4) % SS_CACHED_INSTANCES;
}

/* The instance at address, which the program calls through table now (NULL: an annotation's token);
 * made known where it is new. Slow context; the thread's cache spares most calls the lock. */
static inline struct ss_instance_ref ss_instance_of(struct ss_thread *thread, uintptr_t address,
                                                    const struct ss_table *table)
{
    unsigned slot = ss_instance_slot(address);
    struct ss_instance *cached = thread->cached_instances[slot].instance;
    uint64_t serial = thread->cached_instances[slot].serial;
    if (SS_LIKELY(thread->cached_instances[slot].address == address && cached &&
                  cached->table == table &&
                  atomic_load_explicit(&cached->serial, memory_order_relaxed) == serial))
        return (struct ss_instance_ref){cached, serial};
    return ss_instance_of_slow(thread, address, table);
}

/* Whether calls on from (at address, being called now) reach to: the same one, or one that it
 * holds. */
SS_HIDDEN bool ss_instance_reaches(const struct ss_instance *from, uintptr_t address,
                                   const struct ss_instance *to);

/* Notes a new span of an instance whose closes are not heard of. Returns the one to be forgotten
 * for it, as only so many of the latest are kept: span NULL for none. */
SS_HIDDEN struct ss_span_ref ss_instance_note_span(struct ss_instance *instance,
                                                   struct ss_span_ref span);

/* The object at address is being dropped: its last address ends the instance. */
SS_HIDDEN void ss_instance_dropped(uintptr_t address, const struct ss_table *table);

/* Ends the instances whose tables were in modules that are loaded no more. Slow context. */
SS_HIDDEN void ss_instances_unloaded(void);

/* The instance handed a live id out: it is not judged from now on, and the summary names it. */
SS_HIDDEN void ss_instance_distrust(struct ss_instance *instance);

/* What the table is called with makes no sense: none of its instances is judged from now on. The
 * summary names the table's module. */
SS_HIDDEN void ss_instances_distrust(const struct ss_table *table);

/* The instances that were distrusted, from 0: serial and table (NULL: an annotation's). False
 * beyond the last, or the last that is remembered. Lock-free. */
SS_HIDDEN bool ss_instance_distrusted(uint32_t index, uint64_t *serial,
                                      const struct ss_table **table);

/* How many instances were seen. */
SS_HIDDEN uint64_t ss_instances_seen(void);

/* All instance records by index from 0, free ones (serial 0) included; NULL beyond the last. */
SS_HIDDEN struct ss_instance *ss_instance_at(uint32_t index);

#endif
