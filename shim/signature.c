/* Subscriber tables found in a module without symbols, x86-64: by what the code of their methods
 * looks like.
 *
 * A table is a run of addresses of functions behind a header {drop, size, align}, as long as the
 * trait has methods. The test that decides is on its last method, downcast_raw, which compares its
 * argument with a TypeId: 16 bytes that look like nothing else. What the other methods do by default
 * has to bear that out.
 *
 * Called by discover.c (start, and from inside the loader), and by tools on files. Pure: an image
 * in, tables out; no state, any context. The image is untrusted: every read goes through ss_image_bytes,
 * which knows the segments, and every walk through code has a length. */
#include <elf.h>
#include <string.h>

#include "instructions.h"
#include "signature.h"
#include "trait.h"

enum {
    WORD = sizeof(uintptr_t),
    ALIGN_MAX = 4096,
    SIZE_MAX_OF_OBJECT = 16 << 20,
    CANDIDATES_MAX = 1 << 16,
    DOWNCAST_WINDOW = 160, /* bytes in which downcast_raw compares */
    SOME_WINDOW = 640,     /* bytes in which it returns Some */
    WINDOW = 96,           /* of other methods */
    TYPE_WINDOW = 48,      /* of TypeId::of, where it was not inlined */
    NO_SPAN = 0xDEAD,      /* what NoSubscriber gives for an id */
    NO_HINT = 6,           /* max_level_hint's None */
};

/* Whether the instruction may go on elsewhere, or nowhere. Calls come back. */
static bool is_jump(const struct ss_instruction *in)
{
    enum { INDIRECT = 0xFF, INDIRECT_CALL = 2 };
    if (in->map == SS_MAP_ONE)
        return (in->opcode >> 4) == 7 || (in->opcode >= 0xE0 && in->opcode <= 0xE3) ||
               in->opcode == SS_OP_JUMP || in->opcode == SS_OP_JUMP_SHORT || in->opcode == 0xCC ||
               (in->opcode == INDIRECT && (in->reg & 7) > INDIRECT_CALL && (in->reg & 7) < 6);
    return in->map == SS_MAP_0F && ((in->opcode >> 4) == 8 || in->opcode == 0x0B);
}

/* ---- TypeIds --------------------------------------------------------------------------------- */

/* A half of a TypeId is no address, size or small number. */
static bool is_random_half(uint64_t half)
{
    return half >> 48 != 0 && half >> 48 != 0xFFFF && (uint32_t)half != 0;
}

static bool is_random(const uint8_t *constant)
{
    enum { SIZE = 16, NOT_ZERO = 11 };
    uint64_t halves[2];
    uint32_t not_zero = 0;
    memcpy(halves, constant, sizeof halves);
    for (uint32_t i = 0; i < SIZE; i++)
        not_zero += constant[i] != 0;
    return is_random_half(halves[0]) && is_random_half(halves[1]) && not_zero >= NOT_ZERO;
}

/* Moves 16 bytes from memory, or compares with them. */
static bool is_vector_load(const struct ss_instruction *in)
{
    return in->map == SS_MAP_0F && (in->opcode == 0x6F || in->opcode == 0x10 || in->opcode == 0x28);
}

static bool is_vector_compare(const struct ss_instruction *in)
{
    return (in->map == SS_MAP_0F && (in->opcode == 0x74 || in->opcode == 0x75 ||
                                     in->opcode == 0x76 || in->opcode == 0xEF)) ||
           (in->map == SS_MAP_0F38 && in->opcode == 0x29);
}

static bool names_random_constant(const struct ss_code *walk)
{
    if (!ss_is_memory(&walk->in, SS_RM_RIP))
        return false;
    const uint8_t *constant = ss_image_bytes(walk->image, ss_code_rip(walk), 16, NULL);
    return constant && is_random(constant);
}

static bool is_random_immediate(const struct ss_instruction *in)
{
    return in->map == SS_MAP_ONE && in->immediate_size == 8 &&
           is_random_half((uint64_t)in->immediate);
}

/* cmp or xor of two registers of which one is rsi. */
static bool compares_with_rsi(const struct ss_instruction *in)
{
    return (ss_is_opcode(in, 0x39) || ss_is_opcode(in, 0x3B) || ss_is_opcode(in, 0x31) ||
            ss_is_opcode(in, 0x33)) &&
           in->wide && in->mod == 3 && (in->reg == SS_RSI) != (in->rm == SS_RSI);
}

