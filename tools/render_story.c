/* The table of a violation: what happened to its span, a column for each thread, times relative to
 * the violation, which is its last line. The moments of the log are its bones; where there is a
 * history, the span's other events come between them, the look-ups and parks of its threads, and how
 * much else these threads did. Called by render_text.c. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { SIDE_BY_SIDE_MAX = 3, COLUMNS_MAX = SS_SITE_COUNT + SIDE_BY_SIDE_MAX, TABLE_WIDTH = 132 };
enum { ROWS_MAX = SS_EVENTS_MAX + SS_SITE_COUNT + 2, ROWS_SHOWN = 20, ROWS_FIRST = 6 };
enum { CLOCKS_DIFFER_NS = 20000 };

#define UNKNOWN INT64_MIN

struct row {
    int64_t ns; /* relative to the violation; UNKNOWN */
    int64_t order;
    int64_t thread;
    const char *text, *place;
    bool moment;  /* the log's own: always shown */
    bool here;    /* the violation itself */
    bool entered; /* the enter that it is about */
    uint64_t parks;
    uint64_t others[COLUMNS_MAX]; /* events of the columns' threads between this row and the next */
};

struct story {
    const struct ss_violation *violation;
    struct row rows[ROWS_MAX];
    size_t count;
    int64_t columns[COLUMNS_MAX]; /* serials of threads */
    size_t column_count;
    bool shown[SS_EVENTS_MAX]; /* the history's events that are rows, or told by one */
};

/* ---- rows ---- */

static struct row *add_row(struct story *story, int64_t ns, int64_t thread, const char *text,
                           const char *place)
{
    if (story->count == ROWS_MAX)
        return &story->rows[ROWS_MAX - 1];
    struct row *row = &story->rows[story->count++];
    *row = (struct row){.ns = ns, .thread = thread, .text = text, .place = place ? place : ""};
    return row;
}

/* A column for a thread; where there are many moments they are all told, side by side or not. */
static size_t column_of(const struct story *story, int64_t thread)
{
    size_t column = 0;
    while (column < story->column_count && story->columns[column] != thread)
        column++;
    return column;
}

static void add_column(struct story *story, int64_t thread, size_t limit)
{
    if (column_of(story, thread) == story->column_count && story->column_count < limit)
        story->columns[story->column_count++] = thread;
}

static int64_t relative_ns(const struct ss_violation *violation, const struct ss_site *site)
{
    if (site->time < 0 || violation->time < 0)
        return UNKNOWN;
    return site->time > violation->time ? 0 : (site->time - violation->time) * 1000;
}

/* From when on an event can be the violation itself: since the enter that it ends, where that was on
 * the same thread; else it is of the same moment. A look-up was there long before its end. */
static int64_t earliest(const struct story *story, const struct row *row, int kind)
{
    if (!row->here || kind == SS_EVENT_LOOKUP)
        return INT64_MIN;
    for (size_t i = 0; i < story->count && kind == SS_EVENT_EXIT; i++)
        if (story->rows[i].entered && story->rows[i].thread == row->thread &&
            story->rows[i].ns != UNKNOWN)
            return story->rows[i].ns;
    return -CLOCKS_DIFFER_NS;
}

/* The event that a moment is, which is then told by the moment alone: the nearest one of that kind,
 * span and thread, or, where the moment has no time, the latest. */
static const struct ss_event *event_of(struct story *story, const struct row *row, int kind)
{
    const struct ss_history *history = &story->violation->history;
    int64_t span = story->violation->span.serial, best = INT64_MAX;
    int64_t since = earliest(story, row, kind);
    size_t found = history->count;
    for (size_t i = 0; i < history->count; i++) {
        const struct ss_event *event = &history->events[i];
        if ((int)event->kind != kind || event->thread != row->thread || story->shown[i] ||
            (event->span != span && kind != SS_EVENT_PARK && kind != SS_EVENT_LOOKUP))
            continue;
        int64_t distance = llabs(event->ns - (row->ns == UNKNOWN ? 0 : row->ns));
        if (distance > best || event->ns < since)
            continue;
        best = distance;
        found = i;
    }
    if (found == history->count)
        return NULL;
    story->shown[found] = true;
    return &history->events[found];
}

