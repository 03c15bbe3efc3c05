/* The call sites of a module, read out of its relocated memory: its `Metadata`, found by the cycle
 * Metadata -> callsite -> Metadata, the order of their words, and what one of them says.
 *
 * No state and no lock, nothing is called but what the view brings along. In the program callsites.c
 * calls it (start, and from inside the loader), outside it the command's probe, on the image of a
 * file. The memory is not trusted: all is read inside the segments of known modules. */
#include <elf.h>
#include <string.h>

#include "internal.h"
#include "metadata.h"

enum {
    CALLSITE_WORDS = 4,  /* at most: interest, registration, the Metadata, the next one */
    UNREGISTERED = 0xFF, /* the word of interest (unknown) and registration (none) */
    KIND_MAX = 7,
    VALID_PERCENT = 95,
    PAGE = 4096,
};

static const struct ss_metadata_layout order_a = {4, 13, 0, 2, 9, 11, 5, 7, 14};
static const struct ss_metadata_layout order_b = {0, 1, 2, 4, 6, 8, 10, 12, 14};

/* ---- what may be read, and what it may be ---------------------------------------------------- */

static bool readable(const struct ss_metadata_view *view, uintptr_t address, size_t size)
{
    return ss_module_readable(view->module, address, size) ||
           (view->readable_elsewhere && view->readable_elsewhere(address, size));
}

