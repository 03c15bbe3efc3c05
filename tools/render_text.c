/* The report for a person at a terminal, in the shape that rustc's errors have. Whatever comes from
 * a log or a binary goes through clean() before it is printed. Called by report.c. */
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

enum { COLUMNS_MAX = 3, EVENTS_MAX = 8, TABLE_WIDTH = 132, STACK_SHOWN = 6 };

static const char *clean(const char *text)
{
    return ss_text_clean(text);
}

/* ---- small texts ---- */

static const char *duration(int64_t ns)
{
    static const struct {
        int64_t least;
        double unit;
        const char *name;
    } units[] = {{1000000000, 1e9, "s"}, {1000000, 1e6, "ms"}, {1000, 1e3, "us"}, {0, 1, "ns"}};
    size_t i = 0;
    while (ns < units[i].least && units[i].least)
        i++;
    double value = (double)ns / units[i].unit;
    return ss_text(value < 10 && units[i].unit > 1 ? "%.1f %s" : "%.0f %s", value, units[i].name);
}

static const char *span_name(const struct ss_violation *violation)
{
    if (violation->span.name)
        return ss_text("`%s`", ss_text_clean_to(violation->span.name, 80));
    return ss_text("<%s>", violation->span.id ? clean(violation->span.id) : "?");
}

/* The first line's title, `%s` replaced. */
static const char *title(const struct ss_violation *violation)
{
    if (violation->rule < 0)
        return ss_text("span %s: a rule that this strayspan does not know", span_name(violation));
    const char *text = ss_rule_rows[violation->rule].title, *mark = strstr(text, "%s");
    return ss_text("%.*s%s%s", (int)(mark - text), text, span_name(violation), mark + 2);
}

static const char *function_text(const struct ss_frame *frame)
{
    const char *function = ss_short_function(frame->function, frame->name);
    return function ? ss_text_clean_to(function, 100) : "?";
}

static const char *place_text(const struct ss_frame *frame)
{
    return clean(ss_frame_place(frame));
}

/* `dns.rs:122`: the end of a place, for the table. */
static const char *short_place(const char *place)
{
    const char *slash = place ? strrchr(place, '/') : NULL;
    return clean(slash ? slash + 1 : place ? place : "");
}

/* The call site's place. Its file is relative to where the program was built; a frame at the
 * creation knows the same file by its whole path. */
static const char *call_site_place(const struct ss_violation *violation)
{
    const char *file = violation->span.file;
    const struct ss_frames *frames = &violation->sites[SS_SITE_CREATED].frames;
    if (!file)
        return NULL;
    const char *tail = ss_text("/%s", file);
    for (size_t i = 0; *file != '/' && i < frames->count; i++) {
        if (!ss_text_ends(frames->frames[i].file, tail))
            continue;
        file = frames->frames[i].file;
        break;
    }
    return ss_place(file, (unsigned)violation->span.line);
}

/* ---- threads ---- */

static const char *thread_label(const struct ss_violation *violation,
                                const struct ss_thread *thread, bool full)
{
    const char *role = ss_thread_role(violation, thread);
    char *text = ss_text("thread %lld", (long long)thread->serial);
    bool is_main = role && strcmp(role, "main thread") == 0;
    bool pool = role && ss_text_starts(role, "tokio");
    if (thread->name && !pool)
        text = ss_text("%s `%s`", text, ss_text_clean_to(thread->name, 32));
    if (!full)
        return text;
    if (role && !is_main)
        text = ss_text("%s, %s", text, role);
    if (thread->tid)
        text = ss_text("%s, tid %lld", text, (long long)thread->tid);
    if (thread->created_by)
        text = ss_text("%s (made by thread %lld)", text, (long long)thread->created_by);
    return text;
}

/* ---- the table of what happened ---- */

struct event {
    int64_t time; /* -1: not known */
    int64_t thread;
    const char *text, *place;
    bool here;
};

struct story {
    struct event events[EVENTS_MAX];
    size_t count;
    int64_t zero; /* the time of what is wrong */
};

