/* Instances: subscribers by the addresses that the program calls them at. Several addresses are one
 * instance where an `Arc<S>` or `Box<dyn Subscriber>` was cloned into several dispatchers: the
 * boxes differ, the words in them do not. Addresses come back; the table's drop word tells when one
 * ends.
 *
 * instances_lock holds all of it; hot paths ask their thread's cache first. */
#include "instances.h"

#include "cold_tables.h"
#include "fork.h"
#include "hook.h"
#include "lock.h"
#include "proof.h"
#include "threads.h"

struct address {
    uintptr_t key;
    struct ss_instance *instance;
    struct address *next_free;
    UT_hash_handle hh;
};

enum { RECORDS_MAX = 65536, RECENT_SPANS = 1024, DISTRUSTED_MAX = 64, ANSWERS = 64 };

/* Bounds of the search behind pointers. An Arc has two words before what it holds. */
enum {
    PAGE = 4096,
    ARC_COUNTERS = 16,
    REACH_DEPTH = 4,
    OBJECT_MAX = 4096,
    HANDLE_MAX = 64,
    BEHIND_POINTER = 128,
    WORDS_MAX = 4096
};

/* The latest spans of an instance that never closes any. */
struct ss_recent {
    uint32_t next;
    struct ss_span_ref spans[RECENT_SPANS];
};

struct ss_lock ss_instances_lock;
static struct address *addresses;
static struct address *free_addresses;
static struct ss_instance *free_instances;
static uint64_t last_serial;
/* Pointers to all records ever made, in pieces. */
enum { PIECE = 256 };
static struct ss_instance **_Atomic pieces[RECORDS_MAX / PIECE];
static _Atomic uint32_t record_count;

uint64_t ss_instances_seen(void)
{
    return last_serial;
}

struct ss_instance *ss_instance_at(uint32_t index)
{
    if (index >= atomic_load(&record_count))
        return NULL;
    return atomic_load(&pieces[index / PIECE])[index % PIECE];
}

static struct ss_instance *take_record(void)
{
    struct ss_instance *instance = free_instances;
    if (instance) {
        free_instances = instance->next_free;
        return instance;
    }
    uint32_t index = atomic_load(&record_count);
    if (index == RECORDS_MAX)
        return NULL;
    struct ss_instance **piece = atomic_load(&pieces[index / PIECE]);
    if (!piece) {
        piece = ss_alloc(PIECE * sizeof(struct ss_instance *));
        if (!piece)
            return NULL;
        atomic_store(&pieces[index / PIECE], piece);
    }
    instance = ss_alloc(sizeof *instance);
    if (!instance)
        return NULL;
    instance->index = index;
    piece[index % PIECE] = instance;
    atomic_store(&record_count, index + 1);
    return instance;
}

/* Whether a word can be a pointer to the heap, rather than a small number that several objects
 * share. */
static bool is_pointer(uintptr_t word)
{
    return word >= 65536 && word < (uintptr_t)1 << 47 && word % 8 == 0;
}

/* The words that identify the object behind a box, for tables of one or two words. */
static uint32_t identifying_words(uintptr_t address, const struct ss_table *table,
                                  uintptr_t words[2])
{
    if (!table || (table->size != 8 && table->size != 16) || address % 8 != 0)
        return 0;
    uint32_t count = (uint32_t)(table->size / 8);
    memcpy(words, (const void *)address, table->size);
    return is_pointer(words[0]) ? count : 0;
}

/* Whether two tables are of one type: it may have several copies of its table, with the same
 * methods. */
static bool is_same_type(const struct ss_table *one, const struct ss_table *other)
{
    return one == other || (one && other && one->size == other->size &&
                            memcmp(one->originals, other->originals, sizeof one->originals) == 0);
}

/* The instance that other boxes of the same thing are known by. */
static struct ss_instance *find_twin(const struct ss_table *table, const uintptr_t words[2],
                                     uint32_t count)
{
    for (uint32_t i = 0; count; i++) {
        struct ss_instance *instance = ss_instance_at(i);
        if (!instance)
            break;
        if (atomic_load(&instance->serial) && instance->word_count == count &&
            is_same_type(instance->table, table) &&
            memcmp(instance->words, words, count * sizeof words[0]) == 0)
            return instance;
    }
    return NULL;
}

static struct ss_instance *make(const struct ss_table *table, const uintptr_t words[2],
                                uint32_t count)
{
    struct ss_instance *instance = take_record();
    if (!instance)
        return NULL;
    instance->table = table;
    if (table)
        atomic_fetch_add(&table->module->instances, 1);
    instance->words[0] = words[0];
    instance->words[1] = words[1];
    instance->word_count = count;
    instance->address_count = 0;
    instance->provider = table ? SS_PROVIDER_RUST : SS_PROVIDER_ANNOTATION;
    atomic_store(&instance->forwards, false);
    atomic_store(&instance->keeps, false);
    atomic_store(&instance->constant_id, table && ss_proof_failed(table));
    atomic_store_explicit(&instance->serial, ++last_serial, memory_order_release);
    return instance;
}

