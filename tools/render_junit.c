/* The report as JUnit XML, for what shows test results: a test case for each violation. What counts
 * for an exit status is a failure; warnings and suspicions pass, with their text. Called by report.c
 * and run.c. */
#include "render.h"
#include "text.h"

/* text as it may stand in an attribute or between tags: XML 1.0 has no room for most control
 * characters, and U+FFFE and U+FFFF are none. */
static void print_xml(FILE *out, const char *text)
{
    uint32_t code;
    for (size_t length; *text; text += length) {
        length = ss_text_character(text, &code);
        bool none = !length || (code < 0x20 && code != '\n') || code == 0xfffe || code == 0xffff;
        if (!length)
            length = 1;
        if (none)
            putc('?', out);
        else if (*text == '&' || *text == '<' || *text == '>' || *text == '"')
            fprintf(out, "&#%d;", *text);
        else
            fwrite(text, 1, length, out);
    }
}

static void print_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    print_xml(out, value ? value : "");
    putc('"', out);
}

static void print_element(FILE *out, const char *name, const char *head, const char *type,
                          const char *body)
{
    fprintf(out, "      <%s", name);
    if (head)
        print_attribute(out, "message", head);
    if (type)
        print_attribute(out, "type", type);
    putc('>', out);
    print_xml(out, body);
    fprintf(out, "</%s>\n", name);
}

static void begin_case(FILE *out, const char *class, const char *name)
{
    fputs("    <testcase", out);
    print_attribute(out, "classname", ss_text("strayspan.%s", class));
    print_attribute(out, "name", name);
    print_attribute(out, "time", "0");
}

static void print_case(FILE *out, const struct ss_report *report,
                       const struct ss_violation *violation, const struct ss_style *style)
{
    const struct ss_frame *frame = ss_primary_frame(violation);
    const char *place = frame ? ss_place_text(frame) : ss_span_place(violation);
    const char *code = ss_text_clean(violation->rule_code), *title = ss_title_text(violation);
    const char *body = ss_plain_text(report, violation, style);
    begin_case(out, code, ss_text("%s at %s", ss_span_text(&violation->span), place ? place : "?"));
    if (frame && frame->file) {
        print_attribute(out, "file", ss_text_clean(ss_place(frame->file, 0)));
        print_attribute(out, "line", ss_text("%u", frame->line));
    }
    fputs(">\n", out);
    if (ss_deny_counts(style->deny, violation))
        print_element(out, "failure", title, code, body);
    else
        print_element(out, "system-out", NULL, NULL, body);
    fputs("    </testcase>\n", out);
}

void ss_render_junit(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    uint64_t errors, warnings, problems = 0, cases = 1;
    const char *nothing = ss_report_nothing(report), *verdict = ss_verdict_text(report);
    ss_deny_count(report, style->deny, &errors, &warnings);
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next)
        problems++;
    cases += report->violation_count + report->suspicion_count + problems;
    const char *counts = ss_text("tests=\"%llu\" failures=\"%llu\" errors=\"%llu\" skipped=\"%d\"",
                                 (unsigned long long)cases, (unsigned long long)errors + warnings,
                                 (unsigned long long)problems, nothing != NULL);
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites %s>\n"
            "  <testsuite name=\"strayspan\" %s time=\"0\">\n",
            counts, counts);
    const struct ss_violation *const lists[] = {report->violations, report->suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            print_case(out, report, at, style);
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next) {
        begin_case(out, "logs", ss_text_clean(problem->file));
        fputs(">\n", out);
        print_element(out, "error", ss_text_clean(problem->message), "problem", "");
        fputs("    </testcase>\n", out);
    }
    begin_case(out, "coverage", "what was seen");
    fputs(">\n", out);
    if (nothing)
        print_element(out, "skipped", ss_text("nothing was checked: %s", ss_text_clean(nothing)),
                      NULL, "");
    print_element(out, "system-out", NULL, NULL,
                  ss_text("%s%s%s", verdict ? verdict : "", verdict ? "\n" : "",
                          ss_plain_text(report, NULL, style)));
    fputs("    </testcase>\n  </testsuite>\n</testsuites>\n", out);
}
