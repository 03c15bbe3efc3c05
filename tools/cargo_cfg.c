/* The cfg(..) of `[target.'cfg(..)']` in cargo's configuration: which of these are meant for the target that is built
 * for. Called by cargo_setup.c. */
#include "cargo_cfg.h"

#include <ctype.h>
#include <string.h>

#include "text.h"

enum { DEPTH_MAX = 64 };

struct parser {
    const char *at, *cfgs;
    bool broken;
};

static void skip_blanks(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t");
}

static bool take(struct parser *parser, char wanted)
{
    skip_blanks(parser);
    bool there = *parser->at == wanted;
    parser->at += there;
    return there;
}

static bool is_set(const char *cfgs, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = cfgs; (at = strstr(at, wanted)); at += length)
        if ((at == cfgs || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
            return true;
    return false;
}

static bool predicate(struct parser *parser, int depth);

/* Those in parentheses, up to the closing one: how many there are, and how many hold. */
static void list(struct parser *parser, int depth, unsigned *count, unsigned *holding)
{
    *count = *holding = 0;
    while (!parser->broken && !take(parser, ')')) {
        *holding += predicate(parser, depth + 1);
        ++*count;
        skip_blanks(parser);
        if (!take(parser, ',') && *parser->at != ')')
            parser->broken = true;
    }
}

static bool predicate(struct parser *parser, int depth)
{
    unsigned count, holding;
    skip_blanks(parser);
    const char *name = parser->at;
    while (isalnum((unsigned char)*parser->at) || *parser->at == '_')
        parser->at++;
    const char *word = ss_text_copy(name, (size_t)(parser->at - name));
    if (!*word || depth > DEPTH_MAX) {
        parser->broken = true;
        return true;
    }
    if (take(parser, '(')) {
        list(parser, depth, &count, &holding);
        parser->broken |= strcmp(word, "all") != 0 && strcmp(word, "any") != 0 &&
                          (strcmp(word, "not") != 0 || count != 1);
        return *word == 'n' ? !holding : word[1] == 'l' ? holding == count : holding > 0;
    }
    if (!take(parser, '='))
        return strcmp(word, "true") == 0 || is_set(parser->cfgs, word);
    const char *value = take(parser, '"') ? parser->at : NULL;
    const char *end = value ? strchr(value, '"') : NULL;
    if (!end) {
        parser->broken = true;
        return true;
    }
    parser->at = end + 1;
    return is_set(parser->cfgs, ss_text("%s=\"%.*s\"", word, (int)(end - value), value));
}

bool ss_cfg_holds(const char *text, const char *cfgs)
{
    /* In a key in double quotes those inside have a backslash. */
    char *plain = ss_text("%s", text), *to = plain;
    for (const char *from = plain; *from; from++)
        if (*from != '\\')
            *to++ = *from;
    *to = 0;
    struct parser parser = {strstr(plain, "cfg("), cfgs, false};
    if (!parser.at)
        return true;
    parser.at += strlen("cfg(");
    bool holds = predicate(&parser, 0);
    return !take(&parser, ')') || parser.broken || holds;
}
