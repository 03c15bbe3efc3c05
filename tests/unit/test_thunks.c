/* What a thread is in the middle of, as the thunks keep it: exits and closes inside of each other, left by
 * a panic (here a long jump), interrupted by a signal whose handler makes events of its own. After each
 * the thread is free, no mark is left, and what was wrong was judged, neither more nor less. The whole
 * shim is linked in; subscribers are tables of functions below. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "breaches.h"
#include "hook.h"
#include "options.h"
#include "threads.h"

void ss_thunk_enter(void *subscriber, const uint64_t *id, const struct ss_table *table,
                    uintptr_t rbp);
void ss_thunk_exit(void *subscriber, const uint64_t *id, const struct ss_table *table);
bool ss_thunk_try_close(void *subscriber, uint64_t id, const struct ss_table *table);
uint64_t ss_thunk_new_span(void *subscriber, const void *attributes, const struct ss_table *table);

/* ---- subscribers ----------------------------------------------------------------------------- */

enum { MINE, OTHER, NONE, TABLES };
static char subscribers[TABLES][16] __attribute__((aligned(16)));

/* What the next exit and close of a subscriber do, once. */
static void (*in_exit)(uint64_t id);
static void (*in_close)(uint64_t id);
static bool closes;

static uint64_t new_span(void *subscriber, const void *attributes)
{
    static uint64_t last;
    (void)subscriber, (void)attributes;
    return ++last;
}

static void enter_span(void *subscriber, const uint64_t *id)
{
    (void)subscriber, (void)id;
}

static void exit_span(void *subscriber, const uint64_t *id)
{
    void (*act)(uint64_t) = in_exit;
    (void)subscriber;
    in_exit = NULL;
    if (act)
        act(*id);
}

static bool try_close(void *subscriber, uint64_t id)
{
    void (*act)(uint64_t) = in_close;
    (void)subscriber;
    in_close = NULL;
    if (act)
        act(id);
    return closes;
}

static struct ss_module module = {.id = 1, .path = "test_thunks"};

static void set_up(void)
{
    for (int i = 0; i < TABLES; i++) {
        struct ss_table *table = &ss_hook_tables[i];
        *table = (struct ss_table){
            .module = &module, .address = (uintptr_t)table, .size = 64, .no_subscriber = i == NONE};
        table->originals[SS_METHOD_NEW_SPAN] = (void *)new_span;
        table->originals[SS_METHOD_ENTER] = (void *)enter_span;
        table->originals[SS_METHOD_EXIT] = (void *)exit_span;
        table->originals[SS_METHOD_TRY_CLOSE] = (void *)try_close;
    }
}

/* The program's calls. Each from one place, as the thunks learn from places. */
static __attribute__((noinline)) uint64_t make(int which)
{
    return ss_thunk_new_span(subscribers[which], NULL, &ss_hook_tables[which]);
}

static __attribute__((noinline)) void enter(int which, uint64_t id)
{
    ss_thunk_enter(subscribers[which], &id, &ss_hook_tables[which], 0);
    __asm__ volatile("");
}

static __attribute__((noinline)) void leave(int which, uint64_t id)
{
    ss_thunk_exit(subscribers[which], &id, &ss_hook_tables[which]);
    __asm__ volatile("");
}

static __attribute__((noinline)) bool let_go(int which, uint64_t id)
{
    bool closed = ss_thunk_try_close(subscribers[which], id, &ss_hook_tables[which]);
    __asm__ volatile("");
    return closed;
}

/* ---- what is held ---------------------------------------------------------------------------- */

static uint64_t violations(void)
{
    uint64_t sum = 0;
    for (int rule = 0; rule < SS_RULE_COUNT; rule++) {
        struct ss_rule_counts counts;
        ss_breach_counts((enum ss_rule)rule, &counts);
        sum += counts.violations;
    }
    return sum;
}

static uint64_t violations_of(enum ss_rule rule)
{
    struct ss_rule_counts counts;
    ss_breach_counts(rule, &counts);
    return counts.violations;
}

/* The thread does nothing, has nothing open, and says so to others. */
static bool is_idle(void)
{
    uint64_t id = make(OTHER); /* what a panic left is noticed at the next event */
    enter(OTHER, id);
    leave(OTHER, id);
    closes = true;
    let_go(OTHER, id);
    closes = false;
    return atomic_load(&ss_self->state) == SS_FREE && atomic_load(&ss_self->depth) == 0 &&
           atomic_load(&ss_self->mark_depth) == 0 && atomic_load(&ss_self->closing) == 0;
}

static uint64_t unjudged(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < SS_UNJUDGED_COUNT; i++)
        sum += atomic_load(&ss_self->unjudged[i]);
    return sum;
}

static jmp_buf caught;

static void panic(uint64_t id)
{
    (void)id;
    longjmp(caught, 1);
}

static void close_own(uint64_t id)
{
    let_go(MINE, id);
}

static void close_own_twice(uint64_t id)
{
    let_go(MINE, id);
    let_go(MINE, id);
}

static void close_elsewhere(uint64_t id)
{
    let_go(OTHER, id);
}

static void close_nowhere(uint64_t id)
{
    let_go(NONE, id);
}

static void panic_in_close(uint64_t id)
{
    jmp_buf outer;
    memcpy(outer, caught, sizeof outer);
    if (!setjmp(caught)) {
        in_close = panic;
        let_go(MINE, id);
    }
    memcpy(caught, outer, sizeof outer);
}

