/* `strayspan explain`: the rules, and a page on each (explain_pages.c). */
#include "explain_pages.h"

#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "commands.h"
#include "report.h"
#include "text.h"

static const struct ss_flag flags[] = {{NULL, NULL, NULL}};

static const struct ss_usage usage = {
    "explain",
    "[CODE]",
    "What a rule means, why it hurts, how to fix it. Without a code: the rules.",
    flags,
    NULL,
    SS_EXIT_UNREADABLE,
};

/* ---- the list, and the rule that was meant --------------------------------------------------- */

static const char *severity_name(int rule)
{
    static const char *const names[] = SS_SEVERITY_NAMES;
    return names[ss_rule_rows[rule].severity];
}

static void print_list(FILE *out)
{
    for (int i = 0; i < SS_RULE_COUNT; i++)
        fprintf(out, "%-20s %-8s %s\n", ss_rule_rows[i].code, severity_name(i),
                ss_pages[i]->summary);
}

/* How many letters to add, drop or change to get from one to the other; codes are short. */
static size_t distance(const char *from, const char *to)
{
    size_t row[64], width = strlen(to);
    if (width >= sizeof row / sizeof row[0])
        return SIZE_MAX;
    for (size_t x = 0; x <= width; x++)
        row[x] = x;
    for (size_t y = 1; from[y - 1]; y++) {
        size_t diagonal = row[0];
        row[0] = y;
        for (size_t x = 1; x <= width; x++) {
            size_t changed = diagonal + (from[y - 1] != to[x - 1]), least;
            diagonal = row[x];
            least = row[x - 1] < row[x] ? row[x - 1] + 1 : row[x] + 1;
            row[x] = changed < least ? changed : least;
        }
    }
    return row[width];
}

/* The rule that was most likely meant, or -1: one that holds the text, or is a few letters off. */
static int nearest(const char *code)
{
    size_t length = strlen(code), best = length / 3 + 1;
    int found = -1;
    for (int i = 0; i < SS_RULE_COUNT; i++) {
        size_t letters = distance(code, ss_rule_rows[i].code);
        if (length >= 3 && strstr(ss_rule_rows[i].code, code))
            letters = 0;
        if (letters >= best)
            continue;
        best = letters;
        found = i;
    }
    return found;
}

static int unknown(const char *code)
{
    int meant = nearest(code);
    fprintf(stderr, "strayspan: no rule `%s`%s\n", ss_text_clean(code),
            meant < 0 ? "" : ss_text("; did you mean `%s`?", ss_rule_rows[meant].code));
    fprintf(stderr, "the rules:\n");
    print_list(stderr);
    return SS_EXIT_UNREADABLE;
}

/* ---- a page ---------------------------------------------------------------------------------- */

static void print_section(const char *heading, const char *text)
{
    printf("\n%s\n", heading);
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length)
            printf("    %.*s", (int)length, text);
        putchar('\n');
        text += length + (text[length] == '\n');
    }
}

static void print_page(int rule)
{
    const struct ss_page *page = ss_pages[rule];
    printf("%s: %s\n", ss_rule_rows[rule].code, page->summary);
    printf("severity: %s%s%s\n", severity_name(rule), page->severity ? "; " : "",
           page->severity ? page->severity : "");
    print_section("what it means", page->meaning);
    print_section("the smallest code that does it", page->code);
    print_section("what you see in your traces because of it", page->effects);
    print_section("how to fix it", page->fix);
    print_section("legal, and never reported", page->legal);
    print_section("more", page->links);
}

int ss_explain(int argc, char **argv)
{
    int index = 0;
    char *value;
    while (ss_next_flag(&usage, argc, argv, false, &index, &value) >= 0)
        ;
    if (index == argc)
        print_list(stdout);
    for (int i = index; i < argc; i++) {
        int rule = ss_rule_of(argv[i]);
        if (rule < 0)
            return unknown(argv[i]);
        if (i > index)
            putchar('\n');
        print_page(rule);
    }
    return fflush(stdout) == 0 ? 0 : SS_EXIT_UNREADABLE;
}
