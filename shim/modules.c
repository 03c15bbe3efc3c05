/* Which ELF objects are loaded: one record each, found again by address, and when to look for
 * subscriber tables and call sites in them.
 *
 * ss_modules_update is called at start and from inside the loader, ss_modules_poll from outside; by
 * any thread and by several at once. The loader calls back with one of its locks held and the
 * records' lock is taken inside that, never the other way round. Look-ups by address are lock-free,
 * from any context, signal handlers included. */
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "file_id.h"
#include "internal.h"
#include "lock.h"
#include "maps.h"
#include "module_image.h"
#include "module_names.h"
#include "modules.h"
#include "prim.h"

enum { PAGE = 4096, BUSY_WAITS = 200, BUSY_WAIT_NS = 500000 };

/* How far the search of a module has come. */
enum work { WORK_NEW, WORK_BUSY, WORK_DONE };

struct record {
    struct ss_module module; /* first: a pointer to it is one to the record */
    uint64_t name_hash;      /* of the name that the loader has for it */
    struct ss_file_id file;  /* where there is no build id */
    uint64_t seen;           /* the newest walk that met it */
    bool indexed;
    bool dismissed;                     /* never searched */
    _Atomic uint32_t tables, callsites; /* enum work */
    /* A word that was patched, and what it holds since. In a module that was unloaded and loaded
     * again in the same place between two walks it holds something else. */
    _Atomic uintptr_t patched_place;
    uintptr_t patched_value;
};

static struct ss_lock lock; /* of the records and everything up to `settled` */
static struct record *_Atomic records[SS_MODULES_MAX];
static _Atomic uint32_t record_count;
static uint64_t newest_walk, newest_sweep;

/* The loader's counts when everything was last up to date. */
struct counts {
    unsigned long long adds, subs;
};
static _Atomic unsigned long long settled_adds, settled_subs;
static _Atomic bool settled;

/* How often something was left for the next time, a module not relocated yet; and how many of these
 * times have been made up for. */
static _Atomic uint32_t postponed, caught_up;

/* A table was found in some module: only then are call sites looked for. */
static _Atomic bool tables_somewhere;

/* A module was found gone since this was last asked. */
static _Atomic bool some_went;

/* The loader has more objects than it shows us: dlmopen made namespaces for them. */
static _Atomic bool some_apart;

/* The thread is looking, and what calls us now is a signal handler of its. */
static __thread bool looking;

/* Looks under way, and forks, which are not to happen in one: the child would find the loader locked
 * for ever. */
static _Atomic uint32_t looks, forks;

/* We are a child of a process with several threads: one that this process does not have may have
 * held the loader's lock, for ever. We do not take it before the loader itself has. */
static _Atomic bool maybe_held;

/* ---- the index by address -------------------------------------------------------------------- */

/* A module in the index. Modules can lie in holes between another one's segments, so what holds an
 * address need not be the last one that starts below it; none further down holds what is at or
 * beyond `reach`. */
struct entry {
    struct record *_Atomic record;
    _Atomic uintptr_t start, reach;
};

/* Two copies; the one not in use is rebuilt. `building` moves before and `built` after that, so
 * that a reader who was held up until its copy was being rebuilt finds out. */
static struct entry index_entries[2][SS_MODULES_MAX];
static _Atomic uint32_t index_count[2];
static _Atomic uint64_t building, built;

static void put_entry(struct entry *at, struct record *r)
{
    atomic_store_explicit(&at->record, r, memory_order_relaxed);
    atomic_store_explicit(&at->start, r->module.start, memory_order_relaxed);
}

/* Puts r into its place among `count` sorted entries. */
static void insert_entry(struct entry *entries, uint32_t count, struct record *r)
{
    for (; count > 0; count--) {
        struct record *before =
            atomic_load_explicit(&entries[count - 1].record, memory_order_relaxed);
        if (before->module.start <= r->module.start)
            break;
        put_entry(&entries[count], before);
    }
    put_entry(&entries[count], r);
}