static void panic_out_of_both(uint64_t id)
{
    in_close = panic;
    let_go(MINE, id);
}

static void nest(uint64_t id)
{
    (void)id;
    uint64_t inner = make(MINE);
    enter(MINE, inner);
    in_exit = close_own;
    leave(MINE, inner);
    let_go(MINE, inner);
}

static void close_in_close(uint64_t id)
{
    (void)id;
    closes = false;
    uint64_t inner = make(MINE);
    let_go(MINE, inner);
}

static uint64_t interrupted;

static void handler(int number)
{
    (void)number;
    uint64_t id = make(MINE);
    enter(MINE, id);
    in_exit = close_own;
    leave(MINE, id);
    let_go(MINE, id);
    interrupted++;
}

static void interrupt(uint64_t id)
{
    (void)id;
    raise(SIGUSR1);
}

static void interrupt_and_close(uint64_t id)
{
    raise(SIGUSR1);
    let_go(MINE, id);
    raise(SIGUSR1);
}

static void interrupt_and_stray(uint64_t id)
{
    raise(SIGUSR1);
    let_go(OTHER, id);
}

/* Enters a new span and leaves it, with that happening inside of the exit. */
static void exit_with(void (*act)(uint64_t), unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        uint64_t id = make(MINE);
        for (unsigned again = 0; again < 3; again++) { /* as the first is looked up */
            enter(MINE, id);
            in_exit = act;
            leave(MINE, id);
            CHECK(atomic_load(&ss_self->closing) == 0);
        }
        closes = true;
        let_go(MINE, id);
        closes = false;
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void legal_calls_inside_are_silent(void)
{
    static void (*const acts[])(uint64_t) = {NULL,      close_own,      close_own_twice,    nest,
                                             interrupt, panic_in_close, interrupt_and_close};
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++) {
        exit_with(acts[i], 100);
        CHECK(violations() == 0);
        CHECK(is_idle());
    }
    CHECK(interrupted == 900);
    CHECK(unjudged() == 0);
}

static void astray_closes_are_told_each_once(void)
{
    exit_with(close_elsewhere, 50);
    CHECK(violations_of(SS_RULE_WRONG_SUBSCRIBER) == 50 && is_idle());
    exit_with(close_nowhere, 50);
    CHECK(violations_of(SS_RULE_LOST_CLOSE) == 50 && is_idle());
    exit_with(interrupt_and_stray, 50);
    CHECK(violations_of(SS_RULE_WRONG_SUBSCRIBER) == 100 && is_idle());
    CHECK(violations() == 150);
}

/* A close that closes another inside: its registry lets go of the parent. */
static void closes_inside_of_closes(void)
{
    uint64_t before = violations();
    for (unsigned i = 0; i < 50; i++) {
        uint64_t id = make(MINE);
        in_close = close_in_close;
        let_go(MINE, id);
        CHECK(is_idle());
        uint64_t lost = make(MINE);
        in_close = i % 2 ? close_elsewhere : close_nowhere;
        let_go(MINE, lost);
        CHECK(is_idle());
    }
    CHECK(violations() - before == 50);
}

/* A panic in an exit or close leaves nothing behind: what comes later, deeper or shallower on the stack, is
 * not inside of it. */
static __attribute__((noinline)) void deeper(uint64_t id, unsigned frames)
{
    volatile char room[256];
    for (unsigned i = 0; i < sizeof room; i++)
        room[i] = (char)frames;
    if (frames)
        deeper(id, frames - 1);
    else
        let_go(OTHER, id);
    room[1] = room[0];
}

/* Far down the stack, so that what comes after it is above what it left. */
static __attribute__((noinline)) void risk(uint64_t id, unsigned kind)
{
    volatile char room[1024];
    room[0] = 0;
    if (kind == 0) {
        in_close = panic;
        let_go(MINE, id);
    } else {
        in_exit = kind == 1 ? panic : panic_out_of_both;
        leave(MINE, id);
    }
    room[1] = room[0];
}

static void panics_leave_nothing(void)
{
    uint64_t before = violations();
    for (volatile unsigned i = 0; i < 120; i++) {
        volatile uint64_t id = make(MINE);
        for (unsigned again = 0; again < 3; again++) {
            enter(MINE, id);
            leave(MINE, id);
        }
        if (i % 3)
            enter(MINE, id);
        if (!setjmp(caught))
            risk(id, i % 3);
        CHECK(atomic_load(&ss_self->depth) == 0);
        switch (i % 4) {
        case 0:
            let_go(OTHER, id);
            break;
        case 1:
            deeper(id, 30);
            break;
        case 2:
            enter(MINE, id);
            leave(MINE, id);
            break;
        default:
            break;
        }
        CHECK(is_idle());
    }
    CHECK(violations() == before);
    CHECK(unjudged() == 0);
}

int main(void)
{
    char path[] = "/tmp/test_thunks.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return 2;
    close(fd);
    unlink(path);
    ss_options.log_path = path;
    ss_options.quiet = 1;
    signal(SIGUSR1, handler);
    set_up();

    legal_calls_inside_are_silent();
    astray_closes_are_told_each_once();
    closes_inside_of_closes();
    panics_leave_nothing();
    unlink(path);
    return failures != 0;
}
