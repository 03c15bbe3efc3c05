/* The options of STRAYSPAN_OPTIONS: one row each. Parsing, warnings, `help=1`, the `options` key of
 * the log's process record and the command's own help are generated from this table and from
 * nothing else.
 *
 * X(name, TYPE, default, arg, help)
 *
 * TYPE is BOOL (0 or 1), INT (arg: "min..max"), ENUM (arg: "a|b|c", the default is one of them),
 * STRING (arg: what the value stands for), LIST (the same, and each value that is given is kept) or
 * RULES (arg likewise). Defaults are text, parsed like a value that a user gave. */
#ifndef SS_OPTION_TABLE_H
#define SS_OPTION_TABLE_H

#define SS_OPTIONS(X)                                                                              \
    X(log_path, STRING, "", "FILE|stderr",                                                         \
      "where the log goes; %p pid, %e program, %h host, %t start, %n counter")                     \
    X(on_violation, ENUM, "log", "log|abort|trap|stop",                                            \
      "after a violation: go on, raise SIGABRT, run into a trap, or stop for a debugger")          \
    X(quiet, BOOL, "0", "", "1: no line on stderr for a violation")                                \
    X(rules, RULES, "", "+RULE,-RULE,RULE=off|warning|error", "rules to turn on, off, or regrade") \
    X(suppressions, LIST, "", "FILE",                                                              \
      "what is counted, not reported (see strayspan suppress); more than once for several files")  \
    X(stacks, ENUM, "site", "site|all|off",                                                        \
      "stacks of creations and enters: the first 16 of each place, all, or none")                  \
    X(fields, ENUM, "names", "names|values",                                                       \
      "what of a span's fields is logged: names only, or plain values too")                        \
    X(await_check, ENUM, "auto", "auto|full|off",                                                  \
      "guards held across an await: looked for; with longer notes of each enter; not at all")      \
    X(history, INT, "0", "0..4096",                                                                \
      "flight recorder: so many of each thread's last events, with times; 0: none")                \
    X(max_frames, INT, "64", "1..64", "frames kept of a stack")                                    \
    X(follow_children, BOOL, "1", "", "0: processes that the program starts are not watched")      \
    X(except, STRING, "", "NAME,..",                                                               \
      "children that are not watched, by their files' names; `*` ends a prefix")                   \
    X(lookups, BOOL, "0", "", "1: every getaddrinfo call is logged")                               \
    X(repeat, INT, "1", "1..1000000",                                                              \
      "how often a violation with the same fingerprint is written")                                \
    X(label, STRING, "", "NAME", "what reports call this process: the name of a test, say")        \
    X(verbosity, INT, "0", "0..2", "1: say what was hooked; 2: and what was not, and why")         \
    X(help, BOOL, "0", "", "1: print this table")

#define SS_OPTIONS_VARIABLE "STRAYSPAN_OPTIONS"

#endif
