/* `strayspan suppress`: prints a suppression for each group that logs tell of, to be put into a file. */
#include <stdio.h>
#include <string.h>

#include "../shim/source_paths.h"
#include "command_line.h"
#include "commands.h"
#include "render.h"
#include "text.h"

static const struct ss_flag flags[] = {
    {NULL, NULL, NULL},
};

static const struct ss_usage usage = {
    "suppress",
    "[LOG|DIR...]",
    "Prints a suppression for each group that strayed in logs, directories of logs, or `-` for\n"
    "standard input; without any, in the last `strayspan run`. To be read, and put into a file.",
    flags,
    "A line is RULE:PATTERN, or RULE:KEY=PATTERN ..., all of which have to be like it; RULE may "
    "be\n"
    "`*`, KEY is span, target, file, function or module. In a pattern `*` stands for any text, "
    "`?`\n"
    "for any byte, `\\` takes the meaning from what follows, blanks too; of a path the end will "
    "do,\n"
    "from a `/` on. A `=` behind a word that is no KEY is `\\=`. `#` begins a comment.\n"
    "    strayspan suppress LOG >strayspan.supp\n"
    "    strayspan run --suppressions strayspan.supp PROGRAM\n"
    "\n"
    "exit status: 0 printed, 2 unreadable input.",
    SS_EXIT_UNREADABLE,
};

/* A pattern is cut after so many bytes, as a line has no room for more than 512. */
enum { PATTERN_MAX = 100 };

/* The pattern that is like text alone, or its beginning where it is long. What no line can hold is any byte;
 * what the log has U+FFFD for, bytes that are not UTF-8, is any text. */
static char *pattern_of(const char *text)
{
    char *pattern = ss_keep(PATTERN_MAX + 4), *out = pattern;
    for (; *text && out - pattern < PATTERN_MAX; text++) {
        bool lost = ss_text_starts(text, "\xef\xbf\xbd");
        if (strchr(" \\*?", *text))
            *out++ = '\\';
        *out++ = lost ? '*' : (unsigned char)*text < 0x20 ? '?' : *text;
        text += lost ? 2 : 0;
    }
    if (*text)
        *out = '*';
    return pattern;
}

/* A file of a crate, wherever that lies and in any release of it, as the group has it. */
static const char *file_pattern(const char *file)
{
    struct ss_stable_path path = ss_stable_path_of(file);
    if (path.rest == path.crate + path.crate_length)
        return pattern_of(path.crate);
    return ss_text("%s-*%s", pattern_of(ss_text_copy(path.crate, path.crate_length)),
                   pattern_of(path.rest));
}

static const char *line_of(const struct ss_violation *violation)
{
    const struct ss_span *span = &violation->span;
    const struct ss_frame *frame = ss_responsible_frame(&violation->sites[SS_SITE_USED].frames);
    char *line = ss_text("%s:", violation->rule_code);
    size_t bare = strlen(line);
    if (violation->rule < 0)
        return NULL; /* another version's, which no file can name here */
    if (span->name)
        line = ss_text("%sspan=%s", line, pattern_of(span->name));
    if (span->target)
        line = ss_text("%s%starget=%s", line, line[bare] ? " " : "", pattern_of(span->target));
    if (span->file)
        line = ss_text("%s%sfile=%s", line, line[bare] ? " " : "", file_pattern(span->file));
    if (!line[bare] && frame && frame->function)
        line = ss_text("%sfunction=%s", line, pattern_of(frame->function));
    return line[bare] ? line : NULL;
}

static void print_group(const struct ss_violation *violation)
{
    const char *place = ss_span_place(violation), *line = line_of(violation);
    printf("# %s%s%s\n", ss_title_text(violation), place ? ", made at " : "", place ? place : "");
    if (line)
        printf("%s\n", line);
    else
        printf("# (nothing is known of it that a line could name)\n");
}

static bool was_printed(const struct ss_violation *first, const struct ss_violation *violation)
{
    for (; first != violation; first = first->next)
        if (violation->group && first->group && strcmp(first->group, violation->group) == 0)
            return true;
    return false;
}

int ss_suppress_command(int argc, char **argv)
{
    struct ss_style style = {.format = ss_format_of("text")};
    struct ss_report report;
    int index = 0;
    char *value;
    while (ss_next_flag(&usage, argc, argv, false, &index, &value) >= 0)
        ;
    ss_report_init(&report);
    if (!ss_report_read(&report, argv + index))
        return SS_EXIT_UNREADABLE;
    ss_report_prepare(&report, &style);
    for (const struct ss_problem *problem = report.problems; problem; problem = problem->next)
        fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(problem->file),
                ss_text_clean_to(problem->message, 400));
    const struct ss_violation *const lists[] = {report.violations, report.suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            if (!was_printed(lists[i], at))
                print_group(at);
    if (!ss_report_found(&report) && !report.problems)
        fprintf(stderr, "strayspan: nothing strayed: there is nothing to suppress\n");
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("strayspan: standard output: could not be written");
        return SS_EXIT_UNREADABLE;
    }
    return ss_report_unreadable(&report) ? SS_EXIT_UNREADABLE : 0;
}