/* Whether the function is no more than TypeId::of::<T>(): it gives a constant. */
static bool gives_type_id(const struct ss_image *image, uintptr_t function)
{
    struct ss_code walk = ss_code_of(image, function, TYPE_WINDOW);
    uint32_t random = 0;
    while (ss_code_next(&walk)) {
        uintptr_t word;
        if (ss_is_opcode(&walk.in, SS_OP_RETURN))
            return random >= 2;
        if (ss_code_target(&walk, true) || ss_code_target(&walk, false))
            return false;
        if (is_vector_load(&walk.in) && names_random_constant(&walk))
            random += 2;
        random += is_random_immediate(&walk.in);
        random += ss_is_opcode(&walk.in, 0x8B) && walk.in.wide &&
                  ss_is_memory(&walk.in, SS_RM_RIP) &&
                  ss_image_word(image, ss_code_rip(&walk), &word) && is_random_half(word);
    }
    return false;
}

/* Whether the function compares what it got as its second argument with a TypeId. Optimized, both
 * halves are loaded and compared here; else by two calls, of TypeId::of and of its comparison, which
 * answers in al. */
static bool compares_type(const struct ss_image *image, uintptr_t function)
{
    struct ss_code walk = ss_code_of(image, function, DOWNCAST_WINDOW);
    bool vector_argument = false, vector_constant = false, low = false, high = false;
    bool after_immediate = false, type_known = false, after_call = false;
    uint32_t immediates = 0;
    while (ss_code_next(&walk)) {
        const struct ss_instruction *in = &walk.in;
        if ((after_immediate && compares_with_rsi(in)) ||
            (after_call && ss_is_opcode(in, 0xA8) && in->immediate == 1))
            return true;
        after_immediate = is_random_immediate(in);
        immediates += after_immediate;
        if (in->has_modrm && ss_is_memory(in, SS_RSI) && !ss_is_opcode(in, SS_OP_LEA)) {
            low |= in->displacement == 0;
            high |= in->displacement == 8;
            vector_argument |= in->displacement == 0 && is_vector_load(in);
        }
        vector_constant |=
            (is_vector_load(in) || is_vector_compare(in)) && names_random_constant(&walk);
        uintptr_t called = ss_code_target(&walk, true);
        after_call = called && type_known;
        type_known |= called && gives_type_id(image, called);
        if ((vector_argument && vector_constant) || (immediates >= 2 && low && high))
            return true;
    }
    return false;
}

/* Whether the function has what it takes to return Some(pointer): a 1, and a write of rdx. */
static bool returns_some(const struct ss_image *image, uintptr_t function)
{
    struct ss_code walk = ss_code_of(image, function, SOME_WINDOW);
    bool one = false, rdx = false;
    if (!walk.bounded)
        return true;
    while (ss_code_next(&walk) && !(one && rdx)) {
        const struct ss_instruction *in = &walk.in;
        bool to_rm = ss_is_opcode(in, 0x89),
             to_reg = ss_is_opcode(in, 0x8B) || ss_is_opcode(in, SS_OP_LEA) ||
                      ss_is_opcode(in, 0x33) || (in->map == SS_MAP_0F && (in->opcode >> 4) == 4);
        one |= (in->immediate_size && in->immediate == 1) ||
               (in->map == SS_MAP_0F && (in->opcode >> 4) == 9 /* setcc */);
        rdx |= (to_rm && in->mod == 3 && in->rm == SS_RDX) || (to_reg && in->reg == SS_RDX) ||
               ss_is_opcode(in, 0x58 + SS_RDX);
    }
    return one && rdx;
}

/* ---- what methods do by default -------------------------------------------------------------- */

/* Whether the function is these bytes, behind a landing mark if there is one. */
static bool is_code(const struct ss_image *image, uintptr_t function, const void *code, size_t size)
{
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    return walk.left >= size && memcmp(walk.bytes, code, size) == 0;
}

#define IS_CODE(image, function, ...)                            \
    is_code((image), (function), (const uint8_t[]){__VA_ARGS__}, \
            sizeof((const uint8_t[]){__VA_ARGS__}))

/* What a function does that goes straight from its start to its return. */
struct outcome {
    bool idle;     /* nothing, but for giving a constant */
    bool constant; /* rax is `value` in the end */
    int64_t value;
};

/* Whether the instruction is of the function's frame: what is not optimized puts its arguments onto
 * its stack first, whatever it does with them. */
