/* Whether a function holds the body of an async function or block, by its code: rustc makes each body
 * panic where it is resumed after its end, by a call of a function of core's that all bodies share
 * (`panic_const_async_fn_resumed`, since 1.78), or, before that, of `panic` with the same words. The
 * body may have been inlined into what polls it; the check comes with it. Closures have none.
 *
 * Called by names.c, once per function; pure, but for the modules that it reads: nothing outside of their
 * readable segments. No disassembly: a call or the address of a constant is looked for at each byte, and
 * what it leads to has to be as said, which no chance will do. */
#include "bodies.h"

#include <string.h>

/* Bytes looked at: of a function; of one that it calls, which does no more than load two constants. */
enum { CODE_MAX = 1 << 16, CALLED_MAX = 64 };

static const char words[] = "`async ";

static int32_t displacement(const uint8_t *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool is_readable(uintptr_t address, size_t size)
{
    const struct ss_module *m = ss_module_of(address);
    return m && ss_module_readable(m, address, size);
}

/* Whether a panic's words stand at address: "`async fn` resumed after completion", and for what
 * generators and panics have instead. */
static bool are_words(uintptr_t address)
{
    enum { LOOK_AT = 32 };
    static const char resumed[] = "resumed";
    return is_readable(address, LOOK_AT) &&
           memcmp((const void *)address, words, sizeof words - 1) == 0 &&
           memmem((const void *)address, LOOK_AT, resumed, sizeof resumed - 1);
}

/* Whether what an instruction loads the address of are those words, or begins with their address, as
 * the pieces of a format string do. */
static bool leads_to_words(uintptr_t constant)
{
    if (are_words(constant))
        return true;
    return constant % sizeof(uintptr_t) == 0 && is_readable(constant, sizeof(uintptr_t)) &&
           are_words(*(const uintptr_t *)constant);
}

/* `lea d(%rip), reg` at code, of which left bytes may be read; where it leads, 0: it is none. */
static uintptr_t loaded(const uint8_t *code, size_t left)
{
    bool is_lea =
        left >= 7 && (code[0] & 0xFB) == 0x48 && code[1] == 0x8D && (code[2] & 0xC7) == 0x05;
    return is_lea ? (uintptr_t)code + 7 + (uintptr_t)(intptr_t)displacement(code + 3) : 0;
}

/* A call or jump at code, direct or through a word of the GOT; where it leads, 0: it is none. */
static uintptr_t called(const uint8_t *code, size_t left)
{
    if (left < 5)
        return 0;
    if (code[0] == 0xE8 || code[0] == 0xE9)
        return (uintptr_t)code + 5 + (uintptr_t)(intptr_t)displacement(code + 1);
    if (left < 6 || code[0] != 0xFF || (code[1] != 0x15 && code[1] != 0x25))
        return 0;
    uintptr_t word = (uintptr_t)code + 6 + (uintptr_t)(intptr_t)displacement(code + 2);
    return word % sizeof(uintptr_t) == 0 && is_readable(word, sizeof(uintptr_t))
               ? *(const uintptr_t *)word
               : 0;
}

/* Whether a function does nothing but panic with those words. */
static bool panics_so(uintptr_t function)
{
    const struct ss_module *m = ss_module_of(function);
    if (!m || !ss_module_executable(m, function) || !ss_module_readable(m, function, CALLED_MAX))
        return false;
    const uint8_t *code = (const uint8_t *)function;
    for (uint32_t i = 0; i < CALLED_MAX; i++) {
        uintptr_t constant = loaded(code + i, CALLED_MAX - i);
        if (constant)
            return leads_to_words(constant);
        if (code[i] == 0xC3)
            break;
    }
    return false;
}

bool ss_holds_body(const struct ss_module *m, uintptr_t address)
{
    uintptr_t start, end;
    if (!ss_function_at(address, &start, &end))
        return false;
    size_t size = end - start < CODE_MAX ? end - start : CODE_MAX;
    if (!ss_module_executable(m, start) || !ss_module_readable(m, start, size))
        return false;
    const uint8_t *code = (const uint8_t *)start;
    uintptr_t last = 0; /* a function calls few others, many times */
    for (size_t i = 0; i < size; i++) {
        uintptr_t constant = loaded(code + i, size - i);
        if (constant && are_words(constant))
            return true;
        uintptr_t function = called(code + i, size - i);
        if (!function || function == last)
            continue;
        last = function;
        if (panics_so(function))
            return true;
    }
    return false;
}
