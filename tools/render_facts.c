/* What the text report tells of each rule alone, as rows of a table: where its arrow points, what
 * stands beside the caret, its facts; and what came of a breach. Called by render_text.c. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { LINE_MAX_COLUMNS = 110 };

/* ---- pieces ---- */

/* `, at src/main.rs:7  app::f`; empty where the place is not known. */
static const char *at_place(const struct ss_site *site)
{
    const char *place = ss_site_text(site);
    return place ? ss_text(", at %s", place) : "";
}

static const char *thread_of(const struct ss_violation *violation, enum ss_site_kind kind)
{
    return ss_thread_text(violation, &violation->sites[kind].thread, false);
}

/* `tokio worker` and `rayon worker` of both threads, where it is the same. */
static const char *both_roles(const struct ss_violation *violation, const struct ss_thread *one,
                              const struct ss_thread *other)
{
    const char *role = ss_thread_role(violation, one);
    const char *other_role = ss_thread_role(violation, other);
    if (!role || !other_role || strcmp(role, other_role) != 0)
        return NULL;
    return ss_text_ends(role, "pool") ? ss_text("both of the %s", role) : ss_text("both %ss", role);
}

static const char *call_site_text(const struct ss_call_site *site)
{
    const char *place = ss_place(site->file, (unsigned)site->line);
    const char *name = site->name ? ss_text_clean_to(site->name, 80) : "?";
    return place ? ss_text("`%s` (%s)", name, ss_text_clean(place)) : ss_text("`%s`", name);
}

/* ---- held-across-await ---- */

static const char *held_note(const struct ss_violation *violation)
{
    const struct ss_site *entered = &violation->sites[SS_SITE_ENTERED];
    long long thread = (long long)entered->thread.serial;
    uint64_t under = violation->parks.spans_under;
    const char *spans =
        under ? ss_text("; %s made under it",
                        under == 1 ? "1 span was"
                                   : ss_text("%llu spans were", (unsigned long long)under))
              : "";
    if (violation->parks.count <= 0)
        return ss_text("entered on thread %lld%s", thread, spans);
    return ss_text("open on thread %lld over %s, %s%s", thread,
                   ss_count_text((uint64_t)violation->parks.count, "park"),
                   ss_duration_text(violation->parks.ns), spans);
}

static const char *held_dropped(const struct ss_violation *violation)
{
    const struct ss_site *entered = &violation->sites[SS_SITE_ENTERED];
    const struct ss_site *exited = &violation->sites[SS_SITE_EXITED];
    if (!exited->present)
        return NULL;
    if (exited->thread.serial == entered->thread.serial)
        return ss_text("dropped on the same thread%s", at_place(exited));
    const char *both = both_roles(violation, &entered->thread, &exited->thread);
    return both ? ss_text("dropped on thread %lld, not on thread %lld that entered it (%s)%s",
                          (long long)exited->thread.serial, (long long)entered->thread.serial, both,
                          at_place(exited))
                : ss_text("dropped on %s, not on %s that entered it%s",
                          ss_thread_role_text(violation, &exited->thread),
                          ss_thread_role_text(violation, &entered->thread), at_place(exited));
}

/* ---- the other rules ---- */

static const char *still_open(const struct ss_violation *violation)
{
    const struct ss_site *entered = &violation->sites[SS_SITE_ENTERED];
    const char *place = ss_site_text(entered);
    return entered->present ? ss_text("%s has it open%s%s", thread_of(violation, SS_SITE_ENTERED),
                                      place ? ", entered at " : "", place ? place : "")
                            : NULL;
}

static const char *exited_later(const struct ss_violation *violation)
{
    const struct ss_site *exited = &violation->sites[SS_SITE_EXITED];
    return exited->present ? ss_text("%s exits it only after that%s",
                                     thread_of(violation, SS_SITE_EXITED), at_place(exited))
                           : NULL;
}

static const char *was_closed(const struct ss_violation *violation)
{
    const struct ss_site *closed = &violation->sites[SS_SITE_CLOSED];
    return closed->present
               ? ss_text("closed on %s%s", thread_of(violation, SS_SITE_CLOSED), at_place(closed))
               : "where it was closed is not known";
}

static const char *named_by(const struct ss_violation *violation)
{
    return violation->made.present
               ? ss_text("it was to be the parent of span %s", call_site_text(&violation->made))
               : NULL;
}

static const char *was_entered(const struct ss_violation *violation)
{
    const struct ss_site *entered = &violation->sites[SS_SITE_ENTERED];
    return entered->present ? ss_text("entered on %s%s", thread_of(violation, SS_SITE_ENTERED),
                                      at_place(entered))
                            : NULL;
}

static const char *is_above(const struct ss_violation *violation)
{
    return violation->above.present ? ss_text("span %s was entered after it and is still open",
                                              call_site_text(&violation->above))
                                    : NULL;
}