static bool is_framing(const struct ss_instruction *in)
{
    enum { PUSH = 0x50, POP_RAX = 0x58, POP_LAST = 0x5F, PUSH_CONSTANT = 0x6A, LEAVE = 0xC9 };
    bool one = in->map == SS_MAP_ONE, stack = in->rm == SS_RSP || in->rm == SS_RBP;
    if (in->vex || in->indexed)
        return false;
    if (in->has_modrm && in->mod != 3)
        return stack && (one ? in->opcode == 0x88 || in->opcode == 0x89
                             : in->map == SS_MAP_0F && (in->opcode == 0x11 || in->opcode == 0x29));
    if (in->has_modrm)
        return one && stack &&
               (in->opcode == 0x81 || in->opcode == 0x83 ||
                (in->opcode == 0x89 && (in->reg == SS_RSP || in->reg == SS_RBP)));
    return one && ((in->opcode >= PUSH && in->opcode <= POP_LAST && in->opcode != POP_RAX) ||
                   in->opcode == PUSH_CONSTANT || in->opcode == LEAVE);
}

/* Whether the instruction makes rax a constant. */
static bool gives_constant(const struct ss_instruction *in, int64_t *value)
{
    bool zeroes = (ss_is_opcode(in, 0x31) || ss_is_opcode(in, 0x33)) && in->mod == 3 &&
                  in->reg == SS_RAX && in->rm == SS_RAX;
    *value = zeroes ? 0 : in->immediate;
    return zeroes || ss_is_opcode(in, 0xB0) || ss_is_opcode(in, 0xB8) ||
           (ss_is_opcode(in, 0xC7) && in->mod == 3 && in->rm == SS_RAX);
}

/* False where it goes another way. */
static bool outcome_of(const struct ss_image *image, uintptr_t function, struct outcome *out)
{
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    bool pushed = false;
    int64_t value, pushed_value = 0; /* the shortest way to a small constant: push, pop */
    *out = (struct outcome){true, false, 0};
    while (ss_code_next(&walk) && !is_jump(&walk.in)) {
        const struct ss_instruction *in = &walk.in;
        if (ss_is_opcode(in, SS_OP_RETURN))
            return true;
        if (pushed && ss_is_opcode(in, 0x58))
            *out = (struct outcome){out->idle, true, pushed_value};
        else if (gives_constant(in, &value))
            *out = (struct outcome){out->idle, true, value};
        else if (ss_is_opcode(in, 0x24) && in->immediate == 1) /* and: what it gives is a bool */
            out->value &= 1;
        else if (!is_framing(in))
            *out = (struct outcome){false, false, 0};
        pushed = ss_is_opcode(in, 0x6A);
        pushed_value = in->immediate;
    }
    return false;
}

static bool returns_nothing(const struct ss_image *image, uintptr_t function)
{
    struct outcome out;
    return outcome_of(image, function, &out) && out.idle && !out.constant;
}

static bool returns_only(const struct ss_image *image, uintptr_t function, int64_t value)
{
    struct outcome out;
    return outcome_of(image, function, &out) && out.idle && out.constant && out.value == value;
}

/* Whether the function can only answer false, whatever it does before. */
static bool answers_false(const struct ss_image *image, uintptr_t function)
{
    struct outcome out;
    return outcome_of(image, function, &out) && out.constant && out.value == 0;
}

/* Whether the call is handed on to a part of the object, which the function got in a register: to one
 * behind an offset, or, by no more than a jump, to the first. Methods of `dyn Layer` in tables of the
 * older layouts do the latter too. */
static bool hands_on(const struct ss_image *image, uintptr_t function, uint8_t self,
                     enum ss_layout layout)
{
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    for (bool first = true; ss_code_next(&walk); first = false) {
        const struct ss_instruction *in = &walk.in;
        if (first && layout == SS_LAYOUT_16 && ss_code_target(&walk, false))
            return true;
        bool adds_constant = (ss_is_opcode(in, 0x83) || ss_is_opcode(in, 0x81)) &&
                             (in->reg & 7) == 0 && in->mod == 3 && in->rm == self;
        bool adds_to_constant = ss_is_opcode(in, 0x03) && ss_is_memory(in, self); /* an Arc's */
        if (in->wide && (adds_constant || adds_to_constant))
            return true;
    }
    return false;
}

/* ---- what drop_span and try_close call -------------------------------------------------------- */

/* The functions that one calls, or ends with a jump to. */
struct calls {
    bool straight; /* these are all, in the order of the calls */
    uint32_t count;
    uintptr_t to[4];
};

