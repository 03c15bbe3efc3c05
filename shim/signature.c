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

/* add to a register: the object's part that the call is handed on to. */
static bool adds_to(const struct ss_image *image, uintptr_t function, uint8_t reg)
{
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    while (ss_code_next(&walk))
        if ((ss_is_opcode(&walk.in, 0x83) || ss_is_opcode(&walk.in, 0x81)) && walk.in.wide &&
            (walk.in.reg & 7) == 0 && walk.in.mod == 3 && walk.in.rm == reg)
            return true;
    return false;
}

static bool returns_nothing(const struct ss_image *image, uintptr_t function)
{
    return IS_CODE(image, function, SS_OP_RETURN);
}

/* The functions that one calls which goes straight from its start to its end. */
struct calls {
    uintptr_t count; /* 0: there are none, or it is another kind of function */
    uintptr_t to[2];
};

static struct calls calls_of(const struct ss_image *image, uintptr_t function)
{
    const struct calls none = {0, {0, 0}};
    struct calls calls = none;
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    while (ss_code_next(&walk) && !is_jump(&walk.in)) {
        if (ss_is_opcode(&walk.in, SS_OP_RETURN))
            return calls;
        uintptr_t called = ss_code_target(&walk, true);
        if (called && calls.count == sizeof calls.to / sizeof calls.to[0])
            break;
        if (called)
            calls.to[calls.count++] = called;
    }
    return none;
}

/* Whether both call the same: where nothing was inlined, a Box's and an Arc's drop_span and
 * try_close fetch what is in it and call that one's try_close. */
static bool call_the_same(const struct ss_image *image, uintptr_t function, uintptr_t other)
{
    struct calls one = calls_of(image, function), two = calls_of(image, other);
    return one.count && one.count == two.count && one.to[0] == two.to[0] && one.to[1] == two.to[1];
}

/* drop_span asks try_close, unless it is the trait's own, which does nothing. */
static uint32_t score_drop(const struct ss_image *image, uintptr_t drop_span, uintptr_t try_close,
                           enum ss_layout layout)
{
    enum { SAME = 12, INDIRECT = 0xFF };
    const int32_t slots[] = {(int32_t)(ss_trait_slot(SS_TRAIT_DROP_SPAN, layout) * WORD),
                             (int32_t)(ss_trait_slot(SS_TRAIT_TRY_CLOSE, layout) * WORD)};
    if (call_the_same(image, drop_span, try_close))
        return 2;
    struct ss_code walk = ss_code_of(image, drop_span, WINDOW);
    struct ss_code close = ss_code_of(image, try_close, WINDOW);
    uint32_t score =
        drop_span == try_close || returns_nothing(image, drop_span) ||
        (walk.left >= SAME && close.left >= SAME && memcmp(walk.bytes, close.bytes, SAME) == 0);
    for (bool first = true; ss_code_next(&walk); first = false) {
        const struct ss_instruction *in = &walk.in;
        uintptr_t called = ss_code_target(&walk, true), jumped = ss_code_target(&walk, false);
        if (called == try_close || jumped == try_close)
            return 2;
        if (first && jumped)
            score = 1;
        if (in->has_modrm && in->mod != 3 && in->rm < SS_RM_RIP && in->rm != SS_RSP &&
            (in->displacement == slots[0] || in->displacement == slots[1]) &&
            (ss_is_opcode(in, INDIRECT) || ss_is_opcode(in, 0x8B)))
            score = 1;
    }
    return score;
}

/* current_span gets the place for its result in rdi, and self in rsi. */
static bool is_current_span(const struct ss_image *image, uintptr_t function)
{
    enum { LOOK_AT = 3 };
    if (IS_CODE(image, function, 0x48, 0x89, 0xF8, 0x48, 0xC7, 0x07, 2, 0, 0, 0, SS_OP_RETURN) ||
        adds_to(image, function, SS_RSI))
        return true;
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    for (uint32_t i = 0; i < LOOK_AT && ss_code_next(&walk); i++)
        if (ss_is_opcode(&walk.in, 0x8B) && ss_is_memory(&walk.in, SS_RSI))
            return walk.in.reg != SS_RDI;
    return false;
}

