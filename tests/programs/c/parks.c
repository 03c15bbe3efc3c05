/* Prints everything that a user of epoll_wait, poll and their kin and of syscall can see: EINTR,
 * what is on the stack of a blocked thread, cancellation with its clean-up handlers, arguments,
 * errno; in signal handlers, after fork and vfork, on small stacks. All inside a span, so that the
 * parks are watched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spans.h"

SITE(job, "job");

static int nothing; /* an epoll instance */
static uint32_t word;
static const struct timespec no_time = {0, 0};

static uint64_t enter(void)
{
    uint64_t span = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, span);
    return span;
}

static void leave(uint64_t span)
{
    strayspan_exit(&first_subscriber, span);
    strayspan_close(&first_subscriber, span);
}

/* ---- threads that block ---------------------------------------------------------------------- */

static long in_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(nothing, &event, 1, -1);
}

static long in_epoll_pwait(void)
{
    struct epoll_event event;
    return epoll_pwait(nothing, &event, 1, -1, NULL);
}

static long in_epoll_pwait2(void)
{
    struct epoll_event event;
    return epoll_pwait2(nothing, &event, 1, NULL, NULL);
}

static long in_poll(void)
{
    return poll(NULL, 0, -1);
}

static long in_ppoll(void)
{
    return ppoll(NULL, 0, NULL, NULL);
}