static struct calls calls_of(const struct ss_image *image, uintptr_t function)
{
    struct calls calls = {.straight = true};
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    bool ended = false;
    while (!ended && calls.count < sizeof calls.to / sizeof calls.to[0] && ss_code_next(&walk)) {
        uintptr_t called = ss_code_target(&walk, true), jumped = ss_code_target(&walk, false);
        bool leaves = jumped && jumped - function >= WINDOW;
        ended = calls.straight && (leaves || ss_is_opcode(&walk.in, SS_OP_RETURN));
        calls.straight &= leaves || !is_jump(&walk.in);
        if (called || leaves)
            calls.to[calls.count++] = called ? called : jumped;
    }
    calls.straight &= ended;
    return calls;
}

static bool is_called(const struct calls *calls, uintptr_t function)
{
    for (uint32_t i = 0; i < calls->count; i++)
        if (calls->to[i] == function)
            return true;
    return false;
}

/* Whether both do nothing but call the same: a Box's and an Arc's fetch what is in it and call that
 * one's try_close. */
static bool call_the_same(const struct calls *drop, const struct calls *close)
{
    return drop->straight && close->straight && drop->count && drop->count == close->count &&
           memcmp(drop->to, close->to, drop->count * sizeof *drop->to) == 0;
}

/* Whether both call something that no other of the methods does. */
static bool call_their_own(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                           const struct calls *drop, const struct calls *close)
{
    bool own[sizeof drop->to / sizeof drop->to[0]] = {false};
    for (uint32_t i = 0; i < drop->count; i++)
        own[i] = is_called(close, drop->to[i]);
    for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
        if (method == SS_TRAIT_DROP_SPAN || method == SS_TRAIT_TRY_CLOSE)
            continue;
        struct calls calls = calls_of(image, slots[method]);
        for (uint32_t i = 0; i < drop->count; i++)
            own[i] &= !is_called(&calls, drop->to[i]);
    }
    for (uint32_t i = 0; i < drop->count; i++)
        if (own[i])
            return true;
    return false;
}

/* drop_span asks try_close, unless it is the trait's own, which does nothing. */
static uint32_t score_drop(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                           enum ss_layout layout)
{
    enum { SAME = 12, INDIRECT = 0xFF };
    const int32_t offsets[] = {(int32_t)(ss_trait_slot(SS_TRAIT_DROP_SPAN, layout) * WORD),
                               (int32_t)(ss_trait_slot(SS_TRAIT_TRY_CLOSE, layout) * WORD)};
    uintptr_t drop_span = slots[SS_TRAIT_DROP_SPAN], try_close = slots[SS_TRAIT_TRY_CLOSE];
    struct calls drop_calls = calls_of(image, drop_span), close_calls = calls_of(image, try_close);
    if (call_the_same(&drop_calls, &close_calls))
        return 2;
    struct ss_code walk = ss_code_of(image, drop_span, WINDOW);
    struct ss_code close = ss_code_of(image, try_close, WINDOW);
    uint32_t score =
        drop_span == try_close || returns_nothing(image, drop_span) ||
        (walk.left >= SAME && close.left >= SAME && memcmp(walk.bytes, close.bytes, SAME) == 0) ||
        call_their_own(image, slots, &drop_calls, &close_calls);
    for (bool first = true; ss_code_next(&walk); first = false) {
        const struct ss_instruction *in = &walk.in;
        uintptr_t called = ss_code_target(&walk, true), jumped = ss_code_target(&walk, false);
        if (called == try_close || jumped == try_close)
            return 2;
        if (first && jumped)
            score = 1;
        if (in->has_modrm && in->mod != 3 && in->rm < SS_RM_RIP && in->rm != SS_RSP &&
            (in->displacement == offsets[0] || in->displacement == offsets[1]) &&
            (ss_is_opcode(in, INDIRECT) || ss_is_opcode(in, 0x8B)))
            score = 1;
    }
    return score;
}

/* current_span gets the place for its result in rdi, and self in rsi. */
static bool is_current_span(const struct ss_image *image, uintptr_t function, enum ss_layout layout)
{
    enum { LOOK_AT = 3 };
    if (IS_CODE(image, function, 0x48, 0x89, 0xF8, 0x48, 0xC7, 0x07, 2, 0, 0, 0, SS_OP_RETURN) ||
        hands_on(image, function, SS_RSI, layout))
        return true;
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    for (uint32_t i = 0; i < LOOK_AT && ss_code_next(&walk); i++)
        if (ss_is_opcode(&walk.in, 0x8B) && ss_is_memory(&walk.in, SS_RSI))
            return walk.in.reg != SS_RDI;
    return false;
}

