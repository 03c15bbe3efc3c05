/* A subscriber table that only its code speaks for: functions as rustc would have made them, under
 * names that say nothing. What the program then does with it is its argument:
 *
 *     sound      as a subscriber: a span is exited on a thread that does not have it open
 *     strange    the same, but most enters are of ids that it never gave
 *     junk       the table is some other trait's: its methods get whatever, which is never read */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- the methods ------------------------------------------------------------------------------- */

static volatile uint64_t seen;
static bool as_junk;
static uint64_t last_id;

static void on_register_dispatch(void *self)
{
    seen ^= (uintptr_t)self;
}
static int returns_two(void *self)
{
    seen ^= (uintptr_t)self;
    return 2;
}
/* What stands in register_callsite's place and is another trait's: with arguments in all registers
 * that there are, and on the stack. */
static uint64_t garbled;
static int takes_whatever(void *self, uintptr_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          double f, double g, uint64_t h)
{
    seen ^= (uintptr_t)self;
    if (as_junk && (b != a + 1 || c != a + 2 || d != a + 3 || e != a + 4 || f != 0.5 ||
                    g != -0.25 || h != a + 5))
        garbled++;
    return 2;
}
static uint64_t new_span(void *self, const void *attributes)
{
    seen ^= (uintptr_t)self + (uintptr_t)attributes;
    return ++last_id;
}
static void does_nothing(void *self)
{
    seen ^= (uintptr_t)self;
}
static uint64_t clone_span(void *self, const uint64_t *id)
{
    seen ^= (uintptr_t)self;
    return *id;
}
static bool try_close(void *self, uint64_t id)
{
    seen ^= (uintptr_t)self + id;
    return seen == 0;
}

/* drop_span asks try_close, downcast_raw compares a TypeId; current_span and max_level_hint are the
 * trait's own. */
__asm__(".text\n"
        "code_drop_span:\n"
        "jmp code_try_close\n"
        "code_max_level_hint:\n"
        "mov $6, %eax\n"
        "ret\n"
        "code_current_span:\n"
        "mov %rdi, %rax\n"
        "movq $2, (%rdi)\n"
        "ret\n"
        "code_downcast_raw:\n"
        "movdqu (%rsi), %xmm0\n"
        "pcmpeqb code_type_id(%rip), %xmm0\n"
        "pmovmskb %xmm0, %ecx\n"
        "xor %eax, %eax\n"
        "cmp $0xffff, %ecx\n"
        "sete %al\n"
        "mov %rdi, %rdx\n"
        "ret\n"
        "code_other_downcast:\n"
        "movdqu (%rsi), %xmm0\n"
        "pcmpeqb code_type_id(%rip), %xmm0\n"
        "pmovmskb %xmm0, %ecx\n"
        "sete %al\n"
        "mov %rax, %rdx\n"
        "ret\n"
        ".section .rodata\n"
        ".balign 16\n"
        "code_type_id:\n"
        ".quad 0x815cb705e422916b, 0x1ecc48a29917f03d\n"
        ".text\n");
extern const char code_drop_span[], code_max_level_hint[], code_current_span[], code_downcast_raw[],
    code_other_downcast[];
extern bool code_try_close(void *self, uint64_t id);
__attribute__((used)) bool code_try_close(void *self, uint64_t id)
{
    return try_close(self, id);
}

enum { REGISTER_CALLSITE = 4, NEW_SPAN = 7, ENTER = 12, EXIT = 13 };

static const void *const table[] = {
    NULL,
    (void *)24,
    (void *)8,
    on_register_dispatch,
    takes_whatever, /* register_callsite */
    returns_two,    /* enabled */
    code_max_level_hint,
    new_span,
    does_nothing, /* record */
    does_nothing, /* record_follows_from */
    returns_two,  /* event_enabled */
    does_nothing, /* event */
    does_nothing, /* enter */
    does_nothing, /* exit */
    clone_span,
    code_drop_span,
    code_try_close,
    code_current_span,
    code_downcast_raw,
};

