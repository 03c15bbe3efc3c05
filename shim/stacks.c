/* Stacks: walked by cfi.c, turned into (module, offset) at once, so that they outlive the module,
 * and interned. stacks_lock guards the table; ids are read without it. */
#include "stacks.h"

#include <stdatomic.h>

#include "cfi.h"
#include "cold_tables.h"
#include "fork.h"
#include "lock.h"
#include "options.h"
#include "start.h"
#include "thread_stacks.h"
#include "threads.h"

enum { FRAMES_KEPT = 64, FRAMES_DEEP = 1024, PIECE = 1024, PIECES = 64 };

/* How many frames of ours may be below the program's. */
enum { OWN_FRAMES = 16 };

struct interned {
    UT_hash_handle hh;
    uint32_t id;
    struct ss_stack stack;
};

/* Room for one walk, as the program's stack may be small. */
struct scratch {
    struct scratch *next;
    struct ss_frame frames[FRAMES_DEEP];
    struct ss_stack_frame packed[FRAMES_KEPT];
};

struct ss_lock ss_stacks_lock;
static struct interned *table;
static struct scratch *free_scratch;
static const struct ss_stack **_Atomic pieces[PIECES];
static uint32_t last_id;
static bool full;

/* Address ranges of libc functions that are on the stack while a thread or the process ends. */
static struct {
    uintptr_t start, end;
} endings[2];

void ss_stacks_start(void)
{
    static const char *const names[] = {"exit", "__call_tls_dtors"};
    for (unsigned i = 0; i < 2; i++) {
        size_t size = 0;
        uintptr_t address = (uintptr_t)ss_symbol_next(names[i], &size);
        endings[i].start = address;
        endings[i].end = address + size;
    }
}

const struct ss_stack *ss_stack_at(uint32_t id)
{
    id &= ~SS_STACK_TYPICAL;
    if (id == 0 || id >= PIECE * PIECES)
        return NULL;
    const struct ss_stack **piece = atomic_load_explicit(&pieces[id / PIECE], memory_order_acquire);
    return piece ? piece[id % PIECE] : NULL;
}

struct ss_stack_frame ss_stack_frame(uintptr_t address)
{
    const struct ss_module *module = ss_module_of(address);
    struct ss_stack_frame frame = {0, address};
    if (module && module->id < 65536) {
        frame.module = module->id;
        frame.offset = address - module->bias;
    }
    return frame;
}

static struct scratch *take_scratch(void)
{
    struct scratch *scratch = NULL;
    if (!ss_lock(&ss_stacks_lock))
        return NULL;
    if (free_scratch) {
        scratch = free_scratch;
        free_scratch = scratch->next;
    }
    ss_unlock(&ss_stacks_lock);
    return scratch ? scratch : ss_alloc(sizeof *scratch);
}

/* Gives the scratch back, with the lock held. */
static void put_scratch(struct scratch *scratch)
{
    scratch->next = free_scratch;
    free_scratch = scratch;
}

static struct interned *add(const struct ss_stack_frame *frames, uint32_t count)
{
    size_t size = count * sizeof *frames;
    if (full || last_id + 1 >= PIECE * PIECES)
        return NULL;
    uint32_t id = last_id + 1;
    const struct ss_stack **piece = atomic_load(&pieces[id / PIECE]);
    if (!piece) {
        piece = ss_alloc(PIECE * sizeof(const struct ss_stack *));
        if (!piece)
            return NULL;
        atomic_store_explicit(&pieces[id / PIECE], piece, memory_order_release);
    }
    struct interned *stack = ss_alloc(sizeof *stack + size);
    if (!stack)
        return NULL;
    stack->id = id;
    stack->stack.count = count;
    memcpy(stack->stack.frames, frames, size);
    HASH_ADD(hh, table, stack.frames, size, stack);
    if (!stack->hh.tbl)
        return NULL;
    piece[id % PIECE] = &stack->stack;
    last_id = id;
    return stack;
}

static uint32_t intern(const struct ss_stack_frame *frames, uint32_t count)
{
    struct interned *stack = NULL;
    if (count == 0)
        return 0;
    HASH_FIND(hh, table, frames, count * sizeof *frames, stack);
    if (!stack) {
        stack = add(frames, count);
        full = !stack;
    }
    return stack ? stack->id : 0;
}

static uint32_t walk(struct ss_thread *thread, struct scratch *scratch, uint32_t max)
{
    struct ss_registers here = {0};
    uintptr_t low, high;
    ss_registers_here(&here);
    if (!ss_thread_stack(thread, here.rsp, &low, &high))
        return 0;
    return ss_walk(&here, low, high, scratch->frames, max);
}

uint32_t ss_stack_capture(struct ss_thread *thread)
{
    struct scratch *scratch = take_scratch();
    if (!scratch)
        return 0;
    uint32_t walked = walk(thread, scratch, FRAMES_KEPT + OWN_FRAMES), count = 0, id = 0;
    for (uint32_t i = 0; i < walked && count < (uint32_t)ss_options.max_frames; i++) {
        uintptr_t ip = scratch->frames[i].ip;
        if (!ss_start_is_own_code(ip))
            scratch->packed[count++] = ss_stack_frame(ip);
    }
    if (ss_lock(&ss_stacks_lock)) {
        id = intern(scratch->packed, count);
        put_scratch(scratch);
        ss_unlock(&ss_stacks_lock);
    }
    return id;
}