static struct address *add_address(uintptr_t key, const struct ss_table *table)
{
    struct address *record = free_addresses;
    if (record)
        free_addresses = record->next_free;
    else
        record = ss_alloc(sizeof *record);
    if (!record)
        return NULL;
    uintptr_t words[2] = {0, 0};
    uint32_t count = identifying_words(key, table, words);
    struct ss_instance *instance = find_twin(table, words, count);
    if (!instance)
        instance = make(table, words, count);
    if (instance) {
        record->key = key;
        record->instance = instance;
        record->hh.tbl = NULL;
        HASH_ADD(hh, addresses, key, sizeof record->key, record);
        if (record->hh.tbl) {
            instance->address_count++;
            return record;
        }
    }
    record->next_free = free_addresses;
    free_addresses = record;
    return NULL;
}

static struct address *find_address(uintptr_t key)
{
    struct address *record;
    HASH_FIND(hh, addresses, &key, sizeof key, record);
    return record;
}

/* Takes an address out; returns the serial of the instance that ended by it, or 0. */
static uint64_t remove_address(struct address *record)
{
    struct ss_instance *instance = record->instance;
    uint64_t ended = 0;
    HASH_DELETE(hh, addresses, record);
    record->next_free = free_addresses;
    free_addresses = record;
    if (--instance->address_count == 0) {
        ended = atomic_load(&instance->serial);
        atomic_store_explicit(&instance->serial, 0, memory_order_release);
        instance->next_free = free_instances;
        free_instances = instance;
    }
    return ended;
}

struct ss_instance_ref ss_instance_of_slow(struct ss_thread *thread, uintptr_t address,
                                           const struct ss_table *table)
{
    unsigned slot = ss_instance_slot(address);
    struct ss_instance_ref found = {NULL, 0};
    uint64_t ended = 0;
    if (!ss_lock(&ss_instances_lock))
        return found;
    struct address *record = find_address(address);
    if (record && !is_same_type(record->instance->table, table)) {
        /* Something else lives there now: the old one went without its drop word being called. */
        ended = remove_address(record);
        record = NULL;
    }
    if (!record)
        record = add_address(address, table);
    if (record)
        found = (struct ss_instance_ref){record->instance, atomic_load(&record->instance->serial)};
    ss_unlock(&ss_instances_lock);

    if (ended)
        ss_threads_instance_ended(ended);
    if (found.instance) {
        thread->cached_instances[slot].address = address;
        thread->cached_instances[slot].instance = found.instance;
        thread->cached_instances[slot].serial = found.serial;
    }
    return found;
}

/* ---- what an object leads to ----------------------------------------------------------------- */

/* How many more words may be looked at. An object is read where its pages are there; what it points
 * to may be no object at all, so nothing is done with it but to compare it with what is known. */
struct search {
    const struct ss_instance *wanted;
    uint32_t words;
    uintptr_t stack_low, stack_high; /* the calling thread's: what leads there was left over */
};

/* Whether pointer is an address of the instance wanted: as a box's content, or as an Arc's behind
 * its two counters. */
static bool points_to(uintptr_t pointer, const struct search *search)
{
    const uintptr_t candidates[] = {pointer, pointer + ARC_COUNTERS};
    for (unsigned i = 0; i < 2; i++) {
        const struct address *record = find_address(candidates[i]);
        if (record && record->instance == search->wanted)
            return true;
    }
    return false;
}

/* A pointer beside a table of a subscriber counts wherever it stands. A bare one does only where it
 * is all that the object is, as of an `Arc<S>`, and is followed only in one small enough to be a
 * handle on something shared: larger objects have gaps, in which anything may be left over. */
static bool object_reaches(struct search *search, uintptr_t address, uintptr_t size, unsigned depth,
                           bool is_subscriber)
{
    if (address % 8 != 0 || size > OBJECT_MAX)
        return false;
    uintptr_t mapped_to = address;
    for (uintptr_t at = address; at + 8 <= address + size && search->words; at += 8) {
        if (at >= mapped_to) {
            if (!ss_is_mapped(at))
                return false;
            mapped_to = (at | (PAGE - 1)) + 1;
        }
        search->words--;
        uintptr_t word = *(const uintptr_t *)at;
        if (!is_pointer(word) || (word >= search->stack_low && word < search->stack_high))
            continue;
        const struct ss_table *inner = at + 16 <= address + size && at + 8 < mapped_to
                                           ? ss_hook_table_at(*(const uintptr_t *)(at + 8))
                                           : NULL;
        if (inner && inner->no_subscriber)
            continue;
        if ((inner || (is_subscriber && size <= sizeof word)) && points_to(word, search))
            return true;
        if (depth && (inner || (is_subscriber && size <= HANDLE_MAX)) &&
            object_reaches(search, word, inner ? ARC_COUNTERS + inner->size : BEHIND_POINTER,
                           depth - 1, inner != NULL))
            return true;
    }
    return false;
}

