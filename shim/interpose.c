/* The libc functions that we stand in front of, but for those in which threads park (parks.S). Each
 * wrapper keeps errno and the original's whole contract, works before our constructor has run, and
 * goes straight on where nothing is watched.
 *
 * getaddrinfo may be cancelled and pthread_create's thread may be unwound: both pass through our
 * frames, which hold nothing that would have to be given back. */
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "history.h"
#include "internal.h"
#include "interpose.h"
#include "lock.h"
#include "log.h"
#include "lookups.h"
#include "options.h"
#include "parks.h"
#include "rules.h"
#include "span_stack.h"
#include "stacks.h"
#include "start.h"
#include "thread_stacks.h"
#include "threads.h"

typedef int getaddrinfo_fn(const char *host, const char *service, const struct addrinfo *hints,
                           struct addrinfo **result);
typedef int pthread_create_fn(pthread_t *thread, const pthread_attr_t *attributes,
                              void *(*start)(void *), void *argument);

typedef int dlclose_fn(void *handle);

enum original { DLCLOSE, GETADDRINFO, PTHREAD_CREATE, ORIGINAL_COUNT };

/* The next definition of a name, looked up once: at start, or before, or where it has come with a
 * module since. */
static void *original(enum original which)
{
    static const char *const names[ORIGINAL_COUNT] = {
        [DLCLOSE] = "dlclose",
        [GETADDRINFO] = "getaddrinfo",
        [PTHREAD_CREATE] = "pthread_create",
    };
    static void *_Atomic originals[ORIGINAL_COUNT];
    void *found = atomic_load_explicit(&originals[which], memory_order_acquire);
    if (!found) {
        found = ss_symbol_next(names[which], NULL);
        atomic_store_explicit(&originals[which], found, memory_order_release);
    }
    return found;
}

void ss_interpose_start(void)
{
    for (enum original which = 0; which < ORIGINAL_COUNT; which++)
        (void)original(which);
}

static bool watching(void)
{
    return atomic_load_explicit(&ss_start_active, memory_order_relaxed) &&
           ss_sys_getpid() == atomic_load_explicit(&ss_own_pid, memory_order_relaxed);
}

/* ---- modules that come later, and go --------------------------------------------------------- */

static bool up(void)
{
    return atomic_load_explicit(&ss_start_up, memory_order_acquire) &&
           ss_sys_getpid() == atomic_load_explicit(&ss_own_pid, memory_order_relaxed);
}

/* Objects linked with crti.o call this weak symbol from _init, after their relocation and before
 * their own constructors: the moment to look at them. */
SS_EXPORT void __gmon_start__(void);
void __gmon_start__(void)
{
    if (!up())
        return;
    int saved = ss_errno();
    ss_start_look(true);
    ss_set_errno(saved);
}

/* For those that do not, and where the program has that symbol itself: now and then. */
void ss_poll_modules(void)
{
    if (up())
        ss_start_look(false);
}

/* The loader's lock is taken only where it has to be: the program may hold locks of its own that what
 * it does in a dl_iterate_phdr waits for. */
static void poll_if_untold(void)
{
    if (SS_UNLIKELY(atomic_load_explicit(&ss_parks_poll, memory_order_relaxed)))
        ss_poll_modules();
}

/* What is unloaded is forgotten before anything else comes in its place. */
SS_EXPORT int dlclose(void *handle);
int dlclose(void *handle)
{
    dlclose_fn *real_dlclose = (dlclose_fn *)original(DLCLOSE);
    if (!real_dlclose)
        return -1;
    if (!up())
        return real_dlclose(handle);
    ss_callsites_keep();
    int status = real_dlclose(handle);
    int saved = ss_errno();
    ss_poll_modules();
    ss_set_errno(saved);
    return status;
}

/* ---- getaddrinfo ----------------------------------------------------------------------------- */

static _Atomic uint64_t lookups;

uint64_t ss_lookups_seen(void)
{
    return atomic_load(&lookups);
}

const char *ss_lookup_error(int result)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {EAI_BADFLAGS, "EAI_BADFLAGS"}, {EAI_NONAME, "EAI_NONAME"}, {EAI_AGAIN, "EAI_AGAIN"},
        {EAI_FAIL, "EAI_FAIL"},         {EAI_FAMILY, "EAI_FAMILY"}, {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
        {EAI_SERVICE, "EAI_SERVICE"},   {EAI_MEMORY, "EAI_MEMORY"}, {EAI_SYSTEM, "EAI_SYSTEM"},
        {EAI_OVERFLOW, "EAI_OVERFLOW"}, {EAI_NODATA, "EAI_NODATA"},
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == result)
            return names[i].name;
    return "EAI_?";
}

static bool copy_name(char *to, size_t size, const char *from)
{
    size_t length = from ? strnlen(from, size - 1) : 0;
    memcpy(to, from ? from : "", length);
    to[length] = 0;
    return from != NULL;
}