/* One that may be a subscriber's: but for downcast_raw and current_span there is nothing to tell by. */
__attribute__((used)) static const void *const doubtful[] = {
    NULL,         (void *)24,   (void *)8,         takes_whatever,
    returns_two,  returns_two,  returns_two, /* max_level_hint */
    new_span,     does_nothing, does_nothing,      returns_two,
    does_nothing, does_nothing, does_nothing,      new_span, /* clone_span */
    does_nothing, try_close,    code_current_span, code_other_downcast,
};

/* Through the table as it is at this moment. */
static const void *method(unsigned slot)
{
    const void *const volatile *words = table;
    return words[slot];
}

/* ---- a call site -------------------------------------------------------------------------------- */

struct text {
    const char *data;
    size_t length;
};
#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

struct metadata {
    uintptr_t level, line;
    struct text name, target;
    const struct text *names;
    size_t name_count;
    const void *callsite, *callsite_table;
    struct text module_path, file;
    uintptr_t kind;
};

extern const struct metadata metadata;
static struct {
    uintptr_t registration;
    const struct metadata *volatile metadata;
    void *next;
} callsite = {0xFF, &metadata, NULL};
static const void *const callsite_table[] = {NULL, (void *)sizeof callsite, (void *)8};
static const struct text field_names[] = {TEXT("n")};
const struct metadata metadata = {
    .level = 2,
    .line = (uintptr_t)17 << 32 | 1,
    .name = TEXT("work"),
    .target = TEXT("code_table"),
    .names = field_names,
    .name_count = 1,
    .callsite = &callsite,
    .callsite_table = callsite_table,
    .module_path = TEXT("code_table"),
    .file = TEXT("src/main.rs"),
    .kind = 2,
};

/* ---- what is done ------------------------------------------------------------------------------- */

static uint64_t subscriber[3];

static uint64_t make_span(void)
{
    const uintptr_t values[] = {0, 0, (uintptr_t)&metadata.names};
    const uintptr_t attributes[] = {1, 0, (uintptr_t)&metadata, (uintptr_t)values};
    uint64_t (*call)(void *, const void *) = (uint64_t(*)(void *, const void *))method(NEW_SPAN);
    return call(subscriber, attributes);
}

static void with_id(unsigned slot, const uint64_t *id)
{
    ((void (*)(void *, const uint64_t *))method(slot))(subscriber, id);
}

static void register_callsite(const void *argument)
{
    ((int (*)(void *, const void *))method(REGISTER_CALLSITE))(subscriber, argument);
}

static void *exit_elsewhere(void *id)
{
    with_id(EXIT, id);
    return NULL;
}

static void stray(void)
{
    uint64_t id = make_span();
    pthread_t thread;
    with_id(ENTER, &id);
    pthread_create(&thread, NULL, exit_elsewhere, &id);
    pthread_join(thread, NULL);
}

static void be_strange(void)
{
    for (uint64_t id = 1000; id < 1040; id++) {
        with_id(ENTER, &id);
        with_id(EXIT, &id);
    }
}

static void be_junk(void)
{
    uint64_t (*call)(void *, const void *) = (uint64_t(*)(void *, const void *))method(NEW_SPAN);
    as_junk = true;
    for (uintptr_t i = 0; i < 100; i++) {
        int (*first)(void *, uintptr_t, uint64_t, uint64_t, uint64_t, uint64_t, double, double,
                     uint64_t) = method(REGISTER_CALLSITE);
        uintptr_t a = i * 4096 + 1;
        first(subscriber, a, a + 1, a + 2, a + 3, a + 4, 0.5, -0.25, a + 5);
        call(subscriber, (void *)i);
        with_id(ENTER, (void *)i);
        with_id(EXIT, (void *)(i << 47));
    }
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "sound";
    if (strcmp(what, "junk") == 0) {
        be_junk();
    } else {
        register_callsite(&metadata);
        if (strcmp(what, "strange") == 0)
            be_strange();
        stray();
    }
    printf("done %d\n", callsite.metadata == &metadata && !garbled);
    return 0;
}
