/* The report for a person at a terminal, in the shape that rustc's errors have. Whatever comes from
 * a log or a binary is made fit for a terminal before it is printed. Called by report.c. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "tests.h"
#include "text.h"

enum { STACK_SHOWN = 6, LINE_COLUMNS = 98, TESTS_SHOWN = 4 };

static const char *clean(const char *text)
{
    return ss_text_clean(text);
}

/* ---- stacks ---- */

static void print_frame(FILE *out, const struct ss_frame *frame, size_t width)
{
    const char *place = ss_place_text(frame);
    fprintf(out, "        %s%*s  %s\n", place,
            (int)(width > ss_text_width(place) ? width - ss_text_width(place) : 0), "",
            ss_function_text(frame));
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
                           ? ss_text_width(ss_place_text(&frames->frames[i]))
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
    if (!all && !ss_wants_stacks(violation))
        return;
    putc('\n', out);
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        if (!site->present ||
            (!all && kind == SS_SITE_CREATED && violation->sites[SS_SITE_ENTERED].present))
            continue;
        const char *what = kind == SS_SITE_USED && ss_arrow_site(violation) == SS_SITE_USED
                               ? ss_arrow_note(violation)
                               : ss_text("%s on %s", ss_site_names[kind],
                                         ss_thread_text(violation, &site->thread, false));
        print_stack(out, ss_text("%s by", what), &site->frames, site->typical, all);
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
                ss_place_text(own), ss_function_text(own));
        if (site->thread.span)
            fprintf(out, ", inside span `%s`", clean(site->thread.span));
        putc('\n', out);
    }
}

/* What to put a caret under, by what happens at the site. */
static const char *const *source_words(enum ss_site_kind kind)
{
    static const char *const spans[] = {"trace_span!", "debug_span!", "info_span!",    "warn_span!",
                                        "error_span!", "span!",       "strayspan_new", NULL};
    static const char *const enters[] = {".enter()", ".entered()", ".in_scope(", "strayspan_enter",
                                         NULL};
    static const char *const exits[] = {".exit(", ".in_scope(", "drop(", "strayspan_exit", NULL};
    static const char *const closes[] = {"drop(", ".try_close(", "strayspan_close", NULL};
    static const char *const uses[] = {".enter()",     ".entered()",      ".in_scope(",
                                       ".record(",     "parent:",         "to_socket_addrs()",
                                       "getaddrinfo(", "strayspan_enter", NULL};
    static const char *const none[] = {NULL};
    static const char *const *const words[SS_SITE_COUNT] = {
        [SS_SITE_CREATED] = spans, [SS_SITE_ENTERED] = enters, [SS_SITE_EXITED] = exits,
        [SS_SITE_PARKED] = none,   [SS_SITE_CLOSED] = closes,  [SS_SITE_USED] = uses};
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
    enum ss_site_kind kind = ss_arrow_site(violation);
    const struct ss_where where = ss_where(violation);
    const struct ss_site *site = &violation->sites[kind];
    const struct ss_frame *frame = where.frame;
    const struct ss_site *created = &violation->sites[SS_SITE_CREATED];
    const char *call_site = ss_span_place(violation);
    bool own = frame && frame->kind == SS_FRAME_OWN && frame->file;
    if (where.place)
        fprintf(out, SS_BLUE "  -->" SS_PLAIN " %s  %s\n", where.place,
                frame ? ss_function_text(frame) : "");

    const char *program = frame && frame->address.binary ? frame->address.binary->path : NULL;
    const char *note = site->present ? ss_arrow_note(violation) : NULL;
    bool noted = own && ss_terminal_source(out, frame->file, frame->line, program, violation->time,
                                           source_words(kind), note ? note : "");
    /* What is said beside the caret of other rules, the table and the stacks say too. */
    if (note && !noted && violation->parks.present)
        fprintf(out, "   = %s\n", note);
    const struct ss_frame *asked = own ? own_caller(&site->frames, frame)
                                       : ss_first_frame(&created->frames, SS_KIND(SS_FRAME_OWN));
    if (asked && frame && !own && asked->function && frame->function &&
        strcmp(asked->function, frame->function) == 0)
        asked = NULL; /* the arrow's own function */
    if (asked)
        fprintf(out, "   = %s: " SS_BOLD "%s" SS_PLAIN "  %s\n",
                own ? "called from" : "asked for by your code", ss_place_text(asked),
                ss_function_text(asked));
    if (site != created && call_site)
        fprintf(out, "   = the span is made at %s\n", call_site);
    const struct ss_binary *module = violation->owner.binary;
    if (module && !module->program)
        fprintf(out, "   = in the module %s\n", clean(module->path));
    print_thread_origins(out, violation, asked);
}

/* In which of the processes, or tests, it was, and where at several places, that of its own one; NULL: there is
 * nothing to say. */
