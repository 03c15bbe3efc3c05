/* `strayspan report`: reads logs, adds names and blame, renders. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command_line.h"
#include "commands.h"
#include "follow.h"
#include "log_place.h"
#include "suppressions.h"
#include "tests.h"
#include "text.h"

static const struct ss_format formats[] = {
    {"text", ss_render_text, true, false},         {"json", ss_render_json, false, true},
    {"sarif", ss_render_sarif, false, true},       {"junit", ss_render_junit, false, true},
    {"markdown", ss_render_markdown, false, true},
};

const struct ss_format *ss_format_of(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(name, formats[i].name) == 0)
            return &formats[i];
    return NULL;
}

static const char *format_names(void)
{
    const char *names = formats[0].name;
    for (size_t i = 1; i < sizeof formats / sizeof formats[0]; i++)
        names = ss_text("%s, %s", names, formats[i].name);
    return names;
}

void ss_report_prepare(struct ss_report *report, const struct ss_style *style)
{
    struct ss_violation *const lists[] = {report->violations, report->suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (struct ss_violation *violation = lists[i]; violation; violation = violation->next) {
            if (violation->prepared)
                continue;
            violation->prepared = true;
            ss_frames_fill(violation);
            ss_blame(violation);
            ss_test_name(violation);
            if (style->format->leaves && !style->with_values)
                ss_withhold(violation);
        }
    }
    ss_suppressions_add(report, style->suppressions);
    ss_suppress(report);
    ss_report_merge(report);
    if (report->by_group) {
        ss_report_merge_groups(report);
        ss_find_places(report);
    }
}

bool ss_report_write(struct ss_report *report, const struct ss_style *style, FILE *out)
{
    ss_report_prepare(report, style);
    if (!style->format->marked) {
        style->format->render(out, report, style);
        return fflush(out) == 0 && !ferror(out);
    }
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return false;
    style->format->render(memory, report, style);
    bool done = fclose(memory) == 0;
    length = done ? ss_text_trim_lines(text, length) : 0;
    done = done && ss_terminal_write(out, style->colour, text, length);
    free(text);
    return done;
}

void ss_style_flag(const struct ss_usage *usage, const char *name, const char *value,
                   struct ss_style *style)
{
    int colour;
    if (strcmp(name, "format") == 0) {
        style->format = ss_format_of(value);
        if (!style->format)
            ss_usage_error(usage, "option `--format`: unknown format `%s`; there are %s", value,
                           format_names());
    } else if (strcmp(name, "color") == 0) {
        colour = ss_colour_of(value);
        if (colour < 0)
            ss_usage_error(usage, "option `--color`: bad value `%s`, want auto, always or never",
                           value);
        style->colour = (enum ss_colour)colour;
    } else if (strcmp(name, "suppressions") == 0) {
        ss_suppressions_load(usage, value, &style->suppressions, &style->suppression_files);
    } else if (strcmp(name, "with-values") == 0) {
        style->with_values = true;
    } else if (strcmp(name, "all-frames") == 0) {
        style->all_frames = true;
    }
}

enum { OUTPUT, CHECK, DENY, REQUIRE_HOOKED, FOLLOW, ROOT };

static const struct ss_flag flags[] = {
    [OUTPUT] = {"output", "FILE", "where it goes instead of standard output"},
    [CHECK] = {"check", NULL, "exit with 1 when there is an error, or what --deny names"},
    [DENY] = {"deny", "RULE|warnings", "--check, and this counts too"},
    [REQUIRE_HOOKED] = {"require-hooked", NULL, "--check, and exit with 2 when no span was seen"},
    [FOLLOW] = {"follow", NULL, "tell of what strays as the logs grow, until interrupted"},
    [ROOT] = {"root", "DIR", "the programs that ran are below DIR: a container's files"},
    SS_STYLE_FLAGS,
    {NULL, NULL, NULL},
};

static const struct ss_usage usage = {
    "report",
    "[LOG|DIR...]",
    "Reports what strayed, from logs, directories of logs, or `-` for standard input. Without "
    "any,\n"
    "from the last `strayspan run`.",
    flags,
    "exit status: 0 rendered, 1 with --check when there is something, 2 unreadable input; with "
    "--check\nalso where a part of it is.",
    SS_EXIT_UNREADABLE,
};

struct settings {
    struct ss_style style;
    struct ss_deny deny;
    const char *output;
    bool check, require_hooked, follow;
};

static int read_flags(int argc, char **argv, struct settings *settings)
{
    int index = 0, flag;
    char *value;
    settings->style = (struct ss_style){.format = &formats[0], .deny = &settings->deny};
    while ((flag = ss_next_flag(&usage, argc, argv, false, &index, &value)) >= 0) {
        switch (flag) {
        case OUTPUT:
            settings->output = value;
            break;
        case CHECK:
            settings->check = true;
            break;
        case REQUIRE_HOOKED:
            settings->check = settings->require_hooked = true;
            break;
        case FOLLOW:
            settings->follow = true;
            break;
        case ROOT:
            ss_symbolize_below(value);
            break;
        case DENY:
            if (!ss_deny_add(&settings->deny, value))
                ss_usage_error(&usage, "option `--deny`: no rule `%s`", value);
            settings->check = true;
            break;
        default:
            ss_style_flag(&usage, flags[flag].name, value, &settings->style);
        }
    }
    if (settings->follow && !settings->style.format->marked)
        ss_usage_error(&usage, "option `--follow`: the format can only be text");
    return index;
}

/* The directory of the last run; *removed: it was, as the run was clean. NULL, and said: there was none. */
static const char *last_run(bool *removed)
{
    const char *last = ss_log_place_last();
    *removed = last && ss_text_ends(last, SS_LOG_PLACE_REMOVED);
    if (*removed)
        return ss_text_copy(last, strlen(last) - strlen(SS_LOG_PLACE_REMOVED));
    if (!last)
        fputs("strayspan: no log given, and no run is known\n"
              "       try: strayspan run PROGRAM, or strayspan report LOG\n",
              stderr);
    return last;
}

