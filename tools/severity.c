/* Which violations count for an exit status: errors always, warnings where --deny names them. */
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

void ss_deny_count(const struct ss_report *report, const struct ss_deny *deny, uint64_t *errors,
                   uint64_t *warnings)
{
    *errors = *warnings = 0;
    for (const struct ss_violation *violation = report->violations; violation;
         violation = violation->next) {
        if (violation->severity == SS_SEVERITY_ERROR)
            ++*errors;
        else if (deny->warnings || (violation->rule >= 0 && deny->rules[violation->rule]))
            ++*warnings;
    }
}

const char *ss_findings_text(uint64_t errors, uint64_t warnings)
{
    if (!warnings)
        return ss_count_text(errors, "error");
    if (!errors)
        return ss_count_text(warnings, "warning");
    return ss_text("%s and %s", ss_count_text(errors, "error"), ss_count_text(warnings, "warning"));
}