static void add_moment(struct story *story, enum ss_site_kind kind, const char *text, bool here)
{
    static const int events[SS_SITE_COUNT] = {[SS_SITE_CREATED] = SS_EVENT_NEW,
                                              [SS_SITE_ENTERED] = SS_EVENT_ENTER,
                                              [SS_SITE_PARKED] = SS_EVENT_PARK,
                                              [SS_SITE_EXITED] = SS_EVENT_EXIT,
                                              [SS_SITE_CLOSED] = SS_EVENT_CLOSE};
    static const int uses[] = {[SS_USE_NONE] = -1,
                               [SS_USE_ENTER] = SS_EVENT_ENTER,
                               [SS_USE_RECORD] = SS_EVENT_RECORD,
                               [SS_USE_PARENT] = -1,
                               [SS_USE_LOOKUP] = SS_EVENT_LOOKUP};
    const struct ss_violation *violation = story->violation;
    const struct ss_site *site = &violation->sites[kind];
    const char *place = kind == SS_SITE_CREATED ? ss_span_place(violation) : NULL;
    /* A park is the runtime's: its place tells nothing. */
    place = place                    ? ss_short_place(place)
            : kind == SS_SITE_PARKED ? NULL
                                     : ss_short_site_text(site);
    struct row *row =
        add_row(story, here ? 0 : relative_ns(violation, site), site->thread.serial, text, place);
    row->moment = true;
    row->here = here;
    row->entered = kind == SS_SITE_ENTERED;
    row->parks = kind == SS_SITE_PARKED;
    const struct ss_event *event =
        event_of(story, row, kind == SS_SITE_USED ? uses[violation->use] : events[kind]);
    if (event && row->ns == UNKNOWN)
        row->ns = event->ns;
    add_column(story, row->thread, COLUMNS_MAX);
}

/* ---- the moments ---- */

/* The site that is the violation; SS_SITE_COUNT: it is none, but that nothing came. */
static enum ss_site_kind last_site(const struct ss_violation *violation)
{
    static const enum ss_site_kind lasts[SS_RULE_COUNT] = {
        [SS_RULE_WRONG_SUBSCRIBER] = SS_SITE_EXITED,
        [SS_RULE_LOST_CLOSE] = SS_SITE_EXITED,
        [SS_RULE_FOREIGN_THREAD_EXIT] = SS_SITE_EXITED,
        [SS_RULE_HELD_ACROSS_AWAIT] = SS_SITE_EXITED,
        [SS_RULE_EXIT_WITHOUT_ENTER] = SS_SITE_EXITED,
        [SS_RULE_CLOSED_WHILE_OPEN] = SS_SITE_EXITED,
        [SS_RULE_USE_AFTER_CLOSE] = SS_SITE_USED,
        [SS_RULE_LEAKED_AT_THREAD_END] = SS_SITE_COUNT,
        [SS_RULE_OUT_OF_ORDER_EXIT] = SS_SITE_EXITED,
        [SS_RULE_CONCURRENT_ENTER] = SS_SITE_USED,
        [SS_RULE_BLOCKING_LOOKUP] = SS_SITE_USED,
    };
    enum ss_site_kind last = violation->rule < 0 ? SS_SITE_EXITED : lasts[violation->rule];
    if (violation->suspicion)
        return SS_SITE_COUNT;
    if (last == SS_SITE_EXITED && !violation->sites[last].present)
        last = SS_SITE_CLOSED;
    return last;
}