static bool is_utf8(const uint8_t *text, size_t length)
{
    size_t i = 0;
    while (i < length) {
        uint32_t c = text[i++], more;
        uint32_t lowest; /* what needs so many bytes */
        if (c < 0x80)
            continue;
        if (c >= 0xC2 && c < 0xE0) {
            more = 1, lowest = 0x80, c &= 0x1F;
        } else if ((c & 0xF0) == 0xE0) {
            more = 2, lowest = 0x800, c &= 0x0F;
        } else if (c >= 0xF0 && c < 0xF5) {
            more = 3, lowest = 0x10000, c &= 0x07;
        } else {
            return false;
        }
        if (more > length - i)
            return false;
        for (; more > 0; more--, i++) {
            if ((text[i] & 0xC0) != 0x80)
                return false;
            c = c << 6 | (text[i] & 0x3F);
        }
        if (c < lowest || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
            return false;
    }
    return true;
}

/* An empty string's pointer dangles, but is not null. */
static bool is_text(const struct ss_metadata_view *view, const uintptr_t *pair)
{
    return pair[0] && pair[1] <= SS_STRING_MAX &&
           (pair[1] == 0 ||
            (readable(view, pair[0], pair[1]) && is_utf8((const uint8_t *)pair[0], pair[1])));
}

static bool is_optional_text(const struct ss_metadata_view *view, const uintptr_t *pair)
{
    return !pair[0] || is_text(view, pair);
}

static bool is_names(const struct ss_metadata_view *view, const uintptr_t *pair)
{
    if (!pair[0] || pair[0] % sizeof(uintptr_t) || pair[1] > SS_FIELDS_MAX)
        return false;
    if (pair[1] && !readable(view, pair[0], pair[1] * 2 * sizeof(uintptr_t)))
        return false;
    const uintptr_t *names = (const uintptr_t *)pair[0];
    for (uintptr_t i = 0; i < pair[1]; i++)
        if (!is_text(view, names + 2 * i))
            return false;
    return true;
}

static bool is_line(uintptr_t word)
{
    return (uint32_t)word <= 1; /* None, whose high half is not set, or Some */
}

static bool is_metadata(const struct ss_metadata_view *view, const uintptr_t *word,
                        const struct ss_metadata_layout *order)
{
    return word[order->level] < SS_LEVEL_COUNT && is_line(word[order->line]) &&
           (uint8_t)word[order->kind] <= KIND_MAX && is_text(view, word + order->name) &&
           is_text(view, word + order->target) && is_names(view, word + order->names) &&
           is_optional_text(view, word + order->module_path) &&
           is_optional_text(view, word + order->file);
}

/* ---- finding the cycles ---------------------------------------------------------------------- */

/* Whether the words at `pair` may be a `&dyn Callsite` whose object contains `place`. */
static bool leads_to(const struct ss_metadata_view *view, const uintptr_t *pair, uintptr_t place)
{
    uintptr_t callsite = pair[0], table = pair[1];
    if (callsite > place || place - callsite >= CALLSITE_WORDS * sizeof(uintptr_t) ||
        callsite % sizeof(uintptr_t) || table % sizeof(uintptr_t) ||
        !readable(view, table, 3 * sizeof(uintptr_t)))
        return false;
    const uintptr_t *header = (const uintptr_t *)table; /* drop, size, align */
    return header[1] > place - callsite && header[1] <= 2 * CALLSITE_WORDS * sizeof(uintptr_t) &&
           header[2] == sizeof(uintptr_t);
}

/* One pass over the writable memory of the module, for words that point to a Metadata which points back: its
 * word `at` does. Adds them to `found` where that is given; returns how many there were. */
struct pass {
    const struct ss_metadata_view *view;
    uint32_t back[SS_METADATA_WORDS - 1]; /* how many point back in each word */
    uint32_t at;                          /* the word that counts; SS_METADATA_WORDS: any */
    uint32_t *found;
    uint32_t count, room;
};

static void look_at(struct pass *pass, uintptr_t place)
{
    const struct ss_module *m = pass->view->module;
    uintptr_t metadata = *(const uintptr_t *)place;
    if (SS_LIKELY(metadata - m->start >= m->end - m->start) || metadata % sizeof(uintptr_t) ||
        !ss_module_readable(m, metadata, SS_METADATA_WORDS * sizeof(uintptr_t)))
        return;
    const uintptr_t *word = (const uintptr_t *)metadata;
    for (uint32_t i = 0; i < SS_METADATA_WORDS - 1; i++) {
        if ((pass->at != SS_METADATA_WORDS && pass->at != i) ||
            !leads_to(pass->view, word + i, place))
            continue;
        pass->back[i]++;
        if (pass->found && pass->count < pass->room)
            pass->found[pass->count++] = (uint32_t)(metadata - m->start);
    }
}

static void run_pass(struct pass *pass)
{
    const struct ss_module *m = pass->view->module;
    for (uint32_t i = 0; i < m->segment_count; i++) {
        const struct ss_segment *segment = &m->segments[i];
        if ((segment->flags & (PF_R | PF_W)) != (PF_R | PF_W))
            continue;
        uintptr_t place = (segment->start + sizeof place - 1) & ~(sizeof place - 1);
        while (place + sizeof place <= segment->file_end) {
            if (place >= m->relro_start && place < m->relro_end) {
                place = (m->relro_end + sizeof place - 1) & ~(sizeof place - 1);
                continue;
            }
            look_at(pass, place);
            place += sizeof place;
        }
    }
}

/* Sorts in place (by heap: no recursion, no memory) and removes repetitions. Returns what is left.
 */
static uint32_t sort(uint32_t *values, uint32_t count)
{
    for (uint32_t start = count / 2, end = count; end > 1;) {
        uint32_t value;
        if (start > 0) {
            value = values[--start];
        } else {
            value = values[--end];
            values[end] = values[0];
        }
        uint32_t hole = start;
        for (uint32_t child; (child = 2 * hole + 1) < end; hole = child) {
            if (child + 1 < end && values[child + 1] > values[child])
                child++;
            if (values[child] <= value)
                break;
            values[hole] = values[child];
        }
        values[hole] = value;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || values[kept - 1] != values[i])
            values[kept++] = values[i];
    return kept;
}

static struct ss_metadata_set *find_cycles(const struct ss_metadata_view *view,
                                           uint32_t *callsite_word)
{
    struct pass pass = {.view = view, .at = SS_METADATA_WORDS};
    if (view->module->end - view->module->start > UINT32_MAX)
        return NULL;
    run_pass(&pass);
    uint32_t best = 0;
    for (uint32_t i = 1; i < SS_METADATA_WORDS - 1; i++)
        if (pass.back[i] > pass.back[best])
            best = i;
    uint32_t room = pass.back[best];
    struct ss_metadata_set *set =
        room ? view->allocate(sizeof *set + room * sizeof set->at[0]) : NULL;
    if (!set)
        return NULL;
    pass = (struct pass){.view = view, .at = best, .found = set->at, .room = room};
    run_pass(&pass);
    set->count = sort(set->at, pass.count);
    *callsite_word = best;
    return set;
}

/* ---- the order of words ---------------------------------------------------------------------- */

static const uintptr_t *metadata_at(const struct ss_metadata_view *view,
                                    const struct ss_metadata_set *set, uint32_t i)
{
    return (const uintptr_t *)(view->module->start + set->at[i]);
}

static bool is_most(uint32_t part, uint32_t whole)
{
    return (uint64_t)part * 100 >= (uint64_t)whole * VALID_PERCENT;
}

/* Whether this order fits: then the set keeps those that it fits. */
static bool take_order(const struct ss_metadata_view *view, struct ss_metadata_set *set,
                       const struct ss_metadata_layout *order)
{
    uint32_t valid = 0;
    for (uint32_t i = 0; i < set->count; i++)
        valid += is_metadata(view, metadata_at(view, set, i), order);
    if (!is_most(valid, set->count))
        return false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (is_metadata(view, metadata_at(view, set, i), order))
            set->at[kept++] = set->at[i];
    set->count = kept;
    set->order = *order;
    return true;
}

/* What the words from `at` on are in most Metadata of the set. */
enum pair { PAIR_NONE, PAIR_TEXT, PAIR_FILE, PAIR_NAMES };

static bool ends_in_rs(const uintptr_t *pair)
{
    return pair[1] > 3 && memcmp((const char *)pair[0] + pair[1] - 3, ".rs", 3) == 0;
}

static enum pair pair_at(const struct ss_metadata_view *view, const struct ss_metadata_set *set,
                         uint32_t at)
{
    uint32_t texts = 0, files = 0, missing = 0, names = 0, empty = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const uintptr_t *pair = metadata_at(view, set, i) + at;
        bool text = is_text(view, pair);
        texts += text;
        missing += !pair[0];
        files += text && ends_in_rs(pair);
        names += is_names(view, pair);
        empty += pair[0] && pair[0] < PAGE && pair[1] == 0;
    }
    /* Lists of names are the only pairs that read as such; empty ones read as anything. */
    if (names > empty && is_most(names, set->count))
        return PAIR_NAMES;
    if (missing == set->count || !is_most(texts + missing, set->count) || texts == 0)
        return PAIR_NONE;
    return is_most(files + missing, set->count) ? PAIR_FILE : PAIR_TEXT;
}

