/* Which violations count for an exit status: errors always, warnings where --deny names them.
 * Suspicions never do. Called by report.c, run.c and the renderers. */
#include "report.h"

#include <string.h>

#include "text.h"

bool ss_deny_add(struct ss_deny *deny, const char *word)
{
    int rule = ss_rule_of(word);
    if (strcmp(word, "warnings") == 0)
        deny->warnings = true;
    else if (rule >= 0)
        deny->rules[rule] = true;
    else
        return false;
    return true;
}

void ss_deny_check(struct ss_report *report, const struct ss_deny *deny)
{
    for (int rule = 0; rule < SS_RULE_COUNT; rule++)
        if (deny->rules[rule] && report->seen.not_looked[rule])
            ss_report_problem(report, false, ss_text("--deny %s", ss_rule_rows[rule].code),
                              "%s did not look for it: `run --options rules=+%s` does",
                              ss_count_text(report->seen.not_looked[rule], "process"),
                              ss_rule_rows[rule].code);
}

bool ss_deny_counts(const struct ss_deny *deny, const struct ss_violation *violation)
{
    if (violation->suspicion)
        return false;
    return violation->severity == SS_SEVERITY_ERROR ||
           (deny && (deny->warnings || (violation->rule >= 0 && deny->rules[violation->rule])));
}

void ss_deny_count(const struct ss_report *report, const struct ss_deny *deny, uint64_t *errors,
                   uint64_t *warnings)
{
    *errors = *warnings = 0;
    for (const struct ss_violation *violation = report->violations; violation;
         violation = violation->next)
        if (ss_deny_counts(deny, violation))
            ++*(violation->severity == SS_SEVERITY_ERROR ? errors : warnings);
}

const char *ss_findings_text(uint64_t errors, uint64_t warnings)
{
    if (!warnings)
        return ss_count_text(errors, "error");
    if (!errors)
        return ss_count_text(warnings, "warning");
    return ss_text("%s and %s", ss_count_text(errors, "error"), ss_count_text(warnings, "warning"));
}

const char *ss_all_findings_text(const struct ss_report *report)
{
    const char *const names[] = {"error", "warning", "suspicion"};
    uint64_t counts[] = {0, 0, report->suspicion_count};
    const char *text = NULL;
    for (const struct ss_violation *violation = report->violations; violation;
         violation = violation->next)
        counts[violation->severity != SS_SEVERITY_ERROR]++;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (counts[i])
            text = ss_text("%s%s%s", text ? text : "", text ? ", " : "",
                           ss_count_text(counts[i], names[i]));
    return text;
}