/* What happens at the moment of the violation. */
static const char *last_text(const struct ss_violation *violation, enum ss_site_kind last)
{
    static const char *const uses[] = {[SS_USE_NONE] = "uses it",
                                       [SS_USE_ENTER] = "enters it",
                                       [SS_USE_RECORD] = "records a field of it",
                                       [SS_USE_PARENT] = "names it as a parent",
                                       [SS_USE_LOOKUP] = "looks a name up"};
    const char *relation = violation->closing.relation;
    bool parent = relation && strcmp(relation, "parent") == 0;
    const char *verb = parent                   ? "a child of it ends"
                       : last == SS_SITE_EXITED ? "exits it"
                                                : "closes it";
    const char *whose = parent ? "its close" : "the close";
    if (last == SS_SITE_USED)
        return violation->use == SS_USE_LOOKUP && violation->lookup.present
                   ? ss_lookup_text(&violation->lookup)
                   : uses[violation->use];
    switch (violation->rule) {
    case SS_RULE_WRONG_SUBSCRIBER:
        return ss_text("%s; %s goes to #2", verb, whose);
    case SS_RULE_LOST_CLOSE:
        return ss_text("%s; %s goes to nobody", verb, whose);
    default:
        return verb;
    }
}

static bool tells_lookups(const struct ss_violation *violation, int64_t thread)
{
    for (size_t i = 0; i < violation->history.count; i++)
        if (violation->history.events[i].kind == SS_EVENT_LOOKUP &&
            violation->history.events[i].thread == thread)
            return true;
    return false;
}

static void add_moments(struct story *story)
{
    const struct ss_violation *violation = story->violation;
    const struct ss_site *sites = violation->sites;
    enum ss_site_kind last = last_site(violation);
    const char *span = ss_span_text(&violation->span);
    /* The enter that is the violation is told as that, and so is the close in an exit that is. */
    bool entered = !(violation->rule == SS_RULE_USE_AFTER_CLOSE && violation->use == SS_USE_ENTER);
    bool closed = !violation->closing.present;
    const struct {
        enum ss_site_kind kind;
        const char *text;
    } moments[] = {{SS_SITE_CREATED, ss_text("creates %s", span)},
                   {entered ? SS_SITE_ENTERED : last, "enters it"},
                   {SS_SITE_PARKED, "parks; it stays open"},
                   {closed ? SS_SITE_CLOSED : last, "closes it"}};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        if (moments[i].kind != last && sites[moments[i].kind].present)
            add_moment(story, moments[i].kind, moments[i].text, false);
    if (last != SS_SITE_COUNT && sites[last].present) {
        int64_t thread = sites[last].thread.serial;
        if (violation->lookup.present && last != SS_SITE_USED && !tells_lookups(violation, thread))
            add_row(story, UNKNOWN, thread, ss_lookup_text(&violation->lookup), "")->moment = true;
        add_moment(story, last, last_text(violation, last), true);
    } else if (last == SS_SITE_COUNT && sites[SS_SITE_ENTERED].present) {
        bool ends = violation->rule == SS_RULE_LEAKED_AT_THREAD_END && !violation->suspicion;
        struct row *row = add_row(story, 0, sites[SS_SITE_ENTERED].thread.serial,
                                  ends ? "ends; it is still open" : "still has it open", "");
        row->moment = row->here = true;
    }
}

/* ---- the history ---- */

static const char *event_text(const struct ss_event *event)
{
    static const char *const texts[SS_EVENT_COUNT] = {[SS_EVENT_NEW] = "creates it",
                                                      [SS_EVENT_ENTER] = "enters it",
                                                      [SS_EVENT_EXIT] = "exits it",
                                                      [SS_EVENT_CLOSE] = "closes it",
                                                      [SS_EVENT_RECORD] = "records a field of it",
                                                      [SS_EVENT_CLONE] = "clones it",
                                                      [SS_EVENT_PARK] = "parks",
                                                      [SS_EVENT_LOOKUP] = "getaddrinfo(..)"};
    if (event->kind == SS_EVENT_LOOKUP && event->lookup.ns >= 0)
        return ss_lookup_text(&event->lookup);
    return texts[event->kind];
}

static bool of_span(const struct ss_violation *violation, const struct ss_event *event)
{
    return violation->span.serial && event->span == violation->span.serial;
}

