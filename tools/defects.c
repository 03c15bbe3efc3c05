/* Whose defect a violation is: one table of known defects, matched by crate versions, and for all
 * else the code that took or dropped the guard. Called by report.c once the frames have names, and
 * by probe, which knows no violation but the crates of a file. */
#include "defects.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define CLOSES_THROUGH_DEFAULT \
    "its Registry closes through the *thread's* default subscriber, not the span's owner"

#define RULE(name) (1U << SS_RULE_##name)
#define CLOSES (RULE(WRONG_SUBSCRIBER) | RULE(LOST_CLOSE))
/* What a guard that an async function holds can be reported as, by what came of it. */
#define HELD_GUARD                                                                      \
    (RULE(HELD_ACROSS_AWAIT) | RULE(FOREIGN_THREAD_EXIT) | RULE(LEAKED_AT_THREAD_END) | \
     RULE(OUT_OF_ORDER_EXIT))

/* The closes that a defect is about: those inside an exit, or that of a closed span's parent. */
enum relation { ANY, SPAN, PARENT };

/* By what a crate is known to be part of it. */
enum evidence {
    PRESENT,     /* it is in the module, in the span's call site or in a stack */
    RESPONSIBLE, /* its code did it, or made the span */
    IN_TYPE      /* the subscriber's type names it; which release it is, is not known */
};

/* A known defect: versions from `from` through `until` (NULL: to the newest) have it, `fixed` is
 * the first that has not (NULL: none has). `with` names the crate that triggers it where that is
 * known; either fix ends it then, unless with_what says what else that crate has to do with it. A
 * row with `with` stands before the one without. */
static const struct defect {
    const char *crate, *from, *until, *fixed;
    const char *with, *with_from, *with_until, *with_fixed, *with_what;
    unsigned rules; /* bits 1 << SS_RULE_* */
    enum relation relation;
    enum evidence evidence;
    const char *what; /* what the crate does wrong */
    const char *links[3];
} defects[] = {
    {.crate = "tracing-subscriber",
     .from = "0.2.0",
     .until = "0.3.20",
     .fixed = "0.3.22",
     .with = "hyper-util",
     .with_from = "0.1.8",
     .with_until = "0.1.11",
     .with_fixed = "0.1.12",
     .rules = CLOSES,
     .relation = SPAN,
     .what = CLOSES_THROUGH_DEFAULT,
     .links = {"https://github.com/hyperium/hyper/issues/3848",
               "https://github.com/tokio-rs/tracing/pull/3331"}},
    {.crate = "tracing-subscriber",
     .from = "0.2.0",
     .until = "0.3.20",
     .fixed = "0.3.22",
     .with = "tracing-core",
     .with_from = "0.1.24",
     .with_until = "0.1.30",
     .with_fixed = "0.1.31",
     .with_what = "a thread that asks for its default before the global one is set never gets that",
     .rules = RULE(LOST_CLOSE),
     .relation = SPAN,
     .what = CLOSES_THROUGH_DEFAULT,
     .links = {"https://github.com/tokio-rs/tracing/issues/1656",
               "https://github.com/tokio-rs/tracing/pull/3331",
               "https://github.com/tokio-rs/tracing/issues/2587"}},
    {.crate = "tracing-subscriber",
     .from = "0.2.0",
     .until = "0.3.20",
     .fixed = "0.3.22",
     .rules = CLOSES,
     .relation = SPAN,
     .what = CLOSES_THROUGH_DEFAULT,
     .links = {"https://github.com/tokio-rs/tracing/issues/1656",
               "https://github.com/tokio-rs/tracing/pull/3331"}},
    {.crate = "tracing-subscriber",
     .from = "0.2.0",
     .rules = CLOSES,
     .relation = PARENT,
     .what = "its Registry closes a closed span's *parent* through the thread's default "
             "subscriber, not the parent's owner",
     .links = {"https://github.com/tokio-rs/tracing/issues/1656"}},
    {.crate = "sentry-tracing",
     .from = "0.35.0",
     .until = "0.46.2",
     .fixed = "0.47.0",
     .rules = RULE(CONCURRENT_ENTER),
     .evidence = IN_TYPE,
     .what = "its layer keeps one hub guard per span, not one per enter: a second thread drops "
             "the first one's",
     .links = {"https://github.com/getsentry/sentry-rust/issues/946",
               "https://github.com/getsentry/sentry-rust/pull/957"}},
    {.crate = "async-graphql",
     .from = "1.9.24",
     .until = "2.6.0",
     .fixed = "2.6.1",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "its tracing extension enters spans in one callback and exits them in another, with "
             "awaits in between",
     .links = {"https://github.com/async-graphql/async-graphql/issues/448"}},
    {.crate = "jsonrpsee-core",
     .from = "0.15.0",
     .until = "0.15.0",
     .fixed = "0.15.1",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "the guard of each call's span is held across awaits",
     .links = {"https://github.com/paritytech/jsonrpsee/issues/834"}},
    {.crate = "openraft",
     .from = "0.6.2",
     .until = "0.6.4",
     .fixed = "0.6.5",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "its loops hold the guards of their spans across awaits",
     .links = {"https://github.com/databendlabs/openraft/pull/382"}},
    {.crate = "opendal",
     .from = "0.53.1",
     .until = "0.55.0",
     .fixed = "0.56.0",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "its TracingLayer holds the guards of its spans across awaits",
     .links = {"https://github.com/apache/opendal/pull/7292"}},
    {.crate = "rig-core",
     .from = "0.21.0",
     .until = "0.25.0",
     .fixed = "0.26.0",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "the stream of an agent's answer holds the guard of its span between items",
     .links = {"https://github.com/0xPlaygrounds/rig/pull/1108"}},
    {.crate = "volo-grpc",
     .from = "0.11.2",
     .until = "0.11.5",
     .fixed = "0.11.6",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "its server holds the guard of a request's span across the handler's awaits",
     .links = {"https://github.com/cloudwego/volo/pull/622"}},
    {.crate = "volo-http",
     .from = "0.4.0",
     .until = "0.4.3",
     .fixed = "0.5.0",
     .rules = HELD_GUARD,
     .evidence = RESPONSIBLE,
     .what = "its server holds the guard of a request's span across the handler's awaits",
     .links = {"https://github.com/cloudwego/volo/pull/622"}},
    {.crate = "fred",
     .from = "3.0.0",
     .until = "5.2.0",
     .fixed = "6.0.0",
     .rules = RULE(USE_AFTER_CLOSE),
     .evidence = RESPONSIBLE,
     .what = "a command keeps its span's id, not the span, and names it as parent when that may "
             "have closed",
     .links = {"https://github.com/aembke/fred.rs/issues/73",
               "https://github.com/aembke/fred.rs/pull/89"}},
};

