/* Subscriber tables found in a module without symbols, x86-64: by what the code of their methods
 * looks like.
 *
 * A table is a run of addresses of functions behind a header {drop, size, align}, as long as the
 * trait has methods. The test that decides is on its last method, downcast_raw, which compares its
 * argument with a TypeId: 16 bytes that look like nothing else. What the other methods do by default
 * has to bear that out.
 *
 * Called by discover.c (start, and from inside the loader), and by tools on files. Pure: an image
 * in, tables out; no state, any context. The image is untrusted: every read goes through at(), which
 * knows the segments, and every walk through code has a length. */
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
    RETURN = 0xC3,
    CALL = 0xE8,
    JUMP = 0xE9,
    JUMP_SHORT = 0xEB,
    NO_SPAN = 0xDEAD, /* what NoSubscriber gives for an id */
};

/* ---- reading --------------------------------------------------------------------------------- */

/* The bytes at an address of the image, up to the end of its segment in the file. NULL where there
 * are less than size. */
static const uint8_t *at(const struct ss_image *image, uintptr_t address, size_t size, size_t *left)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct ss_segment *segment = &image->segments[i];
        if (address < segment->start || address >= segment->file_end)
            continue;
        size_t there = segment->file_end - address;
        if (left)
            *left = there;
        return (segment->flags & PF_R) && there >= size ? (const uint8_t *)(address + image->memory)
                                                        : NULL;
    }
    return NULL;
}

static bool is_text(const struct ss_image *image, uintptr_t address)
{
    for (uint32_t i = 0; i < image->segment_count; i++)
        if (address >= image->segments[i].start && address < image->segments[i].file_end)
            return image->segments[i].flags & PF_X;
    return false;
}

static bool read_word(const struct ss_image *image, uintptr_t address, uintptr_t *word)
{
    const uint8_t *bytes = at(image, address, sizeof *word, NULL);
    if (bytes)
        memcpy(word, bytes, sizeof *word);
    return bytes;
}

static bool read_int(const struct ss_image *image, uintptr_t address, int32_t *value)
{
    const uint8_t *bytes = at(image, address, sizeof *value, NULL);
    if (bytes)
        memcpy(value, bytes, sizeof *value);
    return bytes;
}

/* ---- where functions end --------------------------------------------------------------------- */

/* The end of the function that begins at an address, by .eh_frame; 0 where that does not tell. As
 * every linker writes it: a table of {function, FDE}, both relative to the header, sorted; in the
 * FDE the function relative to itself, and its size. */
static uintptr_t end_of_function(const struct ss_image *image, uintptr_t function)
{
    enum { HEADER = 12, ROW = 8, COUNT = 8, IN_FDE = 8, SIZE_IN_FDE = 12 };
    static const uint8_t encodings[] = {1, 0x1B, 0x03, 0x3B};
    uintptr_t start = image->eh_frame_hdr;
    const uint8_t *bytes = start ? at(image, start, HEADER, NULL) : NULL;
    int32_t count, offset, place, size;
    if (!bytes || memcmp(bytes, encodings, sizeof encodings) != 0 ||
        !read_int(image, start + COUNT, &count) || count < 0 ||
        (uintptr_t)count > (image->eh_frame_hdr_end - start - HEADER) / ROW)
        return 0;
    uint32_t low = 0, high = (uint32_t)count;
    while (low < high) { /* the first row that is not below */
        uint32_t middle = low + (high - low) / 2;
        if (!read_int(image, start + HEADER + (uintptr_t)middle * ROW, &offset))
            return 0;
        if (start + (uintptr_t)(intptr_t)offset < function)
            low = middle + 1;
        else
            high = middle;
    }
    uintptr_t row = start + HEADER + (uintptr_t)low * ROW;
    if (low == (uint32_t)count || !read_int(image, row, &offset) ||
        start + (uintptr_t)(intptr_t)offset != function || !read_int(image, row + 4, &offset))
        return 0;
    uintptr_t fde = start + (uintptr_t)(intptr_t)offset;
    if (!read_int(image, fde + IN_FDE, &place) || !read_int(image, fde + SIZE_IN_FDE, &size) ||
        fde + IN_FDE + (uintptr_t)(intptr_t)place != function || size <= 0)
        return 0;
    return function + (uintptr_t)size;
}

/* A walk through the instructions of one function. */
struct walk {
    const struct ss_image *image;
    const uint8_t *bytes; /* of the next instruction */
    size_t left;          /* bytes that may be looked at */
    uintptr_t next;       /* address of the next instruction */
    bool bounded;         /* its end is known: it goes on behind a return */
    bool ended;
    struct ss_instruction in; /* the present one, which ends at next */
};