static void add_history(struct story *story)
{
    const struct ss_violation *violation = story->violation;
    const struct ss_history *history = &violation->history;
    int64_t start = 0;
    for (size_t i = 0; i < story->count; i++)
        if (story->rows[i].ns != UNKNOWN && story->rows[i].ns < start)
            start = story->rows[i].ns;
    for (size_t i = 0; i < history->count; i++) {
        if (!of_span(violation, &history->events[i]))
            continue;
        add_column(story, history->events[i].thread, SIDE_BY_SIDE_MAX);
        start = history->events[i].ns < start ? history->events[i].ns : start;
    }
    for (size_t i = 0; i < history->count; i++) {
        const struct ss_event *event = &history->events[i];
        bool told = of_span(violation, event) || event->kind == SS_EVENT_PARK ||
                    event->kind == SS_EVENT_LOOKUP;
        bool before = event->ns < start || column_of(story, event->thread) == story->column_count;
        if (story->shown[i] || (!told && !before))
            continue;
        story->shown[i] = true;
        if (before)
            continue;
        unsigned kinds = SS_KIND(SS_FRAME_OWN) | SS_KIND(SS_FRAME_DEPENDENCY);
        const struct ss_frame *frame =
            of_span(violation, event) ? ss_first_frame(&event->frames, kinds) : NULL;
        struct row *row = add_row(story, event->ns, event->thread, event_text(event),
                                  frame ? ss_short_place(ss_frame_place(frame)) : NULL);
        row->parks = event->kind == SS_EVENT_PARK;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->here != y->here)
        return x->here ? 1 : -1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* By time; rows without one stay before the row that they were added before. */
static void sort_rows(struct story *story)
{
    int64_t next = 0;
    for (size_t i = story->count; i-- > 0;) {
        struct row *row = &story->rows[i];
        next = row->ns == UNKNOWN && !row->here ? next : row->ns;
        row->order = next;
    }
    /* qsort keeps no order of equals. */
    for (size_t i = 1; i < story->count; i++) {
        struct row row = story->rows[i];
        size_t at = i;
        for (; at > 0 && compare_rows(&story->rows[at - 1], &row) > 0; at--)
            story->rows[at] = story->rows[at - 1];
        story->rows[at] = row;
    }
}

static void remove_row(struct story *story, size_t index)
{
    story->count--;
    memmove(&story->rows[index], &story->rows[index + 1],
            (story->count - index) * sizeof story->rows[0]);
}

/* Tells the parks of a thread between two other rows in one. */
static void merge_parks(struct story *story)
{
    for (size_t i = 1; i < story->count; i++) {
        struct row *row = &story->rows[i];
        if (!row->parks || row->moment)
            continue;
        for (size_t j = i; j-- > 0 && story->rows[j].parks;) {
            if (story->rows[j].thread != row->thread)
                continue;
            story->rows[j].parks += row->parks;
            remove_row(story, i--);
            break;
        }
    }
    for (size_t i = 0; i < story->count; i++)
        if (story->rows[i].parks > 1)
            story->rows[i].text =
                ss_text("parks %llu times%s", (unsigned long long)story->rows[i].parks,
                        story->rows[i].moment ? "; it stays open" : "");
}

/* Counts what the columns' threads did between the rows. */
static void count_others(struct story *story)
{
    const struct ss_history *history = &story->violation->history;
    for (size_t i = 0; story->count > 1 && i < history->count; i++) {
        size_t row = 0, column = column_of(story, history->events[i].thread);
        if (story->shown[i] || column == story->column_count)
            continue;
        while (row + 2 < story->count && story->rows[row + 1].order <= history->events[i].ns)
            row++;
        story->rows[row].others[column]++;
    }
}

/* Where there are too many rows, what is between the first and the last is only counted. */
static void shorten(struct story *story)
{
    for (size_t i = ROWS_FIRST; i < story->count && story->count > ROWS_SHOWN;) {
        struct row *row = &story->rows[i];
        if (row->moment) {
            i++;
            continue;
        }
        row->others[column_of(story, row->thread)] += row->parks ? row->parks : 1;
        for (size_t column = 0; column < story->column_count; column++)
            story->rows[i - 1].others[column] += row->others[column];
        remove_row(story, i);
    }
}

/* ---- the table ---- */

static const char *time_text(const struct row *row)
{
    if (row->here)
        return " 0";
    return row->ns == UNKNOWN || row->ns >= 0 ? "" : ss_text("-%s", ss_duration_text(-row->ns));
}

static const char *others_text(uint64_t count)
{
    return ss_text(".. %s", ss_count_text(count, "other event"));
}

/* A thread of the violation; of others no more than the serial is known. */
static const char *label_of(const struct ss_violation *violation, int64_t serial)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++)
        if (violation->sites[kind].present && violation->sites[kind].thread.serial == serial)
            return ss_thread_text(violation, &violation->sites[kind].thread, true);
    return ss_text("thread %lld", (long long)serial);
}