static const char *seen_in_text(const struct ss_violation *violation,
                                const struct ss_report *report)
{
    uint64_t processes = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        processes++;
    const char *names =
        ss_test_known(violation) ? ss_test_names(violation, NULL, TESTS_SHOWN) : NULL;
    const char *program = violation->program ? strrchr(violation->program, '/') : NULL;
    uint64_t others = violation->processes - 1;
    const char *where = NULL, *places = NULL;
    if (violation->other_place_count)
        places = ss_text("at %s", ss_count_text(violation->other_place_count + 1, "place"));
    if (processes > 1 && ss_test_known(violation))
        where = ss_text("in %llu of %s", (unsigned long long)violation->processes,
                        ss_count_text(processes, "process"));
    else if (processes > 1)
        where = ss_text("in %s, pid %lld%s", program ? clean(program + 1) : "a process",
                        (long long)violation->pid,
                        violation->processes < 2 ? ""
                        : violation->processes == 2
                            ? " and another process"
                            : ss_text(" and %llu other processes", (unsigned long long)others));
    if (places)
        where = where ? ss_text("%s %s", where, places) : places;
    if (names)
        where = places  ? ss_text("%s, here in %s", where, names)
                : where ? ss_text("%s: %s", where, names)
                        : ss_text("in %s", names);
    return where;
}

/* The same, and how often; NULL: there is nothing to say. */
static const char *times_text(const struct ss_violation *violation, const struct ss_report *report)
{
    const char *times = violation->times > 1 ? ss_text("%llu times, this is the first",
                                                       (unsigned long long)violation->times)
                                             : NULL;
    const char *where = seen_in_text(violation, report);
    return where && times ? ss_text("%s; %s", where, times) : where ? where : times;
}

/* Where else those of its group are that it tells of. */
static void print_other_places(FILE *out, const struct ss_violation *violation)
{
    size_t shown = 0;
    for (const struct ss_other_place *at = violation->other_places;
         at && shown < SS_OTHER_PLACES_SHOWN; at = at->next, shown++)
        fprintf(out, "   = also at %s\n", ss_other_place_text(violation, at));
    const char *more = ss_more_places_text(violation);
    if (more)
        fprintf(out, "   = %s\n", more);
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

static void print_indented(FILE *out, const char *text, int indent)
{
    for (; *text; text++) {
        putc(*text, out);
        if (*text == '\n')
            fprintf(out, "%*s", indent, "");
    }
    putc('\n', out);
}

void ss_print_wrapped(FILE *out, const char *text, size_t column, int indent)
{
    char *result = ss_text_copy(text, strlen(text)), *space = NULL;
    bool quoted = false; /* words that one may want to search for stay together */
    for (char *at = result; *at; at++, column++) {
        quoted ^= *at == '"';
        if (*at == ' ' && !quoted)
            space = at;
        if (*at == '\n')
            column = (size_t)indent;
        if (column >= LINE_COLUMNS && space) {
            *space = '\n';
            column = (size_t)(at - space) + (size_t)indent;
            space = NULL;
        }
    }
    print_indented(out, result, indent);
}

/* Prints lines under a label; further lines are indented by indent. */
static void print_labelled(FILE *out, const char *label, const char *text, int indent)
{
    fprintf(out, SS_BOLD "%-6s" SS_PLAIN " ", label);
    print_indented(out, text, indent);
}

static void print_blame(FILE *out, const struct ss_violation *violation)
{
    const struct ss_blame *blame = &violation->blame;
    if (blame->text) {
        fputs(SS_BOLD "blame:" SS_PLAIN " ", out);
        ss_print_wrapped(out, ss_text_clean_to(blame->text, 600), 7, 7);
    }
    for (size_t i = 0; i < 6 && blame->help[i]; i++)
        print_labelled(out, i ? "" : "help:", blame->help[i], 11);
    for (size_t i = 0; i < 6 && blame->commands[i]; i++)
        fprintf(out, "           " SS_GREEN "%s" SS_PLAIN "\n", clean(blame->commands[i]));
    if (violation->rule >= 0)
        print_labelled(out, "more:", ss_text("strayspan explain %s", violation->rule_code), 7);
    for (size_t i = 0; i < 4 && blame->more[i]; i++)
        print_labelled(out, "", clean(blame->more[i]), 7);
}

void ss_print_violation(FILE *out, const struct ss_violation *violation,
                        const struct ss_report *report, const struct ss_style *style)
{
    bool error = violation->severity == SS_SEVERITY_ERROR;
    const char *word = violation->suspicion ? SS_BLUE "suspicion"
                       : error              ? SS_RED "error"
                                            : SS_YELLOW "warning";
    fprintf(out, "%s[%s]" SS_PLAIN SS_BOLD ": %s" SS_PLAIN "\n", word, clean(violation->rule_code),
            ss_title_text(violation));
    print_where(out, violation);
    ss_print_facts(out, violation, times_text(violation, report));
    print_other_places(out, violation);
    if (style->with_values)
        print_values(out, violation);
    ss_print_story(out, violation);
    print_stacks(out, violation, style->all_frames);
    print_instances(out, violation);
    putc('\n', out);
    ss_print_consequences(out, violation);
    print_blame(out, violation);
    putc('\n', out);
}

void ss_render_text(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    const struct ss_violation *const lists[] = {report->violations, report->suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            if (!at->shown)
                ss_print_violation(out, at, report, style);
    const char *verdict = ss_verdict_text(report);
    if (!report->ran && report->nothing_why) {
        ss_render_nothing(out, report);
        return;
    }
    if (verdict)
        fprintf(out, "%s%s" SS_PLAIN "\n", ss_text_starts(verdict, "NOTHING") ? SS_YELLOW : "",
                verdict);
    ss_render_seen(out, report);
}
