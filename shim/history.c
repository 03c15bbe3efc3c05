/* The flight recorder: a ring of events per thread, kept with the thread's type-stable record, so
 * that what a thread did outlives it until the record's next owner has done as much.
 *
 * ss_history_add is called by the owner with work begun: it writes four words and takes a time
 * stamp, no lock, no system call where the time stamp counter serves. The story of a violation is
 * told under the log's lock; it reads other threads' rings while they are written, and drops what
 * was overwritten meanwhile. */
#include "history.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

#include "prim.h"
#include "threads.h"

/* ---- time ------------------------------------------------------------------------------------ */

/* All clocks at one moment. */
struct moment {
    uint64_t ticks, monotonic, realtime;
};

/* How time stamps are taken, and the first moment of all: later ones lie between it and the moment
 * in which they are asked for, and a line through these two is exact enough. */
struct clock {
    bool by_counter; /* rdtsc; else CLOCK_MONOTONIC itself */
    struct moment first;
};

static const struct clock *_Atomic the_clock;

/* Apart, for the registers that a system call takes. */
static SS_COLD uint64_t ticks_of_kernel(void)
{
    return ss_sys_clock(1);
}

static inline uint64_t ticks_now(bool by_counter)
{
    return SS_LIKELY(by_counter) ? __builtin_ia32_rdtsc() : ticks_of_kernel();
}

/* Of some tries the one that took the least time. */
static struct moment moment_now(bool by_counter)
{
    enum { TRIES = 4 };
    struct moment best = {0, 0, 0};
    uint64_t shortest = UINT64_MAX;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t before = ticks_now(by_counter);
        uint64_t monotonic = ss_sys_clock(1), realtime = ss_sys_clock(0);
        uint64_t took = ticks_now(by_counter) - before;
        if (took < shortest) {
            shortest = took;
            best = (struct moment){before + took / 2, monotonic, realtime};
        }
    }
    return best;
}

/* Nanoseconds of a tick, by the time that passed between the two moments; 1 where the counter went
 * back or mad, as it may when a machine sleeps. */
static double nanoseconds_per_tick(const struct clock *clock, const struct moment *now)
{
    const double slowest = 1e3, fastest = 1e-2;
    int64_t ticks = (int64_t)(now->ticks - clock->first.ticks);
    if (!clock->by_counter || ticks <= 0)
        return 1;
    double rate = (double)(now->monotonic - clock->first.monotonic) / (double)ticks;
    return rate > fastest && rate < slowest ? rate : 1;
}

/* Whether the kernel, which watches it, keeps time by the counter itself. Where it does not say,
 * the processor's word is enough. */
static bool kernel_trusts_counter(void)
{
    static const char *const kept_by_counter[] = {"tsc\n", "kvm-clock\n",
                                                  "hyperv_clocksource_tsc_page\n"};
    char name[40];
    long fd = ss_sys_open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                          O_RDONLY | O_CLOEXEC, 0);
    long length = fd < 0 ? 0 : ss_sys_read((int)fd, name, sizeof name);
    if (fd >= 0)
        (void)ss_sys_close((int)fd);
    if (length <= 0)
        return true;
    for (unsigned i = 0; i < sizeof kept_by_counter / sizeof kept_by_counter[0]; i++)
        if ((size_t)length == strlen(kept_by_counter[i]) &&
            memcmp(name, kept_by_counter[i], (size_t)length) == 0)
            return true;
    return false;
}

/* Whether the counter may be read, runs at one rate in all states, and on all processors alike. */
static bool counter_serves(void)
{
    enum { POWER_LEAF = 0x80000007, INVARIANT = 1 << 8 };
    unsigned a, b, c, d;
    int permission = PR_TSC_ENABLE;
    return SS_SYSCALL_2(__NR_prctl, PR_GET_TSC, &permission) == 0 && permission == PR_TSC_ENABLE &&
           __get_cpuid(POWER_LEAF, &a, &b, &c, &d) && (d & INVARIANT) && kernel_trusts_counter();
}

/* The clock, made at the first event; NULL without memory. */
static const struct clock *get_clock(void)
{
    const struct clock *there = atomic_load_explicit(&the_clock, memory_order_acquire);
    if (there)
        return there;
    struct clock *made = ss_alloc(sizeof *made);
    if (!made)
        return NULL;
    made->by_counter = counter_serves();
    made->first = moment_now(made->by_counter);
    if (atomic_compare_exchange_strong(&the_clock, &there, made))
        return made;
    return there;
}

