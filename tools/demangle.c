/* Symbols as people read them. libiberty demangles; what is long in a Rust name (crate paths,
 * generics that are the default) is dropped here. Names come from files, so depth and length are
 * bounded. */
#include "report.h"

#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { SYMBOL_MAX = 16384, SHOWN_MAX = 4096, DEPTH_MAX = 48, ARGUMENTS_MAX = 24 };

const char *ss_demangle(const char *symbol)
{
    if (!symbol || strlen(symbol) > SYMBOL_MAX)
        return symbol ? ss_text_copy(symbol, SHOWN_MAX) : NULL;
    char *readable = cplus_demangle(symbol, DMGL_RUST);
    if (!readable)
        readable = cplus_demangle(symbol, DMGL_AUTO | DMGL_PARAMS | DMGL_ANSI);
    if (!readable)
        return symbol;
    char *kept = ss_text_copy(readable, strnlen(readable, SHOWN_MAX));
    free(readable);
    return kept;
}

/* ---- functions ---- */

/* The end of the bracket that opens at text: behind its `>`. The arrow of `fn() -> T` closes
 * nothing. */
static const char *skip_angles(const char *text)
{
    int depth = 0;
    for (; *text; text++) {
        if (*text == '<')
            depth++;
        else if (*text == '>' && text[-1] != '-' && text[-1] != '=' && text[-1] != '.' &&
                 --depth == 0)
            return text + 1;
    }
    return text;
}

/* Copies [from, to) without what stands in angle brackets. */
static char *without_generics(const char *from, const char *to)
{
    char *result = ss_keep((size_t)(to - from) + 1), *out = result;
    while (from < to) {
        if (*from == '<') {
            from = skip_angles(from);
            if (out - result >= 2 && out[-1] == ':' && out[-2] == ':')
                out -= 2;
        } else {
            *out++ = *from++;
        }
    }
    *out = 0;
    return result;
}

static const char *last_segment(const char *path)
{
    const char *last = path;
    for (const char *at = path; (at = strstr(at, "::")); at += 2)
        last = at + 2;
    return last;
}

/* `{{closure}}` and `{closure#0}` are written as `{closure}`, `{{vtable.shim}}` alike. */
static char *plain_braces(const char *text)
{
    char *result = ss_keep(strlen(text) + 1), *out = result;
    for (; *text; text++) {
        if ((text[0] == '{' && text[1] == '{') || (text[0] == '}' && text[1] == '}'))
            continue;
        if (text[0] == '#') {
            while (text[1] >= '0' && text[1] <= '9')
                text++;
            continue;
        }
        *out++ = *text;
    }
    return result;
}

/* The end of `<A as B>` or `<impl B for A>` at text; *self gets A's bare name. */
static const char *read_self(const char *text, const char **self)
{
    const char *end = skip_angles(text);
    const char *from = text + 1, *to = end > text + 1 ? end - 1 : end;
    int depth = 0;
    bool is_impl = ss_text_starts(from, "impl ");
    for (const char *at = from; at < to; at++) {
        depth += (*at == '<') - (*at == '>' && at[-1] != '-' && at[-1] != '.');
        if (depth != 0)
            continue;
        if (!is_impl && ss_text_starts(at, " as ")) {
            to = at;
            break;
        }
        if (is_impl && ss_text_starts(at, " for "))
            from = at + 5;
    }
    if (is_impl && ss_text_starts(from, "impl "))
        from += 5;
    while (*from == '&' || *from == ' ' || *from == '*')
        from++;
    *self = last_segment(without_generics(from, to));
    return end;
}

const char *ss_short_function(const char *function, const char *name)
{
    if (!function)
        return NULL;
    const char *self = NULL, *rest = function, *impl = strstr(function, "<impl ");
    if (*function == '<')
        rest = read_self(function, &self);
    else if (impl)
        rest = read_self(impl, &self);
    char *path = without_generics(rest, rest + strlen(rest));
    char *shown = plain_braces(self ? ss_text("%s%s", self, path) : path);

    static const struct {
        const char *name, *meaning;
    } kinds[] = {{"{async_fn#", " (async fn)"},
                 {"{async_block#", " (async block)"},
                 {"{async_closure#", " (async closure)"}};
    for (size_t i = 0; name && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!ss_text_starts(name, kinds[i].name))
            continue;
        if (ss_text_ends(shown, "::{closure}"))
            shown[strlen(shown) - strlen("::{closure}")] = 0;
        return ss_text("%s%s", shown, kinds[i].meaning);
    }
    return shown;
}

/* ---- types ---- */