/* Whether downcast_raw is the trait's own, which gives {whether it is this type, self} in rax and rdx:
 * from what it got in a register, or, where it is not optimized, from its stack once both calls are
 * made. That of `dyn Layer` is just so. */
static bool is_default_downcast(const struct ss_image *image, uintptr_t function)
{
    enum { CALLS = 2 };
    struct ss_code walk = ss_code_of(image, function, DOWNCAST_WINDOW);
    uint32_t calls = 0;
    bool straight = true, self = false, self_of_stack = false;
    while (ss_code_next(&walk)) {
        const struct ss_instruction *in = &walk.in;
        if (ss_is_opcode(in, SS_OP_RETURN))
            return (calls == 0 && straight && self) || (calls == CALLS && self_of_stack);
        straight &= !is_jump(in);
        calls += ss_code_target(&walk, true) != 0;
        self |= ss_is_opcode(in, 0x89) && in->mod == 3 && in->reg == SS_RDI && in->rm == SS_RDX;
        bool of_stack = ss_is_memory(in, SS_RSP) || ss_is_memory(in, SS_RBP);
        self_of_stack = (of_stack && ss_is_opcode(in, 0x8B) && in->reg == SS_RDX) ||
                        (self_of_stack && is_framing(in));
    }
    return false;
}

static uint32_t score(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                      enum ss_layout layout)
{
    uint32_t points = score_drop(image, slots, layout);
    points += is_current_span(image, slots[SS_TRAIT_CURRENT_SPAN], layout);
    points += IS_CODE(image, slots[SS_TRAIT_CLONE_SPAN], 0x48, 0x8B, 0x06, SS_OP_RETURN) ||
              hands_on(image, slots[SS_TRAIT_CLONE_SPAN], SS_RDI, layout);
    points += returns_only(image, slots[SS_TRAIT_MAX_LEVEL_HINT], NO_HINT);
    if (layout == SS_LAYOUT_16)
        points += returns_nothing(image, slots[SS_TRAIT_ON_REGISTER_DISPATCH]) +
                  is_default_downcast(image, slots[SS_TRAIT_DOWNCAST_RAW]);
    if (layout != SS_LAYOUT_14)
        points += returns_only(image, slots[SS_TRAIT_EVENT_ENABLED], true);
    return points;
}

/* Whether new_span gives NoSubscriber's id for all. */
static bool gives_no_span(const struct ss_image *image, uintptr_t function)
{
    enum { FIRST = 3 };
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    for (uint32_t i = 0; i < FIRST && ss_code_next(&walk); i += !is_framing(&walk.in))
        if (walk.in.map == SS_MAP_ONE && (walk.in.opcode & 0xF8) == 0xB8 &&
            walk.in.immediate == NO_SPAN)
            return true;
    return false;
}

/* ---- tables ---------------------------------------------------------------------------------- */

enum verdict { NO_SUBSCRIBER, DOUBTFUL, SUBSCRIBER };

/* Whether the words are a subscriber's methods. What returns something is no lone return: tables of
 * `dyn Layer` are as long, and their methods do nothing by default. */
static enum verdict judge(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                          enum ss_layout layout)
{
    enum { WANTED = 2, WANTED_OF_OLD = 3 };
    static const uint8_t returning[] = {SS_TRAIT_REGISTER_CALLSITE, SS_TRAIT_ENABLED,
                                        SS_TRAIT_MAX_LEVEL_HINT,    SS_TRAIT_NEW_SPAN,
                                        SS_TRAIT_EVENT_ENABLED,     SS_TRAIT_CLONE_SPAN,
                                        SS_TRAIT_TRY_CLOSE,         SS_TRAIT_CURRENT_SPAN};
    if (!compares_type(image, slots[SS_TRAIT_DOWNCAST_RAW]) ||
        !returns_some(image, slots[SS_TRAIT_DOWNCAST_RAW]))
        return NO_SUBSCRIBER;
    for (size_t i = 0; i < sizeof returning; i++)
        if (slots[returning[i]] && returns_nothing(image, slots[returning[i]]))
            return NO_SUBSCRIBER;
    uint32_t points = score(image, slots, layout);
    if (points >= (layout == SS_LAYOUT_16 ? WANTED : WANTED_OF_OLD))
        return SUBSCRIBER;
    return layout == SS_LAYOUT_16 && points ? DOUBTFUL : NO_SUBSCRIBER;
}

