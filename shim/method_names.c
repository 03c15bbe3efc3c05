/* Recognises the mangled names of the methods of tracing_core's trait Subscriber, and of the
 * functions through which tracing-subscriber's registry closes spans of the default subscriber.
 *
 * Called by discover.c for every symbol name that contains "Subscriber", "subscriber" or
 * "dispatcher". Pure functions of the name; the name comes from a file and may be anything. */
#include <string.h>

#include "method_names.h"

static const struct ss_text methods[SS_TRAIT_COUNT] = {
#define X(upper, lower) [SS_TRAIT_##upper] = {#lower, sizeof #lower - 1},
    SS_TRAIT_METHODS(X)
#undef X
};

static bool equals(struct ss_text text, const char *what)
{
    size_t length = strlen(what);
    return text.length == length && memcmp(text.data, what, length) == 0;
}

static bool begins(struct ss_text text, const char *what)
{
    size_t length = strlen(what);
    return text.length >= length && memcmp(text.data, what, length) == 0;
}

static bool ends(struct ss_text text, const char *what)
{
    size_t length = strlen(what);
    return text.length >= length && memcmp(text.data + text.length - length, what, length) == 0;
}

static bool contains(struct ss_text text, uint32_t from, const char *what)
{
    return memmem(text.data + from, text.length - from, what, strlen(what)) != NULL;
}

