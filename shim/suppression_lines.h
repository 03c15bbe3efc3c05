/* Suppressions as files have them, a line each:
 *
 *     # comment
 *     RULE:PATTERN            any of what a breach is known by is like PATTERN
 *     RULE:KEY=PATTERN ...    all of these are; KEY is span, target, file, function or module
 *
 * RULE is a code or `*`. In a pattern `*` stands for any text, `?` for any byte, `\` takes the meaning
 * from what follows it, blanks too. A pattern is like the whole text; of a path, its end will do, from
 * a `/` on. A word before a `=` is a key, so that a misspelt one is known: where it is to be a part of a
 * pattern, the `=` is `\=`.
 *
 * Shared by the shim and the tools, which know functions: a line with one is theirs alone. No state, no
 * memory is allocated; any context. */
#ifndef SS_SUPPRESSION_LINES_H
#define SS_SUPPRESSION_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define SS_SUPPRESSION_KEYS(X) \
    X(SPAN, "span")            \
    X(TARGET, "target")        \
    X(FILE, "file")            \
    X(FUNCTION, "function")    \
    X(MODULE, "module")

enum ss_suppression_key {
#define X(name, word) SS_SUPPRESSION_##name,
    SS_SUPPRESSION_KEYS(X)
#undef X
        SS_SUPPRESSION_ANY /* and how many there are */
};

enum { SS_SUPPRESSION_TERMS_MAX = 8, SS_SUPPRESSION_LENGTH_MAX = 512 };

/* One line; points into the text that it was read from. */
struct ss_suppression_line {
    const char *text; /* without blanks at its ends */
    size_t length;
    int rule; /* enum ss_rule; -1: all of them */
    unsigned count;
    struct {
        enum ss_suppression_key key;
        const char *pattern;
        size_t length;
    } terms[SS_SUPPRESSION_TERMS_MAX];
};

/* What a breach is known by: for each key so many texts, any of which may be NULL. */
struct ss_suppression_subject {
    int rule; /* -1: one that is not known here */
    struct {
        const char *const *texts;
        size_t count;
    } known[SS_SUPPRESSION_ANY];
};

/* Takes a line, without its end, apart. False where it suppresses nothing: *why then says what is wrong
 * with it, NULL where it is a comment or empty. */
__attribute__((visibility("hidden"))) bool ss_suppression_parse(const char *text, size_t length,
                                                                struct ss_suppression_line *out,
                                                                const char **why);

__attribute__((visibility("hidden"))) bool
ss_suppression_matches(const struct ss_suppression_line *line,
                       const struct ss_suppression_subject *subject);

#endif
