/* Walks of shim/cfi.c beside libunwind's, frame for frame: return address, CFA and function start.
 *
 *   test_cfi            0 when all agree, else 1 and what did not
 *   test_cfi --speed    nanoseconds per walk beside unw_backtrace
 *
 * Built with shim/cfi*.c, -lunwind -pthread; lazily bound (-Wl,-z,lazy), so
 * that there is a PLT stub to step through. Built with other optimisation flags it tests other
 * frames. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "../../shim/cfi.h"

#define NOINLINE __attribute__((noinline))
#ifdef __clang__
#define PLAIN __attribute__((noinline, optnone))
#define FAST __attribute__((noinline))
#else
#define PLAIN __attribute__((noinline, optimize("O0", "no-omit-frame-pointer")))
#define FAST __attribute__((noinline, optimize("O2", "omit-frame-pointer")))
#endif
/* After a call: keeps it from becoming a jump. */
#define NO_TAIL_CALL() __asm__ volatile("" ::: "memory")

enum { FRAMES = 256 };

static _Atomic int failures;
static const char *scene = "";

#define CHECK(condition, ...)                                     \
    do {                                                          \
        if (!(condition)) {                                       \
            if (failures++ < 20) {                                \
                printf("%s:%d: %s: ", __FILE__, __LINE__, scene); \
                printf(__VA_ARGS__);                              \
                printf("\n");                                     \
            }                                                     \
        }                                                         \
    } while (0)

/* ---- modules, as shim/modules.c would know them ---------------------------------------------- */

enum { MODULES = 64 };
static struct ss_module modules[MODULES];
static uint32_t module_count, last_id;

static int add_module(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    if (module_count == MODULES)
        return 1;
    struct ss_module *m = &modules[module_count++];
    *m = (struct ss_module){.id = ++last_id, .bias = info->dlpi_addr, .path = info->dlpi_name};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (header->p_type == PT_GNU_EH_FRAME) {
            m->eh_frame_hdr = start;
            m->eh_frame_hdr_end = end;
        }
        if (header->p_type != PT_LOAD || m->segment_count == SS_SEGMENTS_MAX)
            continue;
        m->segments[m->segment_count++] = (struct ss_segment){.start = start,
                                                              .end = end,
                                                              .file_end = start + header->p_filesz,
                                                              .flags = header->p_flags};
        m->start = m->start == 0 || start < m->start ? start : m->start;
        m->end = end > m->end ? end : m->end;
    }
    return 0;
}

static void find_modules(void)
{
    module_count = 0;
    dl_iterate_phdr(add_module, NULL);
}

struct ss_module *ss_module_of(uintptr_t address)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (address >= modules[i].start && address < modules[i].end)
            return &modules[i];
    return NULL;
}

/* ---- the two walks --------------------------------------------------------------------------- */

static _Thread_local uintptr_t stack_low, stack_high;

static void find_stack(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    stack_low = (uintptr_t)low;
    stack_high = stack_low + size;
}

/* What the last comparison walked through. Volatile for signal handlers: the compiler believes
 * raise to be a leaf. */
static _Thread_local struct ss_frame frames[FRAMES];
static _Thread_local volatile uint32_t frame_count;

/* Compares from frame number first on; libunwind's first is cursor's. */
static void compare_from(unw_cursor_t *cursor, uint32_t first)
{
    uint32_t i = first;
    for (bool more = true; more; i++) {
        unw_word_t ip, sp;
        unw_proc_info_t info;
        unw_get_reg(cursor, UNW_REG_IP, &ip);
        if (ip == 0 || i == frame_count)
            break;
        bool known = unw_get_proc_info(cursor, &info) == 0;
        /* What it makes up where there is no FDE (a PLT made by lld): ours ends there. */
        if (known && info.start_ip == ip && frames[i].function == 0) {
            CHECK(i + 1 == frame_count && frames[i].cfa == 0, "frame %u without FDE", i);
            return;
        }
        more = unw_step(cursor) > 0;
        CHECK(i == first || frames[i].ip == ip, "frame %u: ip %zx, libunwind has %zx", i,
              frames[i].ip, ip);
        CHECK(!known || frames[i].function == info.start_ip,
              "frame %u at %zx: function %zx, libunwind has %zx", i, frames[i].ip,
              frames[i].function, info.start_ip);
        if (!more)
            continue;
        unw_get_reg(cursor, UNW_REG_SP, &sp);
        CHECK(frames[i].cfa == sp, "frame %u at %zx: cfa %zx, libunwind has %zx", i, frames[i].ip,
              frames[i].cfa, sp);
    }
    CHECK(i == frame_count, "%u frames, libunwind has %u", frame_count, i);
}

static PLAIN void compare_here(void)
{
    struct ss_registers registers;
    unw_context_t context;
    unw_cursor_t cursor;
    ss_registers_here(&registers);
    for (int round = 0; round < 2; round++) { /* decoded, then cached */
        frame_count = ss_walk(&registers, stack_low, stack_high, frames, FRAMES);
        unw_getcontext(&context);
        unw_init_local(&cursor, &context);
        compare_from(&cursor, 0);
    }
}

static NOINLINE void just_walk(void)
{
    struct ss_registers registers;
    ss_registers_here(&registers);
    frame_count = ss_walk(&registers, stack_low, stack_high, frames, FRAMES);
    NO_TAIL_CALL();
}

