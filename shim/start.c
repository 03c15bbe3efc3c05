/* The shim's life: the constructor brings it up, the destructor writes the summary, fork splits it.
 *
 * Nothing is torn down: threads live on past exit handlers. Lock order is that of fork.h; around a
 * fork all are held, and the child makes a state of its own out of its copy. */
#define STRAYSPAN_IMPLEMENTATION
#include "start.h"

#include <linux/fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "activations.h"
#include "closed.h"
#include "fork.h"
#include "history.h"
#include "hook.h"
#include "instances.h"
#include "interpose.h"
#include "lock.h"
#include "log.h"
#include "module_names.h"
#include "namespaces.h"
#include "options.h"
#include "output.h"
#include "parks.h"
#include "breaches.h"
#include "span_table.h"
#include "stacks.h"
#include "suppressions.h"
#include "strayspan.h"
#include "threads.h"

_Atomic int ss_own_pid;
_Atomic bool ss_start_up;
_Atomic bool ss_start_active;

/* Our own object's extent, from the linker. */
extern const char __ehdr_start[] SS_HIDDEN;
extern const char _end[] SS_HIDDEN;

/* Weak: a libc may lack them, and then what they are for is off. */
extern int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *)
    __attribute__((weak));
extern char **environ __attribute__((weak));
extern unsigned long getauxval(unsigned long type) __attribute__((weak));
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                             void *object) __attribute__((weak));
extern int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
    __attribute__((weak));

bool ss_start_is_own_code(uintptr_t address)
{
    return address >= (uintptr_t)__ehdr_start && address < (uintptr_t)_end;
}

extern SS_EXPORT strayspan_new_fn strayspan_annotate_new;

/* ---- fork ------------------------------------------------------------------------------------ */

/* A fork in a signal handler that came while its thread was inside the shim, maybe with a lock of
 * ours. */
static __thread bool forked_inside;

static void fork_prepare(void)
{
    forked_inside = ss_locks_held > 0 || (ss_self && ss_self != &ss_thread_gone &&
                                          atomic_load(&ss_self->state) == SS_BUSY);
    if (forked_inside)
        return;
    ss_modules_fork();
    ss_span_table_lock();
#define X(name) (void)ss_lock(&name);
    SS_LOCKS(X)
#undef X
}

static void fork_parent(void)
{
    if (forked_inside)
        return;
#define X(name) ss_unlock(&name);
    SS_LOCKS(X)
#undef X
    ss_span_table_unlock();
    ss_modules_forked(false, false);
}

/* Nothing is watched any more in this process. */
static void go_passive(void)
{
    atomic_store(&ss_start_up, false);
    atomic_store(&ss_start_active, false);
    atomic_store(&ss_parks_wanted, 0);
    memset(ss_options.severities, 0, sizeof ss_options.severities);
    ss_options.log_path = "";
}

static void fork_child(void)
{
    if (forked_inside) {
        /* The state may be half changed. ss_own_pid stays the parent's: nobody waits for a lock
         * here. */
        go_passive();
        return;
    }
    atomic_store(&ss_own_pid, ss_sys_getpid());
#define X(name) atomic_store(&name.state, 0);
    SS_LOCKS(X)
#undef X
    ss_locks_held = 0;
    ss_span_table_forked();
    ss_modules_forked(true, ss_interpose_forked());
    ss_threads_forked();
    ss_history_forked();
    ss_closed_forked();
    ss_breaches_forked();
    ss_log_forked();
    if (!ss_options.follow_children)
        go_passive();
}

/* ---- start ----------------------------------------------------------------------------------- */

/* What the loader gave our constructor: libc's own variable is not set yet when we are the
 * first. */
static char **environment;

/* The kernel puts the first environment there. */
static uintptr_t on_main_stack;

uintptr_t ss_start_on_main_stack(void)
{
    return on_main_stack;
}

const char *ss_start_environment(const char *name)
{
    size_t length = strlen(name);
    for (char **at = environment; at && *at; at++)
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
            return *at + length + 1;
    return NULL;
}

static int find_own_name(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD &&
            (uintptr_t)__ehdr_start - (info->dlpi_addr + header->p_vaddr) < header->p_memsz) {
            *(const char **)name = info->dlpi_name;
            return 1;
        }
    }
    return 0;
}