/* How often two pairs say the same. */
static uint32_t agreements(const struct ss_metadata_view *view, const struct ss_metadata_set *set,
                           uint32_t a, uint32_t b)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const uintptr_t *word = metadata_at(view, set, i);
        same += word[a + 1] == word[b + 1] &&
                (word[a] == word[b] ||
                 (is_text(view, word + a) && is_text(view, word + b) &&
                  memcmp((const void *)word[a], (const void *)word[b], word[a + 1]) == 0));
    }
    return same;
}

static bool is_ever_missing(const struct ss_metadata_view *view, const struct ss_metadata_set *set,
                            uint32_t at)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (!metadata_at(view, set, i)[at])
            return true;
    return false;
}

/* Of three pairs of text the two that agree most are target and module_path; the third is the name.
 * Only module_path can be missing; without that to tell, target comes first as in every build seen.
 */
static bool tell_texts(const struct ss_metadata_view *view, const struct ss_metadata_set *set,
                       const uint8_t texts[3], struct ss_metadata_layout *order)
{
    uint32_t best = 0, best_same = 0;
    for (uint32_t odd = 0; odd < 3; odd++) {
        uint32_t same = agreements(view, set, texts[odd == 0 ? 1 : 0], texts[odd == 2 ? 1 : 2]);
        if (same > best_same) {
            best = odd;
            best_same = same;
        }
    }
    order->name = texts[best];
    order->target = texts[best == 0 ? 1 : 0];
    order->module_path = texts[best == 2 ? 1 : 2];
    if (is_ever_missing(view, set, order->target)) {
        uint8_t missing = order->target;
        order->target = order->module_path;
        order->module_path = missing;
    }
    return best_same > 0;
}

/* Of the three words left one is the line, which is large; the other two are level and kind: the
 * kind of a span or event is 0, 1 or 2, so a word that is 3 or 4 somewhere is the level. */
static bool tell_words(const struct ss_metadata_view *view, const struct ss_metadata_set *set,
                       const uint8_t words[3], struct ss_metadata_layout *order)
{
    uint32_t lines = 0, levels = 0;
    for (uint32_t w = 0; w < 3; w++) {
        bool line = true, some = false, level = true, high = false;
        for (uint32_t i = 0; i < set->count; i++) {
            uintptr_t word = metadata_at(view, set, i)[words[w]];
            line &= is_line(word);
            some |= word >> 32 != 0;
            level &= word < SS_LEVEL_COUNT;
            high |= word > SS_KIND_SPAN;
        }
        if (line && some) {
            order->line = words[w];
            lines++;
        } else if (level && high) {
            order->level = words[w];
            levels++;
        } else {
            order->kind = words[w];
        }
    }
    return lines == 1 && levels == 1;
}

/* Learns an order that is neither A nor B from the contents. */
static bool learn_order(const struct ss_metadata_view *view, struct ss_metadata_set *set,
                        uint32_t callsite)
{
    struct ss_metadata_layout order = {.callsite = (uint8_t)callsite};
    uint8_t texts[3], words[3];
    uint32_t text_count = 0, word_count = 0, files = 0, names = 0;
    for (uint32_t at = 0; at < SS_METADATA_WORDS;) {
        enum pair pair = PAIR_NONE;
        if (at == callsite) {
            at += 2;
            continue;
        }
        if (at + 1 < SS_METADATA_WORDS && at + 1 != callsite)
            pair = pair_at(view, set, at);
        if (pair == PAIR_NAMES && names++ == 0)
            order.names = (uint8_t)at;
        else if (pair == PAIR_FILE && files++ == 0)
            order.file = (uint8_t)at;
        else if (pair == PAIR_TEXT && text_count++ < 3)
            texts[text_count - 1] = (uint8_t)at;
        else if (pair == PAIR_NONE && word_count++ < 3)
            words[word_count - 1] = (uint8_t)at;
        at += pair == PAIR_NONE ? 1 : 2;
    }
    return names == 1 && files == 1 && text_count == 3 && word_count == 3 &&
           tell_texts(view, set, texts, &order) && tell_words(view, set, words, &order) &&
           take_order(view, set, &order);
}