static void add_event(struct story *story, const struct ss_site *site, int64_t time,
                      const char *text, const char *place, bool here)
{
    if (story->count < EVENTS_MAX)
        story->events[story->count++] =
            (struct event){time, site->thread.serial, text, place ? place : "", here};
}

static const char *site_place(const struct ss_site *site)
{
    const struct ss_frame *frame = ss_responsible_frame(&site->frames);
    return frame ? short_place(ss_frame_place(frame)) : "";
}

static const char *lookup_text(const struct ss_lookup *lookup)
{
    const char *host = lookup->host ? ss_text_clean_to(lookup->host, 60) : NULL;
    const char *what = host ? ss_text("getaddrinfo(\"%s\")", host) : "getaddrinfo(..)";
    const char *result = lookup->result == 0
                             ? ss_text("%lld address%s", (long long)lookup->addresses,
                                       lookup->addresses == 1 ? "" : "es")
                         : lookup->error ? ss_text_clean_to(lookup->error, 60)
                                         : ss_text("error %lld", (long long)lookup->result);
    return lookup->ns >= 0 ? ss_text("%s: %s, %s", what, result, duration(lookup->ns))
                           : ss_text("%s: %s", what, result);
}

/* What happens at the moment of the violation. */
static const char *last_event_text(const struct ss_violation *violation, bool exits)
{
    const char *relation = violation->closing.relation;
    bool parent = relation && strcmp(relation, "parent") == 0;
    const char *verb = parent ? "a child of it ends" : exits ? "exits it" : "closes it";
    const char *whose = parent ? "its close" : "the close";
    switch (violation->rule) {
    case SS_RULE_WRONG_SUBSCRIBER:
        return ss_text("%s; %s goes to #2", verb, whose);
    case SS_RULE_LOST_CLOSE:
        return ss_text("%s; %s goes to nobody", verb, whose);
    default:
        return verb;
    }
}

static void make_story(struct story *story, const struct ss_violation *violation)
{
    const struct ss_site *sites = violation->sites;
    const struct ss_site *created = &sites[SS_SITE_CREATED], *exited = &sites[SS_SITE_EXITED];
    const struct ss_site *entered = &sites[SS_SITE_ENTERED], *closed = &sites[SS_SITE_CLOSED];
    const struct ss_site *last = exited->present ? exited : closed;
    if (created->present) {
        const char *place = call_site_place(violation);
        add_event(story, created, created->time, ss_text("creates %s", span_name(violation)),
                  place ? short_place(place) : site_place(created), false);
    }
    if (entered->present)
        add_event(story, entered, entered->time, "enters it", site_place(entered), false);
    if (violation->lookup.present && last->present)
        add_event(story, last, -1, lookup_text(&violation->lookup), "", false);
    if (last->present)
        add_event(story, last, last->time, last_event_text(violation, last == exited),
                  site_place(last), true);
    story->zero = last->present && last->time >= 0 ? last->time : violation->time;
}

static const char *relative_time(const struct event *event, int64_t zero)
{
    if (event->here)
        return " 0";
    if (event->time < 0 || zero < 0 || event->time > zero)
        return "";
    return ss_text("-%s", duration((zero - event->time) * 1000));
}

static const struct ss_thread *thread_of(const struct ss_violation *violation, int64_t serial)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++)
        if (violation->sites[kind].present && violation->sites[kind].thread.serial == serial)
            return &violation->sites[kind].thread;
    return NULL;
}