static bool read_last_run(struct ss_report *report)
{
    bool removed;
    const char *last = last_run(&removed);
    if (!last)
        return false;
    if (removed) {
        fprintf(stderr, "strayspan: nothing strayed in the last run: its logs (%s) are removed\n",
                ss_text_clean(last));
        return true;
    }
    report->logs = last;
    report->by_group = ss_log_place_is_batch(last);
    ss_log_read(report, last, NULL);
    ss_log_end(report);
    return true;
}

bool ss_report_read(struct ss_report *report, char **paths)
{
    if (!*paths)
        return read_last_run(report);
    for (; *paths; paths++) {
        ss_log_read(report, *paths, NULL);
        report->by_group |= ss_log_place_is_batch(*paths);
    }
    ss_log_end(report);
    return true;
}

/* Where the report goes, opened; NULL, and said: it cannot be written. */
static FILE *open_output(const struct settings *settings)
{
    FILE *out = settings->output ? fopen(settings->output, "we") : stdout;
    if (!out)
        fprintf(stderr, "strayspan: %s: cannot be written: %s\n", ss_text_clean(settings->output),
                strerror(errno));
    return out;
}

static int not_written(const struct settings *settings, int problem)
{
    fprintf(stderr, "strayspan: %s: could not be written: %s\n",
            settings->output ? ss_text_clean(settings->output) : "standard output",
            strerror(problem));
    return SS_EXIT_UNREADABLE;
}

/* Writes the report, or what of it is left to write, and gives our exit status. */
static int conclude(const struct settings *settings, struct ss_report *report, FILE *out)
{
    bool written = ss_report_write(report, &settings->style, out);
    int problem = errno;
    if (settings->output && fclose(out) != 0 && written) {
        problem = errno;
        written = false;
    }
    if (!written)
        return not_written(settings, problem);
    uint64_t errors, warnings;
    ss_deny_count(report, &settings->deny, &errors, &warnings);
    if (ss_report_unreadable(report))
        return SS_EXIT_UNREADABLE;
    if (!settings->check)
        return 0;
    /* What could not be read may have been an error: a gate does not open by that. */
    bool blind =
        settings->require_hooked && (ss_report_nothing(report) || ss_report_counts_unknown(report));
    return errors + warnings           ? SS_EXIT_SOMETHING
           : report->problems || blind ? SS_EXIT_UNREADABLE
                                       : 0;
}

static int follow(const struct settings *settings, struct ss_report *report, char **paths)
{
    bool removed;
    const char *directory = *paths ? NULL : last_run(&removed);
    if (!*paths && !directory)
        return SS_EXIT_UNREADABLE;
    char *last[] = {directory ? ss_text_copy(directory, strlen(directory)) : NULL, NULL};
    FILE *out = open_output(settings);
    if (!out)
        return SS_EXIT_UNREADABLE;
    if (!ss_follow(report, *paths ? paths : last, &settings->style, out))
        return ferror(out) ? not_written(settings, errno) : SS_EXIT_UNREADABLE;
    ss_deny_check(report, &settings->deny);
    return conclude(settings, report, out);
}

int ss_report(int argc, char **argv)
{
    struct settings settings = {.check = false};
    struct ss_report report;
    int index = read_flags(argc, argv, &settings);
    ss_report_init(&report);
    if (settings.follow)
        return follow(&settings, &report, argv + index);
    if (!ss_report_read(&report, argv + index))
        return SS_EXIT_UNREADABLE;
    if (!report.files && !report.problems && settings.style.format->marked && !report.nothing_why)
        return settings.require_hooked ? SS_EXIT_UNREADABLE : 0; /* it was clean, which was said */

    ss_deny_check(&report, &settings.deny);
    /* What cannot be read is said on stderr too: the report may go to a file. */
    bool unreadable = ss_report_unreadable(&report);
    for (const struct ss_problem *problem = report.problems; problem; problem = problem->next)
        if (!settings.style.format->marked || settings.output || problem->unreadable)
            fprintf(stderr, "strayspan: %s: %s\n", ss_text_clean(problem->file),
                    ss_text_clean_to(problem->message, 400));
    if (unreadable && !report.processes)
        return SS_EXIT_UNREADABLE;
    FILE *out = open_output(&settings);
    return out ? conclude(&settings, &report, out) : SS_EXIT_UNREADABLE;
}
