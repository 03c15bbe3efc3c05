/* The pages of `strayspan explain`: one per rule. Text is of lines of at most 76 columns, without
 * the last line's end; explain.c indents it by four. */
#ifndef SS_EXPLAIN_PAGES_H
#define SS_EXPLAIN_PAGES_H

#include "../shim/rule_table.h"

struct ss_page {
    const char *summary;  /* one line of at most 50 columns, for the list and the page's head */
    const char *severity; /* what the rule table cannot say of it, NULL */
    const char *meaning;
    const char *code;    /* the smallest program that does it */
    const char *effects; /* in one's traces, by release of tracing-subscriber */
    const char *fix;
    const char *legal;
    const char *links;
};

extern const struct ss_page *const ss_pages[SS_RULE_COUNT];

#endif