static void print_story(FILE *out, const struct ss_violation *violation)
{
    struct story story = {.count = 0};
    make_story(&story, violation);
    if (story.count == 0)
        return;

    /* One column for each thread, in order of appearance. */
    int64_t serials[SS_SITE_COUNT] = {0};
    size_t columns = 0, widths[SS_SITE_COUNT] = {0}, text_widths[SS_SITE_COUNT] = {0};
    for (size_t i = 0; i < story.count; i++) {
        size_t column = 0;
        while (column < columns && serials[column] != story.events[i].thread)
            column++;
        if (column == columns)
            serials[columns++] = story.events[i].thread;
        size_t width = ss_text_width(story.events[i].text);
        if (*story.events[i].place && width > text_widths[column])
            text_widths[column] = width;
    }
    const char *labels[SS_SITE_COUNT];
    size_t total = 15;
    for (size_t column = 0; column < columns; column++) {
        labels[column] = thread_label(violation, thread_of(violation, serials[column]), true);
        widths[column] = ss_text_width(labels[column]);
        for (size_t i = 0; i < story.count; i++) {
            const struct event *event = &story.events[i];
            if (event->thread != serials[column])
                continue;
            size_t width = *event->place ? text_widths[column] + 3 + ss_text_width(event->place)
                                         : ss_text_width(event->text);
            if (width > widths[column])
                widths[column] = width;
        }
        total += widths[column] + 3;
    }
    bool side_by_side = columns <= COLUMNS_MAX && total <= TABLE_WIDTH;

    fprintf(out, "\n    %-10s", "time");
    for (size_t column = 0; column < columns; column++) {
        if (!side_by_side)
            fprintf(out,
                    column ? "               " SS_BOLD "%s" SS_PLAIN "\n"
                           : " " SS_BOLD "%s" SS_PLAIN "\n",
                    labels[column]);
        else
            fprintf(out, " " SS_BOLD "%s" SS_PLAIN "%*s", labels[column],
                    column + 1 < columns ? (int)(widths[column] - ss_text_width(labels[column]) + 2)
                                         : 0,
                    "");
    }
    if (side_by_side)
        putc('\n', out);
    for (size_t i = 0; i < story.count; i++) {
        const struct event *event = &story.events[i];
        size_t column = 0, indent = 1;
        for (; serials[column] != event->thread; column++)
            indent += side_by_side ? widths[column] + 3 : 0;
        fprintf(out, "    %-10s%*s", relative_time(event, story.zero), (int)indent, "");
        if (!side_by_side && columns > 1)
            fprintf(out, "thread %lld: ", (long long)event->thread);
        fputs(event->text, out);
        if (*event->place)
            fprintf(out, "%*s%s", (int)(text_widths[column] - ss_text_width(event->text) + 3), "",
                    event->place);
        fputs(event->here ? SS_RED "  <-- here" SS_PLAIN "\n" : "\n", out);
    }
}

/* ---- stacks ---- */

static void print_frame(FILE *out, const struct ss_frame *frame, size_t width)
{
    const char *place = place_text(frame);
    fprintf(out, "        %s%*s  %s\n", place,
            (int)(width > ss_text_width(place) ? width - ss_text_width(place) : 0), "",
            function_text(frame));
}

/* The own frames of a stack, or where there are none those of dependencies; all of them on demand.
 */
static void print_stack(FILE *out, const char *heading, const struct ss_frames *frames,
                        bool typical, bool all)
{
    unsigned kinds = ~0U;
    if (!all) {
        kinds = SS_KIND(SS_FRAME_OWN);
        if (!ss_first_frame(frames, kinds))
            kinds = SS_KIND(SS_FRAME_DEPENDENCY) | SS_KIND(SS_FRAME_UNKNOWN);
        if (!ss_first_frame(frames, kinds))
            kinds = SS_KIND(SS_FRAME_RUNTIME);
    }
    size_t shown = 0, width = 0, limit = all ? frames->count : STACK_SHOWN;
    for (size_t i = 0; i < frames->count; i++) {
        size_t place = kinds & SS_KIND(frames->frames[i].kind)
                           ? ss_text_width(place_text(&frames->frames[i]))
                           : 0;
        width = place > width && place < 80 ? place : width;
    }
    fprintf(out, "    %s%s\n", heading,
            typical ? " (the stack of an earlier pass at the same place)" : "");
    for (size_t i = 0; i < frames->count && shown < limit; i++) {
        if (!(kinds & SS_KIND(frames->frames[i].kind)))
            continue;
        print_frame(out, &frames->frames[i], width);
        shown++;
    }
    if (frames->count == 0)
        fputs("        (no stack was taken)\n", out);
    else if (frames->count > shown)
        fprintf(out, "        %s%s of %s (--all-frames)\n", shown ? "and " : "",
                ss_count_text(frames->count - shown, "frame"),
                kinds & SS_KIND(SS_FRAME_OWN) ? "libraries" : "tracing, std and the system");
}