/* Calls for the lock. */
static void rebuild_index(void)
{
    uint64_t old = atomic_load_explicit(&built, memory_order_relaxed), next = old + 1;
    atomic_store_explicit(&building, next, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);

    struct entry *entries = index_entries[next & 1];
    uint32_t count = 0;
    uint32_t old_count = atomic_load_explicit(&index_count[old & 1], memory_order_relaxed);
    for (uint32_t i = 0; i < old_count; i++) {
        struct record *r =
            atomic_load_explicit(&index_entries[old & 1][i].record, memory_order_relaxed);
        if (r->module.loaded)
            put_entry(&entries[count++], r);
        else
            r->indexed = false;
    }
    uint32_t all = atomic_load_explicit(&record_count, memory_order_relaxed);
    for (uint32_t i = 0; i < all; i++) {
        struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
        if (r->module.loaded && !r->indexed) {
            insert_entry(entries, count++, r);
            r->indexed = true;
        }
    }

    uintptr_t reach = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = atomic_load_explicit(&entries[i].record, memory_order_relaxed);
        if (r->module.end > reach)
            reach = r->module.end;
        atomic_store_explicit(&entries[i].reach, reach, memory_order_relaxed);
    }
    atomic_store_explicit(&index_count[next & 1], count, memory_order_relaxed);
    atomic_store_explicit(&built, next, memory_order_release);
}

static struct ss_module *look_up(const struct entry *entries, uint32_t count, uintptr_t address)
{
    uint32_t low = 0;
    while (low < count) { /* the number of entries that start at or below address */
        uint32_t middle = low + (count - low) / 2;
        if (atomic_load_explicit(&entries[middle].start, memory_order_relaxed) <= address)
            low = middle + 1;
        else
            count = middle;
    }
    while (low-- > 0 && atomic_load_explicit(&entries[low].reach, memory_order_relaxed) > address) {
        struct record *r = atomic_load_explicit(&entries[low].record, memory_order_relaxed);
        if (r && ss_image_segment(&r->module, address))
            return &r->module;
    }
    return NULL;
}

struct ss_module *ss_module_of(uintptr_t address)
{
    struct ss_module *found;
    uint64_t version;
    do {
        version = atomic_load_explicit(&built, memory_order_acquire);
        found =
            look_up(index_entries[version & 1],
                    atomic_load_explicit(&index_count[version & 1], memory_order_relaxed), address);
        atomic_thread_fence(memory_order_acquire);
    } while (atomic_load_explicit(&building, memory_order_relaxed) > version + 1);
    return found && atomic_load_explicit(&found->loaded, memory_order_relaxed) ? found : NULL;
}

struct ss_module *ss_module_at(uint32_t number)
{
    if (number >= atomic_load_explicit(&record_count, memory_order_acquire))
        return NULL;
    return &atomic_load_explicit(&records[number], memory_order_relaxed)->module;
}

/* ---- walking the loader's list --------------------------------------------------------------- */

/* One call of dl_iterate_phdr. */
struct walk {
    uint64_t ticket; /* its number; 0: not begun */
    bool polled;     /* from outside the loader: what is met is searched at once */
    bool left;       /* something was postponed before it */
    uint32_t postponed;
    bool unchanged;
    bool counted;
    struct counts counts;
    uint32_t position;
};

static uint64_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; name && *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static bool is_same(const struct record *r, const struct ss_module *fresh, uint64_t name_hash)
{
    const struct ss_module *m = &r->module;
    return m->start == fresh->start && m->end == fresh->end && m->bias == fresh->bias &&
           m->dynamic == fresh->dynamic && m->segment_count == fresh->segment_count &&
           memcmp(m->segments, fresh->segments, m->segment_count * sizeof *m->segments) == 0 &&
           m->build_id_length == fresh->build_id_length &&
           memcmp(m->build_id, fresh->build_id, m->build_id_length) == 0 &&
           r->name_hash == name_hash;
}

/* Whether r, met before, is a new mapping all the same. */
static bool was_reloaded(const struct record *r)
{
    uintptr_t place = atomic_load_explicit(&r->patched_place, memory_order_acquire);
    return place && *(const uintptr_t *)place != r->patched_value;
}

/* Whether what comes back to the place of r, which was gone, is the file that it was. */
static bool came_back(const struct record *r)
{
    if (r->module.build_id_length || r->dismissed)
        return true;
    struct ss_file_id file;
    ss_file_identify(r->module.path, &file);
    return file.inode && memcmp(&file, &r->file, sizeof file) == 0;
}