static struct walk walk_of(const struct ss_image *image, uintptr_t function, size_t window)
{
    static const uint8_t endbr64[] = {0xF3, 0x0F, 0x1E, 0xFA};
    struct walk walk = {.image = image, .next = function};
    walk.bytes = at(image, function, 1, &walk.left);
    uintptr_t end = end_of_function(image, function);
    walk.bounded = end;
    if (!walk.bytes)
        walk.left = 0;
    if (end && walk.left > end - function)
        walk.left = end - function;
    if (walk.left >= sizeof endbr64 && memcmp(walk.bytes, endbr64, sizeof endbr64) == 0) {
        walk.bytes += sizeof endbr64;
        walk.left -= sizeof endbr64;
        walk.next += sizeof endbr64;
    }
    if (walk.left > window)
        walk.left = window;
    return walk;
}

/* Goes to the next instruction. False behind the last: the end, what is no instruction, or a return
 * where the end is not known. */
static bool step(struct walk *walk)
{
    if (walk->ended || !ss_instruction_read(walk->bytes, walk->left, &walk->in))
        return false;
    walk->bytes += walk->in.length;
    walk->left -= walk->in.length;
    walk->next += walk->in.length;
    walk->ended = !walk->bounded && walk->in.map == SS_MAP_ONE && walk->in.opcode == RETURN;
    return true;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static bool is_one(const struct ss_instruction *in, uint8_t opcode)
{
    return in->map == SS_MAP_ONE && !in->vex && in->opcode == opcode;
}

static bool is_in_memory(const struct ss_instruction *in, uint8_t base)
{
    return in->has_modrm && in->mod != 3 && in->rm == base && !in->indexed;
}

/* The address that the instruction names relative to its end. */
static uintptr_t rip_address(const struct walk *walk)
{
    return walk->next + (uintptr_t)(intptr_t)walk->in.displacement;
}

/* Where the instruction calls (or, of a jump, goes), directly or through a pointer such as the GOT's;
 * 0 where it does neither or nobody knows. */
static uintptr_t target_of(const struct walk *walk, bool call)
{
    enum { INDIRECT = 0xFF, INDIRECT_CALL = 2, INDIRECT_JUMP = 4 };
    const struct ss_instruction *in = &walk->in;
    uintptr_t word;
    if (is_one(in, call ? CALL : JUMP) || (!call && is_one(in, JUMP_SHORT)))
        return walk->next + (uintptr_t)in->immediate;
    if (is_one(in, INDIRECT) && (in->reg & 7) == (call ? INDIRECT_CALL : INDIRECT_JUMP) &&
        is_in_memory(in, SS_RM_RIP) && read_word(walk->image, rip_address(walk), &word))
        return word;
    return 0;
}

/* Whether the instruction may go on elsewhere, or nowhere. Calls come back. */
static bool is_jump(const struct ss_instruction *in)
{
    enum { INDIRECT = 0xFF, INDIRECT_CALL = 2 };
    if (in->map == SS_MAP_ONE)
        return (in->opcode >> 4) == 7 || (in->opcode >= 0xE0 && in->opcode <= 0xE3) ||
               in->opcode == JUMP || in->opcode == JUMP_SHORT || in->opcode == 0xCC ||
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

static bool names_random_constant(const struct walk *walk)
{
    if (!is_in_memory(&walk->in, SS_RM_RIP))
        return false;
    const uint8_t *constant = at(walk->image, rip_address(walk), 16, NULL);
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
    return (is_one(in, 0x39) || is_one(in, 0x3B) || is_one(in, 0x31) || is_one(in, 0x33)) &&
           in->wide && in->mod == 3 && (in->reg == SS_RSI) != (in->rm == SS_RSI);
}

/* Whether the function is no more than TypeId::of::<T>(): it gives a constant. */
static bool gives_type_id(const struct ss_image *image, uintptr_t function)
{
    struct walk walk = walk_of(image, function, TYPE_WINDOW);
    uint32_t random = 0;
    while (step(&walk)) {
        uintptr_t word;
        if (is_one(&walk.in, RETURN))
            return random >= 2;
        if (target_of(&walk, true) || target_of(&walk, false))
            return false;
        if (is_vector_load(&walk.in) && names_random_constant(&walk))
            random += 2;
        random += is_random_immediate(&walk.in);
        random += is_one(&walk.in, 0x8B) && walk.in.wide && is_in_memory(&walk.in, SS_RM_RIP) &&
                  read_word(image, rip_address(&walk), &word) && is_random_half(word);
    }
    return false;
}

/* Whether the function compares what it got as its second argument with a TypeId. Optimized, both
 * halves are loaded and compared here; else by two calls, of TypeId::of and of its comparison, which
 * answers in al. */
static bool compares_type(const struct ss_image *image, uintptr_t function)
{
    struct walk walk = walk_of(image, function, DOWNCAST_WINDOW);
    bool vector_argument = false, vector_constant = false, low = false, high = false;
    bool after_immediate = false, type_known = false, after_call = false;
    uint32_t immediates = 0;
    while (step(&walk)) {
        const struct ss_instruction *in = &walk.in;
        if ((after_immediate && compares_with_rsi(in)) ||
            (after_call && is_one(in, 0xA8) && in->immediate == 1))
            return true;
        after_immediate = is_random_immediate(in);
        immediates += after_immediate;
        if (in->has_modrm && is_in_memory(in, SS_RSI) && !is_one(in, 0x8D)) {
            low |= in->displacement == 0;
            high |= in->displacement == 8;
            vector_argument |= in->displacement == 0 && is_vector_load(in);
        }
        vector_constant |=
            (is_vector_load(in) || is_vector_compare(in)) && names_random_constant(&walk);
        uintptr_t called = target_of(&walk, true);
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
    struct walk walk = walk_of(image, function, SOME_WINDOW);
    bool one = false, rdx = false;
    if (!walk.bounded)
        return true;
    while (step(&walk) && !(one && rdx)) {
        const struct ss_instruction *in = &walk.in;
        bool to_rm = is_one(in, 0x89), to_reg = is_one(in, 0x8B) || is_one(in, 0x8D) ||
                                                is_one(in, 0x33) ||
                                                (in->map == SS_MAP_0F && (in->opcode >> 4) == 4);
        one |= (in->immediate_size && in->immediate == 1) ||
               (in->map == SS_MAP_0F && (in->opcode >> 4) == 9 /* setcc */);
        rdx |= (to_rm && in->mod == 3 && in->rm == SS_RDX) || (to_reg && in->reg == SS_RDX) ||
               is_one(in, 0x58 + SS_RDX);
    }
    return one && rdx;
}

/* ---- what methods do by default -------------------------------------------------------------- */

/* Whether the function is these bytes, behind a landing mark if there is one. */
static bool is_code(const struct ss_image *image, uintptr_t function, const void *code, size_t size)
{
    struct walk walk = walk_of(image, function, WINDOW);
    return walk.left >= size && memcmp(walk.bytes, code, size) == 0;
}

#define IS_CODE(image, function, ...)                            \
    is_code((image), (function), (const uint8_t[]){__VA_ARGS__}, \
            sizeof((const uint8_t[]){__VA_ARGS__}))

/* add to a register: the object's part that the call is handed on to. */
static bool adds_to(const struct ss_image *image, uintptr_t function, uint8_t reg)
{
    struct walk walk = walk_of(image, function, WINDOW);
    while (step(&walk))
        if ((is_one(&walk.in, 0x83) || is_one(&walk.in, 0x81)) && walk.in.wide &&
            (walk.in.reg & 7) == 0 && walk.in.mod == 3 && walk.in.rm == reg)
            return true;
    return false;
}

static bool returns_nothing(const struct ss_image *image, uintptr_t function)
{
    return IS_CODE(image, function, RETURN);
}

/* The functions that one calls which goes straight from its start to its end. */
struct calls {
    uint32_t count; /* 0: there are none, or it is another kind of function */
    uintptr_t to[2];
};

static struct calls calls_of(const struct ss_image *image, uintptr_t function)
{
    const struct calls none = {0, {0, 0}};
    struct calls calls = none;
    struct walk walk = walk_of(image, function, WINDOW);
    while (step(&walk) && !is_jump(&walk.in)) {
        if (is_one(&walk.in, RETURN))
            return calls;
        uintptr_t called = target_of(&walk, true);
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
    return one.count && memcmp(&one, &two, sizeof one) == 0;
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
    struct walk walk = walk_of(image, drop_span, WINDOW);
    struct walk close = walk_of(image, try_close, WINDOW);
    uint32_t score =
        drop_span == try_close || returns_nothing(image, drop_span) ||
        (walk.left >= SAME && close.left >= SAME && memcmp(walk.bytes, close.bytes, SAME) == 0);
    for (bool first = true; step(&walk); first = false) {
        const struct ss_instruction *in = &walk.in;
        uintptr_t called = target_of(&walk, true), jumped = target_of(&walk, false);
        if (called == try_close || jumped == try_close)
            return 2;
        if (first && jumped)
            score = 1;
        if (in->has_modrm && in->mod != 3 && in->rm < SS_RM_RIP && in->rm != SS_RSP &&
            (in->displacement == slots[0] || in->displacement == slots[1]) &&
            (is_one(in, INDIRECT) || is_one(in, 0x8B)))
            score = 1;
    }
    return score;
}

/* current_span gets the place for its result in rdi, and self in rsi. */
static bool is_current_span(const struct ss_image *image, uintptr_t function)
{
    enum { LOOK_AT = 3 };
    if (IS_CODE(image, function, 0x48, 0x89, 0xF8, 0x48, 0xC7, 0x07, 2, 0, 0, 0, RETURN) ||
        adds_to(image, function, SS_RSI))
        return true;
    struct walk walk = walk_of(image, function, WINDOW);
    for (uint32_t i = 0; i < LOOK_AT && step(&walk); i++)
        if (is_one(&walk.in, 0x8B) && is_in_memory(&walk.in, SS_RSI))
            return walk.in.reg != SS_RDI;
    return false;
}

static uint32_t score(const struct ss_image *image, const uintptr_t slots[SS_TRAIT_COUNT],
                      enum ss_layout layout)
{
    uint32_t points =
        score_drop(image, slots[SS_TRAIT_DROP_SPAN], slots[SS_TRAIT_TRY_CLOSE], layout);
    points += is_current_span(image, slots[SS_TRAIT_CURRENT_SPAN]);
    points += IS_CODE(image, slots[SS_TRAIT_CLONE_SPAN], 0x48, 0x8B, 0x06, RETURN) ||
              adds_to(image, slots[SS_TRAIT_CLONE_SPAN], SS_RDI);
    points += IS_CODE(image, slots[SS_TRAIT_MAX_LEVEL_HINT], 0xB8, 6, 0, 0, 0, RETURN) ||
              IS_CODE(image, slots[SS_TRAIT_MAX_LEVEL_HINT], 0x6A, 6, 0x58, RETURN);
    if (layout == SS_LAYOUT_16)
        points += returns_nothing(image, slots[SS_TRAIT_ON_REGISTER_DISPATCH]);
    if (layout != SS_LAYOUT_14)
        points += IS_CODE(image, slots[SS_TRAIT_EVENT_ENABLED], 0xB0, 1, RETURN) ||
                  IS_CODE(image, slots[SS_TRAIT_EVENT_ENABLED], 0xB0, 1, 0x24, 1, RETURN);
    return points;
}

/* Whether the function can only answer false: it goes straight on, and what it returns is 0. */
static bool answers_false(const struct ss_image *image, uintptr_t function)
{
    struct walk walk = walk_of(image, function, WINDOW);
    bool zero = false;
    while (step(&walk)) {
        const struct ss_instruction *in = &walk.in;
        if (is_one(in, RETURN))
            return zero;
        if (is_jump(in))
            return false;
        bool clears = (is_one(in, 0x31) || is_one(in, 0x33)) && in->mod == 3 && in->reg == SS_RAX &&
                      in->rm == SS_RAX;
        bool keeps = (in->map == SS_MAP_ONE && in->opcode >= 0x59 && in->opcode <= 0x5F) ||
                     (is_one(in, 0x83) && in->mod == 3 && in->rm == SS_RSP) || is_one(in, 0xC9) ||
                     (is_one(in, 0x24) && in->immediate == 1);
        zero = clears || (zero && keeps);
    }
    return false;
}

/* Whether new_span gives NoSubscriber's id for all. */
static bool gives_no_span(const struct ss_image *image, uintptr_t function)
{
    enum { FIRST = 3 };
    struct walk walk = walk_of(image, function, WINDOW);
    for (uint32_t i = 0; i < FIRST && step(&walk); i++)
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
        if (!read_word(image, table_start + i * WORD, &header[i]))
            return false;
    uintptr_t drop = header[0], size = header[1], align = header[2];
    if (align == 0 || align > ALIGN_MAX || (align & (align - 1)) || size % align ||
        size > SIZE_MAX_OF_OBJECT || is_text(image, size) || (drop && !is_text(image, drop)))
        return false;
    for (uint32_t layout = SS_LAYOUT_COUNT; layout-- > 0;) {
        uintptr_t slots[SS_TRAIT_COUNT] = {0};
        if (ss_trait_words(layout) - SS_TRAIT_HEADER_WORDS > length)
            continue;
        for (uint32_t method = 0; method < SS_TRAIT_COUNT; method++) {
            uint32_t slot = ss_trait_slot(method, layout);
            if (slot && !read_word(image, table_start + slot * WORD, &slots[method]))
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
    const uintptr_t *word = (const uintptr_t *)at(image, from, WORD, &left);
    if (!word || to <= from)
        return;
    size_t words = (to - from < left ? to - from : left) / WORD;
    size_t after = 0; /* what was looked at */
    for (size_t i = shortest - 1; i < words; i += shortest) {
        if (SS_LIKELY(!is_text(image, word[i])) || i < after)
            continue;
        size_t start = i, end = i + 1;
        while (start > after && i - start < longest && is_text(image, word[start - 1]))
            start--;
        while (end < words && end - start < longest && is_text(image, word[end]))
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