static long in_syscall(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* libc's syscall is no cancellation point: its thread can be cancelled at any time. */
static const struct call {
    const char *name;
    long (*block)(void);
    long number;
    int cancel_type;
} calls[] = {
    {"epoll_wait", in_epoll_wait, SYS_epoll_wait, PTHREAD_CANCEL_DEFERRED},
    {"epoll_pwait", in_epoll_pwait, SYS_epoll_pwait, PTHREAD_CANCEL_DEFERRED},
    {"epoll_pwait2", in_epoll_pwait2, SYS_epoll_pwait2, PTHREAD_CANCEL_DEFERRED},
    {"poll", in_poll, SYS_poll, PTHREAD_CANCEL_DEFERRED},
    {"ppoll", in_ppoll, SYS_ppoll, PTHREAD_CANCEL_DEFERRED},
    {"syscall", in_syscall, SYS_futex, PTHREAD_CANCEL_ASYNCHRONOUS},
};

static _Atomic int blocking_thread, rounds;

/* What a signal handler finds between itself and this program's own code. */
static int frames_of_strayspan, own_code_reached;

static void look_at_stack(int signal)
{
    void *frames[64];
    Dl_info own, info;
    (void)signal;
    int count = backtrace(frames, 64);
    frames_of_strayspan = own_code_reached = 0;
    if (!dladdr(&calls, &own))
        return;
    /* The first frame is this function. */
    for (int i = 1; i < count && !own_code_reached; i++) {
        if (!dladdr(frames[i], &info))
            continue;
        own_code_reached = info.dli_fbase == own.dli_fbase;
        frames_of_strayspan += strstr(info.dli_fname, "/libstrayspan.so") != NULL;
    }
}

static void cleaned(void *span)
{
    leave(*(uint64_t *)span);
    puts("  cleaned up");
}

static void *block(void *argument)
{
    const struct call *call = argument;
    uint64_t span = enter();
    pthread_cleanup_push(cleaned, &span);
    blocking_thread = gettid();
    rounds = 1;
    long result = call->block();
    printf("  returned %ld, errno %d\n", result, errno);
    printf("  %d frames of strayspan, own code %d\n", frames_of_strayspan, own_code_reached);
    pthread_setcanceltype(call->cancel_type, NULL);
    rounds = 2;
    (void)call->block();
    pthread_cleanup_pop(1);
    return NULL;
}

/* Waits until the thread is in the system call for the nth time. */
static void wait_until_blocked(long number, int round)
{
    for (;;) {
        char path[64], text[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", blocking_thread);
        int fd = open(path, O_RDONLY);
        if (rounds == round && fd >= 0 && read(fd, text, sizeof text - 1) > 0 &&
            strncmp(text, "running", 7) != 0 && atol(text) == number) {
            close(fd);
            return;
        }
        close(fd);
        usleep(1000);
    }
}

static void check_blocked(const struct call *call)
{
    pthread_t thread;
    void *result;
    printf("%s\n", call->name);
    blocking_thread = rounds = 0;
    pthread_create(&thread, NULL, block, (void *)call);
    wait_until_blocked(call->number, 1);
    pthread_kill(thread, SIGUSR1);
    wait_until_blocked(call->number, 2);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("  cancelled %d\n", result == PTHREAD_CANCELED);
}

/* ---- arguments and errno --------------------------------------------------------------------- */

#define SHOW(call)                                          \
    do {                                                    \
        errno = 0;                                          \
        long shown = (long)(call);                          \
        printf("%s: %ld, errno %d\n", #call, shown, errno); \
    } while (0)

static void check_arguments(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    struct pollfd readable, *volatile nowhere = (struct pollfd *)8;
    struct timespec soon = {0, 1000000}, left = soon;
    const struct timespec never = {-1, 0};
    int ends[2];
    sigset_t mask, *volatile everything = &mask;
    sigemptyset(&mask);

    /* The last argument of these is on the stack. */
    FILE *file = tmpfile(), *copy = tmpfile();
    fprintf(file, "%4096s%s", "first page", "second page");
    fflush(file);
    const char *page =
        (const char *)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 4096L);
    printf("mapped: %s\n", page);
    loff_t from = 4096, to = 2;
    SHOW(syscall(SYS_copy_file_range, fileno(file), &from, fileno(copy), &to, 6L, 0L));
    printf("offsets %ld, %ld\n", (long)from, (long)to);
    SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &no_time, NULL, 0L));
    SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &no_time, NULL, ~0L));
    SHOW(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, NULL));

    SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    SHOW(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
    SHOW(syscall(SYS_ppoll, NULL, 0, &never, NULL, 0));
    SHOW(syscall(-1));

    if (pipe(ends) != 0)
        return;
    int epoll = epoll_create1(0);
    readable = (struct pollfd){.fd = ends[0], .events = POLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    for (int ready = 0; ready <= 1; ready++) {
        SHOW(epoll_wait(epoll, &event, 1, 1));
        SHOW(epoll_pwait(epoll, &event, 1, 1, everything));
        SHOW(epoll_pwait2(epoll, &event, 1, &soon, everything));
        SHOW(poll(&readable, 1, 1));
        SHOW(ppoll(&readable, 1, &soon, everything));
        SHOW(syscall(SYS_epoll_wait, epoll, &event, 1, 1));
        if (write(ends[1], "x", 1) != 1)
            return;
    }
    printf("event %u, time %ld\n", event.data.u32, soon.tv_nsec);

    SHOW(epoll_wait(-1, &event, 1, 0));
    SHOW(epoll_pwait(epoll, &event, 0, 0, NULL));
    SHOW(epoll_pwait2(ends[0], &event, 1, &no_time, NULL));
    SHOW(poll(nowhere, 1, 0));
    SHOW(ppoll(&readable, 1, &never, NULL));
    errno = EDOM;
    (void)poll(NULL, 0, 0);
    (void)epoll_wait(epoll, &event, 1, 0);
    (void)syscall(SYS_poll, NULL, 0, 0);
    printf("errno kept %d\n", errno == EDOM);
}

/* ---- where they may be called ---------------------------------------------------------------- */

/* Each of them, without waiting; 0 where all went well. */
static int call_all(void)
{
    struct epoll_event event;
    return epoll_wait(nothing, &event, 1, 0) | epoll_pwait(nothing, &event, 1, 0, NULL) |
           epoll_pwait2(nothing, &event, 1, &no_time, NULL) | poll(NULL, 0, 0) |
           ppoll(NULL, 0, &no_time, NULL) | (int)syscall(SYS_poll, NULL, 0, 0);
}

static volatile int in_handler;

static void call_in_handler(int signal)
{
    in_handler = signal + call_all();
}

static void *call_on_thread(void *unused)
{
    uint64_t span = enter();
    if (call_all() != 0)
        unused = &nothing;
    leave(span);
    return unused;
}

static void check_places(void)
{
    int status = -1;
    pthread_attr_t smallest;
    pthread_t thread;
    void *failed = &thread;

    signal(SIGUSR2, call_in_handler);
    raise(SIGUSR2);
    printf("in a handler: %d\n", in_handler - SIGUSR2);

    pid_t child = fork();
    if (child == 0)
        _exit(call_all() != 0);
    waitpid(child, &status, 0);
    printf("in a child of fork: %d\n", status);

    child = vfork();
    if (child == 0)
        _exit(call_all() != 0);
    waitpid(child, &status, 0);
    printf("in a child of vfork: %d\n", status);

    pthread_attr_init(&smallest);
    pthread_attr_setstacksize(&smallest, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    pthread_create(&thread, &smallest, call_on_thread, NULL);
    pthread_join(thread, &failed);
    printf("on the smallest stack: %d\n", failed != NULL);
}

int main(void)
{
    void *warm[1];
    struct sigaction action = {.sa_handler = look_at_stack};
    /* Its first call loads a library. */
    (void)backtrace(warm, 1);
    nothing = epoll_create1(0);
    sigaction(SIGUSR1, &action, NULL);
    uint64_t span = enter();
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++)
        check_blocked(&calls[i]);
    check_arguments();
    check_places();
    leave(span);
    return 0;
}
