/* `strayspan explain`: a page for each rule, as rows of a table. */
#include "report.h"

#include <string.h>

#include "command_line.h"
#include "commands.h"
#include "text.h"

struct page {
    const char *meaning;
    const char *code;    /* the smallest program that does it */
    const char *effects; /* in one's traces, by release of tracing-subscriber */
    const char *fix;
    const char *legal;
    const char *links;
};

static const struct page pages[SS_RULE_COUNT] = {
    [SS_RULE_WRONG_SUBSCRIBER] =
        {
            .meaning = "A span belongs to the subscriber that made it. While that subscriber exits "
                       "or closes the\n"
                       "span, the close of the span, or of its parent, is sent to another "
                       "subscriber, one that never\n"
                       "made a span of that id. The other one panics, or closes a span of its own "
                       "that happens to\n"
                       "have the same id.",
            .code = "let one = tracing_subscriber::registry();\n"
                    "let span = with_default(one, || info_span!(\"one\"));   // `one` made it\n"
                    "let _two = tracing_subscriber::fmt().set_default();  // another default on "
                    "this thread\n"
                    "span.in_scope(|| ());                                // exit: the close goes "
                    "to `two`",
            .effects =
                "tracing-subscriber 0.2.14 to 0.3.20: Registry::exit closes through the thread's "
                "default\n"
                "  subscriber. Panic `tried to drop a ref to Id(n), but no such span exists!`, or "
                "silently\n"
                "  the wrong span ends: its on_close comes too early, and yours never does.\n"
                "tracing-subscriber 0.3.22 and later: exit closes nothing. Left is the parent of a "
                "closed\n"
                "  span, which is still closed through the thread's default subscriber.",
            .fix = "cargo update -p tracing-subscriber, to 0.3.22 or later.\n"
                   "Where hyper-util 0.1.8 to 0.1.11 does it (span `resolve`): cargo update -p "
                   "hyper-util.\n"
                   "Else keep the span's own subscriber as the default where it is exited and "
                   "dropped:\n"
                   "  let dispatch = tracing::dispatcher::get_default(|d| d.clone());\n"
                   "  spawn_blocking(move || with_default(&dispatch, || span.in_scope(work)))",
            .legal = "Creating a span on one thread and using it on another; several subscribers "
                     "in one program;\n"
                     "one Arc<S> given to set_global_default and to with_subscriber; a layer that "
                     "traces its own\n"
                     "export through with_default inside a callback.",
            .links = "https://github.com/tokio-rs/tracing/issues/1656   "
                     "https://github.com/tokio-rs/tracing/pull/3331\n"
                     "https://github.com/hyperium/hyper/issues/3848",
        },
    [SS_RULE_LOST_CLOSE] =
        {
            .meaning = "While a subscriber exits or closes its span, the close of the span, or of "
                       "its parent, is sent\n"
                       "to the thread's default subscriber, and the thread has none. Nobody counts "
                       "that close: the\n"
                       "span keeps a reference that nothing will ever drop.",
            .code =
                "let _guard = tracing_subscriber::fmt().set_default(); // for this thread alone\n"
                "let span = info_span!(\"work\");\n"
                "std::thread::spawn(move || span.in_scope(|| ())).join(); // a thread without a "
                "default",
            .effects = "tracing-subscriber 0.2.14 to 0.3.20: on_close never runs for the span. It "
                       "is missing in what\n"
                       "  exporters (OpenTelemetry, Chrome traces, fmt with FmtSpan::CLOSE) send, "
                       "its children hang\n"
                       "  in the air, and its memory stays.\n"
                       "tracing-subscriber 0.3.22 and later: only the parent of a span that is "
                       "dropped there.",
            .fix =
                "cargo update -p tracing-subscriber, to 0.3.22 or later; or\n"
                "install the subscriber for all threads: .init(), set_global_default; or take it "
                "along:\n"
                "  future.with_subscriber(dispatch)     dispatcher::with_default(&dispatch, || ..)",
            .legal = "Closes after exit handlers have begun, and in destructors of thread-locals: "
                     "there, a lost\n"
                     "close loses nothing more.",
            .links = "https://github.com/tokio-rs/tracing/issues/3223   "
                     "https://github.com/tokio-rs/tracing/pull/3331",
        },
    [SS_RULE_FOREIGN_THREAD_EXIT] =
        {
            .meaning = "A thread exits a span that it does not have open, while another thread, "
                       "its home thread, has,\n"
                       "or had when that thread ended.\n"
                       "The guard of span.enter() was moved: `Entered` is Send, so a scoped "
                       "thread, a channel or a\n"
                       "spawned task takes it, and it compiles.",
            .code =
                "let span = info_span!(\"work\");\n"
                "let guard = span.enter();                              // entered on this thread\n"
                "std::thread::scope(|s| { s.spawn(move || drop(guard)); }); // exited on that one",
            .effects =
                "tracing-subscriber 0.2.14 to 0.3.20: the home thread keeps the span as its "
                "current one, for\n"
                "  good: every later span and event there gets it as parent, and it never closes.\n"
                "tracing-subscriber 0.3.22 and later: the same wrong parents; the span can close "
                "although it is\n"
                "  open, and what is then made under it panics (`tried to clone a span that "
                "already closed`)\n"
                "  or becomes a root.\n"
                "fmt with span timings: busy and idle times of the span are wrong.",
            .fix = "Let the span travel, not its guard; each thread enters it for itself:\n"
                   "  let span = info_span!(\"work\");\n"
                   "  thread::spawn({ let span = span.clone(); move || span.in_scope(work) });\n"
                   "In async code, let the span follow the task:\n"
                   "  async move { .. }.instrument(span).await     or  #[tracing::instrument]",
            .legal =
                "Entering one span on several threads, each with its own guard; creating it here, "
                "entering,\n"
                "exiting and dropping it there; `Instrumented` futures that move between workers.",
            .links = "https://docs.rs/tracing/latest/tracing/struct.Span.html#method.enter (In "
                     "Asynchronous Code)\n"
                     "https://github.com/tokio-rs/tracing/issues/3514",
        },
    [SS_RULE_EXIT_WITHOUT_ENTER] =
        {
            .meaning = "A span is exited that no thread has open: it was exited once more than it "
                       "was entered. Mostly,\n"
                       "code that calls the subscriber by hand does that, or annotations. A guard "
                       "that is dropped after\n"
                       "its thread has ended is a foreign-thread-exit.",
            .code = "let span = info_span!(\"work\");\n"
                    "span.with_subscriber(|(id, dispatch)| dispatch.exit(id)); // never entered",
            .effects = "tracing-subscriber up to 0.3.20: nothing is popped; layers get an on_exit "
                       "without on_enter.\n"
                       "tracing-subscriber 0.3.20 and later: the fmt layer counts enters per span "
                       "and underflows: a\n"
                       "  panic in debug builds, wrong busy times in release.",
            .fix = "Let guards do it: span.enter(), span.in_scope(..), future.instrument(span).\n"
                   "Where an adapter calls enter and exit by hand, pair them, also on the paths of "
                   "errors.",
            .legal = "Any exit of a span whose creation was not seen; it is counted, not judged.",
            .links = "https://docs.rs/tracing-core/latest/tracing_core/"
                     "trait.Subscriber.html#tymethod.exit",
        },
};