static void print_stacks(FILE *out, const struct ss_violation *violation, bool all)
{
    static const char *const verbs[SS_SITE_COUNT] = {"created", "entered", "exited", "closed"};
    bool own_stacks = violation->rule == SS_RULE_FOREIGN_THREAD_EXIT ||
                      violation->rule == SS_RULE_EXIT_WITHOUT_ENTER;
    if (!all && !own_stacks)
        return;
    putc('\n', out);
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        if (!site->present ||
            (!all && kind == SS_SITE_CREATED && violation->sites[SS_SITE_ENTERED].present))
            continue;
        print_stack(
            out, ss_text("%s on %s by", verbs[kind], thread_label(violation, &site->thread, false)),
            &site->frames, site->typical, all);
    }
}

/* ---- one violation ---- */

/* Where a thread was made, by the reader's own code, unless that was just said. */
static void print_thread_origins(FILE *out, const struct ss_violation *violation,
                                 const struct ss_frame *said)
{
    int64_t done[SS_SITE_COUNT] = {0};
    size_t count = 0;
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        const struct ss_frame *own = ss_first_frame(&site->thread_frames, SS_KIND(SS_FRAME_OWN));
        bool told = false;
        for (size_t i = 0; i < count; i++)
            told |= done[i] == site->thread.serial;
        if (!site->present || told)
            continue;
        done[count++] = site->thread.serial;
        if (!own || (said && strcmp(ss_frame_place(own), ss_frame_place(said)) == 0))
            continue;
        fprintf(out, "   = thread %lld was made at %s  %s", (long long)site->thread.serial,
                place_text(own), function_text(own));
        if (site->thread.span)
            fprintf(out, ", inside span `%s`", clean(site->thread.span));
        putc('\n', out);
    }
}

/* The frame that the arrow under the title points at, and the site it belongs to. */
static const struct ss_frame *main_frame(const struct ss_violation *violation,
                                         const struct ss_site **site)
{
    static const enum ss_site_kind order[SS_RULE_COUNT] = {
        [SS_RULE_WRONG_SUBSCRIBER] = SS_SITE_CREATED,
        [SS_RULE_LOST_CLOSE] = SS_SITE_CREATED,
        [SS_RULE_FOREIGN_THREAD_EXIT] = SS_SITE_ENTERED,
        [SS_RULE_EXIT_WITHOUT_ENTER] = SS_SITE_EXITED,
    };
    *site = &violation->sites[violation->rule < 0 ? SS_SITE_CREATED : order[violation->rule]];
    return ss_responsible_frame(&(*site)->frames);
}

/* What to put a caret under, by what happens at the site. */
static const char *const *source_words(enum ss_site_kind kind)
{
    static const char *const spans[] = {"trace_span!", "debug_span!", "info_span!",    "warn_span!",
                                        "error_span!", "span!",       "strayspan_new", NULL};
    static const char *const enters[] = {".enter()", ".entered()", ".in_scope(", "strayspan_enter",
                                         NULL};
    static const char *const exits[] = {".exit(", ".in_scope(", "strayspan_exit", NULL};
    static const char *const closes[] = {"strayspan_close", NULL};
    static const char *const *const words[SS_SITE_COUNT] = {[SS_SITE_CREATED] = spans,
                                                            [SS_SITE_ENTERED] = enters,
                                                            [SS_SITE_EXITED] = exits,
                                                            [SS_SITE_CLOSED] = closes};
    return words[kind];
}

/* The own code further out that led to an own frame: its caller by another name. */
static const struct ss_frame *own_caller(const struct ss_frames *frames,
                                         const struct ss_frame *frame)
{
    size_t first = frame ? (size_t)(frame - frames->frames) + 1 : frames->count;
    for (const struct ss_frame *at = frames->frames + first; at < frames->frames + frames->count;
         at++)
        if (at->kind == SS_FRAME_OWN && at->function && frame->function &&
            !ss_text_starts(frame->function, at->function))
            return at;
    return NULL;
}

