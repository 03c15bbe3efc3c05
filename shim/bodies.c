/* Whether a function holds the body of an async function or block, by its code: rustc makes each body
 * panic where it is resumed after its end, by a call of a function of core's that all bodies share
 * (`panic_const_async_fn_resumed`, since 1.78), or, before that, of `panic` with the same words. The
 * body may have been inlined into what polls it; the check comes with it. Closures have none.
 *
 * Called by names.c, once per function. No state; reads code and constants of modules as they are in
 * memory, nothing outside of their segments. */
#include "bodies.h"

#include <string.h>

#include "instructions.h"
#include "module_image.h"

/* Bytes looked at: of a function; of one that it calls, which does no more than load two constants. */
enum { CODE_MAX = 1 << 18, CALLED_MAX = 64 };

/* Whether a panic's words stand at address: "`async fn` resumed after completion", and what async
 * blocks and generators have instead. */
static bool are_words(uintptr_t address)
{
    enum { LOOK_AT = 32 };
    static const char begin[] = "`async ", resumed[] = "resumed";
    const struct ss_module *m = ss_module_of(address);
    return m && ss_module_readable(m, address, LOOK_AT) &&
           memcmp((const void *)address, begin, sizeof begin - 1) == 0 &&
           memmem((const void *)address, LOOK_AT, resumed, sizeof resumed - 1);
}

/* Whether the present instruction loads the address of those words, or of their address, with which
 * the pieces of a format string begin. */
static bool loads_words(const struct ss_code *code)
{
    if (!ss_is_opcode(&code->in, SS_OP_LEA) || !ss_is_memory(&code->in, SS_RM_RIP))
        return false;
    uintptr_t constant = ss_code_rip(code), words;
    return are_words(constant) ||
           (ss_image_word(code->image, constant, &words) && are_words(words));
}

/* Whether a function panics with those words, first of all. */
static bool panics_so(uintptr_t function, struct ss_image *image)
{
    const struct ss_module *m = ss_module_of(function);
    if (!m)
        return false;
    ss_image_of(m, image);
    struct ss_code code = ss_code_of(image, function, CALLED_MAX);
    while (ss_code_next(&code))
        if (loads_words(&code))
            return true;
    return false;
}

bool ss_holds_body(const struct ss_module *m, uintptr_t address, struct ss_image images[2])
{
    uintptr_t function, end;
    ss_image_of(m, &images[0]);
    if (!ss_code_bounds(&images[0], address, &function, &end))
        return false;
    struct ss_code code = ss_code_of(&images[0], function, CODE_MAX);
    uintptr_t last = 0; /* a function calls few others, many times */
    while (ss_code_next(&code)) {
        if (loads_words(&code))
            return true;
        uintptr_t called = ss_code_target(&code, true);
        if (!called)
            called = ss_code_target(&code, false);
        if (!called || called == last || (called >= function && called < end))
            continue;
        last = called;
        if (panics_so(called, &images[1]))
            return true;
    }
    return false;
}
