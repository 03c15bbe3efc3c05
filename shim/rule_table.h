/* The rules: one row each. Shared with the tools; to add a rule is to add a row here, a check in
 * rules.c, a page of `strayspan explain`, a sample program and a test.
 *
 * X(NAME, code, default severity, title)
 *
 * The title is what the first line of a report and the shim's line on stderr say; `%s` in it stands
 * for the span's name in backquotes and appears exactly once. */
#ifndef SS_RULE_TABLE_H
#define SS_RULE_TABLE_H

#define SS_RULES(X)                                                                        \
    X(WRONG_SUBSCRIBER, "wrong-subscriber", ERROR,                                         \
      "span %s is being closed by a subscriber that never made it")                        \
    X(LOST_CLOSE, "lost-close", WARNING,                                                   \
      "the close of span %s goes to no subscriber: it is lost and the span never ends")    \
    X(FOREIGN_THREAD_EXIT, "foreign-thread-exit", ERROR,                                   \
      "span %s is exited on a thread that does not have it open")                          \
    X(HELD_ACROSS_AWAIT, "held-across-await", ERROR,                                       \
      "the guard of span %s stays open while its task sleeps")                             \
    X(EXIT_WITHOUT_ENTER, "exit-without-enter", ERROR,                                     \
      "span %s is exited, but no thread has it open")                                      \
    X(CLOSED_WHILE_OPEN, "closed-while-open", ERROR, "span %s is closed while it is open") \
    X(USE_AFTER_CLOSE, "use-after-close", ERROR, "span %s is used after it was closed")    \
    X(LEAKED_AT_THREAD_END, "leaked-at-thread-end", WARNING,                               \
      "span %s is still open when its thread ends")                                        \
    X(OUT_OF_ORDER_EXIT, "out-of-order-exit", OFF,                                         \
      "span %s is exited before a span that was entered after it")                         \
    X(CONCURRENT_ENTER, "concurrent-enter", OFF, "span %s is open on two threads at once") \
    X(BLOCKING_LOOKUP, "blocking-lookup", OFF,                                             \
      "a look-up (in span %s) blocks a thread that runs an event loop")

enum ss_rule {
#define X(name, code, severity, title) SS_RULE_##name,
    SS_RULES(X)
#undef X
        SS_RULE_COUNT
};

enum ss_severity { SS_SEVERITY_OFF, SS_SEVERITY_WARNING, SS_SEVERITY_ERROR, SS_SEVERITY_COUNT };

/* What later comes of a breach, and is told of it without being counted. */
#define SS_CONSEQUENCES(X)                                                                    \
    X(STALE_PARENT, "stale-parent")       /* a new span's parent is the one that stayed */    \
    X(CLONE_OF_CLOSED, "clone-of-closed") /* the current span, cloned, had closed long ago */ \
    X(FOREIGN_CLOSE, "foreign-close")     /* a span is used that a breach closed in passing */

enum ss_consequence_kind {
#define X(name, code) SS_CONSEQUENCE_##name,
    SS_CONSEQUENCES(X)
#undef X
        SS_CONSEQUENCE_COUNT
};

/* The severities as options and logs spell them, by enum ss_severity. */
#define SS_SEVERITY_NAMES         \
    {                             \
        "off", "warning", "error" \
    }

#endif
