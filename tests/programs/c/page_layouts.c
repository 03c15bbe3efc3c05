/* A subscriber table as rustc makes them, with the symbols that it has, in memory of whatever
 * protection the link gives it (tests.mk links this in four ways). A span of it is exited on
 * another thread. Prints the protection of the table's page, before and after. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD(name, mangled, type, ...)                                                         \
    type name(__VA_ARGS__) __asm__("_ZN70_$LT$layouts..Fake$u20$as$u20$tracing_core..subscriber" \
                                   "..Subscriber$GT$" mangled "17h0123456789abcdefE");           \
    __attribute__((noinline, used)) type name(__VA_ARGS__)

static volatile uint64_t seen;

/* Each body differs, as identical ones could be merged. */
METHOD(on_register_dispatch, "20on_register_dispatch", void, void *self)
{
    seen ^= (uintptr_t)self;
}
METHOD(register_callsite, "17register_callsite", int, void *self)
{
    seen ^= (uintptr_t)self + 1;
    return 2;
}
METHOD(enabled, "7enabled", int, void *self)
{
    seen ^= (uintptr_t)self + 2;
    return 1;
}
METHOD(max_level_hint, "14max_level_hint", long, void *self)
{
    seen ^= (uintptr_t)self + 3;
    return 6;
}
METHOD(new_span, "8new_span", uint64_t, void *self, const void *attributes)
{
    seen ^= (uintptr_t)self + (uintptr_t)attributes;
    return 1;
}
METHOD(record, "6record", void, void *self)
{
    seen ^= (uintptr_t)self + 5;
}
METHOD(record_follows_from, "19record_follows_from", void, void *self)
{
    seen ^= (uintptr_t)self + 6;
}
METHOD(event_enabled, "13event_enabled", int, void *self)
{
    seen ^= (uintptr_t)self + 7;
    return 1;
}
METHOD(event, "5event", void, void *self)
{
    seen ^= (uintptr_t)self + 8;
}
METHOD(enter, "5enter", void, void *self, const uint64_t *id)
{
    seen ^= (uintptr_t)self + 9 + *id;
}
METHOD(exit_span, "4exit", void, void *self, const uint64_t *id)
{
    seen ^= (uintptr_t)self + 10 + *id;
}
METHOD(clone_span, "10clone_span", uint64_t, void *self, const uint64_t *id)
{
    seen ^= (uintptr_t)self + 11;
    return *id;
}
METHOD(drop_span, "9drop_span", void, void *self, uint64_t id)
{
    seen ^= (uintptr_t)self + 12 + id;
}
METHOD(try_close, "9try_close", _Bool, void *self, uint64_t id)
{
    seen ^= (uintptr_t)self + 13 + id;
    return true;
}
METHOD(current_span, "12current_span", void, void *self)
{
    seen ^= (uintptr_t)self + 14;
}
METHOD(downcast_raw, "12downcast_raw", int, void *self)
{
    seen ^= (uintptr_t)self + 15;
    return 0;
}

typedef void any_function(void);
#define ANY(function) ((any_function *)(function))

/* dyn Subscriber's table: drop, size, align, methods. */
static const struct {
    any_function *drop;
    uintptr_t size, align;
    any_function *methods[16];
} table = {
    0,
    16,
    8,
    {ANY(on_register_dispatch), ANY(register_callsite), ANY(enabled), ANY(max_level_hint),
     ANY(new_span), ANY(record), ANY(record_follows_from), ANY(event_enabled), ANY(event),
     ANY(enter), ANY(exit_span), ANY(clone_span), ANY(drop_span), ANY(try_close), ANY(current_span),
     ANY(downcast_raw)},
};

enum { NEW_SPAN = 4, ENTER = 9, EXIT = 10, TRY_CLOSE = 13 };

static uint64_t object[2], span;

/* Not what the compiler knows of the table: it was patched. */
static any_function *method(int number)
{
    return *(any_function *const volatile *)&table.methods[number];
}

static void *leave(void *unused)
{
    ((void (*)(void *, const uint64_t *))method(EXIT))(object, &span);
    return unused;
}

static void print_protection(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], protection[8];
    uintptr_t start, end;
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, protection) == 3 &&
            start <= (uintptr_t)&table && (uintptr_t)&table < end)
            puts(protection);
    if (maps)
        fclose(maps);
}

int main(int argc, char **argv)
{
    static const uint64_t attributes[4];
    pthread_t thread;
    print_protection();
    span = ((uint64_t(*)(void *, const void *))method(NEW_SPAN))(object, attributes);
    for (long pairs = argc > 1 ? atol(argv[1]) : 0; pairs > 0; pairs--) {
        ((void (*)(void *, const uint64_t *))method(ENTER))(object, &span);
        ((void (*)(void *, const uint64_t *))method(EXIT))(object, &span);
    }
    ((void (*)(void *, const uint64_t *))method(ENTER))(object, &span);
    pthread_create(&thread, 0, leave, 0);
    pthread_join(thread, 0);
    _Bool closed = ((_Bool(*)(void *, uint64_t))method(TRY_CLOSE))(object, span);
    print_protection();
    return closed ? 0 : 1;
}
