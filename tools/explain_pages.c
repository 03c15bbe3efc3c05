/* The pages of `strayspan explain`, which explain.c prints: a row for each rule. The facts are those
 * of the sources of tracing-subscriber and of the crates that are named, release by release. */
#include "explain_pages.h"

static const struct ss_page wrong_subscriber = {
    .summary = "a span is closed by a subscriber not its own",
    .meaning = "A span belongs to the subscriber that made it. While that subscriber exits\n"
               "or closes the span, the close of the span, or of its parent, is sent to\n"
               "another subscriber, which has no live span of that id, or has a span of its\n"
               "own that has the same id. The first panics; the second closes its own span.",
    .code = "let _one = tracing_subscriber::fmt().set_default();\n"
            "let outer = info_span!(\"outer\");\n"
            "let inner = info_span!(parent: &outer, \"inner\"); // `one` made both\n"
            "let _two = tracing_subscriber::fmt().set_default();\n"
            "inner.in_scope(|| ()); // up to 0.3.20: its exit closes it through `two`\n"
            "drop(outer);\n"
            "drop(inner); // every release: its parent, `outer`, is closed through `two`",
    .effects = "tracing-subscriber 0.2.0 to 0.3.20: the exit of a span drops a reference to\n"
               "  it, and its close one to its parent, through the thread's default\n"
               "  subscriber.\n"
               "tracing-subscriber 0.3.22 and later: exits drop none; what is left is the\n"
               "  parent of a span that closes.\n"
               "Either way the subscriber that is called panics with `tried to drop a ref to\n"
               "Id(1), but no such span exists!`, or ends the wrong span: that one's\n"
               "on_close comes too early, and yours never does.\n"
               "tracing 0.1.38 and later: a dropped `Instrumented` future enters and exits\n"
               "  its span once more, and `with_subscriber` sets no default for the drop. A\n"
               "  cancelled task can do it therefore.",
    .fix = "cargo update -p tracing-subscriber, to 0.3.22 or later (0.3.21 was yanked).\n"
           "Where hyper-util 0.1.8 to 0.1.11 does it (span `resolve`), update that too.\n"
           "Else keep the span's own subscriber the default where it is exited, closed\n"
           "or dropped with its children:\n"
           "  let dispatch = tracing::dispatcher::get_default(|d| d.clone());\n"
           "  spawn_blocking(move || with_default(&dispatch, || span.in_scope(work)));",
    .legal = "Making a span on one thread and using it on another; several subscribers in\n"
             "one program; one Arc<S> given to set_global_default and to with_subscriber;\n"
             "a layer that traces its own export through with_default in a callback.",
    .links = "https://github.com/tokio-rs/tracing/issues/1656\n"
             "https://github.com/tokio-rs/tracing/pull/3331\n"
             "https://github.com/hyperium/hyper/issues/3848",
};

static const struct ss_page lost_close = {
    .summary = "the close of a span goes to no subscriber",
    .meaning = "While a subscriber exits or closes its span, the close of the span, or of\n"
               "its parent, is sent to the thread's default subscriber, and the thread has\n"
               "none. Nobody counts that close: the span keeps a reference that nothing will\n"
               "ever drop.",
    .code = "let _guard = tracing_subscriber::fmt().set_default(); // this thread's alone\n"
            "let outer = info_span!(\"outer\");\n"
            "let inner = info_span!(parent: &outer, \"inner\");\n"
            "drop(outer);\n"
            "std::thread::spawn(move || {\n"
            "    inner.in_scope(|| ()); // up to 0.3.20: the close of `inner` is lost\n"
            "    drop(inner); // every release: the close of `outer` is lost\n"
            "})\n"
            ".join()\n"
            ".unwrap();",
    .effects = "The span is missing from what exporters send (OpenTelemetry, Chrome traces,\n"
               "fmt with FmtSpan::CLOSE), for on_close never runs; its children hang in the\n"
               "air; its memory stays.\n"
               "tracing-subscriber 0.2.0 to 0.3.20: the span that is exited there, and the\n"
               "  parent of one that closes there.\n"
               "tracing-subscriber 0.3.22 and later: only the parent.\n"
               "tracing-core 0.1.24 to 0.1.30: a thread that asks for its default before the\n"
               "  global one is set never gets that, and loses its closes. Fixed in 0.1.31.",
    .fix = "cargo update -p tracing-subscriber, to 0.3.22 or later; and\n"
           "set the subscriber for all threads, before any of them traces: .init() or\n"
           "set_global_default; or take it along:\n"
           "  future.with_subscriber(dispatch)\n"
           "  dispatcher::with_default(&dispatch, || ..)\n"
           "Drop the guard of set_default on the thread that took it, the latest first.",
    .legal = "Closes after exit handlers have begun, and in destructors of thread-locals:\n"
             "a close that is lost there loses nothing more.",
    .links = "https://github.com/tokio-rs/tracing/issues/3223\n"
             "https://github.com/tokio-rs/tracing/issues/2587\n"
             "https://github.com/tokio-rs/tracing/issues/2482\n"
             "https://github.com/tokio-rs/tracing/pull/3331",
};