static int method_called(struct ss_text text)
{
    for (int i = 0; i < SS_TRAIT_COUNT; i++)
        if (text.length == methods[i].length &&
            memcmp(text.data, methods[i].data, text.length) == 0)
            return i;
    return -1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_base62(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Takes a decimal number off the front of text. Returns false where there is none, or where fewer
 * characters are left than it says. */
static bool take_length(struct ss_text *text, uint32_t *number)
{
    uint32_t value = 0, digits = 0;
    while (digits < text->length && digits < 6 && is_digit(text->data[digits]))
        value = value * 10 + (uint32_t)(text->data[digits++] - '0');
    if (digits == 0 || value > text->length - digits)
        return false;
    text->data += digits;
    text->length -= digits;
    *number = value;
    return true;
}

/* ---- legacy: _ZN <length><component>.. 17h<16 hex digits> E ---------------------------------- */

/* Whether a path is that of an impl of the trait, or of the trait itself: its last three
 * components. */
static bool is_legacy_trait(struct ss_text outer, struct ss_text middle, struct ss_text inner)
{
    return ends(inner, "$u20$as$u20$tracing_core..subscriber..Subscriber$GT$") ||
           begins(inner, "_$LT$impl$u20$tracing_core..subscriber..Subscriber$u20$for$u20$") ||
           (equals(outer, "tracing_core") && equals(middle, "subscriber") &&
            equals(inner, "Subscriber"));
}

static int legacy_method(struct ss_text rest)
{
    struct ss_text last[5] = {{0}}; /* the newest component first */
    while (rest.length > 0 && rest.data[0] != 'E') {
        uint32_t length;
        if (!take_length(&rest, &length))
            return -1;
        for (int i = 4; i > 0; i--)
            last[i] = last[i - 1];
        last[0] = (struct ss_text){rest.data, length};
        rest.data += length;
        rest.length -= length;
    }
    if (last[0].length != 17 || last[0].data[0] != 'h' ||
        !is_legacy_trait(last[4], last[3], last[2]))
        return -1;
    return method_called(last[1]);
}

/* ---- v0: _RNvX <impl path> <type> <trait path> <method> [<instantiating crate>] -------------- */

/* A place in a name; text is the whole name after "_R", which is what back references count from.
 */
struct v0 {
    struct ss_text text;
    uint32_t at;
};

static bool v0_take(struct v0 *v0, char c)
{
    if (v0->at >= v0->text.length || v0->text.data[v0->at] != c)
        return false;
    v0->at++;
    return true;
}

/* Takes "<base 62 digits>_", of which "_" is 0 and "0_" is 1. */
static bool v0_take_number(struct v0 *v0, uint32_t *number)
{
    uint32_t value = 0, digits = 0;
    for (; v0->at < v0->text.length && v0->text.data[v0->at] != '_'; v0->at++, digits++) {
        char c = v0->text.data[v0->at];
        uint32_t digit;
        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'z')
            digit = (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'Z')
            digit = (uint32_t)(c - 'A' + 36);
        else
            return false;
        value = value * 62 + digit; /* a crate's disambiguator overflows, and is not used */
    }
    *number = digits ? value + 1 : 0;
    return v0_take(v0, '_');
}

/* Takes an identifier. */
static bool v0_take_name(struct v0 *v0, struct ss_text *name)
{
    uint32_t ignored, length;
    if (v0_take(v0, 's') && !v0_take_number(v0, &ignored))
        return false;
    (void)v0_take(v0, 'u');
    struct ss_text rest = {v0->text.data + v0->at, v0->text.length - v0->at};
    if (!take_length(&rest, &length))
        return false;
    v0->at = (uint32_t)(rest.data - v0->text.data);
    (void)v0_take(v0, '_');
    if (length > v0->text.length - v0->at)
        return false;
    *name = (struct ss_text){v0->text.data + v0->at, length};
    v0->at += length;
    return true;
}

/* Takes a path that is nothing but a crate and depth - 1 names below it: names[0] is the crate.
 * Takes any other path for a mismatch. A back reference leads to no other one. */
static bool v0_take_plain_path(struct v0 *v0, struct ss_text names[], uint32_t depth)
{
    uint32_t reference;
    if (v0_take(v0, 'B')) {
        if (!v0_take_number(v0, &reference) || reference >= v0->at ||
            v0->text.data[reference] == 'B')
            return false;
        struct v0 target = {v0->text, reference};
        return v0_take_plain_path(&target, names, depth);
    }
    if (depth == 1)
        return v0_take(v0, 'C') && v0_take_name(v0, &names[0]);
    return v0_take(v0, 'N') && v0_take(v0, 't') && v0_take_plain_path(v0, names, depth - 1) &&
           v0_take_name(v0, &names[depth - 1]);
}

/* Whether [from, to) is the path tracing_core::subscriber::Subscriber. */
static bool is_v0_trait(struct ss_text text, uint32_t from, uint32_t to)
{
    struct v0 v0 = {text, from};
    struct ss_text names[3];
    return v0_take_plain_path(&v0, names, 3) && v0.at == to && equals(names[0], "tracing_core") &&
           equals(names[1], "subscriber") && equals(names[2], "Subscriber");
}

/* Whether the trait's path ends at `to`. Paths cannot be read backwards without doubt, so each
 * place where it might begin is tried; the longest form is
 * NtNtCs<disambiguator>_12tracing_core10subscriber10Subscriber. */
static bool v0_trait_ends(struct ss_text text, uint32_t to)
{
    for (uint32_t from = to; from-- > 0 && to - from < 80;)
        if ((text.data[from] == 'N' || text.data[from] == 'B') && is_v0_trait(text, from, to))
            return true;
    return false;
}

/* Whether nothing but an instantiating crate follows. */
static bool v0_nothing_left(struct v0 v0)
{
    struct ss_text crate;
    return v0.at == v0.text.length ||
           (v0_take_plain_path(&v0, &crate, 1) && v0.at == v0.text.length);
}

static int v0_method(struct ss_text text)
{
    /* X: an impl's method; Y: the trait's default, for a type. */
    if (!begins(text, "NvX") && !begins(text, "NvY"))
        return -1;
    /* Suffixes of LLVM and linkers. */
    for (uint32_t i = 0; i < text.length; i++)
        if (!is_base62(text.data[i]) && text.data[i] != '_')
            text.length = i;
    for (uint32_t at = text.length; at-- > 3;) {
        /* Only where a number begins, after the trait's path. */
        if (!is_digit(text.data[at]) || is_digit(text.data[at - 1]))
            continue;
        struct v0 v0 = {text, at};
        struct ss_text name;
        int method;
        if (v0_take_name(&v0, &name) && (method = method_called(name)) >= 0 &&
            v0_nothing_left(v0) && v0_trait_ends(text, at))
            return method;
    }
    return -1;
}

/* ---- either ---------------------------------------------------------------------------------- */

enum mangling { OTHER, LEGACY, V0 };

/* Takes off what tells the mangling. */
static enum mangling strip(const char *name, size_t length, struct ss_text *text)
{
    *text = (struct ss_text){name, length < UINT32_MAX ? (uint32_t)length : 0};
    enum mangling mangling = begins(*text, "_ZN") ? LEGACY : begins(*text, "_R") ? V0 : OTHER;
    if (mangling == OTHER)
        return OTHER;
    text->data += mangling == LEGACY ? 3 : 2;
    text->length -= mangling == LEGACY ? 3 : 2;
    return mangling;
}

int ss_trait_method_of(const char *name, size_t length)
{
    struct ss_text text;
    switch (strip(name, length, &text)) {
    case LEGACY:
        return legacy_method(text);
    case V0:
        return v0_method(text);
    default:
        return -1;
    }
}

bool ss_trait_is_default(const char *name, size_t length)
{
    struct ss_text text;
    enum mangling mangling = strip(name, length, &text);
    return begins(text, mangling == V0 ? "NvY" : "12tracing_core10subscriber10Subscriber");
}

/* ---- closers --------------------------------------------------------------------------------- */

/* tracing-subscriber's registry/sharded.rs has nothing that is generic over what users write, and
 * what it drops for them it drops through tables: no code of theirs is inlined into it. The same
 * goes for Dispatch. Their code may be inlined into get_default, and into the impls of Subscriber
 * for pointers: these count for nothing without their callers. */
static enum ss_closer closer_in(const struct ss_text path[4])
{
    if (equals(path[0], "tracing_subscriber") && equals(path[1], "registry") &&
        equals(path[2], "sharded"))
        return SS_CLOSER_BY_DEFAULT;
    bool forwards = equals(path[0], "tracing_core") && equals(path[1], "dispatcher") &&
                    (equals(path[2], "get_default") ||
                     (equals(path[2], "Dispatch") &&
                      (equals(path[3], "try_close") || equals(path[3], "drop_span"))));
    return forwards ? SS_CLOSER_FORWARDS : SS_CLOSER_NONE;
}

/* The component `<Type as Trait>`. Traits of others are implemented for the registry too, by their
 * own code. */
static bool is_sharded_impl(struct ss_text component)
{
    return begins(component, "_$LT$tracing_subscriber..registry..sharded..") &&
           (ends(component, "$u20$as$u20$tracing_core..subscriber..Subscriber$GT$") ||
            ends(component, "$u20$as$u20$sharded_slab..clear..Clear$GT$") ||
            ends(component, "$u20$as$u20$core..ops..drop..Drop$GT$"));
}

static bool is_pointer_impl(struct ss_text component)
{
    return equals(component, "_$LT$alloc..sync..Arc$LT$S$GT$$u20$as$u20$"
                             "tracing_core..subscriber..Subscriber$GT$") ||
           equals(component, "_$LT$alloc..boxed..Box$LT$S$GT$$u20$as$u20$"
                             "tracing_core..subscriber..Subscriber$GT$");
}

static enum ss_closer legacy_closer(struct ss_text rest)
{
    struct ss_text path[4] = {{0}};
    for (int i = 0; i < 4 && rest.length > 0 && rest.data[0] != 'E'; i++) {
        uint32_t length;
        if (!take_length(&rest, &length))
            return SS_CLOSER_NONE;
        path[i] = (struct ss_text){rest.data, length};
        rest.data += length;
        rest.length -= length;
    }
    if (is_sharded_impl(path[0]))
        return SS_CLOSER_BY_DEFAULT;
    if (is_pointer_impl(path[0]) && equals(path[1], "try_close"))
        return SS_CLOSER_FORWARDS;
    return closer_in(path);
}

/* The path that a v0 name begins with says where the function is written: for an impl's it is the
 * impl's module, and then the type follows. Only letters that say how paths nest precede it. */
static enum ss_closer v0_closer(struct ss_text text)
{
    struct v0 v0 = {text, 0};
    struct ss_text path[4] = {{0}};
    uint32_t names = 0, ignored;
    char impl = 0;
    while (!(v0.at < text.length && text.data[v0.at] == 'C')) {
        if (v0_take(&v0, 'N')) {
            v0.at++; /* the namespace */
            names++;
            continue;
        }
        impl = v0_take(&v0, 'X') ? 'X' : v0_take(&v0, 'M') ? 'M' : 0;
        if (!impl && !v0_take(&v0, 'I'))
            return SS_CLOSER_NONE;
        names = 0;
        if (impl && v0_take(&v0, 's') && !v0_take_number(&v0, &ignored))
            return SS_CLOSER_NONE;
    }
    v0.at++;
    for (uint32_t i = 0; i < 4 && i <= names; i++)
        if (!v0_take_name(&v0, &path[i]))
            return SS_CLOSER_NONE;
    if (impl && equals(path[0], "tracing_core") && names == 1) {
        bool forwards =
            impl == 'X'
                ? equals(path[1], "subscriber") && v0_method(text) == SS_TRAIT_TRY_CLOSE
                : equals(path[1], "dispatcher") && (contains(text, v0.at, "_8Dispatch9try_close") ||
                                                    contains(text, v0.at, "_8Dispatch9drop_span"));
        return forwards ? SS_CLOSER_FORWARDS : SS_CLOSER_NONE;
    }
    return closer_in(path);
}

enum ss_closer ss_closer_of(const char *name, size_t length)
{
    struct ss_text text;
    switch (strip(name, length, &text)) {
    case LEGACY:
        return legacy_closer(text);
    case V0:
        return v0_closer(text);
    default:
        return SS_CLOSER_NONE;
    }
}