/* ---- rings ----------------------------------------------------------------------------------- */

/* One event, packed: `where` holds the return address, the event and the upper bits of the thread's
 * serial, `what` the site's address and the lower ones. The thread is told as the ring may hold
 * events of the record's last owner. */
struct event {
    uint64_t ticks, span_serial, where, what;
};

enum { ADDRESS_BITS = 47, EVENT_BITS = 4, SITE_ALIGNMENT_BITS = 3 };
enum { SITE_BITS = ADDRESS_BITS - SITE_ALIGNMENT_BITS, SERIAL_LOW_BITS = 64 - SITE_BITS };
enum { SERIAL_SHIFT = ADDRESS_BITS + EVENT_BITS, LOOKUPS_KEPT = 4 };
_Static_assert((unsigned)SS_HISTORY_EVENT_COUNT <= 1u << EVENT_BITS, "an event fits its bits");
_Static_assert(64 - SERIAL_SHIFT + SERIAL_LOW_BITS >= 32, "a serial fits what is left");
_Static_assert(_Alignof(struct ss_site) == 1 << SITE_ALIGNMENT_BITS, "a site's address is whole");
_Static_assert(sizeof(struct event) == 32, "256 events are 8 KiB");

#define ADDRESS_MASK (((uint64_t)1 << ADDRESS_BITS) - 1)
#define SITE_MASK (((uint64_t)1 << SITE_BITS) - 1)

/* The last look-ups of a ring's owner, each with the number of its event. */
struct lookups {
    uint32_t next;
    struct noted_lookup {
        _Atomic uint64_t number; /* one more than the event's position, 0 while it is written */
        struct ss_history_lookup lookup;
    } noted[LOOKUPS_KEPT];
};

struct ss_history {
    _Atomic uint64_t begun, count; /* events whose writing began, and ended */
    _Atomic uint64_t forgotten;    /* events before this one are another process's */
    struct lookups *_Atomic lookups;
    uint32_t mask;
    bool by_counter;
    struct event events[];
};

static struct ss_history *ring_of(const struct ss_thread *thread)
{
    return __atomic_load_n(&thread->history, __ATOMIC_ACQUIRE);
}

static SS_COLD struct ss_history *make_ring(struct ss_thread *thread)
{
    uint32_t size = 1;
    while (size < (unsigned long)ss_options.history)
        size *= 2;
    const struct clock *clock = get_clock();
    struct ss_history *ring = clock ? ss_alloc(sizeof *ring + size * sizeof(struct event)) : NULL;
    if (!ring)
        return NULL;
    ring->mask = size - 1;
    ring->by_counter = clock->by_counter;
    __atomic_store_n(&thread->history, ring, __ATOMIC_RELEASE);
    return ring;
}

