/* The options: STRAYSPAN_OPTIONS is `key=value:key=value`, values with `:` in quotes, as the
 * sanitizers have it. Everything derives from the rows of option_table.h. Runs at start only, on
 * one thread. */
#include "options.h"
#include "output.h"

#include <string.h>

struct ss_options ss_options;

const struct ss_option ss_option_rows[] = {
#define X(name, type, initial, arg, help) \
    {#name, SS_OPTION_##type, initial, arg, help, offsetof(struct ss_options, name)},
    SS_OPTIONS(X)
#undef X
};
const unsigned ss_option_count = sizeof ss_option_rows / sizeof ss_option_rows[0];

const struct ss_rule_row ss_rule_rows[SS_RULE_COUNT] = {
#define X(name, code, severity, title) {code, title, SS_SEVERITY_##severity},
    SS_RULES(X)
#undef X
};

static bool equals(struct ss_text text, const char *word)
{
    return strlen(word) == text.length && memcmp(word, text.data, text.length) == 0;
}

static struct ss_text part(const char *start, const char *end)
{
    return (struct ss_text){start, (uint32_t)(end - start)};
}

/* The index of text among the words of a|b|c; -1 where it is none. */
static long word_index(const char *words, struct ss_text text)
{
    for (long index = 0;; index++) {
        const char *end = words;
        while (*end && *end != '|')
            end++;
        struct ss_text word = part(words, end);
        if (word.length == text.length && memcmp(word.data, text.data, text.length) == 0)
            return index;
        if (!*end)
            return -1;
        words = end + 1;
    }
}

struct ss_text ss_option_word(const struct ss_option *option)
{
    long wanted = *(const long *)((const char *)&ss_options + option->offset);
    const char *words = option->arg;
    for (long index = 0; index < wanted; index++)
        words = strchr(words, '|') + 1;
    const char *end = words;
    while (*end && *end != '|')
        end++;
    return part(words, end);
}

/* A decimal number of at most nine digits; -1 where text is none. */
static long number(struct ss_text text)
{
    long value = 0;
    if (text.length == 0 || text.length > 9)
        return -1;
    for (uint32_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

/* Applies one of `+RULE`, `-RULE`, `RULE=severity`. */
static bool set_rule(struct ss_text text)
{
    static const char *const severities[] = SS_SEVERITY_NAMES;
    char sign = text.length ? text.data[0] : 0;
    struct ss_text name, severity = {NULL, 0};
    if (sign == '+' || sign == '-') {
        name = part(text.data + 1, text.data + text.length);
    } else {
        const char *equal = memchr(text.data, '=', text.length);
        if (!equal)
            return false;
        name = part(text.data, equal);
        severity = part(equal + 1, text.data + text.length);
    }
    for (unsigned rule = 0; rule < SS_RULE_COUNT; rule++) {
        if (!equals(name, ss_rule_rows[rule].code))
            continue;
        if (sign == '-') {
            ss_options.severities[rule] = SS_SEVERITY_OFF;
            ss_options.regraded[rule] = true;
            return true;
        }
        if (sign == '+') {
            /* A rule that is off by default is a warning where it is turned on. */
            enum ss_severity initial = ss_rule_rows[rule].severity;
            ss_options.severities[rule] = initial ? initial : SS_SEVERITY_WARNING;
            ss_options.regraded[rule] = !initial;
            return true;
        }
        for (unsigned i = 0; i < SS_SEVERITY_COUNT; i++)
            if (equals(severity, severities[i])) {
                ss_options.severities[rule] = (enum ss_severity)i;
                ss_options.regraded[rule] = true;
                return true;
            }
    }
    return false;
}

/* Whether the rule that such a part names is one. */
static bool names_rule(struct ss_text text)
{
    const char *end = text.data + text.length, *equal = memchr(text.data, '=', text.length);
    struct ss_text name =
        part(text.data + (*text.data == '+' || *text.data == '-'), equal ? equal : end);
    for (unsigned rule = 0; rule < SS_RULE_COUNT; rule++)
        if (equals(name, ss_rule_rows[rule].code))
            return true;
    return false;
}

/* Applies a list of rules; warns of each part that is none. */
static void set_rules(struct ss_text text)
{
    const char *at = text.data, *end = text.data + text.length;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if (stop > at && !set_rule(part(at, stop))) {
            char *bad = ss_copy_text(at, (size_t)(stop - at));
            SS_WARN("option rules: `", bad ? bad : "?",
                    names_rule(part(at, stop)) ? "` is not +RULE, -RULE or RULE=off|warning|error"
                                               : "` names no rule: strayspan explain lists them");
        }
        at = stop + 1;
    }
}

/* Puts text behind what a list holds already; an empty one empties the list. False: it would hold too much, as
 * nothing that is allocated is freed. */
static bool append(const char **list, struct ss_text text)
{
    enum { LIST_MAX = 16384 };
    const char *held = *list ? *list : "";
    size_t size = strlen(held) + 1 + text.length + 1;
    char *joined = size <= LIST_MAX && text.length ? ss_alloc(size) : NULL;
    if (!joined) {
        *list = text.length ? held : "";
        return size <= LIST_MAX;
    }
    struct ss_line line = {.data = joined, .size = size - 1};
    ss_puts(&line, held);
    ss_puts(&line, *held && text.length ? "\n" : "");
    ss_put(&line, text.data, text.length);
    joined[line.used] = 0;
    *list = joined;
    return true;
}

/* Sets one option from text. Returns false for a bad value, which changes nothing. */
static bool set(const struct ss_option *option, struct ss_text text)
{
    void *cell = (char *)&ss_options + option->offset;
    long value = -1;
    switch (option->type) {
    case SS_OPTION_BOOL:
        value = number(text);
        if (value != 0 && value != 1)
            return false;
        *(long *)cell = value;
        return true;
    case SS_OPTION_INT: {
        const char *dots = strstr(option->arg, "..");
        value = number(text);
        if (value < number(part(option->arg, dots)) ||
            value > number(part(dots + 2, dots + 2 + strlen(dots + 2))))
            return false;
        *(long *)cell = value;
        return true;
    }
    case SS_OPTION_ENUM:
        value = word_index(option->arg, text);
        if (value < 0)
            return false;
        *(long *)cell = value;
        return true;
    case SS_OPTION_LIST:
        return append((const char **)cell, text);
    case SS_OPTION_RULES:
        set_rules(text);
        /* fall through */
    case SS_OPTION_STRING: {
        char *copy = ss_copy_text(text.data, text.length);
        *(const char **)cell = copy ? copy : "";
        return true;
    }
    }
    return false;
}

static void set_defaults(void)
{
    for (unsigned rule = 0; rule < SS_RULE_COUNT; rule++)
        ss_options.severities[rule] = ss_rule_rows[rule].severity;
    for (unsigned i = 0; i < ss_option_count; i++) {
        const char *text = ss_option_rows[i].initial;
        (void)set(&ss_option_rows[i], part(text, text + strlen(text)));
    }
}

static void set_pair(struct ss_text key, struct ss_text value)
{
    for (unsigned i = 0; i < ss_option_count; i++) {
        const struct ss_option *option = &ss_option_rows[i];
        if (!equals(key, option->name))
            continue;
        if (!set(option, value)) {
            char *bad = ss_copy_text(value.data, value.length);
            SS_WARN("option ", option->name, ": bad value `", bad ? bad : "?", "`, want ",
                    option->type == SS_OPTION_BOOL ? "0 or 1" : option->arg, "; `", option->initial,
                    "` stays in force");
        }
        return;
    }
    char *bad = ss_copy_text(key.data, key.length);
    SS_WARN("unknown option `", bad ? bad : "?", "` in " SS_OPTIONS_VARIABLE "; help=1 lists them");
}

static void print_help(void)
{
    SS_WARN("options of " SS_OPTIONS_VARIABLE " (key=value:key=value):");
    for (unsigned i = 0; i < ss_option_count; i++) {
        const struct ss_option *option = &ss_option_rows[i];
        SS_WARN("  ", option->name, "=", option->type == SS_OPTION_BOOL ? "0|1" : option->arg,
                *option->initial ? " (" : "", option->initial, *option->initial ? ")" : "", "  ",
                option->help);
    }
}

void ss_options_read(const char *text)
{
    set_defaults();
    for (const char *at = text; at && *at;) {
        /* A leading or doubled separator is not an error, as with the sanitizers. */
        if (*at == ':' || *at == ' ' || *at == '\t' || *at == '\n') {
            at++;
            continue;
        }
        const char *key = at;
        while (*at && *at != '=' && *at != ':')
            at++;
        struct ss_text name = part(key, at);
        struct ss_text value = {"", 0};
        if (*at == '=') {
            at++;
            char quote = *at == '\'' || *at == '"' ? *at : 0;
            const char *start = at + (quote != 0);
            at = start;
            while (*at && (quote ? *at != quote : *at != ':'))
                at++;
            value = part(start, at);
            if (quote && *at)
                at++;
            else if (quote)
                SS_WARN(SS_OPTIONS_VARIABLE ": a quote is not closed: ", start);
            if (*at && *at != ':')
                SS_WARN(SS_OPTIONS_VARIABLE ": ignored behind a quote: ", at);
            while (*at && *at != ':')
                at++;
        } else {
            char *bad = ss_copy_text(name.data, name.length);
            SS_WARN("option `", bad ? bad : "?", "` in " SS_OPTIONS_VARIABLE " has no =value");
            continue;
        }
        set_pair(name, value);
    }
    if (ss_options.help)
        print_help();
}
