/* The words that the text report is made of: spans, places, threads, look-ups. Whatever comes from a
 * log or a binary is made fit for a terminal here. Called by the other parts of the text report. */
#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "tests.h"
#include "text.h"

enum { NAME_MAX_COLUMNS = 80, FUNCTION_MAX_COLUMNS = 100, SHORT_MAX_COLUMNS = 60 };
enum { OTHER_PLACE_TESTS = 4 };

const char *ss_duration_text(int64_t ns)
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

const char *ss_span_text(const struct ss_span *span)
{
    if (span->name)
        return ss_text("`%s`", ss_text_clean_to(span->name, NAME_MAX_COLUMNS));
    return ss_text("<%s>", span->id ? ss_text_clean(span->id) : "?");
}

const char *ss_function_text(const struct ss_frame *frame)
{
    const char *function = ss_short_function(frame->function, frame->name);
    return function ? ss_text_clean_to(function, FUNCTION_MAX_COLUMNS) : "?";
}

const char *ss_place_text(const struct ss_frame *frame)
{
    return ss_text_clean(ss_frame_place(frame));
}

const char *ss_short_place(const char *place)
{
    const char *slash = place ? strrchr(place, '/') : NULL;
    return ss_text_clean(slash ? slash + 1 : place ? place : "");
}

/* A call site's file is relative to where the program was built; a frame at the creation knows the
 * same file by its whole path. */
const char *ss_span_place(const struct ss_violation *violation)
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
    return ss_text_clean(ss_place(file, (unsigned)violation->span.line));
}

const char *ss_site_text(const struct ss_site *site)
{
    const struct ss_frame *frame = ss_responsible_frame(&site->frames);
    if (!frame)
        return NULL;
    return frame->function ? ss_text("%s %s", ss_place_text(frame), ss_function_text(frame))
                           : ss_place_text(frame);
}

const char *ss_short_site_text(const struct ss_site *site)
{
    const struct ss_frame *frame = ss_responsible_frame(&site->frames);
    return frame ? ss_short_place(ss_frame_place(frame)) : "";
}

/* ---- threads ---- */

const char *ss_thread_text(const struct ss_violation *violation, const struct ss_thread *thread,
                           bool full)
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

const char *ss_thread_role_text(const struct ss_violation *violation,
                                const struct ss_thread *thread)
{
    const char *role = ss_thread_role(violation, thread);
    return ss_text("thread %lld%s%s", (long long)thread->serial, role ? ", " : "",
                   role ? role : "");
}

/* ---- look-ups ---- */

const char *ss_lookup_text(const struct ss_lookup *lookup)
{
    const char *host = lookup->host ? ss_text_clean_to(lookup->host, SHORT_MAX_COLUMNS) : NULL;
    const char *what = host ? ss_text("getaddrinfo(\"%s\")", host) : "getaddrinfo(..)";
    const char *result = lookup->result == 0 && lookup->addresses < 0 ? "answered"
                         : lookup->result == 0
                             ? ss_text("%lld address%s", (long long)lookup->addresses,
                                       lookup->addresses == 1 ? "" : "es")
                         : lookup->error ? ss_text_clean_to(lookup->error, SHORT_MAX_COLUMNS)
                                         : ss_text("error %lld", (long long)lookup->result);
    return lookup->ns >= 0 ? ss_text("%s: %s, %s", what, result, ss_duration_text(lookup->ns))
                           : ss_text("%s: %s", what, result);
}

/* ---- violations ---- */

/* The first line's title, `%s` replaced; what is about no span says nothing of one. */
const char *ss_title_text(const struct ss_violation *violation)
{
    static const char in_span[] = " (in span %s)";
    const char *name = ss_span_text(&violation->span);
    if (violation->rule < 0)
        return ss_text("span %s: a rule that this strayspan does not know", name);
    const char *text = ss_rule_rows[violation->rule].title, *mark = strstr(text, "%s");
    const char *aside = strstr(text, in_span);
    if (!violation->span.present && aside)
        return ss_text("%.*s%s", (int)(aside - text), text, aside + strlen(in_span));
    return ss_text("%.*s%s%s", (int)(mark - text), text, name, mark + 2);
}

const char *ss_verdict_text(const struct ss_report *report)
{
    if (!report->processes || ss_report_found(report))
        return NULL;
    return report->problems ? "no violation was read, and not all could be: see the problems below"
           : ss_report_unfinished(report)
               ? "no violation was logged; not all processes lived to write their counts"
           : ss_report_partly(report) ? "nothing strayed in what was judged"
           : report->seen.created     ? "nothing strayed"
                                      : "NOTHING WAS CHECKED: no span was seen";
}

/* Takes the marks for colours out. */
static char *without_marks(char *text)
{
    char *kept = text;
    for (const char *at = text; *at; at++)
        if (*at < SS_PLAIN[0] || *at > SS_GREEN[0])
            *kept++ = *at;
    *kept = 0;
    return text;
}

char *ss_plain_text(const struct ss_report *report, const struct ss_violation *violation,
                    const struct ss_style *style)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return ss_text_copy("", 0);
    if (violation)
        ss_print_violation(memory, violation, report, style);
    else
        ss_render_seen(memory, report);
    char *copy = fclose(memory) == 0 ? ss_text_copy(text, ss_text_trim_lines(text, length))
                                     : ss_text_copy("", 0);
    free(text);
    return without_marks(copy);
}

struct ss_where ss_where(const struct ss_violation *violation)
{
    enum ss_site_kind arrow = ss_arrow_site(violation);
    const struct ss_frame *frame = ss_responsible_frame(&violation->sites[arrow].frames);
    const char *call_site = ss_span_place(violation);
    bool own = frame && frame->kind == SS_FRAME_OWN && frame->file;
    if (call_site && (arrow == SS_SITE_CREATED ? !own : !frame || !frame->line))
        return (struct ss_where){.file = violation->span.file,
                                 .line = (unsigned)violation->span.line,
                                 .place = call_site,
                                 .frame = frame};
    if (!frame)
        return (struct ss_where){.place = call_site};
    return (struct ss_where){.file = frame->file,
                             .line = frame->line,
                             .place = ss_place_text(frame),
                             .frame = frame,
                             .exact = frame->file && frame->line};
}

const char *ss_other_place_text(const struct ss_violation *violation,
                                const struct ss_other_place *place)
{
    struct ss_where where = ss_where(place->violation);
    const char *names = ss_test_names(violation, place, OTHER_PLACE_TESTS);
    return ss_text("%s%s%s%s%s", where.place, where.frame ? "  " : "",
                   where.frame ? ss_function_text(where.frame) : "", names ? ", in " : "",
                   names ? names : "");
}

const char *ss_more_places_text(const struct ss_violation *violation)
{
    size_t count = violation->other_place_count;
    return count > SS_OTHER_PLACES_SHOWN
               ? ss_text("and at %s", ss_count_text(count - SS_OTHER_PLACES_SHOWN, "more place"))
               : NULL;
}

const struct ss_frame *ss_primary_frame(const struct ss_violation *violation)
{
    const struct ss_site *arrow = &violation->sites[ss_arrow_site(violation)];
    const struct ss_frame *frame = ss_first_frame(&arrow->frames, SS_KIND(SS_FRAME_OWN));
    for (int kind = 0; kind < SS_SITE_COUNT && !frame; kind++)
        frame = ss_first_frame(&violation->sites[kind].frames, SS_KIND(SS_FRAME_OWN));
    return frame && frame->file && frame->line ? frame : ss_responsible_frame(&arrow->frames);
}