typedef void (*callback)(void);

/* ---- frames of all shapes -------------------------------------------------------------------- */

static PLAIN void plain(int depth, callback then)
{
    if (depth == 0)
        then();
    else
        plain(depth - 1, then);
    NO_TAIL_CALL();
}

static FAST int fast(int depth, callback then, int a, int b, int c, int d, int e, int f)
{
    int kept = a * b + c, result;
    if (depth == 0) {
        then();
        return f;
    }
    result = fast(depth - 1, then, b, c, d, e, f, a);
    NO_TAIL_CALL();
    return kept + result + e;
}

static FAST void with_vla(size_t size, callback then)
{
    volatile char room[size];
    room[0] = 1;
    then();
    room[size - 1] = room[0];
}

static FAST void with_alloca(size_t size, callback then)
{
    volatile char *room = __builtin_alloca(size);
    room[0] = 1;
    then();
    room[size - 1] = room[0];
}

static FAST void realigned(callback then)
{
    volatile char room[100] __attribute__((aligned(64)));
    room[0] = 1;
    then();
    room[1] = room[0];
}

/* With arguments on the stack and a size that is not known gcc takes the CFA from memory here. */
static FAST int realigned_vla(size_t size, callback then, int a, int b, int c, int d, int e, int f)
{
    volatile char room[100] __attribute__((aligned(64)));
    volatile char more[size];
    more[0] = room[0] = 1;
    then();
    return more[size - 1] + room[1] + a + b + c + d + e + f;
}

static PLAIN void realigned_plain(callback then)
{
    volatile char room[100] __attribute__((aligned(128)));
    room[0] = 1;
    then();
    room[1] = room[0];
}

static FAST void large(callback then)
{
    volatile char room[1 << 20];
    room[0] = 1;
    then();
    room[1] = room[0];
}

static callback in_comparison;

static int order(const void *a, const void *b)
{
    in_comparison();
    return *(const int *)a - *(const int *)b;
}

static NOINLINE void through_libc(callback then)
{
    int some[] = {3, 1, 2}, wanted = 2;
    in_comparison = then;
    qsort(some, 3, sizeof some[0], order);
    if (bsearch(&wanted, some, 3, sizeof some[0], order) == NULL)
        CHECK(false, "bsearch found nothing");
}

static void on_signal(int number)
{
    (void)number;
    compare_here();
}

static NOINLINE void through_signal(callback then)
{
    (void)then;
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    NO_TAIL_CALL();
    signal(SIGUSR1, SIG_DFL);
}

static NOINLINE void mixture(callback then);

static void test_shapes(void)
{
    static const struct {
        const char *name;
        uint32_t at_least;
    } shapes[] = {{"plain", 20},          {"fast", 20},     {"vla", 4},
                  {"alloca", 4},          {"realigned", 4}, {"realigned vla", 4},
                  {"realigned plain", 4}, {"large", 4},     {"libc", 5},
                  {"signal", 6},          {"mixture", 15}};
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        scene = shapes[i].name;
        frame_count = 0;
        switch (i) {
        case 0:
            plain(20, compare_here);
            break;
        case 1:
            fast(20, compare_here, 1, 2, 3, 4, 5, 6);
            break;
        case 2:
            with_vla(1000 + i, compare_here);
            break;
        case 3:
            with_alloca(1000 + i, compare_here);
            break;
        case 4:
            realigned(compare_here);
            break;
        case 5:
            realigned_vla(1000, compare_here, 1, 2, 3, 4, 5, 6);
            break;
        case 6:
            realigned_plain(compare_here);
            break;
        case 7:
            large(compare_here);
            break;
        case 8:
            through_libc(compare_here);
            break;
        case 9:
            through_signal(compare_here);
            break;
        default:
            mixture(compare_here);
        }
        CHECK(frame_count >= shapes[i].at_least, "only %u frames", frame_count);
    }
}

static callback innermost;

static void mixture_5(void)
{
    fast(3, innermost, 1, 2, 3, 4, 5, 6);
    NO_TAIL_CALL();
}

static void mixture_4(void)
{
    realigned_vla(77, mixture_5, 1, 2, 3, 4, 5, 6);
    NO_TAIL_CALL();
}

static void mixture_3(void)
{
    realigned(mixture_4);
    NO_TAIL_CALL();
}

static void mixture_2(void)
{
    through_libc(mixture_3);
    NO_TAIL_CALL();
}

static void mixture_1(void)
{
    with_vla(333, mixture_2);
    NO_TAIL_CALL();
}

/* Values in every saved register must survive all of these to the outer frames. */
static NOINLINE void mixture(callback then)
{
    innermost = then;
    realigned_vla(11, mixture_1, 1, 2, 3, 4, 5, 6);
    plain(2, mixture_1);
}

/* ---- assembly with unusual rules ------------------------------------------------------------- */

