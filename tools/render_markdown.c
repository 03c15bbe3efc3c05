/* The report as markdown, to be pasted into a tracker or a CI's step summary: a table, and each
 * violation's text in a block of its own. Called by report.c and run.c. */
#include <string.h>

#include "render.h"
#include "text.h"

/* A step summary of GitHub's may be 1 MiB long. */
enum { ROWS_MAX = 400, DETAILS_SIZE_MAX = 512 * 1024 };

/* Text between tags and in cells: whatever could be markup, a link or a mention is a character
 * reference. */
static void print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            putc(' ', out);
        else if (strchr("\\`*_{}[]()<>#+!|&~@$:\"'", *text))
            fprintf(out, "&#%d;", *text);
        else
            putc(*text, out);
    }
}

/* The same of what others named. Trackers look for mentions and addresses in the text that comes of references,
 * but for code; they find no address where a comment parts it, and no link without the dot. */
static void print_code(FILE *out, const char *text)
{
    size_t length = strlen(text);
    bool quoted = length > 1 && text[0] == '`' && text[length - 1] == '`';
    char *left = ss_text_copy(text + quoted, length - 2 * quoted);
    fputs("<code>", out);
    for (char *end; *left; left = end) {
        bool www = ss_text_starts(left, "www.");
        end = www ? left + 4 : strpbrk(left + 1, "@w");
        end = *left == '@' ? left + 1 : end ? end : left + strlen(left);
        char after = *end;
        *end = 0;
        if (www)
            fputs("www&#46;", out);
        else
            print_escaped(out, left);
        if (*left == '@')
            fputs("<!-- -->", out);
        *end = after;
    }
    fputs("</code>", out);
}

/* A title, in which name is what others named. */
static void print_title(FILE *out, const char *title, const char *name)
{
    const char *at = strstr(title, name);
    if (!at) {
        print_escaped(out, title);
        return;
    }
    print_escaped(out, ss_text_copy(title, (size_t)(at - title)));
    print_code(out, name);
    print_escaped(out, at + strlen(name));
}

/* A block that no line of text ends. */
static void print_block(FILE *out, const char *text)
{
    size_t longest = 2, ticks = 0;
    for (const char *at = text; *at; at++) {
        ticks = *at == '`' ? ticks + 1 : 0;
        longest = ticks > longest ? ticks : longest;
    }
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n')
        length--;
    char *fence = memset(ss_keep(longest + 2), '`', longest + 1);
    fprintf(out, "%stext\n%.*s\n%s\n", fence, (int)length, text, fence);
}

static const char *word_of(const struct ss_violation *violation)
{
    return violation->suspicion                       ? "suspicion"
           : violation->severity == SS_SEVERITY_ERROR ? "error"
                                                      : "warning";
}

static void print_row(FILE *out, const struct ss_violation *violation)
{
    const struct ss_frame *frame = ss_primary_frame(violation);
    const char *place = frame ? ss_place_text(frame) : ss_span_place(violation);
    const char *crate = violation->blame.crate;
    const char *others =
        violation->other_place_count
            ? ss_text(" and %s", ss_count_text(violation->other_place_count, "more place"))
            : NULL;
    const struct {
        const char *text, *code, *after; /* NULL for none */
    } cells[] = {
        {word_of(violation), NULL, NULL},
        {ss_text_clean(violation->rule_code), NULL, NULL},
        {NULL, violation->span.present ? ss_span_text(&violation->span) : NULL, NULL},
        {NULL, place, others},
        {crate ? ss_text("%s: ", violation->blame.whose) : violation->blame.whose,
         crate ? ss_text_clean(crate) : NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        fputs("| ", out);
        print_escaped(out, cells[i].text ? cells[i].text : "");
        if (cells[i].code)
            print_code(out, cells[i].code);
        print_escaped(out, cells[i].after ? cells[i].after : "");
        putc(' ', out);
    }
    fprintf(out, "| %llu |\n", (unsigned long long)violation->times);
}

/* Returns how many bytes its text takes. */
static size_t print_details(FILE *out, const struct ss_report *report,
                            const struct ss_violation *violation, const struct ss_style *style)
{
    const char *text = ss_plain_text(report, violation, style);
    fprintf(out, "\n<details><summary><b>%s[", word_of(violation));
    print_escaped(out, ss_text_clean(violation->rule_code));
    fputs("]</b>: ", out);
    print_title(out, ss_title_text(violation), ss_span_text(&violation->span));
    fputs("</summary>\n\n", out);
    print_block(out, text);
    fputs("\n</details>\n", out);
    return strlen(text);
}

void ss_render_markdown(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    const struct ss_violation *const lists[] = {report->violations, report->suspicions};
    const char *found = ss_all_findings_text(report), *verdict = ss_verdict_text(report);
    const char *nothing = ss_report_nothing(report);
    fprintf(out, "## strayspan: %s\n\n",
            found     ? found
            : nothing ? "NOTHING WAS CHECKED"
            : verdict ? verdict
                      : "no log was read");
    if (nothing) {
        print_escaped(out, nothing);
        fputs("\n\n", out);
    }
    if (found)
        fputs("| | rule | span | where | whose defect | times |\n| --- | --- | --- | --- | --- | "
              "---: |\n",
              out);
    size_t rows = 0, size = 0, left_out = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at && rows < ROWS_MAX; at = at->next, rows++)
            print_row(out, at);
    size_t left = report->violation_count + report->suspicion_count - rows;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            if (size < DETAILS_SIZE_MAX)
                size += print_details(out, report, at, style);
            else
                left_out++;
    if (left_out)
        fprintf(out,
                "\n%zu more are not told here, %zu of them not in the table; the report as text "
                "has all.\n",
                left_out, left);
    fputs(found ? "\n" : "", out);
    print_block(out, ss_plain_text(report, NULL, style));
}