static const struct ss_page foreign_thread_exit = {
    .summary = "a thread exits a span that another has open",
    .meaning = "A thread exits a span that it does not have open, while another thread, its\n"
               "home thread, has it open, or had it open when that thread ended. Mostly the\n"
               "guard of `span.enter()` was moved: `Entered` is Send in every release of\n"
               "tracing 0.1, so a scoped thread, a channel or a task takes it, and it\n"
               "compiles. A guard that an async function held is reported as\n"
               "held-across-await.",
    .code = "let span = info_span!(\"work\");\n"
            "let guard = span.enter(); // entered on this thread\n"
            "std::thread::scope(|s| {\n"
            "    s.spawn(move || drop(guard)); // exited on that one\n"
            "});",
    .effects = "tracing-subscriber 0.2.0 to 0.3.20: the exit pops nothing. The home thread\n"
               "  keeps the span as its current one: later spans and events there get it as\n"
               "  parent, and it never closes.\n"
               "tracing-subscriber 0.3.22 and later: the same wrong parents; the span can\n"
               "  close while it is open, and what the home thread makes then panics (`tried\n"
               "  to clone a span that already closed`) or becomes a root.\n"
               "fmt with span timings: the span's busy and idle times are wrong.",
    .fix = "Let the span travel, not its guard; each thread enters it for itself:\n"
           "  let span = info_span!(\"work\");\n"
           "  thread::spawn({ let span = span.clone(); move || span.in_scope(work) });\n"
           "In async code, let the span follow the task:\n"
           "  async move { .. }.instrument(span).await     or  #[tracing::instrument]",
    .legal = "Entering one span on several threads, each with a guard of its own; making\n"
             "it here, entering, exiting and dropping it there; `Instrumented` futures\n"
             "that move between workers, or are dropped on another one.",
    .links = "https://docs.rs/tracing/latest/tracing/struct.Span.html#method.enter\n"
             "https://github.com/tokio-rs/tracing/issues/698",
};

static const struct ss_page held_across_await = {
    .summary = "a span stays open while its task sleeps",
    .severity = "warning, where it meets no other span and keeps its thread",
    .meaning = "A guard was taken in one activation of a function (one poll of an async\n"
               "function), stayed open when that activation returned, as an `.await` was not\n"
               "ready, and was dropped in a later one. In between the thread parked in its\n"
               "event loop or ran other tasks, and all of them ran inside the span. On a\n"
               "multi-thread runtime the guard may be dropped on another worker: it is this\n"
               "mistake all the same, and reported once, as this.\n"
               "\n"
               "A guard that has not been dropped yet is a suspicion, which is told and not\n"
               "counted: it may still turn out well, or last as long as the program.",
    .code = "async fn handle() {\n"
            "    let span = info_span!(\"handle\");\n"
            "    let _guard = span.enter();\n"
            "    tokio::time::sleep(std::time::Duration::from_millis(1)).await;\n"
            "}\n"
            "tokio::spawn(handle()).await.unwrap();",
    .effects = "In every release: spans and events of unrelated tasks appear inside the\n"
               "span, requests mix into one trace, and `busy` counts the time asleep.\n"
               "tracing-subscriber 0.2.0 to 0.3.20: where another worker drops the guard,\n"
               "  the first one keeps the span for good: whatever it makes later gets it as\n"
               "  parent, and the span never closes nor is exported.\n"
               "tracing-subscriber 0.3.22 and later: an open span does not keep itself\n"
               "  alive. It closes while it is the current one of the first worker, and what\n"
               "  other tasks make there becomes a root, or panics with `tried to clone a\n"
               "  span (Id(..)) that already closed`. Those tasks did nothing wrong, and the\n"
               "  backtrace does not show the one that did.",
    .fix = "Let the span follow the task, not the thread:\n"
           "  async move { .. }.instrument(span).await\n"
           "  #[tracing::instrument] async fn handle() { .. }\n"
           "  span.in_scope(|| parse(request))    for what does not await\n"
           "clippy finds such guards in source, with this in clippy.toml:\n"
           "  await-holding-invalid-types = [\n"
           "      \"tracing::span::Entered\", \"tracing::span::EnteredSpan\"]",
    .legal = "#[instrument] and .instrument(span) on async functions; in_scope; a guard\n"
             "that is dropped before the `.await`; main holding a guard around block_on;\n"
             "functions that return a guard to their caller; guards in structs and\n"
             "thread-locals of synchronous code; a synchronous function that blocks on a\n"
             "lock, a channel or a join inside a span, also in spawn_blocking and\n"
             "block_in_place; `guard = next.entered()`.",
    .links = "https://docs.rs/tracing/latest/tracing/struct.Span.html#in-asynchronous-code\n"
             "https://rust-lang.github.io/rust-clippy/master/#await_holding_invalid_type\n"
             "https://github.com/tokio-rs/tracing/issues/3514",
};