static uint32_t score(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                      enum ss_layout layout)
{
    uint32_t points =
        score_drop(image, slots[SS_TRAIT_DROP_SPAN], slots[SS_TRAIT_TRY_CLOSE], layout);
    points += is_current_span(image, slots[SS_TRAIT_CURRENT_SPAN]);
    points += IS_CODE(image, slots[SS_TRAIT_CLONE_SPAN], 0x48, 0x8B, 0x06, SS_OP_RETURN) ||
              adds_to(image, slots[SS_TRAIT_CLONE_SPAN], SS_RDI);
    points += IS_CODE(image, slots[SS_TRAIT_MAX_LEVEL_HINT], 0xB8, 6, 0, 0, 0, SS_OP_RETURN) ||
              IS_CODE(image, slots[SS_TRAIT_MAX_LEVEL_HINT], 0x6A, 6, 0x58, SS_OP_RETURN);
    if (layout == SS_LAYOUT_16)
        points += returns_nothing(image, slots[SS_TRAIT_ON_REGISTER_DISPATCH]);
    if (layout != SS_LAYOUT_14)
        points += IS_CODE(image, slots[SS_TRAIT_EVENT_ENABLED], 0xB0, 1, SS_OP_RETURN) ||
                  IS_CODE(image, slots[SS_TRAIT_EVENT_ENABLED], 0xB0, 1, 0x24, 1, SS_OP_RETURN);
    return points;
}

/* Whether the function can only answer false: it goes straight on, and what it returns is 0. */
static bool answers_false(const struct ss_image *image, uintptr_t function)
{
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    bool zero = false;
    while (ss_code_next(&walk)) {
        const struct ss_instruction *in = &walk.in;
        if (ss_is_opcode(in, SS_OP_RETURN))
            return zero;
        if (is_jump(in))
            return false;
        bool clears = (ss_is_opcode(in, 0x31) || ss_is_opcode(in, 0x33)) && in->mod == 3 &&
                      in->reg == SS_RAX && in->rm == SS_RAX;
        bool keeps = (in->map == SS_MAP_ONE && in->opcode >= 0x59 && in->opcode <= 0x5F) ||
                     (ss_is_opcode(in, 0x83) && in->mod == 3 && in->rm == SS_RSP) ||
                     ss_is_opcode(in, 0xC9) || (ss_is_opcode(in, 0x24) && in->immediate == 1);
        zero = clears || (zero && keeps);
    }
    return false;
}

/* Whether new_span gives NoSubscriber's id for all. */
static bool gives_no_span(const struct ss_image *image, uintptr_t function)
{
    enum { FIRST = 3 };
    struct ss_code walk = ss_code_of(image, function, WINDOW);
    for (uint32_t i = 0; i < FIRST && ss_code_next(&walk); i++)
        if (walk.in.map == SS_MAP_ONE && (walk.in.opcode & 0xF8) == 0xB8 &&
            walk.in.immediate == NO_SPAN)
            return true;
    return false;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Whether the words are a subscriber's methods. What returns something is no lone return: tables of
 * `dyn Layer` are as long, and their methods do nothing by default. */
static bool is_subscriber(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                          enum ss_layout layout)
{
    enum { WANTED = 2, WANTED_OF_OLD = 3 };
    static const uint8_t returning[] = {SS_TRAIT_REGISTER_CALLSITE, SS_TRAIT_ENABLED,
                                        SS_TRAIT_MAX_LEVEL_HINT,    SS_TRAIT_NEW_SPAN,
                                        SS_TRAIT_EVENT_ENABLED,     SS_TRAIT_CLONE_SPAN,
                                        SS_TRAIT_TRY_CLOSE,         SS_TRAIT_CURRENT_SPAN};
    if (!compares_type(image, slots[SS_TRAIT_DOWNCAST_RAW]) ||
        !returns_some(image, slots[SS_TRAIT_DOWNCAST_RAW]))
        return false;
    for (size_t i = 0; i < sizeof returning; i++)
        if (slots[returning[i]] && returns_nothing(image, slots[returning[i]]))
            return false;
    return score(image, slots, layout) >= (layout == SS_LAYOUT_16 ? WANTED : WANTED_OF_OLD);
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
    for (uint32_t layout = SS_LAYOUT_COUNT; layout-- > 0;) {
        uintptr_t slots[SS_TRAIT_COUNT] = {0};
        if (ss_trait_words(layout) - SS_TRAIT_HEADER_WORDS > length)
            continue;
        for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
            uint32_t slot = ss_trait_slot(method, layout);
            if (slot && !ss_image_word(image, table_start + slot * WORD, &slots[method]))
                return false;
        }
        if (!is_subscriber(image, slots, layout))
            continue;
        *table = (struct ss_signature_found){
            .address = table_start,
            .layout = layout,
            .no_subscriber = size == 0 && gives_no_span(image, slots[SS_TRAIT_NEW_SPAN]),
            .default_try_close = answers_false(image, slots[SS_TRAIT_TRY_CLOSE])};
        return true;
    }
    return false;
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
        search->count++;
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