int ss_compare_versions(const char *a, const char *b)
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
    [SS_RULE_HELD_ACROSS_AWAIT] =
        {SS_SITE_ENTERED,
         "the guard is held across an await",
         {"let the span follow the task, not the thread:\n"
          "async move { .. }.instrument(span).await      or  #[tracing::instrument]\n"
          "or, around what does not await, span.in_scope(|| ..)",
          "clippy finds them in source, with this in clippy.toml: await-holding-invalid-types =\n"
          "[\"tracing::span::Entered\", \"tracing::span::EnteredSpan\"]"},
         "exit the span before the task gives its thread back, and enter it again when it goes on"},
    [SS_RULE_CLOSED_WHILE_OPEN] =
        {SS_SITE_CLOSED,
         "the span's last reference is dropped while it is open",
         {"keep the Span for as long as it is entered: let guard = span.entered() holds it;\n"
          "where ids are entered by hand, dispatch.clone_span(&id) and try_close(id) around it"},
         "exit a span before you close it"},
    [SS_RULE_USE_AFTER_CLOSE] =
        {SS_SITE_USED,
         "the span is used after its last reference was dropped",
         {"keep the Span, or a clone of it, where it is needed later, not its Id",
          "lend a parent: `parent: &span`; `parent: span` takes the span, and closes it"},
         "close a span after its last use"},
    [SS_RULE_LEAKED_AT_THREAD_END] =
        {SS_SITE_ENTERED,
         "the guard is still there when its thread ends",
         {"let the guard be a local of the function that the span is about, or use\n"
          "span.in_scope(|| ..); never mem::forget a guard"},
         "exit every span before its thread ends"},
    [SS_RULE_OUT_OF_ORDER_EXIT] =
        {SS_SITE_EXITED,
         "the span is exited before one that was entered inside it",
         {"drop guards in the reverse order of their making: let each live in a block of its own,\n"
          "and drop the old one before `guard = next.entered()`"},
         "exit spans in the reverse order of their enters"},
    [SS_RULE_CONCURRENT_ENTER] = {SS_SITE_USED,
                                  "one span is entered on two threads at once",
                                  {"give each thread a span of its own:\n"
                                   "info_span!(parent: &span, \"part\").in_scope(|| work())"},
                                  "give each thread a span of its own"},
    [SS_RULE_BLOCKING_LOOKUP] =
        {SS_SITE_USED,
         "a host is looked up on the thread of an event loop, which waits for it",
         {"look it up off the loop: tokio::net::lookup_host(host).await, or\n"
          "spawn_blocking(|| host.to_socket_addrs()).await"},
         "look it up on another thread"},
};