/* What was found of pairs of instances, as a breach may come back as often as the code runs. */
static struct {
    uint64_t from, to;
    bool reaches;
} answers[ANSWERS];

bool ss_instance_reaches(const struct ss_instance *from, uintptr_t address,
                         const struct ss_instance *to)
{
    if (from == to)
        return true;
    /* A handle may lead to another of its kind; a whole subscriber holds none of its own type. */
    if (!from->table || (from->table->size > HANDLE_MAX && is_same_type(from->table, to->table)) ||
        !ss_lock(&ss_instances_lock))
        return false;
    uint64_t from_serial = atomic_load(&from->serial), to_serial = atomic_load(&to->serial);
    unsigned slot = (unsigned)(from_serial * 31 + to_serial) % ANSWERS;
    if (answers[slot].from != from_serial || answers[slot].to != to_serial) {
        struct search search = {to, WORDS_MAX, 0, 0};
        if (ss_self && ss_self->stack_high) {
            search.stack_low = ss_self->stack_low;
            search.stack_high = ss_self->stack_high;
        }
        answers[slot].reaches =
            object_reaches(&search, address, from->table->size, REACH_DEPTH, true);
        answers[slot].from = from_serial;
        answers[slot].to = to_serial;
    }
    bool reaches = answers[slot].reaches;
    ss_unlock(&ss_instances_lock);
    return reaches;
}

/* ---- instances that are not judged ----------------------------------------------------------- */

static struct {
    uint64_t serial;
    const struct ss_table *table;
} distrusted[DISTRUSTED_MAX];
static _Atomic uint32_t distrusted_count; /* entries below it are constant */

void ss_instance_distrust(struct ss_instance *instance)
{
    if (!ss_lock(&ss_instances_lock))
        return;
    uint32_t count = atomic_load(&distrusted_count);
    if (!atomic_exchange(&instance->constant_id, true) && count < DISTRUSTED_MAX) {
        distrusted[count].serial = atomic_load(&instance->serial);
        distrusted[count].table = instance->table;
        atomic_store_explicit(&distrusted_count, count + 1, memory_order_release);
    }
    ss_unlock(&ss_instances_lock);
}

void ss_instances_distrust(const struct ss_table *table)
{
    if (!ss_lock(&ss_instances_lock))
        return;
    struct ss_instance *instance;
    for (uint32_t i = 0; (instance = ss_instance_at(i)); i++)
        if (instance->table == table)
            atomic_store(&instance->constant_id, true);
    ss_unlock(&ss_instances_lock);
}

bool ss_instance_distrusted(uint32_t index, uint64_t *serial, const struct ss_table **table)
{
    if (index >= atomic_load_explicit(&distrusted_count, memory_order_acquire))
        return false;
    *serial = distrusted[index].serial;
    *table = distrusted[index].table;
    return true;
}

struct ss_span_ref ss_instance_note_span(struct ss_instance *instance, struct ss_span_ref span)
{
    struct ss_span_ref oldest = {NULL, 0};
    if (!ss_lock(&ss_instances_lock))
        return oldest;
    if (!instance->recent)
        instance->recent = ss_alloc(sizeof *instance->recent);
    struct ss_recent *recent = instance->recent;
    if (recent) {
        struct ss_span_ref *place = &recent->spans[recent->next++ % RECENT_SPANS];
        oldest = *place;
        *place = span;
    }
    ss_unlock(&ss_instances_lock);
    return oldest;
}

void ss_instance_dropped(uintptr_t address, const struct ss_table *table)
{
    uint64_t ended = 0;
    if (!ss_lock(&ss_instances_lock))
        return;
    struct address *record = find_address(address);
    if (record && is_same_type(record->instance->table, table))
        ended = remove_address(record);
    ss_unlock(&ss_instances_lock);
    if (ended)
        ss_threads_instance_ended(ended);
}

/* One of those whose table went with its module, or NULL. */
static struct address *find_unloaded(void)
{
    for (struct address *record = addresses; record; record = record->hh.next) {
        const struct ss_table *table = record->instance->table;
        if (table && !atomic_load_explicit(&table->module->loaded, memory_order_relaxed))
            return record;
    }
    return NULL;
}

void ss_instances_unloaded(void)
{
    for (bool more = true; more;) {
        uint64_t ended = 0;
        if (!ss_lock(&ss_instances_lock))
            return;
        struct address *record = find_unloaded();
        more = record != NULL;
        if (record)
            ended = remove_address(record);
        ss_unlock(&ss_instances_lock);
        if (ended)
            ss_threads_instance_ended(ended);
    }
}
