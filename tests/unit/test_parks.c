/* The wrappers of parks: ss_park gets told what it should, whatever it does to the registers; the
 * original is reached by a jump with every argument as it came; before the constructors, and where
 * libc lacks the original, too. Other functions than libc's own stand in for the originals. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "parks.h"

#define WRAPPERS(X)                 \
    X(epoll_wait, SS_PARK_EVENTS)   \
    X(epoll_pwait, SS_PARK_EVENTS)  \
    X(epoll_pwait2, SS_PARK_EVENTS) \
    X(poll, SS_PARK_POLL)           \
    X(ppoll, SS_PARK_POLL)          \
    X(syscall, SS_PARK_FUTEX)

#define X(name, kind) extern void *_Atomic ss_real_##name;
WRAPPERS(X)
#undef X

void ss_parks_resolve(void);

static const struct wrapper {
    const char *name;
    void *function;
    void *_Atomic *real;
    enum ss_park_kind kind;
} wrappers[] = {
#define X(name, kind) {#name, name, &ss_real_##name, kind},
    WRAPPERS(X)
#undef X
};

enum { WRAPPERS_COUNT = sizeof wrappers / sizeof wrappers[0] };

/* ---- stand-ins for what other parts of the shim give ----------------------------------------- */

static bool libc_lacks_all;

void *ss_symbol_next(const char *name, size_t *size)
{
    (void)size;
    errno = EDOM;
    return libc_lacks_all ? NULL : dlsym(RTLD_NEXT, name);
}

_Atomic uint32_t ss_parks_wanted;

static struct {
    unsigned count;
    uintptr_t sp, caller;
    enum ss_park_kind kind;
    int frames;
    void *stack[8];
} parked;