static const struct ss_page exit_without_enter = {
    .summary = "a span is exited that no thread has open",
    .meaning = "A span whose creation was seen is exited once more than it was entered. Code\n"
               "that calls the subscriber by hand does that, or annotations do; guards do\n"
               "not. A guard that is dropped after its thread has ended is a\n"
               "foreign-thread-exit.",
    .code = "let span = info_span!(\"work\");\n"
            "span.with_subscriber(|(id, dispatch)| dispatch.exit(id)); // never entered",
    .effects = "In every release the registry pops nothing, and layers get an on_exit\n"
               "without its on_enter: what they keep for the span is off by one.\n"
               "tracing-subscriber 0.3.20 and later: the fmt layer, where it tells exits, or\n"
               "  closes with their times, counts enters and goes below zero: a panic in\n"
               "  debug builds, wrong busy times in release.",
    .fix = "Let guards do it: span.enter(), span.in_scope(..), future.instrument(span).\n"
           "Where an adapter calls enter and exit by hand, pair them, also on the paths\n"
           "of errors.",
    .legal = "Any exit of a span whose creation was not seen: it is counted, not judged.",
    .links = "https://docs.rs/tracing-core/latest/tracing_core/trait.Subscriber.html",
};

static const struct ss_page closed_while_open = {
    .summary = "a span is closed while it is open",
    .meaning = "The last reference to a span is dropped, the subscriber says that it closed,\n"
               "and a thread still has it open. On the thread that closes it, that is told\n"
               "at once; on another one, when that thread exits it. Guards hold their span:\n"
               "it takes code that enters by id, or a subscriber that counts wrongly.",
    .code = "let span = info_span!(\"work\");\n"
            "let id = span.id().unwrap();\n"
            "let dispatch = tracing::dispatcher::get_default(|d| d.clone());\n"
            "dispatch.enter(&id);\n"
            "drop(span); // the last reference: closed\n"
            "dispatch.exit(&id);",
    .effects = "tracing-subscriber up to 0.3.20: an open span holds a reference to itself;\n"
               "  the code above closes it within the exit, where it is open no more. It\n"
               "  takes one try_close too many.\n"
               "tracing-subscriber 0.3.22 and later: on_close runs, and exporters send the\n"
               "  span, while it is running. It stays the thread's current span: what is\n"
               "  made under it becomes a root, or panics with `tried to clone a span\n"
               "  (Id(..)) that already closed`.\n"
               "The fmt layer, where it tells closes with their times, panics at the close\n"
               "in debug builds, at the exit in others: `Span not found, this is a bug`.",
    .fix = "Keep the `Span` for as long as it is entered: `let guard = span.entered();`\n"
           "holds it. Where ids are entered by hand, take a reference for the time:\n"
           "  let id = dispatch.clone_span(&id);  ..  dispatch.try_close(id);",
    .legal = "Dropping a `Span` while another handle, its guard or a child keeps it alive;\n"
             "closes by an instance that is itself being dropped.",
    .links = "https://github.com/tokio-rs/tracing/pull/3289\n"
             "https://github.com/tokio-rs/tracing/issues/3514",
};