static const char *never_exited(const struct ss_violation *violation)
{
    return violation->sites[SS_SITE_ENTERED].present && !violation->suspicion
               ? ss_text("%s ends, and nothing exits the span there any more",
                         thread_of(violation, SS_SITE_ENTERED))
               : NULL;
}

static const char *looked_up(const struct ss_violation *violation)
{
    const struct ss_site *used = &violation->sites[SS_SITE_USED];
    return violation->lookup.present ? ss_text("%s; for that long nothing else ran on %s",
                                               ss_lookup_text(&violation->lookup),
                                               ss_thread_role_text(violation, &used->thread))
                                     : NULL;
}

static const char *use_note(const struct ss_violation *violation)
{
    static const char *const notes[] = {[SS_USE_NONE] = "used",
                                        [SS_USE_ENTER] = "entered",
                                        [SS_USE_RECORD] = "recorded",
                                        [SS_USE_PARENT] = "named as a parent",
                                        [SS_USE_LOOKUP] = "looked up"};
    return ss_text("%s on %s", notes[violation->use], thread_of(violation, SS_SITE_USED));
}

typedef const char *piece_fn(const struct ss_violation *violation);

enum { FACTS_MAX = 2 };

/* note NULL: `entered on thread 3`, by the arrow's site. */
static const struct shape {
    enum ss_site_kind arrow;
    bool stacks;
    piece_fn *note;
    piece_fn *facts[FACTS_MAX];
} shapes[SS_RULE_COUNT] = {
    [SS_RULE_WRONG_SUBSCRIBER] = {.arrow = SS_SITE_CREATED},
    [SS_RULE_LOST_CLOSE] = {.arrow = SS_SITE_CREATED},
    [SS_RULE_FOREIGN_THREAD_EXIT] = {.arrow = SS_SITE_ENTERED, .stacks = true},
    [SS_RULE_HELD_ACROSS_AWAIT] = {.arrow = SS_SITE_ENTERED,
                                   .note = held_note,
                                   .facts = {held_dropped}},
    [SS_RULE_EXIT_WITHOUT_ENTER] = {.arrow = SS_SITE_EXITED, .stacks = true},
    [SS_RULE_CLOSED_WHILE_OPEN] = {.arrow = SS_SITE_CLOSED,
                                   .stacks = true,
                                   .facts = {still_open, exited_later}},
    [SS_RULE_USE_AFTER_CLOSE] = {.arrow = SS_SITE_USED,
                                 .stacks = true,
                                 .note = use_note,
                                 .facts = {named_by, was_closed}},
    [SS_RULE_LEAKED_AT_THREAD_END] = {.arrow = SS_SITE_ENTERED,
                                      .stacks = true,
                                      .facts = {never_exited}},
    [SS_RULE_OUT_OF_ORDER_EXIT] = {.arrow = SS_SITE_EXITED,
                                   .stacks = true,
                                   .facts = {was_entered, is_above}},
    [SS_RULE_CONCURRENT_ENTER] = {.arrow = SS_SITE_USED,
                                  .stacks = true,
                                  .note = use_note,
                                  .facts = {still_open}},
    [SS_RULE_BLOCKING_LOOKUP] = {.arrow = SS_SITE_USED,
                                 .stacks = true,
                                 .note = use_note,
                                 .facts = {looked_up}},
};

static const struct shape *shape_of(const struct ss_violation *violation)
{
    static const struct shape unknown = {.arrow = SS_SITE_CREATED};
    return violation->rule < 0 ? &unknown : &shapes[violation->rule];
}

enum ss_site_kind ss_arrow_site(const struct ss_violation *violation)
{
    return shape_of(violation)->arrow;
}

const char *ss_arrow_note(const struct ss_violation *violation)
{
    const struct shape *shape = shape_of(violation);
    return shape->note ? shape->note(violation)
                       : ss_text("%s on %s", ss_site_names[shape->arrow],
                                 thread_of(violation, shape->arrow));
}

bool ss_wants_stacks(const struct ss_violation *violation)
{
    return shape_of(violation)->stacks;
}

void ss_print_facts(FILE *out, const struct ss_violation *violation, const char *times)
{
    const char *lines[FACTS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < FACTS_MAX && shape_of(violation)->facts[i]; i++) {
        const char *line = shape_of(violation)->facts[i](violation);
        if (line)
            lines[count++] = line;
    }
    if (count && times && ss_text_width(lines[count - 1]) + ss_text_width(times) < LINE_MAX_COLUMNS)
        lines[count - 1] = ss_text("%s; %s", lines[count - 1], times);
    else if (times)
        lines[count++] = times;
    for (size_t i = 0; i < count; i++)
        fprintf(out, "   = %s\n", lines[i]);
    if (violation->suspicion)
        fputs("   = still open when this was written: a suspicion, which counts for nothing\n",
              out);
}

/* ---- what came of it ---- */

/* Whether the spans' store is tracing-subscriber's Registry. */
static bool in_registry(const struct ss_violation *violation)
{
    const char *type = ss_demangle(violation->owner.type);
    return type && (strstr(type, "registry::sharded::Registry") ||
                    strstr(type, "tracing_subscriber::fmt::Subscriber"));
}