static const struct ss_flag flags[] = {{NULL, NULL, NULL}};

static const struct ss_usage usage = {
    "explain",
    "[CODE]",
    "What a rule means, why it hurts, how to fix it. Without a code: the rules.",
    flags,
    NULL,
    SS_EXIT_UNREADABLE,
};

/* A rule's title for any span: `a span` instead of `span %s`. */
static const char *plain_title(int rule)
{
    const char *title = ss_rule_rows[rule].title, *mark = strstr(title, "span %s");
    return mark ? ss_text("%.*sa span%s", (int)(mark - title), title, mark + strlen("span %s"))
                : title;
}

static void print_list(FILE *out)
{
    static const char *const severities[] = SS_SEVERITY_NAMES;
    for (int i = 0; i < SS_RULE_COUNT; i++)
        fprintf(out, "%-20s %-8s %s\n", ss_rule_rows[i].code, severities[ss_rule_rows[i].severity],
                plain_title(i));
}

static void print_section(const char *heading, const char *text)
{
    printf("\n%s\n", heading);
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("    %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_page(int rule)
{
    const struct page *page = &pages[rule];
    printf("%s: %s\n", ss_rule_rows[rule].code, plain_title(rule));
    print_section("what it means", page->meaning);
    print_section("the smallest code that does it", page->code);
    print_section("what you see in your traces because of it", page->effects);
    print_section("how to fix it", page->fix);
    print_section("legal, and never reported", page->legal);
    print_section("more", page->links);
}

int ss_explain(int argc, char **argv)
{
    int index = 0;
    char *value;
    while (ss_next_flag(&usage, argc, argv, false, &index, &value) >= 0)
        ;
    if (index == argc)
        print_list(stdout);
    for (int i = index; i < argc; i++) {
        int rule = ss_rule_of(argv[i]);
        if (rule < 0) {
            fprintf(stderr, "strayspan: no rule `%s`; the rules are:\n", ss_text_clean(argv[i]));
            print_list(stderr);
            return SS_EXIT_UNREADABLE;
        }
        if (i > index)
            putchar('\n');
        print_page(rule);
    }
    return fflush(stdout) == 0 ? 0 : SS_EXIT_UNREADABLE;
}