static void print_where(FILE *out, const struct ss_violation *violation)
{
    const struct ss_site *site;
    const struct ss_frame *frame = main_frame(violation, &site);
    const struct ss_site *created = &violation->sites[SS_SITE_CREATED];
    const char *call_site = call_site_place(violation);
    bool own = frame && frame->kind == SS_FRAME_OWN && frame->file;
    const char *place = frame ? ss_frame_place(frame) : call_site;
    if (call_site && (site == created ? !own : frame && !frame->line))
        place = call_site;
    if (place)
        fprintf(out, SS_BLUE "  -->" SS_PLAIN " %s  %s\n", clean(place),
                frame ? function_text(frame) : "");

    const char *program = frame && frame->address.binary ? frame->address.binary->path : NULL;
    enum ss_site_kind kind = (enum ss_site_kind)(site - violation->sites);
    if (own)
        ss_terminal_source(out, frame->file, frame->line, program, source_words(kind),
                           ss_text("%s on %s", ss_site_names[kind],
                                   thread_label(violation, &site->thread, false)));
    const struct ss_frame *asked = own ? own_caller(&site->frames, frame)
                                       : ss_first_frame(&created->frames, SS_KIND(SS_FRAME_OWN));
    if (asked && frame && !own && asked->function && frame->function &&
        strcmp(asked->function, frame->function) == 0)
        asked = NULL; /* the arrow's own function */
    if (asked)
        fprintf(out, "   = %s: " SS_BOLD "%s" SS_PLAIN "  %s\n",
                own ? "called from" : "asked for by your code", place_text(asked),
                function_text(asked));
    if (site != created && call_site)
        fprintf(out, "   = the span is made at %s\n", clean(call_site));
    print_thread_origins(out, violation, asked);
}

static void print_times(FILE *out, const struct ss_violation *violation,
                        const struct ss_report *report)
{
    bool several = report->processes && report->processes->next;
    const char *times = violation->times > 1 ? ss_text("%llu times, this is the first",
                                                       (unsigned long long)violation->times)
                                             : NULL;
    const char *program = violation->program ? strrchr(violation->program, '/') : NULL;
    const char *where =
        several ? ss_text("in %s, pid %lld%s", program ? clean(program + 1) : "a process",
                          (long long)violation->pid,
                          violation->processes > 1
                              ? ss_text(" and %s",
                                        violation->processes == 2
                                            ? "another process"
                                            : ss_text("%llu other processes",
                                                      (unsigned long long)violation->processes - 1))
                              : "")
                : NULL;
    if (times || where)
        fprintf(out, "   = %s%s%s\n", where ? where : "", times && where ? "; " : "",
                times ? times : "");
}

static void print_values(FILE *out, const struct ss_violation *violation)
{
    const char *key;
    json_t *value;
    json_object_foreach(violation->span.fields, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (!json_is_null(value) && text)
            fprintf(out, "   = field %s = %s\n", clean(key), clean(text));
        free(text);
    }
}

static void print_instance(FILE *out, int number, const char *what, const char *type, size_t width,
                           const char *note)
{
    fprintf(out, "    #%d %-14s %s%*s%s\n", number, what, type,
            (int)(*note ? width - ss_text_width(type) + 3 : 0), "", note);
}

static const char *instance_text(const struct ss_violation *violation,
                                 const struct ss_instance *instance)
{
    const char *type = ss_short_type(instance->type), *provider = violation->span.provider;
    if (instance->no_op)
        return "none";
    if (type)
        return ss_text_clean_to(type, 90);
    bool annotated = provider && strcmp(provider, "annotation") == 0;
    return ss_text("subscriber %lld (%s)", (long long)instance->serial,
                   annotated ? "annotated" : "type not known");
}