void ss_park(uintptr_t sp, uintptr_t caller, enum ss_park_kind kind)
{
    parked.count++;
    parked.sp = sp;
    parked.caller = caller;
    parked.kind = kind;
    CHECK((uintptr_t)__builtin_frame_address(0) % 16 == 0);
    parked.frames = backtrace(parked.stack, 8);
    __asm__ volatile(".irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11\n"
                     "mov $-1, %%\\register\n"
                     ".endr" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
}

/* ---- registers ------------------------------------------------------------------------------- */

/* What an original got: rdi, rsi, rdx, rcx, r8, r9, rax, the stack pointer, the return address, the
 * word above it. */
enum { SP = 7, CALLER, ON_STACK, GOT };
uintptr_t got[GOT];
void record(void);

/* Calls function with number, 2 to 6 and, on the stack, 7; rax is 8. */
long call_with_all(void *function, long number);
extern const char call_with_all_end[];

__asm__(".text\n"
        ".type record, @function\n"
        "record:\n"
        "lea got(%rip), %r10\n"
        "mov %rdi, (%r10)\n"
        "mov %rsi, 8(%r10)\n"
        "mov %rdx, 16(%r10)\n"
        "mov %rcx, 24(%r10)\n"
        "mov %r8, 32(%r10)\n"
        "mov %r9, 40(%r10)\n"
        "mov %rax, 48(%r10)\n"
        "mov %rsp, 56(%r10)\n"
        "mov (%rsp), %rax\n"
        "mov %rax, 64(%r10)\n"
        "mov 8(%rsp), %rax\n"
        "mov %rax, 72(%r10)\n"
        "mov $9, %eax\n"
        "ret\n"
        ".size record, . - record\n"
        ".type call_with_all, @function\n"
        "call_with_all:\n"
        ".cfi_startproc\n"
        "mov %rdi, %r11\n"
        "mov %rsi, %rdi\n"
        "mov $2, %esi\n"
        "mov $3, %edx\n"
        "mov $4, %ecx\n"
        "mov $5, %r8d\n"
        "mov $6, %r9d\n"
        "mov $8, %eax\n"
        "push $7\n"
        ".cfi_adjust_cfa_offset 8\n"
        "call *%r11\n"
        "pop %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        "ret\n"
        ".cfi_endproc\n"
        "call_with_all_end:\n"
        ".size call_with_all, . - call_with_all\n");

/* Whether a return address leads into call_with_all. */
static bool is_our_call(uintptr_t address)
{
    return address > (uintptr_t)call_with_all && address < (uintptr_t)call_with_all_end;
}

static void check_registers(const struct wrapper *wrapper)
{
    static const uintptr_t after_first[] = {2, 3, 4, 5, 6, 8};
    memset(got, 0, sizeof got);
    CHECK(call_with_all(wrapper->function, SYS_futex_waitv) == 9);
    CHECK(got[0] == SYS_futex_waitv);
    CHECK(memcmp(got + 1, after_first, sizeof after_first) == 0);
    CHECK(got[ON_STACK] == 7);
    CHECK(is_our_call(got[CALLER]));
}

static void check_wrapper(const struct wrapper *wrapper)
{
    *wrapper->real = record;
    ss_parks_wanted = 0;
    memset(&parked, 0, sizeof parked);
    check_registers(wrapper);
    CHECK(parked.count == 0);

    ss_parks_wanted = 1;
    check_registers(wrapper);
    CHECK(parked.count == 1);
    CHECK(parked.kind == wrapper->kind);
    CHECK(parked.sp == got[SP]);
    CHECK(parked.caller == got[CALLER]);
    /* From ss_park through the wrapper to call_with_all, and on to its caller. */
    CHECK(parked.frames >= 5);
    uintptr_t in_wrapper = (uintptr_t)parked.stack[1] - (uintptr_t)wrapper->function;
    CHECK(in_wrapper > 0 && in_wrapper < 96);
    CHECK(parked.stack[2] == (void *)parked.caller);
    CHECK(!is_our_call((uintptr_t)parked.stack[3]));
    if (failures)
        fprintf(stderr, "in %s\n", wrapper->name);
}

/* ---- which system calls park ----------------------------------------------------------------- */

static void check_system_calls(void)
{
    enum { NO = -1 };
    static const struct {
        long number, a, b, c, d;
        int kind;
    } rows[] = {
        {SYS_futex, 0, FUTEX_WAIT, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_WAIT_PRIVATE, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, 0x7f00000000 | FUTEX_WAIT_PRIVATE, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_LOCK_PI, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_LOCK_PI2_PRIVATE, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, 0, SS_PARK_FUTEX},
        {SYS_futex, 0, FUTEX_WAKE, 1, 0, NO},
        {SYS_futex, 0, FUTEX_WAKE_PRIVATE, 1, 0, NO},
        {SYS_futex, 0, FUTEX_WAKE_BITSET_PRIVATE, 1, 0, NO},
        {SYS_futex, 0, FUTEX_WAKE_OP_PRIVATE, 1, 0, NO},
        {SYS_futex, 0, FUTEX_REQUEUE, 1, 0, NO},
        {SYS_futex, 0, FUTEX_CMP_REQUEUE_PI, 1, 0, NO},
        {SYS_futex, 0, FUTEX_UNLOCK_PI, 0, 0, NO},
        {SYS_futex, 0, FUTEX_TRYLOCK_PI, 0, 0, NO},
        {SYS_futex, 0, 32 + FUTEX_WAIT, 0, 0, NO},
        {SYS_futex_waitv, 0, 0, 0, 0, SS_PARK_FUTEX},
        {SYS_io_uring_enter, 3, 1, 1, 0, SS_PARK_EVENTS},
        {SYS_io_uring_enter, 3, 1, 0, IORING_ENTER_GETEVENTS, SS_PARK_EVENTS},
        {SYS_io_uring_enter, 3, 1, 0, IORING_ENTER_SQ_WAKEUP, NO},
        {SYS_epoll_wait, 3, 0, 1, 0, SS_PARK_EVENTS},
        {SYS_epoll_pwait, 3, 0, 1, 0, SS_PARK_EVENTS},
        {SYS_epoll_pwait2, 3, 0, 1, 0, SS_PARK_EVENTS},
        {SYS_poll, 0, 0, 0, 0, SS_PARK_POLL},
        {SYS_ppoll, 0, 0, 0, 0, SS_PARK_POLL},
        {SYS_read, 0, 0, 0, 0, NO},
        {SYS_gettid, 0, 0, 0, 0, NO},
        {SYS_futex_waitv + 1, 0, 0, 0, 0, NO},
        {-1, 0, 0, 0, 0, NO},
        {1L << 40 | SYS_poll, 0, 0, 0, 0, NO},
    };
    ss_real_syscall = record;
    ss_parks_wanted = 1;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(&parked, 0, sizeof parked);
        CHECK(syscall(rows[i].number, rows[i].a, rows[i].b, rows[i].c, rows[i].d) == 9);
        int kind = parked.count ? (int)parked.kind : NO;
        CHECK(kind == rows[i].kind);
        if (kind != rows[i].kind)
            fprintf(stderr, "row %u: call %ld: %d\n", i, rows[i].number, kind);
    }
}

/* ---- originals ------------------------------------------------------------------------------- */