/* The frames of the site that did it: whose they are, theirs is the mistake. */
static const struct ss_frames *site_of(const struct ss_violation *violation)
{
    enum ss_site_kind kind = mistakes[violation->rule].site;
    if (kind == SS_SITE_CLOSED && !violation->sites[kind].present)
        kind = SS_SITE_EXITED;
    return &violation->sites[kind].frames;
}

static bool is_crate(const char *found, const char *version, const char *crate)
{
    return found && version && strcmp(found, crate) == 0;
}

/* The version of a crate that is part of the violation: by what the shim found in the module, by
 * the call site, by the frames. */
static const char *version_in(const struct ss_violation *violation, const char *crate)
{
    const char *found = NULL, *version = NULL;
    const struct ss_binary *binary = violation->owner.binary;
    if (binary && binary->tracing_subscriber && strcmp(crate, "tracing-subscriber") == 0)
        return binary->tracing_subscriber;
    if (binary && binary->tracing_core && strcmp(crate, "tracing-core") == 0)
        return binary->tracing_core;
    if (ss_crate_of_path(violation->span.file, &found, &version) && is_crate(found, version, crate))
        return version;
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_frames *frames = &violation->sites[kind].frames;
        for (size_t i = 0; i < frames->count; i++)
            if (is_crate(frames->frames[i].crate, frames->frames[i].version, crate))
                return frames->frames[i].version;
    }
    return NULL;
}

/* The same, where the crate's own code must have done it: it is the code that did, or the span is
 * its own and no code of the user's did. */
static const char *version_responsible(const struct ss_violation *violation, const char *crate)
{
    const char *found = NULL, *version = NULL;
    const struct ss_frame *frame = ss_responsible_frame(site_of(violation));
    if (frame && frame->kind == SS_FRAME_OWN)
        return NULL;
    if (frame && is_crate(frame->crate, frame->version, crate))
        return frame->version;
    if (ss_crate_of_path(violation->span.file, &found, &version) && is_crate(found, version, crate))
        return version;
    return NULL;
}

/* Whether the type of the span's subscriber names the crate: symbols have `_` for `-`. */
static bool in_type(const struct ss_violation *violation, const char *crate)
{
    char *name = ss_text("%s", crate);
    for (char *at = name; (at = strchr(at, '-')) != NULL;)
        *at = '_';
    return violation->owner.type && strstr(violation->owner.type, name);
}

static bool within(const char *version, const char *from, const char *until)
{
    return version && ss_compare_versions(version, from) >= 0 &&
           (!until || ss_compare_versions(version, until) <= 0);
}

static bool is_annotated(const struct ss_violation *violation)
{
    return violation->span.provider && strcmp(violation->span.provider, "annotation") == 0;
}

static bool is_part(const struct ss_violation *violation, const struct defect *defect)
{
    if (defect->evidence == IN_TYPE)
        return in_type(violation, defect->crate);
    return within(defect->evidence == RESPONSIBLE ? version_responsible(violation, defect->crate)
                                                  : version_in(violation, defect->crate),
                  defect->from, defect->until);
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
        if (!is_part(violation, defect))
            continue;
        if (defect->with &&
            !within(version_in(violation, defect->with), defect->with_from, defect->with_until))
            continue;
        return defect;
    }
    return NULL;
}

