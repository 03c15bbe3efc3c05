/* The rules: one row each. Shared with the tools; to add a rule is to add a row here, a check in
 * rules.c, a page of `strayspan explain`, a sample program and a test.
 *
 * X(NAME, code, default severity, title)
 *
 * The title is what the first line of a report and the shim's line on stderr say; `%s` in it stands
 * for the span's name in backquotes and appears exactly once. */
#ifndef SS_RULE_TABLE_H
#define SS_RULE_TABLE_H

#define SS_RULES(X)                                                                     \
    X(WRONG_SUBSCRIBER, "wrong-subscriber", ERROR,                                      \
      "span %s is being closed by a subscriber that never made it")                     \
    X(LOST_CLOSE, "lost-close", WARNING,                                                \
      "the close of span %s goes to no subscriber: it is lost and the span never ends") \
    X(FOREIGN_THREAD_EXIT, "foreign-thread-exit", ERROR,                                \
      "span %s is exited on a thread that does not have it open")                       \
    X(EXIT_WITHOUT_ENTER, "exit-without-enter", ERROR,                                  \
      "span %s is exited, but no thread has it open")

enum ss_rule {
#define X(name, code, severity, title) SS_RULE_##name,
    SS_RULES(X)
#undef X
        SS_RULE_COUNT
};

enum ss_severity { SS_SEVERITY_OFF, SS_SEVERITY_WARNING, SS_SEVERITY_ERROR, SS_SEVERITY_COUNT };

/* The severities as options and logs spell them, by enum ss_severity. */
#define SS_SEVERITY_NAMES         \
    {                             \
        "off", "warning", "error" \
    }

#endif
