/* Call sites by the address of their Metadata, in an open-addressing table that readers use without
 * the lock. Sites are never freed; one whose module was unloaded is left behind when its address
 * comes back. */
#include "sites.h"

#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "lock.h"

enum { FIRST_SLOTS = 256 };

struct slots {
    uint32_t mask;
    struct ss_site *_Atomic at[];
};

struct ss_lock ss_sites_lock;
static struct slots *_Atomic sites;
static uint32_t taken;

static uint32_t hash(uintptr_t key)
{
    return (uint32_t)((key >> 3) * 0x9e3779b97f4a7c15u >> 32);
}

static bool is_current(const struct ss_site *site)
{
    return !site->module || atomic_load_explicit(&site->module->loaded, memory_order_relaxed);
}

static struct ss_site *find(const struct slots *slots, uintptr_t key)
{
    for (uint32_t i = hash(key) & slots->mask;; i = (i + 1) & slots->mask) {
        struct ss_site *site = atomic_load_explicit(&slots->at[i], memory_order_acquire);
        if (!site || (site->key == key && is_current(site)))
            return site;
    }
}

static void place(struct slots *slots, struct ss_site *site)
{
    uint32_t i = hash(site->key) & slots->mask;
    while (atomic_load_explicit(&slots->at[i], memory_order_relaxed))
        i = (i + 1) & slots->mask;
    atomic_store_explicit(&slots->at[i], site, memory_order_release);
}

static struct slots *make_room(struct slots *old)
{
    uint32_t size = old ? (old->mask + 1) * 2 : FIRST_SLOTS;
    struct slots *fresh = ss_alloc(sizeof *fresh + size * sizeof fresh->at[0]);
    if (!fresh)
        return NULL;
    fresh->mask = size - 1;
    for (uint32_t i = 0; old && i <= old->mask; i++)
        if (old->at[i])
            place(fresh, old->at[i]);
    atomic_store_explicit(&sites, fresh, memory_order_release);
    return fresh;
}

/* Adds a site, or returns the one that another thread added meanwhile. */
static struct ss_site *add(struct ss_site *site)
{
    if (!site || !ss_lock(&ss_sites_lock))
        return NULL;
    struct slots *slots = atomic_load(&sites);
    struct ss_site *there = slots ? find(slots, site->key) : NULL;
    if (!there) {
        if (!slots || taken >= (slots->mask + 1) / 2)
            slots = make_room(slots);
        if (slots) {
            place(slots, site);
            taken++;
            there = site;
        }
    }
    ss_unlock(&ss_sites_lock);
    return there;
}

static const char *copy(struct ss_text text)
{
    return text.data ? ss_copy_text(text.data, text.length) : NULL;
}

static struct ss_site *read_metadata(uintptr_t address)
{
    struct ss_metadata metadata;
    if (!ss_callsite_decode(address, &metadata))
        return NULL;
    struct ss_site *site = ss_alloc(sizeof *site);
    const char **fields = ss_alloc((metadata.field_count + 1) * sizeof *fields);
    if (!site || !fields)
        return NULL;
    site->key = address;
    site->module = ss_module_of(address);
    site->provider = SS_PROVIDER_RUST;
    site->name = copy(metadata.name);
    site->target = copy(metadata.target);
    site->file = copy(metadata.file);
    site->line = metadata.line;
    site->level = metadata.level;
    for (uint32_t i = 0; i < metadata.field_count; i++) {
        struct ss_text name = {(const char *)metadata.names[2 * i],
                               (uint32_t)metadata.names[2 * i + 1]};
        fields[i] = copy(name);
    }
    site->fields = fields;
    site->field_count = metadata.field_count;
    site->field_set = metadata.fields;
    return site;
}

struct ss_site *ss_site_of_metadata(uintptr_t metadata)
{
    const struct slots *slots = atomic_load_explicit(&sites, memory_order_acquire);
    struct ss_site *site = slots ? find(slots, metadata) : NULL;
    return site ? site : add(read_metadata(metadata));
}

struct ss_site *ss_site_of_attributes(const struct ss_thread *thread, uintptr_t attributes,
                                      struct ss_attributes *out)
{
    const struct slots *slots = atomic_load_explicit(&sites, memory_order_acquire);
    if (slots && attributes && attributes % sizeof(uintptr_t) == 0) {
        struct ss_site *site = find(slots, ((const uintptr_t *)attributes)[2]);
        if (site && site->field_set &&
            ss_attributes_are_of(attributes, site, thread->stack_high, out))
            return site;
    }
    ss_attributes_read(attributes, out);
    return out->metadata ? ss_site_of_metadata(out->metadata) : NULL;
}

static const char *copy_terminated(const char *text)
{
    return text ? ss_copy_text(text, strnlen(text, SS_STRING_MAX)) : NULL;
}

struct ss_site *ss_site_of_annotation(const struct strayspan_site *annotation)
{
    const struct slots *slots = atomic_load_explicit(&sites, memory_order_acquire);
    struct ss_site *site = slots ? find(slots, (uintptr_t)annotation) : NULL;
    if (site || !annotation)
        return site;
    site = ss_alloc(sizeof *site);
    if (!site)
        return NULL;
    site->key = (uintptr_t)annotation;
    site->provider = SS_PROVIDER_ANNOTATION;
    site->name = copy_terminated(annotation->name);
    site->target = copy_terminated(annotation->target);
    site->file = copy_terminated(annotation->file);
    site->line = annotation->line;
    site->level = annotation->level < SS_LEVEL_COUNT ? annotation->level : SS_LEVEL_INFO;
    return add(site);
}