/* Whether events are marked: not before tracing-core 0.1.26, where a span is 1 and an event is 0.
 */
static bool kinds_tell(const struct ss_metadata_view *view, const struct ss_metadata_set *set)
{
    bool span = false;
    for (uint32_t i = 0; i < set->count; i++) {
        uint8_t kind = (uint8_t)metadata_at(view, set, i)[set->order.kind];
        if (kind == 0)
            return false;
        span |= (kind & SS_KIND_SPAN) != 0;
    }
    return span;
}

/* The callsite of a Metadata and its size, or NULL. */
static const uint8_t *callsite_of(const struct ss_metadata_view *view,
                                  const struct ss_metadata_set *set, uint32_t i, uint32_t *size)
{
    const uintptr_t *pair = metadata_at(view, set, i) + set->order.callsite;
    uintptr_t callsite = pair[0];
    if (!ss_module_readable(view->module, callsite, CALLSITE_WORDS * sizeof(uintptr_t)) ||
        !readable(view, pair[1], 2 * sizeof(uintptr_t)))
        return NULL;
    uintptr_t bytes = ((const uintptr_t *)pair[1])[1];
    *size = bytes < CALLSITE_WORDS * sizeof(uintptr_t) ? (uint32_t)bytes
                                                       : CALLSITE_WORDS * sizeof(uintptr_t);
    return (const uint8_t *)callsite;
}

/* Learns where a callsite's interest and registration are, from those not registered yet. */
static void learn_interest(const struct ss_metadata_view *view, struct ss_metadata_set *set)
{
    uint32_t seen[CALLSITE_WORDS * sizeof(uintptr_t)] = {0}, best = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t size;
        const uint8_t *callsite = callsite_of(view, set, i, &size);
        for (uint32_t at = 0; callsite && at + 8 <= size; at += 8) {
            uintptr_t word = *(const uintptr_t *)(callsite + at);
            seen[at] += word == UNREGISTERED;
        }
    }
    for (uint32_t at = 0; at < CALLSITE_WORDS * sizeof(uintptr_t); at++)
        if (seen[at] > seen[best])
            best = at;
    set->interest_known = seen[best] > 0;
    set->interest = (uint8_t)best;
}

/* Which order it is; the set then keeps those that it fits. */
static enum ss_metadata_order order_of(const struct ss_metadata_view *view,
                                       struct ss_metadata_set *set, uint32_t callsite)
{
    if (callsite == order_b.callsite && take_order(view, set, &order_b))
        return SS_ORDER_B;
    if (callsite == order_a.callsite && take_order(view, set, &order_a))
        return SS_ORDER_A;
    return learn_order(view, set, callsite) ? SS_ORDER_LEARNED : SS_ORDER_UNKNOWN;
}

struct ss_metadata_set *ss_metadata_find(const struct ss_metadata_view *view)
{
    uint32_t callsite;
    struct ss_metadata_set *set = find_cycles(view, &callsite);
    if (!set)
        return NULL;
    set->order_kind = order_of(view, set, callsite);
    if (set->order_kind == SS_ORDER_UNKNOWN)
        return set;
    set->kinds_tell = kinds_tell(view, set);
    learn_interest(view, set);
    return set;
}

uintptr_t ss_metadata_fields(uintptr_t metadata, const struct ss_metadata_layout *order)
{
    uint8_t word = order->names < order->callsite ? order->names : order->callsite;
    return metadata + word * sizeof(uintptr_t);
}

static struct ss_text text_of(const uintptr_t *pair)
{
    return (struct ss_text){(const char *)pair[0], pair[0] ? (uint32_t)pair[1] : 0};
}

void ss_metadata_decode(uintptr_t address, const struct ss_metadata_layout *order,
                        struct ss_metadata *out)
{
    const uintptr_t *word = (const uintptr_t *)address;
    *out = (struct ss_metadata){
        .name = text_of(word + order->name),
        .target = text_of(word + order->target),
        .module_path = text_of(word + order->module_path),
        .file = text_of(word + order->file),
        .line = (uint32_t)word[order->line] ? (uint32_t)(word[order->line] >> 32) : 0,
        .level = (uint32_t)word[order->level],
        .fields = ss_metadata_fields(address, order),
        .names = (const uintptr_t *)word[order->names],
        .field_count = (uint32_t)word[order->names + 1],
    };
}