/* Calls for the lock. */
static struct record *add_record(const struct ss_module *fresh, uint64_t name_hash, uint64_t ticket,
                                 const char *name, bool program)
{
    uint32_t count = atomic_load_explicit(&record_count, memory_order_relaxed);
    if (count == SS_MODULES_MAX) {
        static bool told;
        if (!told)
            SS_WARN("more than 4096 objects were loaded: none is looked at from here on, ", name);
        told = true;
        return NULL;
    }
    const char *full_path = ss_module_path_of(fresh, name, program);
    struct record *r = ss_alloc(sizeof *r);
    if (!r || !full_path)
        return NULL;
    r->module = *fresh;
    r->module.id = count + 1;
    r->module.path = full_path;
    r->name_hash = name_hash;
    if (!fresh->build_id_length)
        ss_file_identify(full_path, &r->file);
    r->seen = ticket;
    bool ours = fresh->start <= (uintptr_t)records && (uintptr_t)records < fresh->end;
    r->dismissed = ours || (!program && ss_module_is_system(&r->module));
    if (r->dismissed) {
        atomic_init(&r->tables, WORK_DONE);
        atomic_init(&r->callsites, WORK_DONE);
    }
    atomic_store_explicit(&r->module.loaded, 1, memory_order_relaxed);
    atomic_store_explicit(&records[count], r, memory_order_relaxed);
    atomic_store_explicit(&record_count, count + 1, memory_order_release);
    return r;
}

/* Finds or makes the record of what was met. A file that comes back to the place where it was gets
 * its old record back: without that, a plugin loaded in a loop would use up all ids. Calls for the
 * lock. */
static struct record *meet(const struct ss_module *fresh, uint64_t ticket, const char *name,
                           bool program)
{
    uint64_t name_hash = hash_of(name);
    uint32_t count = atomic_load_explicit(&record_count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
        if (r->module.start != fresh->start || !is_same(r, fresh, name_hash) ||
            (!r->module.loaded && !came_back(r)))
            continue;
        if (r->seen < ticket)
            r->seen = ticket;
        if (was_reloaded(r) && !r->dismissed) {
            atomic_store_explicit(&r->patched_place, 0, memory_order_relaxed);
            atomic_store_explicit(&r->tables, WORK_NEW, memory_order_relaxed);
        }
        atomic_store_explicit(&r->module.loaded, 1, memory_order_relaxed);
        return r;
    }
    return add_record(fresh, name_hash, ticket, name, program);
}

/* ---- searching what is new ------------------------------------------------------------------- */

void ss_module_has_table(struct ss_module *m, uintptr_t slot)
{
    struct record *r = (struct record *)m;
    atomic_store_explicit(&tables_somewhere, true, memory_order_release);
    uintptr_t value = *(const uintptr_t *)slot;
    if (!atomic_load_explicit(&r->patched_place, memory_order_relaxed) &&
        !ss_module_executable(m, value)) {
        r->patched_value = value;
        atomic_store_explicit(&r->patched_place, slot, memory_order_release);
    }
}