uint32_t ss_stack_from(uint32_t id, uintptr_t address)
{
    const struct ss_stack *stack = ss_stack_at(id);
    struct ss_stack_frame wanted = ss_stack_frame(address);
    for (uint32_t i = 1; stack && i < stack->count; i++) {
        if (memcmp(&stack->frames[i], &wanted, sizeof wanted) != 0)
            continue;
        if (ss_lock(&ss_stacks_lock)) {
            id = intern(&stack->frames[i], stack->count - i);
            ss_unlock(&ss_stacks_lock);
        }
        break;
    }
    return id;
}

uint32_t ss_stack_frames(struct ss_thread *thread, struct ss_frame *frames, uint32_t max)
{
    struct ss_frame walked[SS_FRAMES_NEAR + OWN_FRAMES / 2];
    struct ss_registers here = {0};
    uintptr_t low, high;
    uint32_t kept = 0;
    ss_registers_here(&here);
    if (!ss_thread_stack(thread, here.rsp, &low, &high))
        return 0;
    uint32_t count = ss_walk(&here, low, high, walked, max + OWN_FRAMES / 2);
    for (uint32_t i = 0; i < count && kept < max; i++)
        if (!ss_start_is_own_code(walked[i].ip))
            frames[kept++] = walked[i];
    return kept;
}

uint32_t ss_stack_frames_below(struct ss_thread *thread, uintptr_t cfa, bool *all)
{
    struct ss_registers here = {0};
    uintptr_t low, high;
    *all = false;
    if (!thread->frames)
        thread->frames = ss_alloc(SS_FRAMES_PARKED * sizeof *thread->frames);
    ss_registers_here(&here);
    if (!thread->frames || !ss_thread_stack(thread, here.rsp, &low, &high) || cfa > high)
        return 0;
    uint32_t count = ss_walk(&here, low, cfa, thread->frames, SS_FRAMES_PARKED);
    /* A frame that is known, but whose CFA lies beyond. */
    *all = count && count < SS_FRAMES_PARKED && thread->frames[count - 1].function &&
           !thread->frames[count - 1].cfa;
    return count;
}

uintptr_t ss_stack_caller_of(struct ss_thread *thread, uintptr_t address)
{
    struct scratch *scratch = take_scratch();
    if (!scratch)
        return 0;
    uintptr_t caller = 0;
    uint32_t walked = walk(thread, scratch, FRAMES_KEPT);
    for (uint32_t i = 0; i + 1 < walked; i++)
        if (scratch->frames[i].ip == address) {
            caller = scratch->frames[i + 1].ip;
            break;
        }
    if (ss_lock(&ss_stacks_lock)) {
        put_scratch(scratch);
        ss_unlock(&ss_stacks_lock);
    }
    return caller;
}

bool ss_stack_is_ending(struct ss_thread *thread)
{
    if (thread->ending)
        return true;
    struct scratch *scratch = take_scratch();
    if (!scratch)
        return true;
    uint32_t walked = walk(thread, scratch, FRAMES_DEEP);
    bool ending = walked == 0 || walked == FRAMES_DEEP || !scratch->frames[walked - 1].function;
    for (uint32_t i = 0; i < walked; i++)
        for (unsigned j = 0; j < 2; j++)
            /* A function that does not return may end with its last call. */
            ending |= endings[j].start && scratch->frames[i].ip > endings[j].start &&
                      scratch->frames[i].ip <= endings[j].end;
    if (ss_lock(&ss_stacks_lock)) {
        put_scratch(scratch);
        ss_unlock(&ss_stacks_lock);
    }
    return ending;
}

void ss_moment_now(struct ss_thread *thread, uintptr_t caller, struct ss_moment *moment)
{
    moment->time = ss_sys_clock(0);
    moment->caller = caller;
    moment->thread = thread->serial;
    moment->stack = ss_stack_capture(thread);
}

struct ss_place *ss_place_find(struct ss_place *places, uintptr_t caller)
{
    for (unsigned i = 0; i < SS_PLACES; i++) {
        uintptr_t address = atomic_load_explicit(&places[i].address, memory_order_relaxed);
        if (address == 0 && !atomic_compare_exchange_strong(&places[i].address, &address, caller) &&
            address != caller)
            continue;
        if (address == 0 || address == caller)
            return &places[i];
    }
    return NULL;
}

void ss_moment_at(struct ss_thread *thread, struct ss_place *place, uintptr_t caller,
                  struct ss_moment *moment)
{
    *moment = (struct ss_moment){0, caller, thread->serial, 0};
    if (ss_options.stacks == SS_STACKS_OFF)
        return;
    if (ss_options.stacks == SS_STACKS_ALL || !place) {
        if (ss_options.stacks == SS_STACKS_ALL)
            ss_moment_now(thread, caller, moment);
        return;
    }
    if (atomic_load_explicit(&place->taken, memory_order_relaxed) >= SS_FULL_STACKS ||
        atomic_fetch_add(&place->taken, 1) >= SS_FULL_STACKS) {
        moment->stack = atomic_load(&place->typical);
        if (moment->stack)
            moment->stack |= SS_STACK_TYPICAL;
        return;
    }
    ss_moment_now(thread, caller, moment);
    atomic_store(&place->typical, moment->stack);
}