/* `hyper-util 0.1.8 to 0.1.11`, or the one version. */
static char *versions(const char *crate, const char *from, const char *until)
{
    return strcmp(from, until) == 0 ? ss_text("%s %s", crate, from)
                                    : ss_text("%s %s to %s", crate, from, until);
}

static char *defect_text(const struct defect *defect, const char *version)
{
    char *text;
    if (!version)
        return ss_text("%s: %s; which release is in the program is not known.",
                       versions(defect->crate, defect->from, defect->until), defect->what);
    text = ss_text("%s %s: %s%s.", defect->crate, version, defect->what,
                   defect->until ? ss_text(" (until %s)", defect->until)
                                 : " (in every release so far)");
    if (!defect->with)
        return text;
    char *with = versions(defect->with, defect->with_from, defect->with_until);
    return defect->with_what ? ss_text("%s %s may add to it: %s.", text, with, defect->with_what)
                             : ss_text("%s %s only happens to trigger it.", text, with);
}

static char *update(const char *crate, const char *fixed)
{
    return ss_text("cargo update -p %-22s # %s or later", crate, fixed);
}

static void blame_defect(struct ss_violation *violation, const struct defect *defect)
{
    struct ss_blame *blame = &violation->blame;
    blame->whose = "known defect";
    blame->crate = defect->crate;
    blame->version = defect->evidence == IN_TYPE ? NULL : version_in(violation, defect->crate);
    blame->fixed_in = defect->fixed;
    blame->text = defect_text(defect, blame->version);
    if (!defect->fixed)
        blame->help[0] =
            "close the span and its children while their own subscriber is the thread's default:\n"
            "tracing::dispatcher::with_default(&owner, || drop(span))";
    else if (!defect->with)
        blame->help[0] = blame->version ? "this ends it" : "if it is one of these, this ends it";
    else
        blame->help[0] = defect->with_what ? "the first ends this; do both where you can"
                                           : "either one ends this; do both where you can";
    if (defect->fixed)
        blame->commands[0] = update(defect->crate, defect->fixed);
    if (defect->with)
        blame->commands[1] = update(defect->with, defect->with_fixed);
    for (size_t i = 0; i < 3; i++)
        blame->more[i] = defect->links[i];
}

static void blame_code(struct ss_violation *violation)
{
    struct ss_blame *blame = &violation->blame;
    if (violation->rule < 0) {
        blame->whose = "unknown";
        return;
    }
    const struct mistake *mistake = &mistakes[violation->rule];
    const struct ss_frame *frame = ss_responsible_frame(site_of(violation));
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

/* ---- the table alone, for a file in which nothing has run ---- */

const char *ss_defect_crate(size_t number)
{
    return number < sizeof defects / sizeof defects[0] ? defects[number].crate : NULL;
}

static struct ss_known_defect known_defect(const struct defect *defect, const char *version,
                                           const char *with_version)
{
    struct ss_known_defect known = {.crate = defect->crate,
                                    .version = version,
                                    .fixed = defect->fixed,
                                    .what = defect->what,
                                    .with = defect->with,
                                    .with_version = with_version,
                                    .with_fixed = defect->with_fixed,
                                    .with_what = defect->with_what,
                                    .rules = defect->rules};
    for (size_t i = 0; i < 3; i++)
        known.links[i] = defect->links[i];
    return known;
}

/* The first release of a crate, from *at on, that lies in the range; NULL: no further one does. */
static const char *next_within(const struct ss_crates *found, size_t *at, const char *crate,
                               const char *from, const char *until)
{
    while (*at < found->count) {
        const struct ss_crate *have = &found->crates[(*at)++];
        if (strcmp(have->name, crate) == 0 && within(have->version, from, until))
            return have->version;
    }
    return NULL;
}

size_t ss_known_defects(const struct ss_crates *found, struct ss_known_defect *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        const struct defect *defect = &defects[i];
        const char *version, *with;
        for (size_t at = 0;
             (version = next_within(found, &at, defect->crate, defect->from, defect->until));) {
            if (!defect->with && count < max)
                out[count++] = known_defect(defect, version, NULL);
            for (size_t other = 0; defect->with && count < max &&
                                   (with = next_within(found, &other, defect->with,
                                                       defect->with_from, defect->with_until));)
                out[count++] = known_defect(defect, version, with);
        }
    }
    return count;
}