static const struct ss_page use_after_close = {
    .summary = "a span is used after it was closed",
    .meaning = "A span is entered, given a value (`record`) or named as `parent:` after its\n"
               "last reference was dropped. Its id means nothing then, or another span: ids\n"
               "are used again. Mostly an id was kept where the span was meant; or `parent:\n"
               "span` was written, which takes the span and closes it, for `parent: &span`.\n"
               "\n"
               "A clone of the *current* span that has closed is not this: it is what a\n"
               "guard left behind, and is told as a consequence of that one.",
    .code = "let span = info_span!(\"work\");\n"
            "let id = span.id();\n"
            "drop(span); // the last reference: closed\n"
            "let _child = info_span!(parent: id, \"child\");",
    .effects = "`parent:`, in every release: a panic, `tried to clone Id(1), but no span\n"
               "  exists with that ID` (0.2.20 and later add the hint on `parent: span`), or\n"
               "  a child of a stranger, where the id is another span's by now.\n"
               "`enter`, tracing-subscriber up to 0.3.20: the same panic.\n"
               "`enter`, tracing-subscriber 0.3.22 and later: the dead span is the thread's\n"
               "  current one until its exit; what is made meanwhile becomes a root.\n"
               "Layers that look the span up panic or drop what they were told; the fmt\n"
               "layer says `Span not found, this is a bug`.",
    .fix = "Lend the parent: `parent: &span`.\n"
           "Keep the `Span`, a clone of it, not its `Id`, where it is needed later: in\n"
           "the request, beside the channel's message, in the map.",
    .legal = "Closing a parent before its children: they keep it. Follows-from links to a\n"
             "closed span. Events with a closed parent.",
    .links = "https://github.com/tokio-rs/tracing/issues/688\n"
             "https://github.com/tokio-rs/tracing/pull/1483",
};

static const struct ss_page leaked_at_thread_end = {
    .summary = "a thread ends with a span open",
    .meaning = "A thread ends and has a span open: its guard was forgotten, leaked in a\n"
               "cycle, or lies where nothing drops it, or where another thread will. Before\n"
               "that end it is a suspicion at most.",
    .code = "std::thread::spawn(|| {\n"
            "    let span = info_span!(\"work\");\n"
            "    std::mem::forget(span.entered());\n"
            "})\n"
            ".join()\n"
            ".unwrap();",
    .effects = "The registry keeps a stack of open spans for each thread, and gives that of\n"
               "a thread that has ended to a later one: there the span is the current one,\n"
               "from the start or from that thread's first own span on, and the parent of\n"
               "what it makes.\n"
               "tracing-subscriber 0.2.0 to 0.3.20: the open span keeps itself alive: it\n"
               "  never closes, and no exporter sends it.\n"
               "tracing-subscriber 0.3.22 and later: it closes with its last handle. A\n"
               "  forgotten `EnteredSpan` is such a handle: it never closes either.",
    .fix = "Let the guard be a local of the function that the span is about, or use\n"
           "span.in_scope(..). Never mem::forget a guard, nor keep one in a static.",
    .legal = "Threads that are killed with the process; guards in thread-locals, which\n"
             "drop while the thread ends; a main thread that returns.",
    .links = "https://docs.rs/tracing/latest/tracing/struct.Span.html#method.enter",
};

static const struct ss_page out_of_order_exit = {
    .summary = "a span is exited that is not the innermost",
    .meaning = "A thread exits a span while one that it entered later is still open. Rust\n"
               "does not forbid it, and `guard = next.entered()` does it by design: the new\n"
               "span is entered before the old guard drops. The rule is off by default; turn\n"
               "it on (rules=+out-of-order-exit) to look for spans with the wrong parent, or\n"
               "where OpenTelemetry warns of contexts dropped out of order.",
    .code = "let a = info_span!(\"a\").entered();\n"
            "let b = info_span!(\"b\").entered();\n"
            "drop(a);\n"
            "let _c = info_span!(\"c\"); // its parent is `b`, whose parent is `a`\n"
            "drop(b);",
    .effects = "In every release, silently: what is made between the two exits has the inner\n"
               "span as parent, and thereby the one that was exited; in a chain of\n"
               "`guard = next.entered()` each span is the child of the one before.\n"
               "OpenTelemetry contexts follow the order of their guards: with the crate\n"
               "opentelemetry up to 0.28.0, a guard dropped out of order leaves a context\n"
               "that has ended as the current one; 0.29.0 and later keep a stack.",
    .fix = "Drop the old guard first:\n"
           "  drop(guard);\n"
           "  guard = next.entered();\n"
           "Let each guard live in a block of its own, or use in_scope. Locals drop in\n"
           "the reverse order of their declaration, the fields of a struct in that\n"
           "order.",
    .legal = "Everything, while the rule is off. Re-entering a span and exiting the inner\n"
             "of its two entries.",
    .links = "https://docs.rs/tracing/latest/tracing/struct.Span.html#method.enter\n"
             "https://github.com/open-telemetry/opentelemetry-rust/issues/1887",
};