/* Fills in `table` where the `length` addresses of functions at `start` begin with a table's
 * methods. */
static bool read_table(const struct ss_image *image, uintptr_t start, uint32_t length,
                       struct ss_signature_found *table)
{
    uintptr_t header[SS_TRAIT_HEADER_WORDS], table_start = start - sizeof header;
    for (uint32_t i = 0; i < SS_TRAIT_HEADER_WORDS; i++)
        if (!ss_image_word(image, table_start + i * WORD, &header[i]))
            return false;
    uintptr_t drop = header[0], size = header[1], align = header[2];
    if (align == 0 || align > ALIGN_MAX || (align & (align - 1)) || size % align ||
        size > SIZE_MAX_OF_OBJECT || ss_image_is_code(image, size) ||
        (drop && !ss_image_is_code(image, drop)))
        return false;
    table->doubtful = false;
    for (uint32_t layout = SS_LAYOUT_COUNT; layout-- > 0;) {
        uintptr_t slots[SS_TRAIT_COUNT] = {0};
        if (ss_trait_words(layout) - SS_TRAIT_HEADER_WORDS > length)
            continue;
        for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
            uint32_t slot = ss_trait_slot(method, layout);
            if (slot && !ss_image_word(image, table_start + slot * WORD, &slots[method]))
                return false;
        }
        enum verdict verdict = judge(image, slots, layout);
        if (verdict == DOUBTFUL)
            *table = (struct ss_signature_found){
                .address = table_start, .layout = layout, .doubtful = true};
        if (verdict != SUBSCRIBER)
            continue;
        *table = (struct ss_signature_found){
            .address = table_start,
            .layout = layout,
            .no_subscriber = size == 0 && gives_no_span(image, slots[SS_TRAIT_NEW_SPAN]),
            .default_try_close = answers_false(image, slots[SS_TRAIT_TRY_CLOSE])};
        return true;
    }
    return table->doubtful;
}

/* One search. */
struct search {
    const struct ss_image *image;
    ss_signature_fn *found;
    void *context;
    uint32_t count, candidates;
};

/* Looks at all runs of addresses of functions in [from, to) that are long enough to be a table. Each
 * of them has a word at a multiple of the shortest table's length. */
static void scan(struct search *search, uintptr_t from, uintptr_t to)
{
    const struct ss_image *image = search->image;
    const uint32_t shortest = ss_trait_words(SS_LAYOUT_14) - SS_TRAIT_HEADER_WORDS;
    const uint32_t longest = ss_trait_words(SS_LAYOUT_16) - SS_TRAIT_HEADER_WORDS;
    from = (from + WORD - 1) & ~(uintptr_t)(WORD - 1);
    size_t left = 0;
    const uintptr_t *word = (const uintptr_t *)ss_image_bytes(image, from, WORD, &left);
    if (!word || to <= from)
        return;
    size_t words = (to - from < left ? to - from : left) / WORD;
    size_t after = 0; /* what was looked at */
    for (size_t i = shortest - 1; i < words; i += shortest) {
        if (SS_LIKELY(!ss_image_is_code(image, word[i])) || i < after)
            continue;
        size_t start = i, end = i + 1;
        while (start > after && i - start < longest && ss_image_is_code(image, word[start - 1]))
            start--;
        while (end < words && end - start < longest && ss_image_is_code(image, word[end]))
            end++;
        after = end;
        struct ss_signature_found table;
        if (end - start < shortest || search->candidates++ >= CANDIDATES_MAX ||
            !read_table(image, from + start * WORD, (uint32_t)(end - start), &table))
            continue;
        search->count += !table.doubtful;
        search->found(search->context, &table);
    }
}

uint32_t ss_signature_find(const struct ss_image *image, ss_signature_fn *found, void *context)
{
    struct search search = {image, found, context, 0, 0};
    /* Tables need relocation in a position-independent module, and so lie in RELRO. */
    if (image->relro_start && !image->position_dependent) {
        scan(&search, image->relro_start, image->relro_end);
        return search.count;
    }
    for (uint32_t i = 0; i < image->segment_count; i++)
        if ((image->segments[i].flags & (PF_R | PF_X)) == PF_R)
            scan(&search, image->segments[i].start, image->segments[i].file_end);
    return search.count;
}