/* Whether a closed span may be on a thread's span stack, where the Registry passes over it: from
 * 0.3.22 on, that stack holds no references. */
static bool passes_over_closed(const struct ss_violation *violation)
{
    const struct ss_binary *binary = violation->owner.binary;
    unsigned major = 0, minor = 0, patch = 0;
    if (!binary || !binary->tracing_subscriber ||
        sscanf(binary->tracing_subscriber, "%u.%u.%u", &major, &minor, &patch) != 3)
        return false;
    return major > 0 || minor > 3 || (minor == 3 && patch > 20);
}

/* `, first src/billing.rs:17 billing::charge (and 2 other places)`. */
static const char *places_text(const struct ss_consequences *all)
{
    const char *place = all->first ? ss_site_text(&all->first->at) : NULL;
    const char *more =
        all->places > 1 ? ss_text(" (and %s)", ss_count_text(all->places - 1, "other place")) : "";
    return place ? ss_text("%s %s%s", all->count > 1 ? ", first" : ", at", place, more) : more;
}

static const char *count_text(const struct ss_consequences *all, const char *one)
{
    return ss_text("%s%s", all->at_least ? "at least " : "", ss_count_text(all->count, one));
}

static const char *clones_text(const struct ss_violation *violation,
                               const struct ss_consequences *all)
{
    bool one = all->count == 1;
    const char *panic = in_registry(violation)
                            ? ", which then panicked: \"tried to clone a span (Id(..)) that "
                              "already closed\""
                            : "";
    return ss_text("%s of the closed span in %s%s%s. %s did nothing wrong.",
                   count_text(all, "clone"), one ? "*another* task" : "*other* tasks",
                   places_text(all), panic, one ? "That task" : "These tasks");
}

static const char *parents_text(const struct ss_violation *violation,
                                const struct ss_consequences *all)
{
    bool one = all->count == 1, roots = passes_over_closed(violation);
    const struct ss_call_site *made = all->first ? &all->first->made : NULL;
    const char *name = made && made->present && made->name
                           ? ss_text(" `%s`", ss_text_clean_to(made->name, 80))
                           : " one";
    const char *place = all->first ? ss_site_text(&all->first->at) : NULL;
    if (!place && made && made->file)
        place = ss_text_clean(ss_place(made->file, (unsigned)made->line));
    const char *rather = !roots ? ""
                         : one  ? ", or none if it had closed"
                                : ", or none once it had closed (they became roots)";
    return ss_text("%s got the wrong parent: this span%s; %s%s%s%s.", count_text(all, "new span"),
                   rather, one ? "it is" : "first", name, place ? " at " : "", place ? place : "");
}

static const char *closes_text(const struct ss_violation *violation,
                               const struct ss_consequences *all)
{
    (void)violation;
    const struct ss_span *span = all->first ? &all->first->span : NULL;
    const char *place = span ? ss_place(span->file, (unsigned)span->line) : NULL;
    return ss_text("%s of span %s%s, which this breach closed in passing%s. The code there did "
                   "nothing wrong.",
                   count_text(all, "use"), span ? ss_span_text(span) : "?",
                   place ? ss_text(" (%s)", ss_text_clean(place)) : "", places_text(all));
}

static const char *under_text(const struct ss_violation *violation)
{
    uint64_t under = violation->parks.spans_under;
    return ss_text("%s on thread %lld while it was left open: in your traces this span is a "
                   "parent that is not theirs.",
                   under == 1
                       ? "1 span was made or entered"
                       : ss_text("%llu spans were made or entered", (unsigned long long)under),
                   (long long)violation->sites[SS_SITE_ENTERED].thread.serial);
}

void ss_print_consequences(FILE *out, const struct ss_violation *violation)
{
    static const char label[] = "what you saw:";
    /* The panics first: they are what one comes with. */
    static const struct {
        enum ss_consequence_kind kind;
        const char *(*text)(const struct ss_violation *, const struct ss_consequences *);
    } rows[SS_CONSEQUENCE_COUNT] = {{SS_CONSEQUENCE_CLONE_OF_CLOSED, clones_text},
                                    {SS_CONSEQUENCE_FOREIGN_CLOSE, closes_text},
                                    {SS_CONSEQUENCE_STALE_PARENT, parents_text}};
    const char *text = NULL;
    for (size_t i = 0; i < SS_CONSEQUENCE_COUNT; i++) {
        const struct ss_consequences *all = &violation->consequences[rows[i].kind];
        if (all->count)
            text =
                ss_text("%s%s%s", text ? text : "", text ? "\n" : "", rows[i].text(violation, all));
    }
    if (!text && violation->parks.present && violation->parks.spans_under)
        text = under_text(violation);
    if (!text)
        return;
    fprintf(out, SS_BOLD "%s" SS_PLAIN " ", label);
    ss_print_wrapped(out, text, sizeof label, 3);
}
