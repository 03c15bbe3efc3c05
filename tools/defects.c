/* Whose defect a violation is: one table of known defects, matched by crate versions, and for all
 * else the code that took or dropped the guard. Called by report.c once the frames have names. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* The closes that a defect is about: those inside an exit, or that of a closed span's parent. */
enum relation { ANY, SPAN, PARENT };

/* A known defect: versions from `from` through `until` (NULL: to the newest) have it, `fixed` is
 * the first that has not (NULL: none has). `with` names the crate that triggers it where that is
 * known; either fix ends it then. A row with `with` stands before the one without. */
static const struct defect {
    const char *crate, *from, *until, *fixed;
    const char *with, *with_from, *with_until, *with_fixed;
    unsigned rules; /* bits 1 << SS_RULE_* */
    enum relation relation;
    const char *what; /* what the crate does wrong */
    const char *links[3];
} defects[] = {
    {"tracing-subscriber",
     "0.2.14",
     "0.3.20",
     "0.3.22",
     "hyper-util",
     "0.1.8",
     "0.1.11",
     "0.1.12",
     1U << SS_RULE_WRONG_SUBSCRIBER | 1U << SS_RULE_LOST_CLOSE,
     SPAN,
     "its Registry closes through the *thread's* default subscriber, not the span's owner",
     {"https://github.com/hyperium/hyper/issues/3848",
      "https://github.com/tokio-rs/tracing/pull/3331"}},
    {"tracing-subscriber",
     "0.2.14",
     "0.3.20",
     "0.3.22",
     NULL,
     NULL,
     NULL,
     NULL,
     1U << SS_RULE_WRONG_SUBSCRIBER | 1U << SS_RULE_LOST_CLOSE,
     SPAN,
     "its Registry closes through the *thread's* default subscriber, not the span's owner",
     {"https://github.com/tokio-rs/tracing/issues/1656",
      "https://github.com/tokio-rs/tracing/pull/3331"}},
    {"tracing-subscriber",
     "0.2.0",
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     1U << SS_RULE_WRONG_SUBSCRIBER | 1U << SS_RULE_LOST_CLOSE,
     PARENT,
     "its Registry closes a closed span's *parent* through the thread's default subscriber, not "
     "the "
     "parent's owner",
     {"https://github.com/tokio-rs/tracing/issues/1656"}},
};

/* -1, 0 or 1 as version a is older than, the same as, or newer than b, by its three numbers. */
static int compare_versions(const char *a, const char *b)
{
    for (int part = 0; part < 3; part++) {
        char *end_a, *end_b;
        unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);
        if (x != y)
            return x < y ? -1 : 1;
        a = *end_a == '.' ? end_a + 1 : end_a;
        b = *end_b == '.' ? end_b + 1 : end_b;
    }
    return 0;
}

/* The version of a crate in the violation: by the paths of its frames and call site, and for
 * tracing-subscriber by what the shim found in the module. */
static const char *version_in(const struct ss_violation *violation, const char *crate)
{
    const char *found = NULL, *version = NULL;
    if (strcmp(crate, "tracing-subscriber") == 0 && violation->owner.binary &&
        violation->owner.binary->tracing_subscriber)
        return violation->owner.binary->tracing_subscriber;
    if (ss_crate_of_path(violation->span.file, &found, &version) && strcmp(found, crate) == 0)
        return version;
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_frames *frames = &violation->sites[kind].frames;
        for (size_t i = 0; i < frames->count; i++)
            if (frames->frames[i].crate && frames->frames[i].version &&
                strcmp(frames->frames[i].crate, crate) == 0)
                return frames->frames[i].version;
    }
    return NULL;
}

static bool within(const char *version, const char *from, const char *until)
{
    return version && compare_versions(version, from) >= 0 &&
           (!until || compare_versions(version, until) <= 0);
}

static bool is_annotated(const struct ss_violation *violation)
{
    return violation->span.provider && strcmp(violation->span.provider, "annotation") == 0;
}

static const struct defect *find_defect(const struct ss_violation *violation)
{
    const char *relation = violation->closing.relation;
    if (is_annotated(violation))
        return NULL;
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        const struct defect *defect = &defects[i];
        if (violation->rule < 0 || !(defect->rules & 1U << violation->rule))
            continue;
        if (defect->relation != ANY &&
            (relation && strcmp(relation, "parent") == 0) != (defect->relation == PARENT))
            continue;
        if (!within(version_in(violation, defect->crate), defect->from, defect->until))
            continue;
        if (defect->with &&
            !within(version_in(violation, defect->with), defect->with_from, defect->with_until))
            continue;
        return defect;
    }
    return NULL;
}

