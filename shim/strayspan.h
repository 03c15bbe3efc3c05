/* strayspan annotations: tells strayspan about spans that it cannot see by itself, from any
 * language that can call C.
 *
 * A program annotated with this header needs no library: each function looks its counterpart in a
 * preloaded libstrayspan.so up once, with dlsym, and does nothing where there is none. The
 * functions may be called on any thread, not from a signal handler. Programs for glibc before 2.34
 * link -ldl.
 *
 * Subscribers are told apart by an address of the caller's choice, which is never read. Ids are
 * unique among all annotated spans of the process; 0 is no span, and every function takes it and
 * does nothing. */
#ifndef STRAYSPAN_H
#define STRAYSPAN_H

#include <stdint.h>

/* Levels of a call site, as tracing numbers them. */
enum strayspan_level {
    STRAYSPAN_TRACE,
    STRAYSPAN_DEBUG,
    STRAYSPAN_INFO,
    STRAYSPAN_WARN,
    STRAYSPAN_ERROR
};

/* One place in the program that makes spans. Must live as long as the process, unchanged; strings
 * are UTF-8, and file may be NULL. */
struct strayspan_site {
    const char *name;
    const char *target;
    const char *file;
    uint32_t line;
    uint32_t level; /* enum strayspan_level */
};

/* What a preloaded libstrayspan.so exports; for languages that look symbols up themselves. */
typedef uint64_t strayspan_new_fn(const void *subscriber, const struct strayspan_site *site);
typedef void strayspan_event_fn(const void *subscriber, uint64_t id);

#ifndef STRAYSPAN_IMPLEMENTATION

#include <dlfcn.h>

/* dlsym's default handle, which <dlfcn.h> shows only with _GNU_SOURCE. */
#define STRAYSPAN_DEFAULT_HANDLE ((void *)0)

static inline void *strayspan_look_up(const char *name, void **cell)
{
    /* The cell holds its own address once the look-up found nothing. */
    void *found = __atomic_load_n(cell, __ATOMIC_ACQUIRE);
    if (found == (void *)0) {
        found = dlsym(STRAYSPAN_DEFAULT_HANDLE, name);
        if (found == (void *)0)
            found = (void *)cell;
        __atomic_store_n(cell, found, __ATOMIC_RELEASE);
    }
    return found == (void *)cell ? (void *)0 : found;
}

/* Says that subscriber made a span at site. Returns its id, or 0 without strayspan. */
static inline uint64_t strayspan_new(const void *subscriber, const struct strayspan_site *site)
{
    static void *cell;
    strayspan_new_fn *fn = (strayspan_new_fn *)strayspan_look_up("strayspan_annotate_new", &cell);
    return fn ? fn(subscriber, site) : 0;
}

/* Says that this thread enters the span. */
static inline void strayspan_enter(const void *subscriber, uint64_t id)
{
    static void *cell;
    strayspan_event_fn *fn =
        (strayspan_event_fn *)strayspan_look_up("strayspan_annotate_enter", &cell);
    if (fn)
        fn(subscriber, id);
}

/* Says that this thread exits the span. */
static inline void strayspan_exit(const void *subscriber, uint64_t id)
{
    static void *cell;
    strayspan_event_fn *fn =
        (strayspan_event_fn *)strayspan_look_up("strayspan_annotate_exit", &cell);
    if (fn)
        fn(subscriber, id);
}

/* Says that the last handle of the span is closed through subscriber; NULL: through no subscriber.
 */
static inline void strayspan_close(const void *subscriber, uint64_t id)
{
    static void *cell;
    strayspan_event_fn *fn =
        (strayspan_event_fn *)strayspan_look_up("strayspan_annotate_close", &cell);
    if (fn)
        fn(subscriber, id);
}

#endif
#endif