struct layout {
    const char *labels[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX], text_widths[COLUMNS_MAX];
    bool side_by_side;
};

static void make_layout(struct layout *layout, const struct story *story)
{
    size_t total = 15;
    memset(layout, 0, sizeof *layout);
    for (size_t i = 0; i < story->count; i++) {
        const struct row *row = &story->rows[i];
        size_t column = column_of(story, row->thread), width = ss_text_width(row->text);
        if (*row->place && width > layout->text_widths[column])
            layout->text_widths[column] = width;
    }
    for (size_t column = 0; column < story->column_count; column++) {
        layout->labels[column] = label_of(story->violation, story->columns[column]);
        size_t *widest = &layout->widths[column];
        *widest = ss_text_width(layout->labels[column]);
        for (size_t i = 0; i < story->count; i++) {
            const struct row *row = &story->rows[i];
            if (row->thread != story->columns[column])
                continue;
            size_t width = *row->place ? layout->text_widths[column] + 3 + ss_text_width(row->place)
                                       : ss_text_width(row->text);
            *widest = width > *widest ? width : *widest;
        }
        total += *widest + 3;
    }
    layout->side_by_side = story->column_count <= SIDE_BY_SIDE_MAX && total <= TABLE_WIDTH;
}

static void print_heading(FILE *out, const struct layout *layout, size_t columns)
{
    fprintf(out, "\n    %-10s", "time");
    for (size_t column = 0; column < columns; column++) {
        const char *label = layout->labels[column];
        size_t rest = layout->widths[column] - ss_text_width(label);
        if (!layout->side_by_side)
            fprintf(out, "%*s" SS_BOLD "%s" SS_PLAIN "\n", column ? 15 : 1, "", label);
        else
            fprintf(out, " " SS_BOLD "%s" SS_PLAIN "%*s", label,
                    column + 1 < columns ? (int)rest + 2 : 0, "");
    }
    if (layout->side_by_side)
        putc('\n', out);
}

static void print_cell(FILE *out, const struct story *story, const struct layout *layout,
                       size_t column, const char *time, const char *text, const char *place,
                       bool here)
{
    size_t indent = 1;
    for (size_t i = 0; layout->side_by_side && i < column; i++)
        indent += layout->widths[i] + 3;
    fprintf(out, "    %-10s%*s", time, (int)indent, "");
    if (!layout->side_by_side && story->column_count > 1)
        fprintf(out, "thread %lld: ", (long long)story->columns[column]);
    fputs(text, out);
    if (*place)
        fprintf(out, "%*s%s", (int)(layout->text_widths[column] - ss_text_width(text) + 3), "",
                place);
    fputs(here ? SS_RED "  <-- here" SS_PLAIN "\n" : "\n", out);
}

void ss_print_story(FILE *out, const struct ss_violation *violation)
{
    static struct story story;
    struct layout layout;
    memset(&story, 0, sizeof story);
    story.violation = violation;
    add_moments(&story);
    if (story.count == 0)
        return;
    add_history(&story);
    sort_rows(&story);
    merge_parks(&story);
    count_others(&story);
    shorten(&story);
    make_layout(&layout, &story);
    print_heading(out, &layout, story.column_count);
    for (size_t i = 0; i < story.count; i++) {
        const struct row *row = &story.rows[i];
        print_cell(out, &story, &layout, column_of(&story, row->thread), time_text(row), row->text,
                   row->place, row->here);
        for (size_t column = 0; column < story.column_count; column++)
            if (row->others[column])
                print_cell(out, &story, &layout, column, "", others_text(row->others[column]), "",
                           false);
    }
    if (violation->history.left_out)
        fprintf(out, "    (%s of these threads left out)\n",
                ss_count_text(violation->history.left_out, "more event"));
}