static void blame_defect(struct ss_violation *violation, const struct defect *defect)
{
    struct ss_blame *blame = &violation->blame;
    size_t help = 0, command = 0, more = 0;
    blame->whose = "known defect";
    blame->crate = defect->crate;
    blame->version = version_in(violation, defect->crate);
    blame->fixed_in = defect->fixed;
    char *until = defect->until ? ss_text(" (until %s)", defect->until)
                                : ss_text(" (in every release so far)");
    char *text = ss_text("%s %s: %s%s.", defect->crate, blame->version, defect->what, until);
    if (defect->with)
        text = ss_text("%s %s %s to %s only happens to trigger it.", text, defect->with,
                       defect->with_from, defect->with_until);
    blame->text = text;

    if (defect->fixed && defect->with)
        blame->help[help++] = "either one ends this; do both where you can";
    else if (defect->fixed)
        blame->help[help++] = "this ends it";
    if (defect->fixed)
        blame->commands[command++] =
            ss_text("cargo update -p %-22s # %s or later", defect->crate, defect->fixed);
    if (defect->with)
        blame->commands[command++] =
            ss_text("cargo update -p %-22s # %s or later", defect->with, defect->with_fixed);
    if (!defect->fixed)
        blame->help[help++] =
            "close the span and its children while their own subscriber is the thread's default:\n"
            "tracing::dispatcher::with_default(&owner, || drop(span))";
    for (size_t i = 0; i < 3 && defect->links[i]; i++)
        blame->more[more++] = defect->links[i];
}

/* What each rule's mistake is and how it ends, where no known defect explains it. */
static const struct mistake {
    enum ss_site_kind site; /* whose frame did it */
    const char *what;
    const char *help[3];
    const char *annotated; /* the help for annotated code, which knows no guards */
} mistakes[SS_RULE_COUNT] = {
    [SS_RULE_WRONG_SUBSCRIBER] =
        {SS_SITE_CLOSED,
         "a span of one subscriber is closed through another",
         {"close a span through the subscriber that made it: keep its Dispatch, and\n"
          "tracing::dispatcher::with_default(&owner, || drop(span))"},
         "give strayspan_close the subscriber that strayspan_new was given"},
    [SS_RULE_LOST_CLOSE] =
        {SS_SITE_CLOSED,
         "the span is closed where there is no subscriber to hear of it",
         {"install the subscriber for all threads (set_global_default, or .init()), or take it "
          "along:\n"
          "future.with_subscriber(dispatch)      or  dispatcher::with_default(&dispatch, || ..)"},
         "give strayspan_close the subscriber that strayspan_new was given, not NULL"},
    [SS_RULE_FOREIGN_THREAD_EXIT] =
        {SS_SITE_ENTERED,
         "the span is entered on one thread, and exited on another",
         {"let the span travel, not its guard; each thread enters it for itself:\n"
          "thread::spawn(move || span.in_scope(|| work()))",
          "in async code: future.instrument(span).await, or #[tracing::instrument]"},
         "exit a span on the thread that entered it; another thread enters it for itself"},
    [SS_RULE_EXIT_WITHOUT_ENTER] =
        {SS_SITE_EXITED,
         "the span is exited once more than it was entered",
         {"let the guard of span.enter() or span.in_scope(..) do the exit, once for each enter;\n"
          "do not call Subscriber::exit by hand"},
         "exit a span once for each enter, also on the paths of errors"},
};

static void blame_code(struct ss_violation *violation)
{
    struct ss_blame *blame = &violation->blame;
    if (violation->rule < 0) {
        blame->whose = "unknown";
        return;
    }
    const struct mistake *mistake = &mistakes[violation->rule];
    enum ss_site_kind kind = mistake->site;
    if (kind == SS_SITE_CLOSED && !violation->sites[kind].present)
        kind = SS_SITE_EXITED;
    const struct ss_frame *frame = ss_responsible_frame(&violation->sites[kind].frames);
    const char *what = mistake->what;
    bool annotated = is_annotated(violation);
    for (size_t i = 0; i < 3; i++)
        blame->help[i] = annotated ? NULL : mistake->help[i];
    if (annotated)
        blame->help[0] = mistake->annotated;
    if (!frame) {
        blame->whose = "unknown";
        blame->text = ss_text("%s; which code does it is not known", what);
    } else if (frame->kind == SS_FRAME_OWN) {
        blame->whose = "your code";
        blame->text = ss_text("your code, %s: %s", ss_frame_place(frame), what);
    } else if (frame->kind == SS_FRAME_UNKNOWN) {
        blame->whose = "unknown";
        blame->text = ss_text("%s, %s: %s", ss_short_function(frame->function, frame->name),
                              ss_frame_place(frame), what);
        if (!frame->function)
            blame->text = ss_text("%s: %s", ss_frame_place(frame), what);
    } else {
        blame->whose = "dependency";
        blame->crate = frame->crate;
        blame->version = frame->version;
        blame->text = ss_text("%s %s, %s: %s", frame->crate ? frame->crate : "a dependency",
                              frame->version ? frame->version : "", ss_frame_place(frame), what);
        blame->help[0] =
            ss_text("a newer %s may have it right:", frame->crate ? frame->crate : "one");
        blame->help[1] = blame->help[2] = NULL;
        if (frame->crate)
            blame->commands[0] = ss_text("cargo update -p %s", frame->crate);
    }
}

void ss_blame(struct ss_violation *violation)
{
    const struct defect *defect = find_defect(violation);
    if (defect)
        blame_defect(violation, defect);
    else
        blame_code(violation);
}