static const struct ss_page concurrent_enter = {
    .summary = "a span is open on two threads at once",
    .severity = "warning, where sentry-tracing is in the program",
    .meaning = "A thread enters a span that another thread has open. tracing allows that,\n"
               "and the registry is made for it; layers that keep something about the one\n"
               "current enter of a span are not. The rule is off unless the program has such\n"
               "a layer that is known.",
    .code = "let span = info_span!(\"work\");\n"
            "std::thread::scope(|s| {\n"
            "    let _here = span.enter();\n"
            "    s.spawn(|| span.in_scope(|| ())).join().unwrap();\n"
            "});",
    .effects = "sentry-tracing 0.35.0 to 0.46.2: the layer keeps one hub guard in the span;\n"
               "  the second enter drops the first one's, on the wrong thread: events go to\n"
               "  the wrong scope, and one thread's scope stays. 0.47.0 keeps one guard for\n"
               "  each enter, by thread.\n"
               "tracing-subscriber up to 0.3.19: fmt with span timings takes busy time for\n"
               "  idle time; 0.3.20 and later count the enters.\n"
               "Exporters show one span whose children overlap.",
    .fix = "cargo update -p sentry-tracing, to 0.47.0 or later; or\n"
           "give each thread a span of its own:\n"
           "  let span = info_span!(\"work\");\n"
           "  s.spawn(|| info_span!(parent: &span, \"part\").in_scope(part));",
    .legal = "Everything, while the rule is off. Entering a span on one thread after\n"
             "another has exited it.",
    .links = "https://github.com/getsentry/sentry-rust/issues/946\n"
             "https://github.com/getsentry/sentry-rust/pull/957",
};

static const struct ss_page blocking_lookup = {
    .summary = "a host is looked up on an event loop's thread",
    .meaning = "getaddrinfo is called on a thread that runs an event loop. It blocks until\n"
               "the resolver has answered, which may take seconds, and every task of that\n"
               "thread waits. The report tells which host, under which span, and how long.\n"
               "The rule is off by default.",
    .code = "async fn connect() {\n"
            "    // std's, not tokio's: it looks the host up and connects, blocking\n"
            "    let _ = std::net::TcpStream::connect(\"localhost:80\");\n"
            "}\n"
            "tokio::spawn(connect()).await.unwrap();",
    .effects = "The same in every release: spans of other tasks of that thread are long and\n"
               "idle for no reason of their own, and time-outs fire late. The look-up itself\n"
               "is in no trace, unless the program has a span around it.",
    .fix = "Use what looks up off the loop:\n"
           "  tokio::net::lookup_host(\"localhost:80\").await\n"
           "  tokio::net::TcpStream::connect(\"localhost:80\").await\n"
           "  tokio::task::spawn_blocking(|| \"localhost:80\".to_socket_addrs()).await",
    .legal = "Look-ups on threads of the blocking pool, on threads of the program's own\n"
             "without an event loop, and before the event loop starts.",
    .links = "https://docs.rs/tokio/latest/tokio/net/fn.lookup_host.html\n"
             "https://docs.rs/tokio/latest/tokio/task/fn.spawn_blocking.html",
};

const struct ss_page *const ss_pages[SS_RULE_COUNT] = {
    [SS_RULE_WRONG_SUBSCRIBER] = &wrong_subscriber,
    [SS_RULE_LOST_CLOSE] = &lost_close,
    [SS_RULE_FOREIGN_THREAD_EXIT] = &foreign_thread_exit,
    [SS_RULE_HELD_ACROSS_AWAIT] = &held_across_await,
    [SS_RULE_EXIT_WITHOUT_ENTER] = &exit_without_enter,
    [SS_RULE_CLOSED_WHILE_OPEN] = &closed_while_open,
    [SS_RULE_USE_AFTER_CLOSE] = &use_after_close,
    [SS_RULE_LEAKED_AT_THREAD_END] = &leaked_at_thread_end,
    [SS_RULE_OUT_OF_ORDER_EXIT] = &out_of_order_exit,
    [SS_RULE_CONCURRENT_ENTER] = &concurrent_enter,
    [SS_RULE_BLOCKING_LOOKUP] = &blocking_lookup,
};
