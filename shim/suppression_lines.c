/* The lines of suppression files, and what they are like: see suppression_lines.h. Called by
 * suppressions.c and by the tools. */
#include "suppression_lines.h"

#include <string.h>

#include "rule_table.h"

static const char *const rule_codes[] = {
#define X(name, code, severity, title) code,
    SS_RULES(X)
#undef X
};

static const char *const key_words[] = {
#define X(name, word) word,
    SS_SUPPRESSION_KEYS(X)
#undef X
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The index of the word of that length among words, -1 where it is none. */
static int index_of(const char *const *words, size_t count, const char *text, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0)
            return (int)i;
    return -1;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Adds a pattern, with its key; returns what is wrong with it, or NULL. */
static const char *add_term(struct ss_suppression_line *out, const char *text, size_t length)
{
    int key = SS_SUPPRESSION_ANY;
    size_t word = 0;
    while (word < length && is_word(text[word]))
        word++;
    if (word < length && text[word] == '=') {
        key = index_of(key_words, SS_SUPPRESSION_ANY, text, word);
        if (key < 0)
            return "the word before a `=` is none of span, target, file, function and module; "
                   "a `=` that a pattern holds is `\\=`";
        length -= word + 1;
        text += word + 1;
    }
    if (!length || out->count == SS_SUPPRESSION_TERMS_MAX)
        return "a pattern is empty, or there are more than 8 of them";
    out->terms[out->count].key = (enum ss_suppression_key)key;
    out->terms[out->count].pattern = text;
    out->terms[out->count++].length = length;
    return NULL;
}

bool ss_suppression_parse(const char *text, size_t length, struct ss_suppression_line *out,
                          const char **why)
{
    const char *end = text + length;
    while (text < end && is_blank(*text))
        text++;
    while (end > text && is_blank(end[-1]))
        end--;
    *why = NULL;
    if (text == end || *text == '#')
        return false;
    out->text = text;
    out->length = (size_t)(end - text);
    out->count = 0;
    *why = "it is longer than 512 bytes";
    if (out->length > SS_SUPPRESSION_LENGTH_MAX)
        return false;
    const char *colon = memchr(text, ':', out->length);
    size_t code = colon ? (size_t)(colon - text) : 0;
    out->rule = index_of(rule_codes, SS_RULE_COUNT, text, code);
    *why = colon ? "there is no such rule before its `:`; `*:` stands for every rule"
                 : "it does not begin with `RULE:`; `*:` stands for every rule";
    if (!colon || (out->rule < 0 && !(code == 1 && *text == '*')))
        return false;
    for (const char *at = colon + 1; at < end;) {
        if (is_blank(*at)) {
            at++;
            continue;
        }
        const char *start = at;
        while (at < end && !is_blank(*at))
            at += *at == '\\' && at + 1 < end ? 2 : 1;
        if ((*why = add_term(out, start, (size_t)(at - start))))
            return false;
    }
    *why = "there is no pattern behind the rule";
    if (!out->count)
        return false;
    *why = NULL;
    return true;
}

/* Whether all of text is like the pattern. In steps of at most pattern times text. */
static bool is_like(const char *pattern, size_t length, const char *text)
{
    const char *end = pattern + length, *star = NULL, *retry = NULL;
    for (;;) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            retry = text;
            continue;
        }
        if (pattern == end && !*text)
            return true;
        bool any = pattern < end && *pattern == '?';
        const char *literal = pattern + (pattern + 1 < end && *pattern == '\\');
        if (pattern < end && *text && (any || *literal == *text)) {
            pattern = any ? pattern + 1 : literal + 1;
            text++;
            continue;
        }
        if (!star || !*retry)
            return false;
        pattern = star;
        text = ++retry;
    }
}

static bool is_like_end(const char *pattern, size_t length, const char *path)
{
    for (; path; path = strchr(path, '/')) {
        path += *path == '/';
        if (is_like(pattern, length, path))
            return true;
    }
    return false;
}

static bool matches_key(const struct ss_suppression_subject *subject, enum ss_suppression_key key,
                        const char *pattern, size_t length)
{
    bool path = key == SS_SUPPRESSION_FILE || key == SS_SUPPRESSION_MODULE;
    for (size_t i = 0; i < subject->known[key].count; i++) {
        const char *text = subject->known[key].texts[i];
        if (text &&
            (is_like(pattern, length, text) || (path && is_like_end(pattern, length, text))))
            return true;
    }
    return false;
}

bool ss_suppression_matches(const struct ss_suppression_line *line,
                            const struct ss_suppression_subject *subject)
{
    if (line->rule >= 0 && line->rule != subject->rule)
        return false;
    for (unsigned i = 0; i < line->count; i++) {
        unsigned first = line->terms[i].key, last = first;
        if (first == SS_SUPPRESSION_ANY) {
            first = 0;
            last = SS_SUPPRESSION_ANY - 1;
        }
        bool like = false;
        for (unsigned key = first; key <= last && !like; key++)
            like = matches_key(subject, (enum ss_suppression_key)key, line->terms[i].pattern,
                               line->terms[i].length);
        if (!like)
            return false;
    }
    return true;
}