#define ASM_FUNCTION(name, body)                                                                  \
    __asm__(".text\n.type " #name ",@function\n" #name ":\n" body "\n.size " #name ", .-" #name); \
    void name(callback then)

/* No .cfi at all. */
ASM_FUNCTION(without_fde, "push %rbp\n mov %rsp, %rbp\n call *%rdi\n pop %rbp\n ret");

/* An instruction of other machines (GNU_window_save); the linker would not take an unknown one. */
ASM_FUNCTION(foreign_instruction,
             ".cfi_startproc\n push %rbp\n .cfi_adjust_cfa_offset 8\n .cfi_escape 0x2d\n"
             "call *%rdi\n pop %rbp\n ret\n .cfi_endproc");

/* An expression that never ends (skip to itself). */
ASM_FUNCTION(endless_expression,
             ".cfi_startproc\n push %rbp\n .cfi_escape 0x0f, 3, 0x2f, 0xfd, 0xff\n"
             "call *%rdi\n pop %rbp\n ret\n .cfi_endproc");

/* The CFA by rbx; rbp saved far from it (too far to be packed), r12 in r13, r14 by an
 * expression. */
ASM_FUNCTION(odd_saves,
             ".cfi_startproc\n push %rbx\n .cfi_adjust_cfa_offset 8\n .cfi_offset rbx, -16\n"
             "push %r12\n .cfi_adjust_cfa_offset 8\n .cfi_offset r12, -24\n"
             "push %r13\n .cfi_adjust_cfa_offset 8\n .cfi_offset r13, -32\n"
             "push %r14\n .cfi_adjust_cfa_offset 8\n .cfi_offset r14, -40\n"
             "mov %rsp, %rbx\n .cfi_def_cfa_register rbx\n"
             "sub $4088, %rsp\n mov %rbp, 8(%rsp)\n .cfi_offset rbp, -4120\n"
             "mov %r12, %r13\n .cfi_register r12, r13\n"
             ".cfi_escape 0x10, 14, 2, 0x73, 0\n" /* r14 at rbx + 0 */
             "mov $1, %r12\n mov $2, %ebp\n mov $3, %r14d\n"
             "call *%rdi\n"
             "mov 8(%rsp), %rbp\n mov %rbx, %rsp\n"
             "pop %r14\n mov %r13, %r12\n pop %r13\n add $8, %rsp\n pop %rbx\n ret\n"
             ".cfi_endproc");

/* remember and restore state around a second exit, advance_loc1 and args_size. */
ASM_FUNCTION(two_exits,
             ".cfi_startproc\n push %rbp\n .cfi_def_cfa_offset 16\n .cfi_offset rbp, -16\n"
             "mov %rsp, %rbp\n .cfi_def_cfa_register rbp\n .cfi_escape 0x2e, 16\n"
             "test %rdi, %rdi\n jne 1f\n"
             ".cfi_remember_state\n leave\n .cfi_restore rbp\n .cfi_def_cfa rsp, 8\n ret\n"
             ".cfi_restore_state\n .skip 100, 0x90\n"
             "1: sub $16, %rsp\n call *%rdi\n leave\n"
             ".cfi_def_cfa rsp, 8\n ret\n .cfi_endproc");

/* The CFA by an expression with arithmetic: (4 << 3) + rsp, with some moving about. */
ASM_FUNCTION(computed, ".cfi_startproc\n push %rbp\n push %rbp\n push %rbp\n .cfi_offset rbp, -24\n"
                       ".cfi_escape 0x0f, 9, 0x34, 0x33, 0x24, 0x77, 0, 0x16, 0x22, 0x12, 0x13\n"
                       "mov $9, %ebp\n call *%rdi\n pop %rbp\n pop %rbp\n pop %rbp\n ret\n"
                       ".cfi_endproc");

/* rbp too far away to be packed. */
ASM_FUNCTION(far_save, ".cfi_startproc\n sub $4104, %rsp\n .cfi_def_cfa_offset 4112\n"
                       "mov %rbp, 8(%rsp)\n .cfi_offset rbp, -4104\n mov $5, %ebp\n call *%rdi\n"
                       "mov 8(%rsp), %rbp\n add $4104, %rsp\n .cfi_def_cfa_offset 8\n ret\n"
                       ".cfi_endproc");

/* rbx in r13. */
ASM_FUNCTION(kept_in_register, ".cfi_startproc\n push %r13\n .cfi_def_cfa_offset 16\n"
                               ".cfi_offset r13, -16\n mov %rbx, %r13\n .cfi_register rbx, r13\n"
                               "mov $6, %ebx\n call *%rdi\n mov %r13, %rbx\n pop %r13\n ret\n"
                               ".cfi_endproc");

/* The call is the last instruction: the return address is another function's, with other rules. */
ASM_FUNCTION(calls_last, ".cfi_startproc\n push %rbp\n .cfi_def_cfa_offset 16\n call *%rdi\n"
                         ".cfi_endproc\n .cfi_startproc\n .cfi_def_cfa_offset 64\n ud2\n"
                         ".cfi_endproc");

static jmp_buf after_last_call;

static void compare_and_jump(void)
{
    compare_here();
    longjmp(after_last_call, 1);
}

static NOINLINE void through_last_call(callback then)
{
    (void)then;
    if (setjmp(after_last_call) == 0)
        calls_last(compare_and_jump);
}

/* Frames whose CFA is by one register, calling inner(then): they hold that whoever is called keeps
 * it. */
#define OUTER_FUNCTION(name, reg)                                                                \
    __asm__(".text\n.type " #name ",@function\n" #name ":\n .cfi_startproc\n push %" #reg        \
            "\n .cfi_def_cfa_offset 16\n .cfi_offset " #reg ", -16\n mov %rsp, %" #reg           \
            "\n .cfi_def_cfa_register " #reg "\n mov %rdi, %rax\n mov %rsi, %rdi\n call *%rax\n" \
            "pop %" #reg "\n .cfi_def_cfa rsp, 8\n ret\n .cfi_endproc\n.size " #name             \
            ", .-" #name);                                                                       \
    void name(void (*inner)(callback), callback then)
OUTER_FUNCTION(by_rbx, rbx);
OUTER_FUNCTION(by_rbp, rbp);
OUTER_FUNCTION(by_r12, r12);
OUTER_FUNCTION(by_r13, r13);
OUTER_FUNCTION(by_r14, r14);
OUTER_FUNCTION(by_r15, r15);

static FAST void through_realigned(callback then)
{
    realigned_vla(99, then, 6, 5, 4, 3, 2, 1);
    NO_TAIL_CALL();
}

static void test_kept_registers(void)
{
    static void (*const outer[])(void (*)(callback), callback) = {by_rbx, by_rbp, by_r12,
                                                                  by_r13, by_r14, by_r15};
    static const struct {
        const char *name;
        void (*function)(callback);
    } inner[] = {{"odd saves", odd_saves},
                 {"two exits", two_exits},
                 {"computed", computed},
                 {"far save", far_save},
                 {"kept in register", kept_in_register},
                 {"realigned inside", through_realigned},
                 {"libc inside", through_libc},
                 {"signal inside", through_signal},
                 {"last call", through_last_call}};
    for (uint32_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
        for (uint32_t k = 0; k < sizeof outer / sizeof outer[0]; k++) {
            scene = inner[i].name;
            frame_count = 0;
            outer[k](inner[i].function, compare_here);
            CHECK(frame_count >= 6, "only %u frames", frame_count);
        }
}

static NOINLINE void check_stop(const char *name, void (*function)(callback), bool has_fde)
{
    scene = name;
    for (int round = 0; round < 2; round++) {
        function(just_walk);
        uintptr_t start = (uintptr_t)function;
        CHECK(frame_count == 2, "%u frames, not 2", frame_count);
        struct ss_frame last = frames[1];
        CHECK(last.ip > start && last.ip < start + 32, "last ip %zx", last.ip);
        CHECK(last.cfa == 0, "cfa %zx", last.cfa);
        CHECK(last.function == (has_fde ? start : 0), "function %zx", last.function);
    }
}

static void test_stops(void)
{
    check_stop("without FDE", without_fde, false);
    check_stop("foreign instruction", foreign_instruction, true);
    check_stop("endless expression", endless_expression, true);
}

/* ---- every instruction on the way through libc and a PLT stub -------------------------------- */

static volatile uint32_t steps_compared;

static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    steps_compared++;
    compare_here();
}

#define FLAG_FUNCTION(name, change)                                                 \
    ASM_FUNCTION(name, ".cfi_startproc\n pushf\n .cfi_adjust_cfa_offset 8\n" change \
                       "popf\n .cfi_adjust_cfa_offset -8\n ret\n .cfi_endproc")
FLAG_FUNCTION(stepping_begins, "orl $0x100, (%rsp)\n");
FLAG_FUNCTION(stepping_ends, "andl $~0x100, (%rsp)\n");

static int difference(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static NOINLINE void test_each_instruction(void)
{
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    int some[] = {3, 1, 2, 5, 4};
    scene = "each instruction";
    sigaction(SIGTRAP, &action, NULL);
    stepping_begins(NULL);
    qsort(some, 5, sizeof some[0], difference);                      /* bound by now */
    lfind(&some[1], some, &(size_t){5}, sizeof some[0], difference); /* not yet */
    realigned_vla(77, (callback)getppid, 1, 2, 3, 4, 5, 6);
    stepping_ends(NULL);
    signal(SIGTRAP, SIG_DFL);
    CHECK(steps_compared > 500, "%u steps", steps_compared);
    CHECK(some[4] == 5, "not sorted");
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *in_thread(void *unused)
{
    find_stack();
    scene = "thread";
    plain(5, compare_here);
    CHECK(frame_count >= 9 && frames[frame_count - 1].function != 0, "%u frames", frame_count);
    mixture(compare_here);
    return unused;
}

static void test_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

/* ---- stacks that are damaged ----------------------------------------------------------------- */

enum { FAKE_STACK = 1 << 14 };

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* A stack between two pages that cannot be read. */
static uintptr_t *fake_stack(void)
{
    char *room = mmap(NULL, FAKE_STACK + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(room + 4096, FAKE_STACK, PROT_READ | PROT_WRITE);
    return (uintptr_t *)(room + 4096);
}

/* Code addresses, stack addresses, near misses and nonsense. */
static uintptr_t random_word(uint64_t *state, uintptr_t low)
{
    uint64_t r = random_next(state);
    const struct ss_module *m = &modules[random_next(state) % module_count];
    switch (r % 8) {
    case 0:
        return r;
    case 1:
        return low + r / 8 % (2 * FAKE_STACK) - FAKE_STACK / 2;
    case 2:
    case 3:
        return low + (r / 8 % FAKE_STACK & ~7ul);
    default:
        for (uint32_t i = 0; i < m->segment_count; i++)
            if (m->segments[i].flags & PF_X)
                return m->segments[i].start + r / 8 % (m->segments[i].end - m->segments[i].start);
        return 0;
    }
}

/* Many return addresses: also crowds the cache. */
static void walk_nonsense(uintptr_t *stack, uint64_t *state, int rounds)
{
    const uintptr_t low = (uintptr_t)stack, high = low + FAKE_STACK;
    struct ss_frame found[64];
    for (int round = 0; round < rounds; round++) {
        struct ss_registers r;
        uintptr_t *words = (uintptr_t *)&r;
        for (uint32_t i = 0; i < FAKE_STACK / sizeof *stack; i++)
            stack[i] = random_word(state, low);
        for (int walks = 0; walks < 64; walks++) {
            for (uint32_t i = 0; i < sizeof r / sizeof *words; i++)
                words[i] = random_word(state, low);
            uint32_t count = ss_walk(&r, low, high, found, 64);
            CHECK(count <= 64, "%u frames of 64", count);
            for (uint32_t i = 0; i < count; i++)
                CHECK(found[i].cfa == 0 || (found[i].cfa > low && found[i].cfa <= high &&
                                            (i == 0 || found[i].cfa > found[i - 1].cfa)),
                      "cfa %zx", found[i].cfa);
        }
    }
}

static void test_damaged(void)
{
    scene = "damaged stack";
    walk_nonsense(fake_stack(), &random_state, 400);
}

/* Walks while the return address of one frame is something else. */
static PLAIN void check_damaged_return(uint32_t number)
{
    static const uintptr_t nowhere[] = {0, 1, 8, 0xdeadbeef, 0x800000000000, UINTPTR_MAX};
    struct ss_registers registers;
    struct ss_frame found[FRAMES], well[FRAMES];
    ss_registers_here(&registers);
    uint32_t all = ss_walk(&registers, stack_low, stack_high, well, FRAMES);
    CHECK(all > number + 1, "%u frames", all);
    for (uint32_t i = 0; i < sizeof nowhere / sizeof nowhere[0] + 2; i++) {
        uintptr_t wrong = i == 0   ? (uintptr_t)&failures  /* of a module, without FDE */
                          : i == 1 ? (uintptr_t)&registers /* on the stack */
                                   : nowhere[i - 2];
        volatile uintptr_t *slot = (uintptr_t *)well[number].cfa - 1;
        uintptr_t right = *slot;
        *slot = wrong;
        uint32_t count = ss_walk(&registers, stack_low, stack_high, found, FRAMES);
        *slot = right;
        CHECK(memcmp(found, well, (number + 1) * sizeof found[0]) == 0, "frames before changed");
        CHECK(count == number + (wrong == 0 ? 1 : 2), "%u frames with %zx at %u", count, wrong,
              number);
        if (wrong != 0)
            CHECK(found[count - 1].ip == wrong && found[count - 1].cfa == 0 &&
                      found[count - 1].function == 0,
                  "last frame %zx", found[count - 1].ip);
    }
}

static PLAIN void test_damaged_words(void)
{
    struct ss_registers registers;
    struct ss_frame found[FRAMES];
    scene = "damaged words";
    for (uint32_t i = 0; i < 2; i++)
        check_damaged_return(i);
    ss_registers_here(&registers);
    const struct ss_registers well = registers;
    uint32_t count = ss_walk(&registers, stack_low, stack_high, found, FRAMES);
    CHECK(count >= 3, "%u frames", count);
    CHECK(ss_walk(&registers, stack_low, stack_high, found, 2) == 2, "max is not kept");
    CHECK(ss_walk(&registers, stack_low, stack_high, found, 0) == 0, "max 0 is not kept");
    registers.rip = 0;
    CHECK(ss_walk(&registers, stack_low, stack_high, found, FRAMES) == 0, "address 0");
    /* rsp and rbp that cannot be: this function's CFA is by one of them. */
    const uintptr_t wrong[] = {
        0, 1, well.rsp + 1, stack_low - 0x100000, stack_high, UINTPTR_MAX - 7};
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        registers = well;
        registers.rsp = registers.rbp = wrong[i];
        count = ss_walk(&registers, stack_low, stack_high, found, FRAMES);
        CHECK(count == 1 && found[0].cfa == 0 && found[0].function == (uintptr_t)test_damaged_words,
              "%u frames, cfa %zx with %zx", count, found[0].cfa, wrong[i]);
    }
    /* Bounds that end within the first frame. */
    count = ss_walk(&well, stack_low, well.rsp + 8, found, FRAMES);
    CHECK(count == 1 && found[0].cfa == 0, "%u frames beyond the stack's end", count);
}

/* ---- the cache between threads --------------------------------------------------------------- */

static _Atomic bool crowding;

static void *crowd(void *unused)
{
    uint64_t state = 0x9e3779b97f4a7c15;
    uintptr_t *stack = fake_stack();
    while (crowding)
        walk_nonsense(stack, &state, 1);
    return unused;
}

static NOINLINE void walk_often(void)
{
    struct ss_registers registers;
    struct ss_frame first[FRAMES], again[FRAMES];
    ss_registers_here(&registers);
    uint32_t count = ss_walk(&registers, stack_low, stack_high, first, FRAMES);
    for (int i = 0; i < 100000; i++) {
        uint32_t now = ss_walk(&registers, stack_low, stack_high, again, FRAMES);
        bool same = now == count && memcmp(first, again, count * sizeof first[0]) == 0;
        CHECK(same, "walk %d differs", i);
        if (!same)
            break;
    }
}

static NOINLINE void test_crowded_cache(void)
{
    pthread_t thread;
    crowding = true;
    pthread_create(&thread, NULL, crowd, NULL);
    scene = "crowded cache";
    mixture(walk_often);
    crowding = false;
    pthread_join(thread, NULL);
}

/* ---- modules made by hand -------------------------------------------------------------------- */

/* A module of one page: header, table, one CIE and one FDE; its code is its last 256 bytes. */
struct image {
    uint8_t *bytes;
    uint32_t used;
    struct ss_module *module;
};

static void put(struct image *image, const void *bytes, size_t size)
{
    memcpy(image->bytes + image->used, bytes, size);
    image->used += size;
}

static void put_u32(struct image *image, uint32_t value)
{
    put(image, &value, 4);
}

enum { IMAGE = 4096, IMAGE_CODE = IMAGE - 256 };

/* augmentation_data includes the encoding; the FDE's pointers are absolute when absolute is set. */
static void build(struct image *image, const char *augmentation, const uint8_t *augmentation_data,
                  size_t data_size, bool absolute, bool table, const uint8_t *program, size_t size)
{
    memset(image->bytes, 0, IMAGE);
    uint32_t eh_frame = 64;
    image->used = 0;
    put(image, table ? "\x01\x1b\x03\x3b" : "\x01\x1b\xff\xff", 4);
    put_u32(image, eh_frame - 4);
    uint32_t cie_start = eh_frame;
    image->used = cie_start + 4;
    put_u32(image, 0);
    put(image, "\x01", 1);
    put(image, augmentation, strlen(augmentation) + 1);
    put(image, "\x01\x78\x10", 3);
    if (data_size != 0)
        put(image, augmentation_data, data_size);
    put(image, "\x0c\x07\x08\x90\x01", 5); /* CFA = rsp + 8, rip at CFA - 8 */
    while (image->used % 8 != 0)
        image->used++;
    uint32_t fde_start = image->used, length = fde_start - cie_start - 4;
    memcpy(image->bytes + cie_start, &length, 4);
    image->used += 4;
    put_u32(image, fde_start + 4 - cie_start);
    if (absolute) {
        uint64_t code[2] = {(uintptr_t)image->bytes + IMAGE_CODE, 256};
        put(image, code, 16);
    } else {
        put_u32(image, IMAGE_CODE - image->used);
        put_u32(image, 256);
    }
    if (augmentation[0] == 'z')
        put(image, "\x02\x3f\x3f", 3); /* which would not do as instructions */
    put(image, program, size);
    while (image->used % 8 != 0)
        image->used++;
    length = image->used - fde_start - 4;
    memcpy(image->bytes + fde_start, &length, 4);
    image->used = 8;
    if (table) {
        put_u32(image, 1);
        put_u32(image, IMAGE_CODE);
        put_u32(image, fde_start);
    }
    uintptr_t start = (uintptr_t)image->bytes;
    *image->module = (struct ss_module){
        .id = ++last_id,
        .start = start,
        .end = start + IMAGE,
        .segment_count = 1,
        .segments = {{.start = start, .end = start + IMAGE, .flags = PF_R | PF_X}},
        .eh_frame_hdr = start,
        .eh_frame_hdr_end = start + 20};
}

/* Where the last image's frame was called from, and its function's start. */
static struct ss_frame image_caller;

/* Walks one frame of the image: its CFA as distance from rsp, 0 for none. Each word of the stack is
 * an address of no module, 0x1000 and its number, but for word 0, which leads to the image's first
 * byte of code. */
static uintptr_t image_cfa(const struct image *image, uint32_t at)
{
    static uintptr_t stack[64];
    struct ss_frame found[2] = {0};
    for (uint32_t i = 0; i < 64; i++)
        stack[i] = 0x1000 + i;
    stack[0] = (uintptr_t)image->bytes + IMAGE_CODE;
    struct ss_registers registers = {.rsp = (uintptr_t)stack,
                                     .rip = (uintptr_t)image->bytes + IMAGE_CODE + at};
    uint32_t count = ss_walk(&registers, (uintptr_t)stack, (uintptr_t)(stack + 64), found, 2);
    image_caller = found[1];
    return count == 0 || found[0].cfa == 0 ? 0 : found[0].cfa - (uintptr_t)stack;
}

#define PROGRAM(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

#define ROW(name, cfa, caller, ...)                                              \
    {                                                                            \
        name, {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), cfa, caller \
    }

static void test_images(void)
{
    struct image image = {.module = &modules[module_count++]};
    const uint8_t pcrel[] = {1, 0x1b}, all[] = {7, 0x9b, 1, 2, 3, 4, 0x1b, 0x1b},
                  indirect[] = {1, 0x9b};
    char *room = mmap(NULL, 3 * IMAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(room + IMAGE, IMAGE, PROT_READ | PROT_WRITE);
    image.bytes = (uint8_t *)room + IMAGE;

    for (int table = 0; table < 2; table++) {
        scene = table ? "image" : "image without a table";
        build(&image, "zR", pcrel, 2, false, table, PROGRAM(0x42, 0x0e, 16, 0x02, 10, 0x0e, 32));
        CHECK(image_cfa(&image, 0) == 8, "%zu", image_cfa(&image, 0));
        CHECK(image_cfa(&image, 1) == 8, "%zu", image_cfa(&image, 1));
        CHECK(image_cfa(&image, 2) == 16, "%zu", image_cfa(&image, 2));
        CHECK(image_cfa(&image, 11) == 16, "%zu", image_cfa(&image, 11));
        CHECK(image_cfa(&image, 12) == 32, "%zu", image_cfa(&image, 12));
        /* Another module in the same place: what was cached of the first must be forgotten. */
        build(&image, "zR", pcrel, 2, false, table, PROGRAM(0x42, 0x0e, 24));
        CHECK(image_cfa(&image, 12) == 24, "%zu", image_cfa(&image, 12));
        /* CIEs of other shapes. */
        build(&image, "", NULL, 0, true, table, PROGRAM(0x0e, 40));
        CHECK(image_cfa(&image, 12) == 40, "%zu", image_cfa(&image, 12));
        build(&image, "zPLRSB", all, 8, false, table, PROGRAM(0x0e, 48));
        CHECK(image_cfa(&image, 12) == 48, "%zu", image_cfa(&image, 12));
        /* A signal frame's caller was interrupted: at its first instruction it is in its function.
         */
        build(&image, "zPLRSB", all, 8, false, table, PROGRAM(0x0e, 8));
        CHECK(image_cfa(&image, 12) == 8 && image_caller.function != 0, "interrupted");
        build(&image, "zPLR", all, 8, false, table, PROGRAM(0x0e, 8));
        CHECK(image_cfa(&image, 12) == 8 && image_caller.function == 0, "called");
        build(&image, "zR", indirect, 2, false, table, PROGRAM(0x0e, 48));
        CHECK(image_cfa(&image, 12) == 0, "%zu", image_cfa(&image, 12));
        build(&image, "eh", NULL, 0, true, table, PROGRAM(0x0e, 48));
        CHECK(image_cfa(&image, 12) == 0, "%zu", image_cfa(&image, 12));
    }

    static const struct {
        const char *name;
        uint8_t program[24], size;
        uintptr_t cfa;
        uint32_t
            caller; /* number of the word that is the return address; 0: the one below the CFA */
    } programs[] = {
        ROW("set_loc", 16, 0, 0x01, 0, 0, 0, 0, 0x0e, 16),
        ROW("def_cfa_sf", 24, 0, 0x12, 7, 0x7d),
        ROW("def_cfa_offset_sf", 32, 0, 0x13, 0x7c),
        ROW("def_cfa_register", 0, 0, 0x0d, 6),
        ROW("cfa of a lost register", 0, 0, 0x0c, 0, 16),
        ROW("cfa of no register", 0, 0, 0x0c, 33, 16),
        ROW("vector registers", 16, 0, 0x05, 40, 2, 0x0e, 16),
        ROW("args_size", 16, 0, 0x2e, 0x80, 1, 0x0e, 16),
        ROW("restore_state without remember", 0, 0, 0x0b, 0x0e, 16),
        ROW("remember four", 8, 0, 0x0a, 0x0a, 0x0a, 0x0a, 0x0e, 64, 0x0b, 0x0b, 0x0b, 0x0b),
        ROW("remember five", 0, 0, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0e, 16),
        ROW("cfa skew", 0, 0, 0x0e, 9),
        ROW("cfa beyond the stack", 0, 0, 0x0e, 0x88, 0x04),
        ROW("cfa not above", 0, 0, 0x0e, 0),
        ROW("expression cut off", 0, 0, 0x0f, 0x7f, 0x77, 0x08),
        ROW("plain expression", 24, 0, 0x0f, 2, 0x77, 24),
        ROW("drap from nowhere", 0, 0, 0x0f, 3, 0x76, 0x78, 0x06),
        ROW("register after expression", 24, 0, 0x0e, 24, 0x0f, 3, 0x77, 0x78, 0x06, 0x0d, 7),
        ROW("offset after expression", 24, 0, 0x0f, 2, 0x77, 24, 0x0e, 40),
        ROW("empty expression", 0, 0, 0x0f, 0),
        ROW("division by 0", 0, 0, 0x0f, 6, 0x77, 8, 0x30, 0x1b, 0x77, 8),
        ROW("division", 16, 0, 0x0f, 8, 0x77, 0, 0x08, 49, 0x33, 0x1b, 0x22, 0x96),
        ROW("shra", 24, 0, 0x0f, 7, 0x77, 32, 0x09, 0xf0, 0x31, 0x26, 0x22),
        ROW("shr", 24, 0, 0x0f, 6, 0x77, 0, 0x48, 0x30, 0x25, 0x22),
        ROW("deref_size", 24, 0, 0x0f, 7, 0x77, 8, 0x94, 1, 0x77, 23, 0x22),
        ROW("deref_size of 3", 0, 0, 0x0f, 7, 0x77, 0, 0x94, 3, 0x77, 24, 0x22),
        ROW("deref outside", 0, 0, 0x0f, 3, 0x77, 0x78, 0x06),
        ROW("branch taken", 16, 0, 0x0f, 9, 0x77, 16, 0x31, 0x28, 2, 0, 0x23, 8, 0x96),
        ROW("branch not taken", 24, 0, 0x0f, 9, 0x77, 16, 0x30, 0x28, 2, 0, 0x23, 8, 0x96),
        ROW("branch outside", 0, 0, 0x0f, 5, 0x77, 16, 0x2f, 0x70, 0x00),
        ROW("endless loop", 0, 0, 0x0f, 5, 0x77, 16, 0x2f, 0xfd, 0xff),
        ROW("stack overflow", 0, 0, 0x0f, 6, 0x77, 16, 0x12, 0x2f, 0xfc, 0xff),
        ROW("plt", 16, 0, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
        ROW("unknown operation", 0, 0, 0x0f, 3, 0x77, 16, 0xf0),
        ROW("no such instruction", 0, 0, 0x3f),
        ROW("lost return address", 16, 0, 0x0e, 16, 0x07, 16),
        ROW("return address elsewhere", 32, 2, 0x0e, 32, 0x90, 2),
        ROW("return address by expression", 32, 5, 0x0e, 32, 0x10, 16, 2, 0x77, 40),
        ROW("shra by 100", 24, 0, 0x0f, 10, 0x77, 25, 0x09, 0xf0, 0x08, 100, 0x26, 0x22, 0x96,
            0x96),
        ROW("val_offset", 16, 0, 0x0e, 16, 0x14, 6, 2),
    };
    for (uint32_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        scene = programs[i].name;
        build(&image, "zR", pcrel, 2, false, true, programs[i].program, programs[i].size);
        /* 12: pc % 16 is 12, the PLT rule's second half. */
        uintptr_t cfa = image_cfa(&image, 12), again = image_cfa(&image, 12);
        CHECK(cfa == programs[i].cfa, "cfa at rsp + %zu, wanted %zu", cfa, programs[i].cfa);
        CHECK(cfa == again, "cfa at rsp + %zu, then %zu", cfa, again);
        uintptr_t caller = programs[i].caller != 0 ? programs[i].caller : cfa / 8 - 1;
        if (cfa > 8 && strcmp(scene, "lost return address") != 0)
            CHECK(image_caller.ip == 0x1000 + caller, "called from %zx", image_caller.ip);
    }
    module_count--;
    munmap(room, 3 * IMAGE);
}

/* The same walks with a header that has no sorted table. */
static void test_without_table(void)
{
    static uint8_t header[8] __attribute__((aligned(8)));
    struct ss_module *m = ss_module_of((uintptr_t)header);
    struct ss_module before = *m;
    int32_t distance;
    memcpy(&distance, (const char *)m->eh_frame_hdr + 4, 4);
    uintptr_t eh_frame = m->eh_frame_hdr + 4 + (uintptr_t)(intptr_t)distance;
    distance = (int32_t)(eh_frame - (uintptr_t)(header + 4));
    memcpy(header, "\x01\x1b\xff\xff", 4);
    memcpy(header + 4, &distance, 4);
    m->id = ++last_id;
    m->eh_frame_hdr = (uintptr_t)header;
    m->eh_frame_hdr_end = (uintptr_t)(header + 8);
    scene = "no sorted table";
    mixture(compare_here);
    CHECK(frame_count >= 10, "%u frames", frame_count);
    *m = before;
    m->id = ++last_id;
}

/* ---- speed ----------------------------------------------------------------------------------- */

enum { ROUNDS = 200000 };
static uint32_t wanted_frames;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static NOINLINE void measure(void)
{
    struct ss_registers registers;
    void *addresses[64];
    double ours = 1e9, theirs = 1e9;
    uint32_t count = 0;
    int their_count = 0;
    for (int repeat = 0; repeat < 5; repeat++) {
        double t = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            ss_registers_here(&registers);
            count = ss_walk(&registers, stack_low, stack_high, frames, wanted_frames);
        }
        t = (now_ns() - t) / ROUNDS;
        ours = t < ours ? t : ours;
        t = now_ns();
        for (int i = 0; i < ROUNDS; i++)
            their_count = unw_backtrace(addresses, (int)wanted_frames);
        t = (now_ns() - t) / ROUNDS;
        theirs = t < theirs ? t : theirs;
    }
    printf("%u frames: %.0f ns; unw_backtrace, %d frames: %.0f ns; ratio %.2f\n", count, ours,
           their_count, theirs, ours / theirs);
}

static void speed(void)
{
    static const uint32_t depths[] = {13, 30};
    for (int i = 0; i < 2; i++) {
        wanted_frames = depths[i];
        printf("frames with rbp, ");
        plain(40, measure);
        printf("frames without, ");
        fast(40, measure, 1, 2, 3, 4, 5, 6);
    }
    wanted_frames = 30;
    printf("a mixture, ");
    innermost = measure;
    realigned_vla(11, mixture_1, 1, 2, 3, 4, 5, 6);
}

int main(int count, char **arguments)
{
    find_modules();
    find_stack();
    if (count > 1 && strcmp(arguments[1], "--speed") == 0) {
        speed();
        return 0;
    }
    test_shapes();
    test_kept_registers();
    test_stops();
    test_each_instruction();
    test_thread();
    test_damaged();
    test_damaged_words();
    test_crowded_cache();
    test_images();
    test_without_table();
    printf("test_cfi: %s, %u single steps compared\n", failures == 0 ? "ok" : "FAILED",
           steps_compared);
    return failures == 0 ? 0 : 1;
}
