/* Between the parts that render. Of the text report: render_text.c writes a violation, render_story.c its table
 * of moments, render_facts.c what its rule has to tell, in the words of render_words.c. All text
 * that these return is clean: fit for a terminal. */
#ifndef SS_RENDER_H
#define SS_RENDER_H

#include "report.h"

/* ---- render_words.c -------------------------------------------------------------------------- */

/* `1.9 ms`. */
const char *ss_duration_text(int64_t ns);

/* The span in backquotes; its id where it has no name. */
const char *ss_span_text(const struct ss_span *span);

const char *ss_function_text(const struct ss_frame *frame);
const char *ss_place_text(const struct ss_frame *frame);

/* `dns.rs:122`: the end of a place, for the table. */
const char *ss_short_place(const char *place);

/* Where the span of a violation is made; NULL where that is not known. */
const char *ss_span_place(const struct ss_violation *violation);

/* `src/main.rs:7 app::f`: the code that does what happens at a site; NULL: not known. */
const char *ss_site_text(const struct ss_site *site);
/* The same for the table: the place alone, short, and empty where it is not known. */
const char *ss_short_site_text(const struct ss_site *site);

/* `thread 3 `name``; full: and what it is for, its tid, and what made it. */
const char *ss_thread_text(const struct ss_violation *violation, const struct ss_thread *thread,
                           bool full);
/* `thread 3, tokio worker`. */
const char *ss_thread_role_text(const struct ss_violation *violation,
                                const struct ss_thread *thread);

/* `getaddrinfo("localhost"): 2 addresses, 1.9 ms`. */
const char *ss_lookup_text(const struct ss_lookup *lookup);

/* The first line's title, the span's name in it; what is about no span says nothing of one. */
const char *ss_title_text(const struct ss_violation *violation);

/* What is to be said of a report without violations and suspicions; NULL where it has one. */
const char *ss_verdict_text(const struct ss_report *report);

/* The text report of one violation (NULL: of what was and was not seen), without colours. */
char *ss_plain_text(const struct ss_report *report, const struct ss_violation *violation,
                    const struct ss_style *style);

/* The one frame that stands for a violation: of the reader's own code where there is any. NULL: none
 * is known. */
const struct ss_frame *ss_primary_frame(const struct ss_violation *violation);

/* Where a violation is, as the arrow under its title says. */
struct ss_where {
    const char *file; /* as the log or the debug information has it; NULL: not known */
    unsigned line;
    const char *place;            /* clean; NULL: not known */
    const struct ss_frame *frame; /* NULL: not known */
    bool exact;                   /* the line is the frame's, not the one where the span is made */
};
struct ss_where ss_where(const struct ss_violation *violation);

/* `src/lib.rs:20  app::second, in app::tests::two`: another place of a violation. */
const char *ss_other_place_text(const struct ss_violation *violation,
                                const struct ss_other_place *place);

/* How many other places are told in text, each in a line; and the line for those beyond, NULL: there are none. */
enum { SS_OTHER_PLACES_SHOWN = 8 };
const char *ss_more_places_text(const struct ss_violation *violation);

/* ---- render_story.c -------------------------------------------------------------------------- */

/* The table of what happened, a column for each thread, up to the moment of the violation. */
void ss_print_story(FILE *out, const struct ss_violation *violation);

/* ---- render_facts.c -------------------------------------------------------------------------- */

/* The site whose code the arrow under the title points at. */
enum ss_site_kind ss_arrow_site(const struct ss_violation *violation);

/* What stands beside the caret: what is wrong there. */
const char *ss_arrow_note(const struct ss_violation *violation);

/* Whether the stacks of its sites tell more than the lines above them do. */
bool ss_wants_stacks(const struct ss_violation *violation);

/* The facts that a rule alone has, a line each; times (may be NULL) is told with the last. */
void ss_print_facts(FILE *out, const struct ss_violation *violation, const char *times);

/* What the user saw because of it. */
void ss_print_consequences(FILE *out, const struct ss_violation *violation);

/* ---- render_text.c --------------------------------------------------------------------------- */

/* One violation or suspicion, marked for ss_terminal_write. */
void ss_print_violation(FILE *out, const struct ss_violation *violation,
                        const struct ss_report *report, const struct ss_style *style);

/* Prints text in lines of about 100 columns, broken at spaces. The first begins at that column, the
 * others are indented. */
void ss_print_wrapped(FILE *out, const char *text, size_t column, int indent);

/* ---- render_json.c --------------------------------------------------------------------------- */

/* text as a value, null where it is NULL; bytes that are not UTF-8 are written as \xff. */
json_t *ss_json_text(const char *text);

/* Writes a document, in ASCII, and lets go of it. */
void ss_json_write(FILE *out, json_t *document);

#endif
