/* What mangled names say of functions, as rustc makes them: legacy and v0. Pure; any context. The bytes
 * may be anything. */
#include <string.h>

#include "names.h"

static const struct {
    const char *crate;
    uint16_t kind;
} crates[] = {
    {"tracing", SS_NAME_TRACING},
    {"tracing_core", SS_NAME_TRACING},
    {"tracing_subscriber", SS_NAME_TRACING},
    {"core", SS_NAME_STANDARD},
    {"alloc", SS_NAME_STANDARD},
    {"std", SS_NAME_STANDARD},
    {"tokio", SS_NAME_RUNTIME},
    {"tokio_util", SS_NAME_RUNTIME},
    {"futures_util", SS_NAME_RUNTIME},
    {"futures_executor", SS_NAME_RUNTIME},
    {"futures_lite", SS_NAME_RUNTIME},
    {"async_executor", SS_NAME_RUNTIME},
    {"async_io", SS_NAME_RUNTIME},
    {"async_std", SS_NAME_RUNTIME},
    {"async_task", SS_NAME_RUNTIME | SS_NAME_EXECUTOR},
    {"async_global_executor", SS_NAME_RUNTIME},
    {"smol", SS_NAME_RUNTIME},
    {"pollster", SS_NAME_RUNTIME},
    {"actix_rt", SS_NAME_RUNTIME},
    {"monoio", SS_NAME_RUNTIME},
    {"glommio", SS_NAME_RUNTIME},
    {"hyper", SS_NAME_RUNTIME},
    {"hyper_util", SS_NAME_RUNTIME},
    {"h2", SS_NAME_RUNTIME},
    {"tower", SS_NAME_RUNTIME},
    {"axum", SS_NAME_RUNTIME},
    {"tonic", SS_NAME_RUNTIME},
    {"warp", SS_NAME_RUNTIME},
    {"actix_web", SS_NAME_RUNTIME},
    {"blocking", SS_NAME_SYNC},
};

static bool contains(struct ss_text text, const char *what)
{
    return memmem(text.data, text.length, what, strlen(what)) != NULL;
}

