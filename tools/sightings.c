/* In which processes a violation was seen, each of which has the tests' names with it. Called by
 * log_records.c and merge.c. */
#include "report.h"
#include "text.h"

static void append(struct ss_violation *violation, struct ss_sighting *seen)
{
    if (violation->seen_last)
        violation->seen_last->next = seen;
    else
        violation->seen_in = seen;
    violation->seen_last = seen;
}

/* Logs are read one after the other: where the process is known, it is the last one. */
void ss_seen_in(struct ss_violation *violation, struct ss_process *process)
{
    if (violation->seen_last && violation->seen_last->process == process)
        return;
    struct ss_sighting *seen = ss_keep(sizeof *seen);
    seen->process = process;
    seen->violation = violation;
    append(violation, seen);
    violation->processes++;
}

void ss_take_sightings(struct ss_violation *into, struct ss_violation *from)
{
    for (struct ss_sighting *seen = into->seen_in; seen; seen = seen->next)
        seen->process->counted_for = into;
    /* A process may come to be there several times, with a test each. */
    for (struct ss_sighting *seen = from->seen_in; seen; seen = seen->next) {
        into->processes += seen->process->counted_for != into;
        seen->process->counted_for = into;
    }
    if (from->seen_in) {
        append(into, from->seen_in);
        into->seen_last = from->seen_last;
    }
    from->seen_in = from->seen_last = NULL;
}
