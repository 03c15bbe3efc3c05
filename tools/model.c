/* The report's model: its beginnings, the tables it is spelled with, and its problems. */
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

const char *const ss_level_names[SS_LEVELS] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};

const char *const ss_frame_kind_names[] = {
    [SS_FRAME_OWN] = "own",         [SS_FRAME_DEPENDENCY] = "dependency",
    [SS_FRAME_UNKNOWN] = "unknown", [SS_FRAME_RUNTIME] = "runtime",
    [SS_FRAME_TRACING] = "tracing", [SS_FRAME_STD] = "std",
    [SS_FRAME_SYSTEM] = "system",
};

const char *const ss_site_names[SS_SITE_COUNT] = {
    [SS_SITE_CREATED] = "created", [SS_SITE_ENTERED] = "entered", [SS_SITE_PARKED] = "parked",
    [SS_SITE_EXITED] = "exited",   [SS_SITE_CLOSED] = "closed",   [SS_SITE_USED] = "used",
};

const char *const ss_event_names[SS_EVENT_COUNT] = {"new",    "enter", "exit", "close",
                                                    "record", "clone", "park", "lookup"};

const char *const ss_consequence_codes[SS_CONSEQUENCE_COUNT] = {
#define X(name, code) code,
    SS_CONSEQUENCES(X)
#undef X
};

const struct ss_rule_row ss_rule_rows[SS_RULE_COUNT] = {
#define X(name, code, severity, title) {code, SS_SEVERITY_##severity, title},
    SS_RULES(X)
#undef X
};

int ss_rule_of(const char *code)
{
    for (int i = 0; i < SS_RULE_COUNT; i++)
        if (strcmp(code, ss_rule_rows[i].code) == 0)
            return i;
    return -1;
}

struct ss_level_counts ss_report_call_sites(const struct ss_report *report)
{
    struct ss_level_counts sum = {0};
    for (int level = 0; level < SS_LEVELS; level++) {
        sum.live += report->seen.call_sites[level].live;
        sum.filtered += report->seen.call_sites[level].filtered;
        sum.unreached += report->seen.call_sites[level].unreached;
    }
    return sum;
}

bool ss_report_unfound(const struct ss_report *report)
{
    const struct ss_level_counts sites = ss_report_call_sites(report);
    const struct ss_binary *binary = report->binaries;
    while (binary && !(binary->subscribers && ss_found_by_code(binary)))
        binary = binary->next;
    return binary && (sites.live || !sites.filtered);
}

const char ss_unfound_reason[] = "; or its subscriber is not among those that were found: without "
                                 "symbols they are known by their code alone";

const char ss_unfound_advice[] =
    "run the part of it that makes spans, with a subscriber installed; if it did run, strayspan "
    "needs symbols to find the subscriber: put its debug file where .gnu_debuglink says, beside it "
    "or in .debug there, or by its build id under /usr/lib/debug/.build-id, or build it with "
    "strip = false or \"debuginfo\"";

bool ss_found_by_code(const struct ss_binary *binary)
{
    return binary->evidence && strcmp(binary->evidence, "signature") == 0;
}

void ss_report_init(struct ss_report *report)
{
    *report = (struct ss_report){0};
    report->violations_end = &report->violations;
    report->suspicions_end = &report->suspicions;
    report->problems_end = &report->problems;
}

void ss_report_problem(struct ss_report *report, bool unreadable, const char *file,
                       const char *format, ...)
{
    char *message = NULL;
    va_list list;
    va_start(list, format);
    if (vasprintf(&message, format, list) < 0)
        message = NULL;
    va_end(list);
    struct ss_problem *problem = ss_keep(sizeof *problem);
    *problem = (struct ss_problem){
        NULL, file, message ? ss_text_copy(message, strlen(message)) : "?", unreadable};
    free(message);
    *report->problems_end = problem;
    report->problems_end = &problem->next;
}

struct ss_violation *ss_told_by(struct ss_violation *violation)
{
    while (violation->told_by)
        violation = violation->told_by;
    return violation;
}

bool ss_report_unreadable(const struct ss_report *report)
{
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next)
        if (problem->unreadable)
            return true;
    return false;
}

bool ss_report_found(const struct ss_report *report)
{
    return report->violations || report->suspicions;
}

bool ss_process_replaced(const struct ss_process *process)
{
    return !process->summary && process->images && process->images->latest > process->time;
}

bool ss_report_partly(const struct ss_report *report)
{
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next)
        if (binary->off)
            return true;
    return false;
}

bool ss_report_unfinished(const struct ss_report *report)
{
    for (const struct ss_process *process = report->processes; process; process = process->next)
        if (!process->summary && !ss_process_replaced(process))
            return true;
    return false;
}

bool ss_report_counts_unknown(const struct ss_report *report)
{
    return !ss_report_found(report) && !report->seen.created && ss_report_unfinished(report);
}

const char *ss_report_nothing(const struct ss_report *report)
{
    if (report->nothing_why)
        return report->nothing_why;
    return !report->ran && report->processes && !ss_report_found(report) && !report->problems &&
                   !report->seen.created && !ss_report_unfinished(report)
               ? "no span was seen"
               : NULL;
}

static void withhold_lookup(struct ss_lookup *lookup)
{
    lookup->host = lookup->service = NULL;
    lookup->addresses = -1;
}

void ss_withhold(struct ss_violation *violation)
{
    withhold_lookup(&violation->lookup);
    for (size_t i = 0; i < violation->history.count; i++)
        withhold_lookup(&violation->history.events[i].lookup);
}