/* How the subscriber came to be called. */
static const char *called_note(const struct ss_violation *violation)
{
    const struct ss_site *created = &violation->sites[SS_SITE_CREATED];
    const struct ss_site *closed = &violation->sites[SS_SITE_CLOSED];
    const char *provider = violation->span.provider;
    if (!closed->present)
        closed = &violation->sites[SS_SITE_EXITED];
    long long thread = (long long)closed->thread.serial;
    if (provider && strcmp(provider, "annotation") == 0)
        return "";
    if (violation->called.no_op)
        return ss_text("thread %lld has no default subscriber", thread);
    if (closed->thread.serial != created->thread.serial &&
        ss_frames_hold(&created->frames, "WithDispatch"))
        return ss_text("default of thread %lld: with_subscriber stayed behind", thread);
    return ss_text("default of thread %lld", thread);
}

static void print_instances(FILE *out, const struct ss_violation *violation)
{
    if (!violation->called.present || !violation->owner.present)
        return;
    const char *made = instance_text(violation, &violation->owner);
    const char *called = instance_text(violation, &violation->called);
    size_t width = ss_text_width(made), other = ss_text_width(called);
    putc('\n', out);
    print_instance(out, 1, "made it", made, width, "");
    print_instance(out, 2, "was called", called, width > other ? width : other,
                   called_note(violation));
}

/* Prints lines under a label; further lines are indented by indent. */
static void print_labelled(FILE *out, const char *label, const char *text, int indent)
{
    fprintf(out, SS_BOLD "%-6s" SS_PLAIN " ", label);
    for (; *text; text++) {
        putc(*text, out);
        if (*text == '\n')
            fprintf(out, "%*s", indent, "");
    }
    putc('\n', out);
}

/* Breaks a sentence into lines of about 100 columns, at spaces. */
static const char *wrapped(const char *text)
{
    char *result = ss_text_copy(text, strlen(text)), *space = NULL;
    size_t column = 0;
    for (char *at = result; *at; at++, column++) {
        if (*at == ' ')
            space = at;
        if (column >= 98 && space) {
            *space = '\n';
            column = (size_t)(at - space) + 7;
            space = NULL;
        }
    }
    return result;
}

static void print_blame(FILE *out, const struct ss_violation *violation)
{
    const struct ss_blame *blame = &violation->blame;
    putc('\n', out);
    if (blame->text)
        print_labelled(out, "blame:", wrapped(ss_text_clean_to(blame->text, 600)), 7);
    for (size_t i = 0; i < 6 && blame->help[i]; i++)
        print_labelled(out, i ? "" : "help:", blame->help[i], 11);
    for (size_t i = 0; i < 6 && blame->commands[i]; i++)
        fprintf(out, "           " SS_GREEN "%s" SS_PLAIN "\n", clean(blame->commands[i]));
    if (violation->rule >= 0)
        print_labelled(out, "more:", ss_text("strayspan explain %s", violation->rule_code), 7);
    for (size_t i = 0; i < 4 && blame->more[i]; i++)
        print_labelled(out, "", clean(blame->more[i]), 7);
}

static void print_violation(FILE *out, const struct ss_violation *violation,
                            const struct ss_report *report, const struct ss_style *style)
{
    bool error = violation->severity == SS_SEVERITY_ERROR;
    fprintf(out, "%s%s[%s]" SS_PLAIN SS_BOLD ": %s" SS_PLAIN "\n", error ? SS_RED : SS_YELLOW,
            error ? "error" : "warning", clean(violation->rule_code), title(violation));
    print_where(out, violation);
    print_times(out, violation, report);
    if (style->with_values)
        print_values(out, violation);
    print_story(out, violation);
    print_stacks(out, violation, style->all_frames);
    print_instances(out, violation);
    print_blame(out, violation);
    putc('\n', out);
}

void ss_render_text(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    for (const struct ss_violation *violation = report->violations; violation;
         violation = violation->next)
        print_violation(out, violation, report, style);
    if (report->processes && !report->violations)
        fputs(report->problems ? "no violation was read, and not all could be: see the problems "
                                 "below\n"
              : ss_report_unfinished(report)
                  ? "no violation was logged; not all processes lived to write their counts\n"
              : report->seen.created ? "nothing strayed\n"
                                     : SS_YELLOW "NOTHING WAS CHECKED" SS_PLAIN
                                                 ": no span was seen\n",
              out);
    ss_render_seen(out, report);
}