static bool begins(struct ss_text text, const char *what)
{
    size_t length = strlen(what);
    return text.length >= length && memcmp(text.data, what, length) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static uint16_t kind_of_crate(struct ss_text crate)
{
    for (uint32_t i = 0; i < sizeof crates / sizeof crates[0]; i++)
        if (crate.length == strlen(crates[i].crate) &&
            memcmp(crate.data, crates[i].crate, crate.length) == 0)
            return crates[i].kind;
    return 0;
}

/* Takes "<length><that many characters>" off the front of text. */
static bool take_component(struct ss_text *text, struct ss_text *component)
{
    uint32_t length = 0, digits = 0;
    while (digits < text->length && digits < 5 && is_digit(text->data[digits]))
        length = length * 10 + (uint32_t)(text->data[digits++] - '0');
    if (digits == 0 || length > text->length - digits)
        return false;
    *component = (struct ss_text){text->data + digits, length};
    text->data += digits + length;
    text->length -= digits + length;
    return true;
}

/* The crate that a legacy component begins with: itself, or in `_$LT$` impls the first identifier
 * that is followed by a path. */
static struct ss_text crate_in(struct ss_text component)
{
    struct ss_text crate = component;
    if (!begins(component, "_$LT$"))
        return crate;
    uint32_t at = 5;
    while (at < component.length) {
        uint32_t start = at;
        while (at < component.length && is_identifier(component.data[at]))
            at++;
        if (at + 1 < component.length && at > start && component.data[at] == '.' &&
            component.data[at + 1] == '.')
            return (struct ss_text){component.data + start, at - start};
        at++;
    }
    return crate;
}

/* What a function does as it is called: polls a future or stream, or runs one to its end. runtime: it is
 * of a crate that does so, which has more names for it. */
static uint16_t role_of(struct ss_text name, bool runtime)
{
    static const char *const polls[] = {"poll", "poll_next", "poll_unpin"};
    if (begins(name, "block_on"))
        return SS_NAME_POLL | SS_NAME_BLOCK_ON;
    if (runtime && begins(name, "poll"))
        return SS_NAME_POLL;
    for (uint32_t i = 0; i < sizeof polls / sizeof polls[0]; i++)
        if (name.length == strlen(polls[i]) && begins(name, polls[i]))
            return SS_NAME_POLL;
    return 0;
}

/* Whether a legacy component is an impl of a future or stream, or of a runtime's. */
static bool is_of_future(struct ss_text first)
{
    return contains(first, "..Future$GT$") || contains(first, "..Stream$GT$");
}

static bool is_closure(struct ss_text component)
{
    return begins(component, "_$u7b$$u7b$closure") || begins(component, "$u7b$$u7b$closure");
}

/* _ZN <component>.. 17h<hash> E */
static uint16_t legacy_kind(struct ss_text text)
{
    struct ss_text first = {NULL, 0}, component, last = {NULL, 0}, function = {NULL, 0};
    while (text.length && text.data[0] != 'E' && take_component(&text, &component)) {
        if (!first.data)
            first = component;
        if (component.length == 17 && component.data[0] == 'h')
            break;
        last = component;
        if (!is_closure(component))
            function = component;
    }
    if (!last.data)
        return 0;
    uint16_t kind = SS_NAME_KNOWN | kind_of_crate(crate_in(first));
    /* A method of the user's own may be called `poll`, too; a closure that a runtime's polls with is
     * part of it. */
    uint16_t role = function.data ? role_of(function, kind & SS_NAME_RUNTIME) : 0;
    if (is_closure(last)) {
        kind |= SS_NAME_CLOSURE;
        if (kind & SS_NAME_RUNTIME)
            kind |= role;
    } else if (role & SS_NAME_BLOCK_ON || kind & SS_NAME_RUNTIME || is_of_future(first)) {
        kind |= role;
    }
    return kind;
}

/* Where a crate's root begins: `Cs<disambiguator>_<length><name>`, or without the disambiguator. */
static struct ss_text v0_crate(struct ss_text text)
{
    struct ss_text none = {NULL, 0}, crate;
    for (uint32_t at = 0; at + 2 < text.length; at++) {
        if (text.data[at] != 'C')
            continue;
        struct ss_text rest = {text.data + at + 1, text.length - at - 1};
        if (rest.data[0] == 's') {
            const char *end = memchr(rest.data, '_', rest.length);
            if (!end)
                return none;
            rest.length -= (uint32_t)(end + 1 - rest.data);
            rest.data = end + 1;
        }
        if (take_component(&rest, &crate))
            return crate;
    }
    return none;
}

/* Whether the name is the last in a v0 path: its generic arguments or a crate may follow. */
static bool ends_in(struct ss_text text, const char *name)
{
    const char *end = text.data + text.length;
    const char *at = memmem(text.data, text.length, name, strlen(name));
    while (at) {
        const char *behind = at + strlen(name);
        if ((at == text.data || !is_digit(at[-1])) &&
            (behind == end || !is_identifier(*behind) || *behind == 'C' || *behind == 'B' ||
             (text.data[0] == 'I' && !is_digit(*behind))))
            return true;
        at = memmem(behind, (size_t)(end - behind), name, strlen(name));
    }
    return false;
}

static uint16_t v0_kind(struct ss_text text)
{
    struct ss_text crate = v0_crate(text);
    if (!crate.data)
        return 0;
    uint16_t kind = SS_NAME_KNOWN | kind_of_crate(crate);
    bool closure = begins(text, "NC") || begins(text, "INC");
    if (closure)
        kind |= SS_NAME_CLOSURE;
    /* The last name, but for what instantiates it. */
    bool runtime = kind & SS_NAME_RUNTIME;
    bool of_future = contains(text, "6Future") || contains(text, "6Stream") || runtime;
    bool polls = ends_in(text, "4poll") || ends_in(text, "9poll_next") ||
                 ends_in(text, "10poll_unpin") || ends_in(text, "11poll_future");
    if (of_future && polls && (!closure || runtime))
        kind |= SS_NAME_POLL;
    if (ends_in(text, "8block_on") && (!closure || runtime))
        kind |= SS_NAME_POLL | SS_NAME_BLOCK_ON;
    return kind;
}

/* Where tokio's tasks are polled, of futures and of blocking closures. */
static bool is_tokios_executor(struct ss_text text)
{
    return contains(text, "tokio7runtime") || contains(text, "tokio..runtime..");
}

/* The task in which tokio runs a blocking closure is a future, and what it runs is none. */
static bool is_sync(struct ss_text text)
{
    return contains(text, "blocking..task..BlockingTask") || contains(text, "8blocking4task");
}

uint16_t ss_name_kind(const char *name, size_t length)
{
    struct ss_text text = {name, length < UINT32_MAX ? (uint32_t)length : 0};
    uint16_t kind = length ? SS_NAME_KNOWN : 0;
    if (begins(text, "_ZN"))
        kind = legacy_kind((struct ss_text){text.data + 3, text.length - 3});
    else if (begins(text, "_R"))
        kind = v0_kind((struct ss_text){text.data + 2, text.length - 2});
    if (kind && (kind & SS_NAME_SYNC || is_sync(text)))
        return SS_NAME_KNOWN | SS_NAME_SYNC;
    return kind & SS_NAME_RUNTIME && is_tokios_executor(text) ? kind | SS_NAME_EXECUTOR : kind;
}

/* Takes the path of a legacy name off text at at; false where another stands there. */
static bool stands_at(const char *at, const char *end, struct ss_text path)
{
    struct ss_text component;
    bool first = true;
    while (path.length && path.data[0] != 'E' && take_component(&path, &component)) {
        if (component.length == 17 && component.data[0] == 'h')
            break;
        /* A component gets an underscore before what no identifier begins with. */
        if (begins(component, "_$"))
            component = (struct ss_text){component.data + 1, component.length - 1};
        uint32_t dots = first ? 0 : 2;
        if ((size_t)(end - at) < dots + component.length || memcmp(at, "..", dots) != 0 ||
            memcmp(at + dots, component.data, component.length) != 0)
            return false;
        at += dots + component.length;
        first = false;
    }
    return !first && end - at >= 4 && memcmp(at, "$GT$", 4) == 0;
}

/* Legacy: `drop_in_place<..<a..b..{{closure}}>..>` for the body `a::b::{{closure}}`. */
static bool is_legacy_glue(struct ss_text name, struct ss_text body)
{
    static const char glue[] = "drop_in_place$LT$", open[] = "$LT$";
    const char *end = name.data + name.length;
    const char *at = memmem(name.data, name.length, glue, sizeof glue - 1);
    while (at && (at = memmem(at, (size_t)(end - at), open, sizeof open - 1))) {
        at += sizeof open - 1;
        if (stands_at(at, end, body))
            return true;
    }
    return false;
}

/* How much of a v0 name is its path: up to the instantiating crate. */
static uint32_t v0_path_length(struct ss_text body)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i + 1 < body.length; i++)
        if (body.data[i] == '0' || body.data[i] == '_')
            length = i + 1;
    return length;
}

/* v0: the path of the body, its closure's number included, stands in the glue's as it is, but where
 * a part of it is a back reference. */
static bool is_v0_glue(struct ss_text name, struct ss_text body)
{
    uint32_t length = v0_path_length(body);
    return contains(name, "13drop_in_place") && length > 8 &&
           memmem(name.data, name.length, body.data, length) != NULL;
}

bool ss_name_is_glue(const char *name, size_t length, const char *body, size_t body_length)
{
    struct ss_text text = {name, length < UINT32_MAX ? (uint32_t)length : 0};
    struct ss_text other = {body, body_length < UINT32_MAX ? (uint32_t)body_length : 0};
    if (begins(text, "_ZN") && begins(other, "_ZN"))
        return is_legacy_glue((struct ss_text){name + 3, text.length - 3},
                              (struct ss_text){body + 3, other.length - 3});
    if (begins(text, "_R") && begins(other, "_R"))
        return is_v0_glue((struct ss_text){name + 2, text.length - 2},
                          (struct ss_text){body + 2, other.length - 2});
    return false;
}
