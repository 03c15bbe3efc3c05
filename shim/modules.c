/* Which ELF objects are loaded: one record each, found again by address; symbols looked up in them
 * without libc; and when to look for subscriber tables and call sites in them.
 *
 * ss_modules_update is called at start and from inside the loader, by any thread and by several at
 * once. The loader calls back with one of its locks held and the records' lock is taken inside
 * that, never the other way round. Look-ups by address are lock-free, from any context, signal
 * handlers included. ss_symbol_next may be called before anything else of the shim. */
#include <asm/fcntl.h>
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "internal.h"
#include "lock.h"
#include "modules.h"
#include "prim.h"

/* A libc may lack it; then no module is ever found. */
extern int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *)
    __attribute__((weak));

enum { PATH_SIZE = 4096, BUSY_WAITS = 200, BUSY_WAIT_NS = 500000 };

/* How far the search of a module has come. */
enum work { WORK_NEW, WORK_BUSY, WORK_DONE };

struct record {
    struct ss_module module; /* first: a pointer to it is one to the record */
    uint64_t name_hash;      /* of the name that the loader has for it */
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
static char path[PATH_SIZE];

/* The loader's counts when everything was last up to date. */
struct counts {
    unsigned long long adds, subs;
};
static _Atomic unsigned long long settled_adds, settled_subs;
static _Atomic bool settled;

/* Something was left for the next time: a module not relocated yet. */
static _Atomic bool postponed;

/* A table was found in some module: only then are call sites looked for. */
static _Atomic bool tables_somewhere;

/* ---- the index by address
 * ------------------------------------------------------------------------ */

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

static const struct ss_segment *segment_of(const struct ss_module *m, uintptr_t address)
{
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (address >= m->segments[i].start && address < m->segments[i].end)
            return &m->segments[i];
    return NULL;
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
        if (r && segment_of(&r->module, address))
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

bool ss_module_readable(const struct ss_module *m, uintptr_t address, size_t size)
{
    const struct ss_segment *segment = segment_of(m, address);
    return segment && (segment->flags & PF_R) && size <= segment->end - address;
}

bool ss_module_executable(const struct ss_module *m, uintptr_t address)
{
    const struct ss_segment *segment = segment_of(m, address);
    return segment && (segment->flags & PF_X);
}

/* ---- what the loader knows of a module
 * ------------------------------------------------------------ */

static uintptr_t align_up(uintptr_t value, uintptr_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* Takes the build id out of one PT_NOTE. */
static void read_notes(struct ss_module *m, const ElfW(Phdr) * header)
{
    uintptr_t at = m->bias + header->p_vaddr, left = header->p_memsz;
    uintptr_t alignment = header->p_align == 8 ? 8 : 4;
    if (!ss_module_readable(m, at, left))
        return;
    while (left >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = sizeof *note;
        uintptr_t content = align_up(name + note->n_namesz, alignment);
        uintptr_t size = align_up(content + note->n_descsz, alignment);
        if (content > left || note->n_descsz > left - content)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp((const char *)at + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 &&
            note->n_descsz <= SS_BUILD_ID_MAX) {
            memcpy(m->build_id, (const char *)at + content, note->n_descsz);
            m->build_id_length = note->n_descsz;
            return;
        }
        if (size >= left)
            return;
        at += size;
        left -= size;
    }
}

static void read_load(struct ss_module *m, const ElfW(Phdr) * header)
{
    uintptr_t start = m->bias + header->p_vaddr, end = start + header->p_memsz;
    if (header->p_memsz == 0 || end < start || header->p_filesz > header->p_memsz)
        return;
    if (m->end == 0 || start < m->start)
        m->start = start;
    if (end > m->end)
        m->end = end;
    if (m->segment_count < SS_SEGMENTS_MAX)
        m->segments[m->segment_count++] =
            (struct ss_segment){start, end, start + header->p_filesz, header->p_flags};
}

/* Fills in everything of m that its program headers say. Reads nothing outside its segments. */
static void read_headers(struct ss_module *m, const struct dl_phdr_info *info)
{
    memset(m, 0, sizeof *m);
    m->bias = info->dlpi_addr;
    for (uint32_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            read_load(m, &info->dlpi_phdr[i]);
    for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = m->bias + header->p_vaddr;
        const struct ss_segment *segment = segment_of(m, start);
        uintptr_t size = header->p_memsz;
        if (!segment || size == 0)
            continue;
        if (size > segment->end - start) /* RELRO may end with the page */
            size = segment->end - start;
        if (header->p_type == PT_GNU_RELRO && (segment->flags & PF_R)) {
            m->relro_start = start;
            m->relro_end = start + size;
        } else if (header->p_type == PT_DYNAMIC && (segment->flags & PF_R)) {
            m->dynamic = start;
        } else if (header->p_type == PT_GNU_EH_FRAME && (segment->flags & PF_R)) {
            m->eh_frame_hdr = start;
            m->eh_frame_hdr_end = start + size;
        } else if (header->p_type == PT_NOTE && m->build_id_length == 0) {
            read_notes(m, header);
        }
    }
}

static uint64_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; name && *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static bool begins(const char *text, const char *with)
{
    while (*with && *text == *with) {
        text++;
        with++;
    }
    return !*with;
}

/* The path of a module as well as it can be known: the program's own is the kernel's, another one's
 * what the loader opened, from the root on. Calls for the lock. */
static const char *path_of(const char *name, bool program)
{
    long length = 0;
    if (program) {
        length = ss_sys_readlink("/proc/self/exe", path, sizeof path);
        return length > 0 ? ss_copy_text(path, (size_t)length) : ss_copy_text("", 0);
    }
    if (!name || !*name || begins(name, "linux-vdso") || begins(name, "linux-gate"))
        return "[vdso]";
    size_t name_length = strlen(name);
    if (name[0] != '/') {
        /* The kernel counts the terminator, and says "(unreachable)" beyond a chroot. */
        length = SS_SYSCALL_2(__NR_getcwd, path, sizeof path);
        if (length > 1 && path[0] == '/' && (size_t)length + name_length < sizeof path) {
            path[length - 1] = '/';
            memcpy(path + length, name, name_length);
            return ss_copy_text(path, (size_t)length + name_length);
        }
    }
    return ss_copy_text(name, name_length);
}

/* ---- walking the loader's list
 * --------------------------------------------------------------------- */

/* One call of dl_iterate_phdr. */
struct walk {
    uint64_t ticket; /* grows with what the loader did; 0: not begun */
    bool unchanged;
    bool counted;
    struct counts counts;
    uint32_t position;
};

/* The libraries that hold no Rust, by how their names begin. */
static bool is_system_library(const struct ss_module *m)
{
    static const char *const names[] = {
        "libc.so", "libc-",    "ld-",    "libm.so",     "libm-",        "libpthread",    "libdl.so",
        "libdl-",  "librt.so", "librt-", "libgcc_s.so", "libstdc++.so", "libresolv.so.", "libnss_"};
    const char *base = m->path;
    for (const char *at = m->path; *at; at++)
        if (*at == '/')
            base = at + 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (begins(base, names[i]))
            return true;
    return begins(m->path, "[vdso]");
}

static bool is_same(const struct record *r, const struct ss_module *fresh, uint64_t name_hash)
{
    const struct ss_module *m = &r->module;
    return m->start == fresh->start && m->end == fresh->end && m->bias == fresh->bias &&
           m->dynamic == fresh->dynamic && m->segment_count == fresh->segment_count &&
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

/* Calls for the lock. */
static void add_record(const struct ss_module *fresh, uint64_t name_hash, uint64_t ticket,
                       const char *name, bool program)
{
    uint32_t count = atomic_load_explicit(&record_count, memory_order_relaxed);
    if (count == SS_MODULES_MAX)
        return;
    const char *full_path = path_of(name, program);
    struct record *r = ss_alloc(sizeof *r);
    if (!r || !full_path)
        return;
    r->module = *fresh;
    r->module.id = count + 1;
    r->module.path = full_path;
    r->name_hash = name_hash;
    r->seen = ticket;
    bool ours = fresh->start <= (uintptr_t)records && (uintptr_t)records < fresh->end;
    r->dismissed = ours || (!program && is_system_library(&r->module));
    if (r->dismissed) {
        atomic_init(&r->tables, WORK_DONE);
        atomic_init(&r->callsites, WORK_DONE);
    }
    atomic_store_explicit(&r->module.loaded, 1, memory_order_relaxed);
    atomic_store_explicit(&records[count], r, memory_order_relaxed);
    atomic_store_explicit(&record_count, count + 1, memory_order_release);
}

/* Finds or makes the record of what was met. A file that comes back to the place where it was gets
 * its old record back: without that, a plugin loaded in a loop would use up all ids. Calls for the
 * lock. */
static void meet(const struct ss_module *fresh, uint64_t ticket, const char *name, bool program)
{
    uint64_t name_hash = hash_of(name);
    uint32_t count = atomic_load_explicit(&record_count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = atomic_load_explicit(&records[i], memory_order_relaxed);
        if (r->module.start != fresh->start || !is_same(r, fresh, name_hash))
            continue;
        if (r->seen < ticket)
            r->seen = ticket;
        bool other_file = !r->module.loaded && r->module.build_id_length == 0; /* perhaps */
        if (other_file && !r->dismissed)
            atomic_store_explicit(&r->callsites, WORK_NEW, memory_order_relaxed);
        if ((other_file || was_reloaded(r)) && !r->dismissed) {
            atomic_store_explicit(&r->patched_place, 0, memory_order_relaxed);
            atomic_store_explicit(&r->tables, WORK_NEW, memory_order_relaxed);
        }
        atomic_store_explicit(&r->module.loaded, 1, memory_order_relaxed);
        return;
    }
    add_record(fresh, name_hash, ticket, name, program);
}

/* Numbers the walk by how much the loader had done: two walks by different threads can end in the
 * other order than they saw the list. Calls for the lock. */
static void begin_walk(struct walk *walk)
{
    walk->ticket = walk->counted ? walk->counts.adds + walk->counts.subs + 1 : newest_walk + 1;
    if (walk->ticket > newest_walk)
        newest_walk = walk->ticket;
}

static int see(struct dl_phdr_info *info, size_t size, void *context)
{
    struct walk *walk = context;
    bool first = walk->position++ == 0;
    if (first && size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs) {
        walk->counted = true;
        walk->counts = (struct counts){info->dlpi_adds, info->dlpi_subs};
        walk->unchanged =
            atomic_load_explicit(&settled, memory_order_acquire) &&
            walk->counts.adds == atomic_load_explicit(&settled_adds, memory_order_relaxed) &&
            walk->counts.subs == atomic_load_explicit(&settled_subs, memory_order_relaxed);
        if (walk->unchanged)
            return 1;
    }
    struct ss_module fresh;
    read_headers(&fresh, info);
    if (!ss_lock(&lock))
        return 1;
    if (first)
        begin_walk(walk);
    if (fresh.segment_count)
        meet(&fresh, walk->ticket, info->dlpi_name, first);
    ss_unlock(&lock);
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
            if (r->seen < walk->ticket)
                atomic_store_explicit(&r->module.loaded, 0, memory_order_relaxed);
        }
        rebuild_index();
        if (walk->counted) {
            atomic_store_explicit(&settled_adds, walk->counts.adds, memory_order_relaxed);
            atomic_store_explicit(&settled_subs, walk->counts.subs, memory_order_relaxed);
            atomic_store_explicit(&settled, true, memory_order_release);
        }
    }
    ss_unlock(&lock);
}

/* ---- the dynamic section
 * --------------------------------------------------------------------------- */

/* What discovery and symbol look-up need of PT_DYNAMIC. Addresses, 0 where absent. */
struct dynamic {
    uintptr_t gnu_hash, hash, symbols, names, versions;
    uintptr_t relocations, relative_count;
};

/* A pointer of PT_DYNAMIC as an address: glibc relocates them in place, musl does not. */
static uintptr_t dynamic_pointer(const struct ss_module *m, uintptr_t value)
{
    return ss_module_readable(m, value, 1) ? value : m->bias + value;
}

static void read_dynamic(const struct ss_module *m, struct dynamic *out)
{
    *out = (struct dynamic){0};
    uintptr_t at = m->dynamic;
    for (; at && ss_module_readable(m, at, sizeof(ElfW(Dyn))); at += sizeof(ElfW(Dyn))) {
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)at;
        uintptr_t *place = NULL;
        switch (entry->d_tag) {
        case DT_NULL:
            return;
        case DT_RELACOUNT:
            out->relative_count = entry->d_un.d_val;
            break;
        case DT_GNU_HASH:
            place = &out->gnu_hash;
            break;
        case DT_HASH:
            place = &out->hash;
            break;
        case DT_SYMTAB:
            place = &out->symbols;
            break;
        case DT_STRTAB:
            place = &out->names;
            break;
        case DT_VERSYM:
            place = &out->versions;
            break;
        case DT_RELA:
            place = &out->relocations;
            break;
        default:
            break;
        }
        if (place)
            *place = dynamic_pointer(m, entry->d_un.d_ptr);
    }
}

/* Whether m is relocated: one that another thread is loading may not be yet. Looks at the last of
 * the relative relocations whose places nobody changes later, several of them as tables are
 * patched. */
static bool is_relocated(const struct ss_module *m)
{
    enum { LOOK_AT = 32 };
    struct dynamic dynamic;
    read_dynamic(m, &dynamic);
    uintptr_t count = dynamic.relative_count;
    if (!dynamic.relocations || !count || !m->relro_start || count > UINT32_MAX ||
        !ss_module_readable(m, dynamic.relocations, count * sizeof(ElfW(Rela))))
        return true;
    const ElfW(Rela) *relocations = (const ElfW(Rela) *)dynamic.relocations;
    uint32_t looked_at = 0;
    while (count-- > 0 && looked_at < LOOK_AT) {
        uintptr_t place = m->bias + relocations[count].r_offset;
        if (place < m->relro_start || place > m->relro_end - sizeof(uintptr_t))
            continue;
        uintptr_t value;
        memcpy(&value, (const void *)place, sizeof value);
        if (value == m->bias + (uintptr_t)relocations[count].r_addend)
            return true;
        looked_at++;
    }
    return looked_at == 0;
}

/* ---- searching what is new
 * ------------------------------------------------------------------------- */

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

/* Another thread has the module in hand. Its constructors are not to run before that is done; but
 * the thread may not exist in this process, so the wait has an end. */
static void wait_for(_Atomic uint32_t *work)
{
    for (uint32_t i = 0; i < BUSY_WAITS; i++) {
        if (atomic_load_explicit(work, memory_order_acquire) != WORK_BUSY)
            return;
        struct __kernel_timespec pause = {0, BUSY_WAIT_NS};
        (void)SS_SYSCALL_2(__NR_nanosleep, &pause, NULL);
    }
    atomic_store_explicit(work, WORK_DONE, memory_order_relaxed);
}

static void search_tables(struct record *r)
{
    if (!claim(&r->tables)) {
        wait_for(&r->tables);
        return;
    }
    uint32_t outcome = WORK_DONE;
    if (is_relocated(&r->module)) {
        ss_discover(&r->module);
    } else {
        atomic_store_explicit(&postponed, true, memory_order_relaxed);
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

void ss_modules_update(void)
{
    if (!dl_iterate_phdr)
        return;
    struct walk walk = {0};
    (void)dl_iterate_phdr(see, &walk);
    if (walk.unchanged && !atomic_load_explicit(&postponed, memory_order_relaxed))
        return;
    if (walk.ticket)
        finish_walk(&walk);
    atomic_store_explicit(&postponed, false, memory_order_relaxed);
    each_loaded(search_tables);
    if (atomic_load_explicit(&tables_somewhere, memory_order_acquire))
        each_loaded(search_callsites);
}

/* ---- symbols
 * ---------------------------------------------------------------------------------------- */

/* A symbol that is looked for, and what was found. */
struct symbol {
    const char *name;
    size_t name_length;
    bool passed_us;
    void *address;
    size_t size;
};

/* Whether entry `number` of the symbol table is the one; takes it if so. */
static bool take_symbol(const struct ss_module *m, const struct dynamic *dynamic, uint32_t number,
                        struct symbol *wanted)
{
    uintptr_t at = dynamic->symbols + number * sizeof(ElfW(Sym));
    if (!ss_module_readable(m, at, sizeof(ElfW(Sym))))
        return false;
    const ElfW(Sym) *symbol = (const ElfW(Sym) *)at;
    uintptr_t name = dynamic->names + symbol->st_name;
    if (!ss_module_readable(m, name, wanted->name_length + 1) ||
        memcmp((const char *)name, wanted->name, wanted->name_length + 1) != 0)
        return false;
    uint32_t type = ELF64_ST_TYPE(symbol->st_info), binding = ELF64_ST_BIND(symbol->st_info);
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS || symbol->st_value == 0 ||
        binding == STB_LOCAL || type == STT_TLS || type == STT_GNU_IFUNC)
        return false;
    if (dynamic->versions) {
        uintptr_t version = dynamic->versions + number * sizeof(uint16_t);
        /* Local, or not the default version. */
        if (!ss_module_readable(m, version, sizeof(uint16_t)) ||
            *(const uint16_t *)version == VER_NDX_LOCAL || (*(const uint16_t *)version & 0x8000))
            return false;
    }
    wanted->address = (void *)(m->bias + symbol->st_value);
    wanted->size = symbol->st_size;
    return true;
}

static bool find_by_gnu_hash(const struct ss_module *m, const struct dynamic *dynamic,
                             struct symbol *wanted)
{
    struct {
        uint32_t buckets, first, bloom_words, bloom_shift;
    } header;
    if (!ss_module_readable(m, dynamic->gnu_hash, sizeof header))
        return false;
    memcpy(&header, (const void *)dynamic->gnu_hash, sizeof header);
    uint32_t hash = 5381;
    for (size_t i = 0; i < wanted->name_length; i++)
        hash = hash * 33 + (uint8_t)wanted->name[i];

    uintptr_t buckets = dynamic->gnu_hash + sizeof header + header.bloom_words * sizeof(uintptr_t);
    uintptr_t chains = buckets + header.buckets * sizeof(uint32_t);
    if (header.buckets == 0)
        return false;
    uintptr_t bucket = buckets + hash % header.buckets * sizeof(uint32_t);
    if (!ss_module_readable(m, bucket, sizeof(uint32_t)))
        return false;
    uint32_t number = *(const uint32_t *)bucket;
    if (number < header.first)
        return false;
    for (;; number++) {
        uintptr_t chain = chains + (uintptr_t)(number - header.first) * sizeof(uint32_t);
        if (!ss_module_readable(m, chain, sizeof(uint32_t)))
            return false;
        uint32_t value = *(const uint32_t *)chain;
        if ((value | 1) == (hash | 1) && take_symbol(m, dynamic, number, wanted))
            return true;
        if (value & 1)
            return false;
    }
}

static bool find_by_hash(const struct ss_module *m, const struct dynamic *dynamic,
                         struct symbol *wanted)
{
    uint32_t counts[2]; /* of buckets, of chain words */
    if (!ss_module_readable(m, dynamic->hash, sizeof counts))
        return false;
    memcpy(counts, (const void *)dynamic->hash, sizeof counts);
    uint32_t hash = 0;
    for (size_t i = 0; i < wanted->name_length; i++) {
        hash = (hash << 4) + (uint8_t)wanted->name[i];
        uint32_t top = hash & 0xf0000000;
        hash = (hash ^ top >> 24) & ~top;
    }
    uintptr_t words = dynamic->hash + sizeof counts;
    if (counts[0] == 0 ||
        !ss_module_readable(m, words, ((uintptr_t)counts[0] + counts[1]) * sizeof(uint32_t)))
        return false;
    const uint32_t *buckets = (const uint32_t *)words, *chains = buckets + counts[0];
    uint32_t number = buckets[hash % counts[0]];
    for (uint32_t steps = 0; number && number < counts[1] && steps < counts[1]; steps++) {
        if (take_symbol(m, dynamic, number, wanted))
            return true;
        number = chains[number];
    }
    return false;
}

static int find_symbol(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct symbol *wanted = context;
    struct ss_module m;
    read_headers(&m, info);
    if (!wanted->passed_us) {
        wanted->passed_us = segment_of(&m, (uintptr_t)records) != NULL;
        return 0;
    }
    struct dynamic dynamic;
    read_dynamic(&m, &dynamic);
    if (!dynamic.symbols || !dynamic.names)
        return 0;
    return dynamic.gnu_hash ? find_by_gnu_hash(&m, &dynamic, wanted)
           : dynamic.hash   ? find_by_hash(&m, &dynamic, wanted)
                            : 0;
}

void *ss_symbol_next(const char *name, size_t *size)
{
    struct symbol wanted = {.name = name, .name_length = strlen(name)};
    if (dl_iterate_phdr)
        (void)dl_iterate_phdr(find_symbol, &wanted);
    if (size)
        *size = wanted.size;
    return wanted.address;
}

/* ---- crate versions
 * ---------------------------------------------------------------------------------- */

/* Takes the version out of "<crate>-<version>/src/" at text; `crate` begins and ends with its
 * separators. */
static void take_version(const char *text, size_t left, const char *crate, char version[32])
{
    size_t length = strlen(crate), digits = 0;
    if (version[0] || left < length || memcmp(text, crate, length) != 0)
        return;
    text += length;
    left -= length;
    while (digits < left && digits < 31 &&
           ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.' ||
            text[digits] == '-' || text[digits] == '+' ||
            (text[digits] >= 'a' && text[digits] <= 'z')))
        digits++;
    if (digits == 0 || text[0] < '0' || text[0] > '9' || left - digits < 5 ||
        memcmp(text + digits, "/src/", 5) != 0)
        return;
    memcpy(version, text, digits);
    version[digits] = 0;
}

static void read_versions(const struct ss_segment *segment, char core[32], char subscriber[32])
{
    static const char common[] = "/tracing-";
    const char *at = (const char *)segment->start, *end = (const char *)segment->file_end;
    while (!core[0] || !subscriber[0]) {
        at = memmem(at, (size_t)(end - at), common, sizeof common - 1);
        if (!at)
            return;
        take_version(at, (size_t)(end - at), "/tracing-core-", core);
        take_version(at, (size_t)(end - at), "/tracing-subscriber-", subscriber);
        at += sizeof common - 1;
    }
}

void ss_module_versions(struct ss_module *m, char core[32], char subscriber[32])
{
    core[0] = subscriber[0] = 0;
    /* Constants share the code's segment only in modules that have no segment for them alone. */
    for (uint32_t code = 0; code <= 1; code++) {
        bool any = false;
        for (uint32_t i = 0; i < m->segment_count; i++) {
            const struct ss_segment *segment = &m->segments[i];
            if (!(segment->flags & PF_R) || (segment->flags & PF_W) ||
                !!(segment->flags & PF_X) != (code == 1))
                continue;
            any = true;
            read_versions(segment, core, subscriber);
        }
        if (any)
            return;
    }
}