/* Whether our parent process has this object loaded: then we are a child of a watched program. */
static bool is_child_of_watched(void)
{
    const char *name = NULL;
    if (dl_iterate_phdr)
        (void)dl_iterate_phdr(find_own_name, &name);
    /* The kernel shows the absolute path, the loader what it was given. */
    const char *slash = name ? strrchr(name, '/') : NULL;
    char path[64] = "/proc/", digits[12];
    unsigned at = sizeof digits;
    digits[--at] = 0;
    for (unsigned long pid = (unsigned long)SS_SYSCALL_0(__NR_getppid); pid; pid /= 10)
        digits[--at] = (char)('0' + pid % 10);
    memcpy(path + 6, digits + at, sizeof digits - at);
    memcpy(path + strlen(path), "/maps", sizeof "/maps");

    long fd = slash ? ss_sys_open(path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return false;
    char buffer[768];
    size_t kept = 0, wanted = strlen(slash);
    bool found = false;
    long size;
    while (!found && wanted < sizeof buffer / 2 &&
           (size = ss_sys_read((int)fd, buffer + kept, sizeof buffer - kept)) > 0) {
        size_t used = kept + (size_t)size;
        found = memmem(buffer, used, slash, wanted) != NULL;
        kept = used < wanted ? used : wanted;
        memmove(buffer, buffer + used - kept, kept);
    }
    (void)ss_sys_close((int)fd);
    return found;
}

/* Whether another copy of the shim stands before us: then our own exported names lead to it. */
static bool is_second_copy(void)
{
    strayspan_new_fn *first = strayspan_annotate_new;
    __asm__("" : "+r"(first));
    return !ss_start_is_own_code((uintptr_t)first);
}

/* Whether objects that come later call our __gmon_start__: a program built with -pg has its own. */
static bool is_told_of_modules(void)
{
    void (*first)(void) = __gmon_start__;
    __asm__("" : "+r"(first));
    return ss_start_is_own_code((uintptr_t)first);
}

void ss_start_activate(void)
{
    if (atomic_exchange(&ss_start_active, true))
        return;
    if (ss_options.await_check != SS_AWAIT_CHECK_OFF || ss_options.history ||
        ss_options.severities[SS_RULE_BLOCKING_LOOKUP])
        atomic_store(&ss_parks_wanted, 1);
    struct ss_thread *thread = ss_begin();
    if (!thread)
        return;
    ss_log_open_if_asked();
    ss_end(thread);
}

/* Where modules went, their subscribers went with them. */
static void let_go(void)
{
    struct ss_thread *thread;
    if (!atomic_load(&ss_start_active) || !ss_modules_went() || !(thread = ss_begin()))
        return;
    ss_instances_unloaded();
    ss_end(thread);
}

void ss_start_look(bool inside_loader)
{
    if (inside_loader)
        ss_modules_update();
    else
        ss_modules_poll();
    let_go();
    /* A table that could not be hooked is worth a log too: it says so. */
    if (atomic_load(&ss_start_up) && (ss_hook_count() || ss_hook_refused()))
        ss_start_activate();
}

/* Whether the options say that this program is not to be watched where it is a child; those that it starts may
 * be. */
static bool is_excepted(void)
{
    static char path[4096];
    const char *at = ss_options.except;
    if (!*at || !ss_program_path(path, sizeof path))
        return false;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    while (at) {
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        bool begins = length && at[length - 1] == '*';
        if (length && strncmp(name, at, length - begins) == 0 && (begins || !name[length]))
            return true;
        at = comma ? comma + 1 : NULL;
    }
    return false;
}

/* The kernel's word that the program runs with rights that its caller has not: what the caller asks
 * for is not done then. Such a program has us only by /etc/ld.so.preload. */
static bool is_secure(void)
{
    return getauxval && getauxval(AT_SECURE);
}

/* Runs before the constructors of all libraries (-z initfirst): so our fork handlers are the last
 * before a fork and the first after it, and no other's runs while we hold our locks. glibc passes
 * the arguments of main; another libc may not, but has its variable set. */
__attribute__((constructor)) static void start(int count, char **arguments, char **variables)
{
    (void)count;
    (void)arguments;
    atomic_store(&ss_own_pid, ss_sys_getpid());
    environment = &environ && environ ? environ : variables;
    on_main_stack = (uintptr_t)environment;
    ss_stderr_remember();
    if (is_secure())
        return;
    if (is_second_copy()) {
        SS_WARN("loaded twice; the second copy does nothing");
        return;
    }
    ss_options_read(ss_start_environment(SS_OPTIONS_VARIABLE));
    if (__register_atfork)
        (void)__register_atfork(fork_prepare, fork_parent, fork_child, NULL);
    else if (pthread_atfork)
        (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
    if ((!ss_options.follow_children || is_excepted()) && is_child_of_watched())
        return;
    ss_suppressions_read();
    ss_threads_start();
    ss_stacks_start();
    ss_log_start();
    ss_interpose_start();
    atomic_store_explicit(&ss_start_up, true, memory_order_release);
    ss_start_look(true);
    if (!is_told_of_modules()) {
        SS_VERBOSE(1,
                   "the program has a __gmon_start__ of its own: objects that it loads are looked "
                   "for when threads start and wait");
        atomic_store(&ss_parks_poll, true);
        atomic_store(&ss_parks_wanted, 1);
    }
}

__attribute__((destructor)) static void finish(void)
{
    /* A vfork's child that exits by mistake, and a process whose state is its parent's, say
     * nothing. */
    if (!atomic_load(&ss_start_up) || ss_sys_getpid() != atomic_load(&ss_own_pid))
        return;
    /* Call sites are counted where their modules still are. */
    ss_modules_poll();
    if (ss_modules_apart() && ss_namespaces_look() && *ss_options.log_path)
        ss_start_activate();
    if (!atomic_load(&ss_start_active))
        return;
    ss_threads_await_ends();
    struct ss_thread *thread = ss_self == &ss_thread_gone ? NULL : ss_begin();
    /* exit in a signal handler that came while we were inside: what we hold is not given back. */
    if (!thread && ss_self != &ss_thread_gone)
        return;
    ss_activations_end();
    if (thread)
        ss_threads_judge_left();
    ss_log_summary();
    if (thread)
        ss_end(thread);
}