/* Before the constructors: what the pointers lead to then, what poll returns, and errno. */
static void *first[WRAPPERS_COUNT];
static int early_result = -1, early_errno;

static void call_early(void)
{
    for (unsigned i = 0; i < WRAPPERS_COUNT; i++)
        first[i] = *wrappers[i].real;
    errno = ERANGE;
    early_result = poll(NULL, 0, 0);
    early_errno = errno;
}

__attribute__((section(".preinit_array"), used)) static void (*const early)(void) = call_early;

static void check_resolution(void)
{
    CHECK(early_result == 0);
    CHECK(early_errno == ERANGE);
    for (unsigned i = 0; i < WRAPPERS_COUNT; i++) {
        CHECK(first[i] && *wrappers[i].real != first[i]);
        CHECK(*wrappers[i].real == dlsym(RTLD_NEXT, wrappers[i].name));
    }
}

/* Each stub by itself leads to libc's function, arguments and result included. */
static void check_stubs(void)
{
    struct pollfd none = {.fd = -1};
    struct epoll_event event;
    const struct timespec now = {0, 0};
    ss_parks_wanted = 0;
#define STUB_GIVES(index, value, error, call)                                   \
    do {                                                                        \
        *wrappers[index].real = first[index];                                   \
        errno = 0;                                                              \
        CHECK((call) == (value) && errno == (error));                           \
        CHECK(*wrappers[index].real == dlsym(RTLD_NEXT, wrappers[index].name)); \
    } while (0)
    STUB_GIVES(0, -1, EBADF, epoll_wait(-1, &event, 1, 0));
    STUB_GIVES(1, -1, EBADF, epoll_pwait(-1, &event, 1, 0, NULL));
    STUB_GIVES(2, -1, EBADF, epoll_pwait2(-1, &event, 1, &now, NULL));
    STUB_GIVES(3, 0, 0, poll(&none, 1, 0));
    STUB_GIVES(4, 0, 0, ppoll(&none, 1, &now, NULL));
    STUB_GIVES(5, getpid(), 0, (int)syscall(SYS_getpid));
}

static void check_without_libc(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    struct pollfd readable, *volatile nowhere = (struct pollfd *)8;
    const struct timespec soon = {0, 1000000};
    struct timespec left = soon;
    sigset_t mask;
    int ends[2];
    libc_lacks_all = true;
    errno = ERANGE;
    ss_parks_resolve();
    CHECK(errno == ERANGE);
    for (unsigned i = 0; i < WRAPPERS_COUNT; i++)
        CHECK(*wrappers[i].real != dlsym(RTLD_NEXT, wrappers[i].name));

    sigemptyset(&mask);
    CHECK(pipe(ends) == 0);
    int epoll = epoll_create1(0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    readable = (struct pollfd){.fd = ends[0], .events = POLLIN};
    for (int ready = 0; ready <= 1; ready++) {
        memset(&event, 0, sizeof event);
        CHECK(epoll_wait(epoll, &event, 1, 1) == ready);
        CHECK(epoll_pwait(epoll, &event, 1, 1, &mask) == ready);
        CHECK(epoll_pwait2(epoll, &event, 1, &soon, &mask) == ready);
        CHECK(event.data.u32 == (ready ? 7 : 0));
        CHECK(poll(&readable, 1, 1) == ready);
        CHECK(ppoll(&readable, 1, &left, &mask) == ready);
        CHECK(memcmp(&left, &soon, sizeof left) == 0);
        CHECK(write(ends[1], "x", 1) == 1);
    }
    CHECK(syscall(SYS_getpid) == getpid());
#define FAILS_WITH(error, call)                  \
    do {                                         \
        errno = 0;                               \
        CHECK((call) == -1 && errno == (error)); \
    } while (0)
    FAILS_WITH(EBADF, epoll_wait(-1, &event, 1, 0));
    FAILS_WITH(EBADF, epoll_pwait(-1, &event, 1, 0, NULL));
    FAILS_WITH(EBADF, epoll_pwait2(-1, &event, 1, NULL, NULL));
    FAILS_WITH(EFAULT, poll(nowhere, 1, 0));
    FAILS_WITH(EINVAL, ppoll(NULL, 0, &(struct timespec){-1, 0}, NULL));
    FAILS_WITH(ENOSYS, syscall(-1));
    libc_lacks_all = false;
    ss_parks_resolve();
}

int main(void)
{
    check_resolution();
    check_stubs();
    check_without_libc();
    for (unsigned i = 0; i < WRAPPERS_COUNT; i++)
        check_wrapper(&wrappers[i]);
    check_system_calls();
    return failures != 0;
}