static bool claim(_Atomic uint32_t *work)
{
    uint32_t expected = WORK_NEW;
    return atomic_compare_exchange_strong_explicit(work, &expected, WORK_BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Waits while a cell is from least to most. What it waits for may be a thread that this process does not have, or that waits for this one:
 * so the wait has an end. False: it came to that. */
static bool wait_while(_Atomic uint32_t *cell, uint32_t least, uint32_t most)
{
    for (uint32_t i = 0; i < BUSY_WAITS; i++) {
        uint32_t value = atomic_load_explicit(cell, memory_order_seq_cst);
        if (value < least || value > most)
            return true;
        struct __kernel_timespec pause = {0, BUSY_WAIT_NS};
        (void)SS_SYSCALL_2(__NR_nanosleep, &pause, NULL);
    }
    return false;
}

/* Another thread has the module in hand. Its constructors are not to run before that is done. */
static void wait_for(_Atomic uint32_t *work)
{
    if (!wait_while(work, WORK_BUSY, WORK_BUSY))
        atomic_store_explicit(work, WORK_DONE, memory_order_relaxed);
}

static void search_tables(struct record *r)
{
    if (!claim(&r->tables)) {
        wait_for(&r->tables);
        return;
    }
    uint32_t outcome = WORK_DONE;
    if (ss_image_is_relocated(&r->module)) {
        ss_discover(&r->module);
        /* Now, as the module may be gone when its record is written. */
        if (r->module.tables_hooked + r->module.tables_unhooked)
            ss_module_versions(&r->module, r->module.tracing_core, r->module.tracing_subscriber);
    } else {
        atomic_fetch_add(&postponed, 1);
        outcome = WORK_NEW;
    }
    atomic_store_explicit(&r->tables, outcome, memory_order_release);
}

static void search_callsites(struct record *r)
{
    if (atomic_load_explicit(&r->tables, memory_order_relaxed) != WORK_DONE)
        return;
    if (!claim(&r->callsites)) {
        wait_for(&r->callsites);
        return;
    }
    ss_callsites_find(&r->module);
    atomic_store_explicit(&r->callsites, WORK_DONE, memory_order_release);
}

static void each_loaded(void (*what)(struct record *))
{
    uint32_t count = atomic_load_explicit(&record_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
        if (atomic_load_explicit(&r->module.loaded, memory_order_relaxed))
            what(r);
    }
}

/* Whether the loader has done with the pages that tables are in: protecting them comes last. */
static bool is_protected(const struct ss_module *m)
{
    struct ss_mapping mapping;
    uintptr_t page = m->relro_start & -(uintptr_t)PAGE;
    return page == (m->relro_end & -(uintptr_t)PAGE) ||
           (ss_mapping_find(page, &mapping) && !(mapping.protection & PROT_WRITE));
}

static void search_settled(struct record *r)
{
    if (atomic_load_explicit(&r->tables, memory_order_relaxed) == WORK_NEW) {
        if (is_protected(&r->module))
            search_tables(r);
        else
            atomic_fetch_add(&postponed, 1);
    }
    if (atomic_load_explicit(&tables_somewhere, memory_order_acquire) &&
        atomic_load_explicit(&r->callsites, memory_order_relaxed) == WORK_NEW)
        search_callsites(r);
}

/* Two walks by different threads can end in the other order than they saw the list. Their numbers
 * tell: the loader's list is locked from the first call of a walk to its last. What the loader counts
 * does not: glibc's number of unloaded objects falls where there are several namespaces. Calls for
 * the lock. */
static void begin_walk(struct walk *walk)
{
    walk->ticket = ++newest_walk;
}

static int see(struct dl_phdr_info *info, size_t size, void *context)
{
    struct walk *walk = context;
    bool first = walk->position++ == 0;
    if (first && size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs) {
        walk->counted = true;
        walk->counts = (struct counts){info->dlpi_adds, info->dlpi_subs};
        walk->unchanged =
            !(walk->polled && walk->left) && atomic_load_explicit(&settled, memory_order_acquire) &&
            walk->counts.adds == atomic_load_explicit(&settled_adds, memory_order_relaxed) &&
            walk->counts.subs == atomic_load_explicit(&settled_subs, memory_order_relaxed);
        if (walk->unchanged)
            return 1;
    }
    struct ss_module fresh;
    ss_image_read(info, &fresh);
    if (!ss_lock(&lock))
        return 1;
    if (first)
        begin_walk(walk);
    struct record *r =
        fresh.segment_count ? meet(&fresh, walk->ticket, info->dlpi_name, first) : NULL;
    if (walk->polled && r && !r->indexed)
        rebuild_index();
    ss_unlock(&lock);
    /* While the loader calls us it unmaps nothing, so that a module can be read whose dlclose is
     * under way on another thread. */
    if (walk->polled && r)
        search_settled(r);
    return 0;
}

/* Marks what the walk did not meet as unloaded, unless a newer walk was here first. */
static void finish_walk(const struct walk *walk)
{
    if (!ss_lock(&lock))
        return;
    if (walk->ticket >= newest_sweep) {
        newest_sweep = walk->ticket;
        uint32_t count = atomic_load_explicit(&record_count, memory_order_relaxed);
        for (uint32_t i = 0; i < count; i++) {
            struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
            if (r->seen < walk->ticket &&
                atomic_exchange_explicit(&r->module.loaded, 0, memory_order_relaxed))
                atomic_store_explicit(&some_went, true, memory_order_relaxed);
        }
        rebuild_index();
        if (walk->counted) {
            atomic_store_explicit(&settled_adds, walk->counts.adds, memory_order_relaxed);
            atomic_store_explicit(&settled_subs, walk->counts.subs, memory_order_relaxed);
            atomic_store_explicit(&some_apart,
                                  walk->counts.adds - walk->counts.subs > walk->position,
                                  memory_order_relaxed);
            atomic_store_explicit(&settled, true, memory_order_release);
        }
    }
    ss_unlock(&lock);
}

/* Brings the records up to date. False: nothing has changed and nothing was left to do. */
static bool take_stock(struct walk *walk)
{
    walk->postponed = atomic_load(&postponed);
    walk->left = walk->postponed != atomic_load(&caught_up);
    (void)dl_iterate_phdr(see, walk);
    if (walk->unchanged)
        return walk->left;
    if (walk->ticket)
        finish_walk(walk);
    return true;
}

/* False: the thread is looking already, and is in a signal handler. */
static bool begin_look(void)
{
    if (!dl_iterate_phdr || looking)
        return false;
    atomic_fetch_add(&looks, 1);
    if (atomic_load(&forks)) {
        atomic_fetch_sub(&looks, 1);
        (void)wait_while(&forks, 1, UINT32_MAX);
        atomic_fetch_add(&looks, 1);
    }
    looking = true;
    return true;
}

static void end_look(void)
{
    looking = false;
    atomic_fetch_sub(&looks, 1);
}

static void catch_up(const struct walk *walk)
{
    if ((int32_t)(walk->postponed - atomic_load(&caught_up)) > 0)
        atomic_store(&caught_up, walk->postponed);
}

void ss_modules_update(void)
{
    struct walk walk = {0};
    atomic_store(&maybe_held, false);
    if (!begin_look())
        return;
    if (take_stock(&walk)) {
        each_loaded(search_tables);
        if (atomic_load_explicit(&tables_somewhere, memory_order_acquire))
            each_loaded(search_callsites);
    }
    catch_up(&walk);
    end_look();
}

/* ---- from outside the loader ----------------------------------------------------------------- */

void ss_modules_poll(void)
{
    struct walk walk = {.polled = true};
    if (atomic_load(&maybe_held) || !begin_look())
        return;
    bool tables_before = atomic_load_explicit(&tables_somewhere, memory_order_relaxed);
    (void)take_stock(&walk);
    /* What was met before the first table has its call sites looked for the next time. */
    if (atomic_load_explicit(&tables_somewhere, memory_order_relaxed) != tables_before)
        atomic_fetch_add(&postponed, 1);
    catch_up(&walk);
    end_look();
}

static int visit(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    void (*const *each)(const struct ss_module *) = context;
    struct ss_module fresh;
    ss_image_read(info, &fresh);
    uint64_t name_hash = hash_of(info->dlpi_name);
    uint32_t count = atomic_load_explicit(&record_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
        if (r->module.start == fresh.start && is_same(r, &fresh, name_hash) &&
            atomic_load_explicit(&r->module.loaded, memory_order_relaxed))
            (*each)(&r->module);
    }
    return 0;
}

bool ss_modules_visit(void (*each)(const struct ss_module *))
{
    if (atomic_load(&maybe_held) || !begin_look())
        return false;
    (void)dl_iterate_phdr(visit, &each);
    end_look();
    return true;
}

bool ss_modules_went(void)
{
    return atomic_load_explicit(&some_went, memory_order_relaxed) &&
           atomic_exchange_explicit(&some_went, false, memory_order_relaxed);
}

bool ss_modules_apart(void)
{
    return atomic_load_explicit(&some_apart, memory_order_relaxed);
}

/* ---- fork ------------------------------------------------------------------------------------ */

void ss_modules_fork(void)
{
    atomic_fetch_add(&forks, 1);
    if (!looking)
        (void)wait_while(&looks, 1, UINT32_MAX);
}

void ss_modules_forked(bool child, bool had_threads)
{
    if (!child) {
        atomic_fetch_sub(&forks, 1);
        return;
    }
    if (had_threads)
        atomic_store(&maybe_held, true);
    atomic_store(&looks, looking);
    atomic_store(&forks, 0);
    /* Not held around the fork: the loader's own lock, which is taken before it, is not either. */
    atomic_store(&lock.state, 0);
}