static void record_lookup(const char *host, const char *service, int result,
                          const struct addrinfo *addresses, uint64_t nanoseconds, uintptr_t caller)
{
    struct ss_thread *thread = ss_begin();
    if (!thread)
        return;
    if (!thread->lookup)
        thread->lookup = ss_alloc(sizeof *thread->lookup);
    struct ss_lookup *lookup = thread->lookup;
    if (lookup) {
        const struct ss_entry *entry = ss_stack_innermost(thread, NULL);
        lookup->span_serial = entry ? atomic_load(&entry->span_serial) : 0;
        lookup->nanoseconds = nanoseconds;
        lookup->result = result;
        lookup->addresses = 0;
        for (; result == 0 && addresses; addresses = addresses->ai_next)
            lookup->addresses++;
        lookup->has_host = copy_name(lookup->host, sizeof lookup->host, host);
        lookup->has_service = copy_name(lookup->service, sizeof lookup->service, service);
        atomic_fetch_add(&lookups, 1);
        if (ss_options.lookups)
            ss_log_lookup(thread, entry);
        ss_history_note(thread, SS_HISTORY_LOOKUP, entry ? entry->span : NULL, lookup->span_serial,
                        caller);
        ss_judge_lookup(thread, caller);
    }
    ss_end(thread);
}

SS_EXPORT int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                          struct addrinfo **result)
{
    getaddrinfo_fn *real_getaddrinfo = (getaddrinfo_fn *)original(GETADDRINFO);
    if (!real_getaddrinfo)
        return EAI_FAIL;
    poll_if_untold();
    if (!watching())
        return real_getaddrinfo(host, service, hints, result);

    uint64_t start = ss_sys_clock(1);
    int status = real_getaddrinfo(host, service, hints, result);
    int saved = ss_errno();
    record_lookup(host, service, status, status == 0 && result ? *result : NULL,
                  ss_sys_clock(1) - start, (uintptr_t)__builtin_return_address(0));
    ss_set_errno(saved);
    return status;
}

/* ---- pthread_create -------------------------------------------------------------------------- */

/* Weak: older libcs have it elsewhere. */
extern int pthread_getattr_default_np(pthread_attr_t *attributes) __attribute__((weak));
extern int pthread_attr_destroy(pthread_attr_t *attributes) __attribute__((weak));
extern int pthread_attr_getstacksize(const pthread_attr_t *attributes, size_t *size)
    __attribute__((weak));

/* What a new thread is to know of itself. */
struct start {
    void *(*function)(void *);
    void *argument;
    size_t stack_size;
    struct ss_thread_facts facts;
    struct start *next;
};

static _Atomic bool made_threads;

bool ss_interpose_forked(void)
{
    return atomic_exchange(&made_threads, false);
}

struct ss_lock ss_starts_lock;
static struct start *free_starts;

static struct start *take_start(void)
{
    struct start *start = NULL;
    if (!ss_lock(&ss_starts_lock))
        return NULL;
    if (free_starts) {
        start = free_starts;
        free_starts = start->next;
    }
    ss_unlock(&ss_starts_lock);
    return start ? start : ss_alloc(sizeof *start);
}

static void put_start(struct start *start)
{
    if (!ss_lock(&ss_starts_lock))
        return;
    start->next = free_starts;
    free_starts = start;
    ss_unlock(&ss_starts_lock);
}

/* The first frame of a watched thread; stays on its stack. */
static void *ss_thread_start(void *argument)
{
    struct start start = *(struct start *)argument;
    put_start(argument);
    struct ss_thread *thread = ss_thread_attach(&start.facts);
    if (thread)
        ss_thread_know_stack(thread, (uintptr_t)__builtin_frame_address(0), start.stack_size);
    void *result = start.function(start.argument);
    if (ss_self && ss_self != &ss_thread_gone)
        ss_self->ending = true;
    return result;
}

/* How large the stack will be; 0: not known. */
static size_t stack_size_of(const pthread_attr_t *attributes)
{
    pthread_attr_t defaults;
    size_t size = 0;
    if (!pthread_attr_getstacksize)
        return 0;
    if (attributes) {
        (void)pthread_attr_getstacksize(attributes, &size);
    } else if (pthread_getattr_default_np && pthread_attr_destroy &&
               pthread_getattr_default_np(&defaults) == 0) {
        (void)pthread_attr_getstacksize(&defaults, &size);
        (void)pthread_attr_destroy(&defaults);
    }
    return size;
}

/* Notes who makes the thread; NULL where that cannot be. */
static struct start *describe_start(const pthread_attr_t *attributes, void *(*function)(void *),
                                    void *argument)
{
    struct ss_thread *thread = ss_begin();
    if (!thread)
        return NULL;
    struct start *start = take_start();
    if (start) {
        memset(&start->facts, 0, sizeof start->facts);
        start->function = function;
        start->argument = argument;
        start->stack_size = stack_size_of(attributes);
        start->facts.creator = thread->serial;
        if (ss_options.stacks != SS_STACKS_OFF)
            start->facts.creation_stack = ss_stack_capture(thread);
        const struct ss_entry *entry = ss_stack_innermost(thread, NULL);
        if (entry && entry->span && entry->span->site && entry->span->site->name)
            (void)copy_name(start->facts.creator_span, sizeof start->facts.creator_span,
                            entry->span->site->name);
    }
    ss_end(thread);
    return start;
}

SS_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                             void *(*function)(void *), void *argument)
{
    pthread_create_fn *real_pthread_create = (pthread_create_fn *)original(PTHREAD_CREATE);
    if (!real_pthread_create)
        return 11; /* EAGAIN */
    int saved = ss_errno();
    atomic_store_explicit(&made_threads, true, memory_order_relaxed);
    poll_if_untold();
    struct start *start = watching() ? describe_start(attributes, function, argument) : NULL;
    ss_set_errno(saved);
    if (!start)
        return real_pthread_create(thread, attributes, function, argument);
    int status = real_pthread_create(thread, attributes, ss_thread_start, start);
    if (status != 0)
        put_start(start);
    return status;
}
