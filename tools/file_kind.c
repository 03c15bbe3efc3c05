/* What a file is by its first bytes, so that messages say what was taken for a log. Called by log_read.c and
 * diff.c. */
#include "file_kind.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* By how it begins, blanks left out, and what it holds; the first row that is so. Octal: what stands behind may be a
 * digit. */
static const struct kind {
    const char *begin, *hold; /* hold: NULL for anything */
    const char *name, *advice;
} kinds[] = {
    {"{\"v\":", "\"type\":", NULL, NULL},
    {"\177ELF", NULL, "a program",
     "`strayspan run` runs it, `strayspan probe` tells what is in it"},
    {"\037\213", NULL, "compressed", "try: zcat FILE | strayspan report -"},
    {"\050\265\057\375", NULL, "compressed", "try: zstdcat FILE | strayspan report -"},
    {"\3757zXZ", NULL, "compressed", "try: xzcat FILE | strayspan report -"},
    {"\377\376", NULL, "text in UTF-16", "--output FILE writes reports in UTF-8"},
    {"", "{\"v\":1,\"type\":\"", "text with records in it", "try: strayspan report - <FILE"},
    {"", "{\\\"v\\\":1,\\\"type\\\":\\\"", "text with records in it",
     "try: strayspan report - <FILE"},
    {"{", "\"violations\":", SS_FILE_KIND_REPORT, "`strayspan diff` compares it with logs"},
    {"{", "sarif", "a report in SARIF", NULL},
    {"{", "\"can_be_diagnosed\":", "what `strayspan probe` wrote", NULL},
    {"{", "\"unchanged\":", "what `strayspan diff` wrote", NULL},
    {"{", "\"", "JSON, and none of strayspan's", NULL},
    {"[", "\":", "JSON, and none of strayspan's", NULL},
    {"<", "<testsuite", "a report for JUnit", NULL},
    {"<", ">", "XML or HTML", NULL},
    {"## strayspan:", NULL, "a report in markdown", NULL},
};

static bool is_binary(const char *head, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)head[i] < ' ' && !isspace((unsigned char)head[i]) && head[i] != '\x1b')
            return true;
    return false;
}

const char *ss_file_kind(const char *head, size_t length, const char **advice)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = length > 3 && memcmp(head, mark, 3) == 0 ? 3 : 0;
    while (skip < length && isspace((unsigned char)head[skip]))
        skip++;
    *advice = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *kind = &kinds[i];
        size_t begin = strlen(kind->begin);
        if (length - skip < begin || memcmp(head + skip, kind->begin, begin) != 0 ||
            (kind->hold && !memmem(head, length, kind->hold, strlen(kind->hold))))
            continue;
        *advice = kind->advice;
        return kind->name;
    }
    return is_binary(head, length) ? "no text" : "text";
}