/* What is dropped of a type's arguments: those that the crate itself fills in by default. */
static const struct {
    const char *path;  /* ends of the full path */
    const char *shown; /* instead of the last segment; NULL: that */
    const char *drop;  /* one letter for each argument: `-` drops it, `d` where it is a default */
} type_rows[] = {
    {"tracing_subscriber::fmt::fmt_layer::Layer", "fmt::Layer", "-ddd"},
    {"tracing_subscriber::fmt::Subscriber", "fmt::Subscriber", "dddd"},
    {"tracing_subscriber::fmt::format::Format", NULL, "dd"},
    {"tracing_subscriber::layer::layered::Layered", NULL, "  -"},
    {"tracing_subscriber::filter::layer_filters::Filtered", NULL, "  -"},
    {"tracing_subscriber::reload::Layer", "reload::Layer", " -"},
    {"tracing_subscriber::filter::env::EnvFilter", NULL, ""},
    {"alloc::sync::ArcInner", "Arc", ""},
    {"alloc::boxed::Box", NULL, " -"},
    {"alloc::sync::Arc", NULL, " -"},
};

static bool is_default(const char *argument)
{
    static const char *const defaults[] = {"DefaultFields", "Format",      "Full",
                                           "SystemTime",    "LevelFilter", "()"};
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (strcmp(argument, defaults[i]) == 0)
            return true;
    return ss_text_starts(argument, "fn()") && ss_text_ends(argument, "Stdout");
}

static char *short_type(const char **at, int depth);

/* The list of arguments behind a `<`, up to and with its `>`; NULL where all of it is dropped. */
static char *short_arguments(const char **at, const char *drop, int depth)
{
    char *list = NULL;
    for (size_t i = 0; **at && **at != '>' && i < ARGUMENTS_MAX; i++) {
        char *argument = short_type(at, depth);
        char rule = i < strlen(drop) ? drop[i] : ' ';
        if (rule != '-' && !(rule == 'd' && is_default(argument)))
            list = list ? ss_text("%s, %s", list, argument) : argument;
        while (**at == ',' || **at == ' ')
            ++*at;
    }
    if (**at == '>')
        ++*at;
    return list;
}

/* One type, up to a `,` or `>` that is not its own. */
static char *short_type(const char **at, int depth)
{
    char *shown = ss_text_copy("", 0);
    if (depth > DEPTH_MAX) {
        *at += strlen(*at);
        return ss_text("..");
    }
    while (**at && **at != ',' && **at != '>' && **at != ')' && **at != ']' && **at != ';') {
        const char *from = *at;
        size_t word = strcspn(from, "<>,;()[]& *+");
        if (word) {
            char *path = ss_text_copy(from, word);
            *at += word;
            const char *name = last_segment(path), *drop = "";
            for (size_t i = 0; i < sizeof type_rows / sizeof type_rows[0]; i++) {
                if (strcmp(path, type_rows[i].path) != 0)
                    continue;
                name = type_rows[i].shown ? type_rows[i].shown : name;
                drop = type_rows[i].drop;
            }
            if (strcmp(name, "-") == 0 || strcmp(name, ".") == 0) {
                /* The arrow of a function type; legacy mangling writes it as `.>`. */
                *at += **at == '>';
                name = "->";
            } else if (**at == '<') {
                ++*at;
                char *arguments = short_arguments(at, drop, depth + 1);
                if (arguments)
                    name = ss_text("%s<%s>", name, arguments);
            }
            shown = ss_text("%s%s", shown, name);
            continue;
        }
        char open = *(*at)++;
        if (open == '+' && !ss_text_ends(shown, " ")) {
            shown = ss_text("%s + ", shown); /* legacy mangling has no blanks there */
            continue;
        }
        shown = ss_text("%s%c", shown, open);
        if (open != '(' && open != '[' && open != '<')
            continue;
        while (**at && **at != ')' && **at != ']' && **at != '>') {
            const char *before = *at;
            shown = ss_text("%s%s", shown, short_type(at, depth + 1));
            if (**at == ',' || **at == ';' || *at == before)
                shown = ss_text("%s%c", shown, *(*at)++);
        }
        if (**at)
            shown = ss_text("%s%c", shown, *(*at)++);
    }
    return shown;
}

const char *ss_short_type(const char *symbol)
{
    /* Legacy names, and v0 names; drop_glue since 2026. */
    static const char *const wrappers[] = {
        "core::ptr::drop_in_place<", "core::ptr::real_drop_in_place<", "core::ptr::drop_glue<",
        "core::ptr::drop_in_place::<", "core::ptr::drop_glue::<"};
    const char *type = ss_demangle(symbol);
    if (!type)
        return NULL;
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        const char *found = strstr(type, wrappers[i]);
        if (found) {
            const char *at = found + strlen(wrappers[i]);
            return short_type(&at, 0);
        }
    }
    /* A type without drop glue is known by one of its methods: `<Type as Subscriber>::new_span`. */
    const char *as =
        *type == '<' ? strstr(type, " as tracing_core::subscriber::Subscriber>") : NULL;
    if (as) {
        const char *at = ss_text_copy(type + 1, (size_t)(as - type - 1));
        return short_type(&at, 0);
    }
    return type;
}
