/* Lines of suppression files: what is taken and what is refused; patterns, held against fnmatch(3); bytes of any
 * kind, under the sanitizers. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "rule_table.h"
#include "suppression_lines.h"

/* Whether a line, copied so that a byte too far would be seen, is taken; NULL in *why: it is empty. */
static bool parse(const char *text, size_t length, struct ss_suppression_line *line,
                  const char **why, char **copy)
{
    *copy = malloc(length ? length : 1);
    if (!*copy)
        abort();
    memcpy(*copy, text, length);
    return ss_suppression_parse(*copy, length, line, why);
}

static void check_lines(void)
{
    static const struct {
        const char *text;
        int terms; /* 0: nothing is said and nothing suppressed, -1: it is refused */
    } rows[] = {
        {"", 0},
        {"  \t\r", 0},
        {"# foreign-thread-exit:x", 0},
        {"  # x", 0},
        {"foreign-thread-exit:x", 1},
        {"*:x\r", 1},
        {" *:span=a  target=b\tfile=c ", 3},
        {"*:a b c d e f g h", 8},
        {"*:a\\ b", 1},
        {"*:other\\=x", 1},
        {"*:a::b=x *=y [=z", 3},
        {"*:x\\", 1},
        {"*:a:b", 1},
        {"foreign-thread-exit", -1},
        {"foreign-thread-exit:", -1},
        {"*: \t", -1},
        {"no-such-rule:x", -1},
        {"foreign-thread-exi:x", -1},
        {":x", -1},
        {"**:x", -1},
        {"*:span=", -1},
        {"*:spam=x", -1},
        {"*:span=a Target=b", -1},
        {"*:=x", -1},
        {"*:a b c d e f g h i", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ss_suppression_line line;
        const char *why;
        char *copy;
        bool taken = parse(rows[i].text, strlen(rows[i].text), &line, &why, &copy);
        CHECK(taken == (rows[i].terms > 0));
        CHECK((why != NULL) == (rows[i].terms < 0));
        CHECK(!taken || line.count == (unsigned)rows[i].terms);
        free(copy);
    }
    char longest[600];
    struct ss_suppression_line line;
    const char *why;
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "*:", 2);
    CHECK(ss_suppression_parse(longest, SS_SUPPRESSION_LENGTH_MAX, &line, &why) && !why);
    CHECK(!ss_suppression_parse(longest, SS_SUPPRESSION_LENGTH_MAX + 1, &line, &why) && why);
}

static bool matches(const char *text, int rule, const char *name, const char *file)
{
    struct ss_suppression_line line;
    const char *why;
    const struct ss_suppression_subject subject = {
        .rule = rule,
        .known = {[SS_SUPPRESSION_SPAN] = {&name, 1}, [SS_SUPPRESSION_FILE] = {&file, 1}}};
    return ss_suppression_parse(text, strlen(text), &line, &why) &&
           ss_suppression_matches(&line, &subject);
}

static void check_subjects(void)
{
    CHECK(matches("*:a", 0, "a", NULL));
    CHECK(matches("*:a", -1, "a", NULL));
    CHECK(!matches("wrong-subscriber:a", -1, "a", NULL));
    CHECK(matches("wrong-subscriber:a", SS_RULE_WRONG_SUBSCRIBER, "a", NULL));
    CHECK(!matches("wrong-subscriber:a", SS_RULE_LOST_CLOSE, "a", NULL));
    CHECK(!matches("*:*", 0, NULL, NULL));
    CHECK(!matches("*:target=*", 0, "a", "b"));
    CHECK(matches("*:a b", 0, "a", "b"));
    CHECK(!matches("*:a b", 0, "a", "a"));
    /* Of a path the end will do, of a name it will not. */
    CHECK(matches("*:file=c.rs", 0, NULL, "/a/b/c.rs"));
    CHECK(matches("*:b/c.rs", 0, NULL, "/a/b/c.rs"));
    CHECK(matches("*:file=/a/b/c.rs", 0, NULL, "/a/b/c.rs"));
    CHECK(!matches("*:file=.rs", 0, NULL, "/a/b/c.rs"));
    CHECK(!matches("*:file=/b/c.rs", 0, NULL, "/a/b/c.rs"));
    CHECK(!matches("*:span=c", 0, "a/c", NULL));
}

static unsigned random_below(unsigned bound)
{
    return (unsigned)(rand() >> 4) % bound;
}

static void check_patterns(void)
{
    static const char *const pieces[] = {"a", "b", "*", "?", "\\a", "\\*", "\\\\"};
    static const char letters[] = {'a', 'b', '*', '\\'};
    for (int i = 0; i < 200000; i++) {
        char pattern[64] = "", name[16] = "", line[80] = "*:span=";
        for (unsigned j = 1 + random_below(8); j; j--)
            strcat(pattern, pieces[random_below(sizeof pieces / sizeof pieces[0])]);
        for (unsigned j = 0, length = random_below(10); j < length; j++)
            name[j] = letters[random_below(sizeof letters)];
        bool wanted = fnmatch(pattern, name, 0) == 0;
        if (matches(strcat(line, pattern), 0, name, NULL) != wanted) {
            fprintf(stderr, "%s and %s: %d is wanted\n", pattern, name, wanted);
            CHECK(false);
            return;
        }
    }
}

static void check_any_bytes(void)
{
    static const char letters[] = "*?\\ :=#\t\ra\xff\0span=file=wrong-subscriber:";
    for (int i = 0; i < 100000; i++) {
        char text[40], *copy;
        const char *why, *name = "a\\", *file = "/a//b/";
        size_t length = random_below(sizeof text);
        struct ss_suppression_line line;
        for (size_t j = 0; j < length; j++)
            text[j] = letters[random_below(sizeof letters - 1)];
        if (length > 2 && i % 2)
            memcpy(text, "*:", 2);
        const struct ss_suppression_subject subject = {
            .rule = i % SS_RULE_COUNT,
            .known = {[SS_SUPPRESSION_SPAN] = {&name, 1}, [SS_SUPPRESSION_MODULE] = {&file, 1}}};
        if (parse(text, length, &line, &why, &copy))
            (void)ss_suppression_matches(&line, &subject);
        free(copy);
    }
}

int main(void)
{
    check_lines();
    check_subjects();
    check_patterns();
    check_any_bytes();
    return failures != 0;
}
