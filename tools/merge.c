/* One misuse, one report: what a compiler made of one place in the source is told once. A function
 * that is generic, or a loop that was unrolled, enters and exits one span at several addresses, and
 * each is a fingerprint of its own. In the report on many programs, so is what a library has that is in
 * several. Called once the frames are filled, before anything is rendered. */
#include <string.h>

#include "hash.h"
#include "report.h"
#include "text.h"

/* A line of the source, and the violation that is told for it. */
struct misuse {
    char *key;
    struct ss_violation **place; /* where that stands among those that are told */
    UT_hash_handle hh;
};

/* The rules that are about the enter alone: the guard of one enter may be dropped at many places. */
static bool is_of_the_guard(const struct ss_violation *violation)
{
    return violation->rule == SS_RULE_HELD_ACROSS_AWAIT ||
           violation->rule == SS_RULE_LEAKED_AT_THREAD_END;
}

static const char *line_of(const struct ss_frame *frame)
{
    return frame && frame->file && frame->line ? ss_text("%s:%u", frame->file, frame->line) : NULL;
}

/* Which line did what happens at a site, and which own one had it done; NULL where the log has no
 * such site or the lines are not known. */
static const char *site_key(const struct ss_violation *violation, enum ss_site_kind kind)
{
    const struct ss_frames *frames = &violation->sites[kind].frames;
    const char *line = line_of(ss_responsible_frame(frames));
    const char *own = line_of(ss_first_frame(frames, SS_KIND(SS_FRAME_OWN)));
    return line ? ss_text("%s %s", line, own ? own : "") : NULL;
}

/* What two violations have in common that are one misuse; NULL where lines are not known. */
static char *misuse_key(const struct ss_violation *violation)
{
    static const enum ss_site_kind ends[] = {SS_SITE_EXITED, SS_SITE_CLOSED, SS_SITE_USED};
    const char *entered = site_key(violation, SS_SITE_ENTERED), *ended = NULL;
    char *key =
        ss_text("%s\n%s\n%s\n%s", violation->rule_code, violation->group ? violation->group : "",
                violation->program ? violation->program : "", entered ? entered : "");
    if (is_of_the_guard(violation))
        return entered ? key : NULL;
    if (violation->sites[SS_SITE_ENTERED].present && !entered)
        return NULL;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (!violation->sites[ends[i]].present)
            continue;
        if (!(ended = site_key(violation, ends[i])))
            return NULL;
        key = ss_text("%s\n%s", key, ended);
    }
    return ended ? key : NULL;
}

static char *group_key(const struct ss_violation *violation)
{
    return violation->group ? ss_text("%s %s", violation->rule_code, violation->group) : NULL;
}

static void take_consequences(struct ss_violation *into, struct ss_violation *from)
{
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++) {
        struct ss_consequences *all = &into->consequences[kind];
        struct ss_consequences *more = &from->consequences[kind];
        struct ss_consequence **end = &all->first;
        while (*end)
            end = &(*end)->next;
        *end = more->first;
        all->places += more->places;
        all->count += more->count;
        all->at_least |= more->at_least;
        *more = (struct ss_consequences){.count = 0};
    }
}

/* The worse of the two is told, in the place of the first. */
static void merge(struct ss_violation **place, struct ss_violation *later)
{
    struct ss_violation *told = *place, *other = later;
    if (later->severity > told->severity) {
        other = told;
        *place = told = later;
    }
    take_consequences(told, other);
    told->times += other->times;
    ss_take_sightings(told, other);
    other->told_by = told;
    other->next = NULL;
}

/* Puts those that are told into the report's list, in their order. */
static void list(struct ss_report *report, struct ss_violation *const *told, size_t count)
{
    report->violations_end = &report->violations;
    for (size_t i = 0; i < count; i++) {
        *report->violations_end = told[i];
        report->violations_end = &told[i]->next;
    }
    *report->violations_end = NULL;
    report->violation_count = count;
}

/* Makes one of those that have a key in common; those without one stay alone. */
static void merge_by(struct ss_report *report, char *(*key_of)(const struct ss_violation *))
{
    struct misuse *misuses = NULL, *misuse;
    /* An array of pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
    struct ss_violation **told = calloc(report->violation_count + 1, sizeof *told), *next;
    size_t count = 0;
    if (!told)
        return;
    for (struct ss_violation *at = report->violations; at; at = next) {
        char *key = key_of(at);
        unsigned length = key ? (unsigned)strlen(key) : 0;
        next = at->next;
        misuse = NULL;
        if (key)
            HASH_FIND(hh, misuses, key, length, misuse);
        if (misuse) {
            merge(misuse->place, at);
            continue;
        }
        told[count] = at;
        if (key) {
            misuse = ss_keep(sizeof *misuse);
            *misuse = (struct misuse){.key = key, .place = &told[count]};
            HASH_ADD_KEYPTR(hh, misuses, key, length, misuse);
        }
        count++;
    }
    list(report, told, count);
    HASH_CLEAR(hh, misuses);
    free(told);
}

void ss_report_merge(struct ss_report *report)
{
    merge_by(report, misuse_key);
}

void ss_report_merge_groups(struct ss_report *report)
{
    merge_by(report, group_key);
}