/* Copies words that another thread may write, or read, meanwhile. */
static void copy_words(void *to, const void *from, size_t size)
{
    uint64_t *target = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < size / sizeof *source; i++)
        __atomic_store_n(&target[i], __atomic_load_n(&source[i], __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}

static void note_lookup(struct ss_history *ring, const struct ss_lookup *lookup, uint64_t position)
{
    struct lookups *lookups = atomic_load_explicit(&ring->lookups, memory_order_relaxed);
    if (!lookups && (lookups = ss_alloc(sizeof *lookups)))
        atomic_store_explicit(&ring->lookups, lookups, memory_order_release);
    if (!lookups)
        return;
    struct ss_history_lookup copy = {lookup->nanoseconds, lookup->addresses, lookup->has_host, ""};
    memcpy(copy.host, lookup->host, sizeof copy.host);
    struct noted_lookup *noted = &lookups->noted[lookups->next++ % LOOKUPS_KEPT];
    atomic_store_explicit(&noted->number, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    copy_words(&noted->lookup, &copy, sizeof copy);
    atomic_store_explicit(&noted->number, position + 1, memory_order_release);
}

/* Writes the event's slot and returns its position; the event counts once count says so. */
static inline uint64_t write_event(struct ss_history *ring, const struct ss_thread *thread,
                                   enum ss_history_event event, const struct ss_span *span,
                                   uint64_t span_serial, uintptr_t caller)
{
    uint64_t ticks = ticks_now(ring->by_counter);
    uint64_t position = atomic_load_explicit(&ring->count, memory_order_relaxed);
    struct event *slot = &ring->events[position & ring->mask];
    uint64_t serial = thread->serial, site = 0;
    /* The record may be another span's by now. */
    if (span && atomic_load_explicit(&span->serial, memory_order_relaxed) == span_serial)
        site = (uintptr_t)span->site;

    atomic_store_explicit(&ring->begun, position + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    __atomic_store_n(&slot->ticks, ticks, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->span_serial, span_serial, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->where,
                     (caller & ADDRESS_MASK) | (uint64_t)event << ADDRESS_BITS |
                         serial >> SERIAL_LOW_BITS << SERIAL_SHIFT,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&slot->what, (site >> SITE_ALIGNMENT_BITS & SITE_MASK) | serial << SITE_BITS,
                     __ATOMIC_RELAXED);
    return position;
}

/* The thread's first event, and look-ups. */
static SS_COLD void add_slowly(struct ss_thread *thread, enum ss_history_event event,
                               const struct ss_span *span, uint64_t span_serial, uintptr_t caller)
{
    struct ss_history *ring = thread->history ? thread->history : make_ring(thread);
    if (!ring)
        return;
    uint64_t position = write_event(ring, thread, event, span, span_serial, caller);
    if (event == SS_HISTORY_LOOKUP && thread->lookup)
        note_lookup(ring, thread->lookup, position);
    atomic_store_explicit(&ring->count, position + 1, memory_order_release);
}

void ss_history_add(struct ss_thread *thread, enum ss_history_event event,
                    const struct ss_span *span, uint64_t span_serial, uintptr_t caller)
{
    struct ss_history *ring = thread->history;
    if (SS_UNLIKELY(!ring || event == SS_HISTORY_LOOKUP)) {
        add_slowly(thread, event, span, span_serial, caller);
        return;
    }
    uint64_t position = write_event(ring, thread, event, span, span_serial, caller);
    atomic_store_explicit(&ring->count, position + 1, memory_order_release);
}

void ss_history_forked(void)
{
    for (struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        struct ss_history *ring = ring_of(thread);
        if (ring && thread != ss_self)
            atomic_store(&ring->forgotten, atomic_load(&ring->count));
    }
}

/* ---- the story ------------------------------------------------------------------------------- */

/* What is looked for. */
struct search {
    uint64_t span_serial;
    const uint32_t *threads;
    unsigned thread_count;
    uint64_t since, until; /* ticks; since the span was made, where that is still known */
};

/* A row's place, beside it. */
struct origin {
    uint64_t ticks, position;
    const struct ss_history *ring;
};

static struct ss_story story;
static struct origin origins[SS_STORY_MAX];
static struct ss_history_lookup lookups_shown[SS_STORY_MAX];

/* Whether the event could be read before it was overwritten. */
static bool read_event(const struct ss_history *ring, uint64_t position, struct event *out)
{
    copy_words(out, &ring->events[position & ring->mask], sizeof *out);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&ring->begun, memory_order_relaxed) <= position + ring->mask + 1;
}

static bool concerns(const struct search *search, const struct event *event)
{
    return search->span_serial && event->span_serial == search->span_serial;
}

typedef void found_fn(struct search *search, const struct ss_history *ring, uint64_t position,
                      const struct event *event);

/* Calls found for each event of all rings, those of a thread in their order. */
static void for_each_event(struct search *search, found_fn *found)
{
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        const struct ss_history *ring = ring_of(thread);
        if (!ring)
            continue;
        uint64_t count = atomic_load_explicit(&ring->count, memory_order_acquire);
        uint64_t kept = (uint64_t)ss_options.history, forgotten = atomic_load(&ring->forgotten);
        uint64_t position = count > kept ? count - kept : 0;
        if (position < forgotten)
            position = forgotten;
        for (struct event event; position < count; position++)
            if (read_event(ring, position, &event))
                found(search, ring, position, &event);
    }
}

static enum ss_history_event event_of(const struct event *event)
{
    return (enum ss_history_event)(event->where >> ADDRESS_BITS & ((1u << EVENT_BITS) - 1));
}

static void find_creation(struct search *search, const struct ss_history *ring, uint64_t position,
                          const struct event *event)
{
    (void)ring;
    (void)position;
    if (concerns(search, event) && event_of(event) == SS_HISTORY_NEW)
        search->since = event->ticks;
}

/* The row that goes first where there are too many. */
static uint32_t least(void)
{
    uint32_t row = 0;
    while (row < story.count && story.rows[row].of_span)
        row++;
    return row < story.count ? row : 0;
}

static void remove_row(uint32_t row)
{
    story.count--;
    memmove(&story.rows[row], &story.rows[row + 1], (story.count - row) * sizeof story.rows[0]);
    memmove(&origins[row], &origins[row + 1], (story.count - row) * sizeof origins[0]);
}

static void find_row(struct search *search, const struct ss_history *ring, uint64_t position,
                     const struct event *event)
{
    uint32_t thread =
        (uint32_t)(event->where >> SERIAL_SHIFT << SERIAL_LOW_BITS | event->what >> SITE_BITS);
    bool of_span = concerns(search, event), wanted = of_span;
    for (unsigned i = 0; i < search->thread_count && !wanted; i++)
        wanted = search->threads[i] == thread && event->ticks >= search->since;
    if (!wanted || event->ticks > search->until)
        return;
    if (story.count == SS_STORY_MAX) {
        uint32_t victim = least();
        bool precedes =
            of_span == story.rows[victim].of_span ? event->ticks >= origins[victim].ticks : of_span;
        story.left_out++;
        if (!precedes)
            return;
        remove_row(victim);
    }
    uint32_t row = story.count++;
    for (; row && origins[row - 1].ticks > event->ticks; row--) {
        story.rows[row] = story.rows[row - 1];
        origins[row] = origins[row - 1];
    }
    origins[row] = (struct origin){event->ticks, position, ring};
    story.rows[row] = (struct ss_history_row){
        .span_serial = event->span_serial,
        .site = (const struct ss_site *)((event->what & SITE_MASK) << SITE_ALIGNMENT_BITS),
        .caller = event->where & ADDRESS_MASK,
        .thread = thread,
        .event = event_of(event),
        .of_span = of_span,
    };
}

/* The look-up of an event; NULL where others came since. */
static const struct ss_history_lookup *lookup_of(const struct origin *origin,
                                                 struct ss_history_lookup *out)
{
    struct lookups *lookups = atomic_load_explicit(&origin->ring->lookups, memory_order_acquire);
    for (unsigned i = 0; lookups && i < LOOKUPS_KEPT; i++) {
        struct noted_lookup *noted = &lookups->noted[i];
        if (atomic_load_explicit(&noted->number, memory_order_acquire) != origin->position + 1)
            continue;
        copy_words(out, &noted->lookup, sizeof *out);
        atomic_thread_fence(memory_order_acquire);
        return atomic_load_explicit(&noted->number, memory_order_relaxed) == origin->position + 1
                   ? out
                   : NULL;
    }
    return NULL;
}

const struct ss_story *ss_history_story(uint64_t span_serial, uint64_t end, const uint32_t *threads,
                                        unsigned thread_count)
{
    /* What was noted before the end may seem to come that many ticks after it. */
    enum { CLOCKS_DIFFER = 2000 };
    const struct clock *clock = atomic_load_explicit(&the_clock, memory_order_acquire);
    if (!ss_options.history || !clock)
        return NULL;
    struct moment now = moment_now(clock->by_counter);
    double rate = nanoseconds_per_tick(clock, &now);
    uint64_t passed = end && end < now.realtime ? now.realtime - end : 0;
    uint64_t end_ticks = now.ticks - (uint64_t)((double)passed / rate);

    struct search search = {span_serial, threads, thread_count, 0, end_ticks + CLOCKS_DIFFER};
    story.count = story.left_out = 0;
    for_each_event(&search, find_creation);
    for_each_event(&search, find_row);
    for (uint32_t row = 0; row < story.count; row++) {
        struct ss_history_row *shown = &story.rows[row];
        int64_t ticks = (int64_t)(origins[row].ticks - end_ticks);
        shown->nanoseconds = ticks < 0 ? (int64_t)((double)ticks * rate) : 0;
        if (shown->event == SS_HISTORY_LOOKUP)
            shown->lookup = lookup_of(&origins[row], &lookups_shown[row]);
    }
    return story.count ? &story : NULL;
}

void ss_history_choose(const struct ss_story *told, uint32_t count, bool chosen[SS_STORY_MAX])
{
    memset(chosen, 0, SS_STORY_MAX * sizeof *chosen);
    for (unsigned others = 0; others < 2; others++)
        for (uint32_t row = told->count; row-- && count;)
            if (told->rows[row].of_span != others) {
                chosen[row] = true;
                count--;
            }
}
