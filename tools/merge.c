/* One misuse, one report: what a compiler made of one place in the source is told once. A function
 * that is generic, or a loop that was unrolled, enters one span at several addresses, and each is a
 * fingerprint of its own. Called once the frames are filled, before anything is rendered. */
#include <string.h>

#include "report.h"

/* Where the guard was taken, for the rules that are about the enter alone; NULL for others, and
 * where lines are not known. */
static const struct ss_frame *guard_of(const struct ss_violation *violation)
{
    if (violation->rule != SS_RULE_HELD_ACROSS_AWAIT &&
        violation->rule != SS_RULE_LEAKED_AT_THREAD_END)
        return NULL;
    const struct ss_frame *frame = ss_responsible_frame(&violation->sites[SS_SITE_ENTERED].frames);
    return frame && frame->file && frame->line ? frame : NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_misuse(const struct ss_violation *a, const struct ss_violation *b)
{
    const struct ss_frame *one = guard_of(a), *other = guard_of(b);
    return one && other && a->rule == b->rule && same_text(a->group, b->group) &&
           same_text(a->program, b->program) && one->line == other->line &&
           same_text(one->file, other->file);
}

static void take_consequences(struct ss_violation *into, struct ss_violation *from)
{
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++) {
        struct ss_consequences *all = &into->consequences[kind];
        const struct ss_consequences *more = &from->consequences[kind];
        struct ss_consequence **end = &all->first;
        while (*end)
            end = &(*end)->next;
        *end = more->first;
        all->places += more->places;
        all->count += more->count;
        all->at_least |= more->at_least;
    }
}

/* The worse of the two is shown, in the place of the first. */
static void merge(struct ss_violation *first, struct ss_violation *later)
{
    struct ss_violation *const next = first->next;
    uint64_t times = first->times + later->times;
    uint64_t processes = first->processes > later->processes ? first->processes : later->processes;
    if (later->severity > first->severity) {
        struct ss_violation better = *first;
        *first = *later;
        *later = better;
    }
    take_consequences(first, later);
    first->times = times;
    first->processes = processes;
    first->next = next;
}

void ss_report_merge(struct ss_report *report)
{
    for (struct ss_violation *first = report->violations; first; first = first->next)
        for (struct ss_violation **at = &first->next; *at;) {
            struct ss_violation *later = *at, *behind = later->next;
            if (!is_same_misuse(first, later)) {
                at = &later->next;
                continue;
            }
            *at = behind;
            merge(first, later);
            report->violation_count--;
        }
}
