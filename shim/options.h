/* The options in force; read once at start, constant afterwards. */
#ifndef SS_OPTIONS_H
#define SS_OPTIONS_H

#include "internal.h"

/* Values by type: BOOL and INT are numbers, an ENUM is the index of its word, the others are text; that of
 * a LIST is its values with a newline between them. */
#define SS_OPTION_C_BOOL long
#define SS_OPTION_C_INT long
#define SS_OPTION_C_ENUM long
#define SS_OPTION_C_STRING const char *
#define SS_OPTION_C_LIST const char *
#define SS_OPTION_C_RULES const char *

struct ss_options {
#define X(name, type, initial, arg, help) SS_OPTION_C_##type name;
    SS_OPTIONS(X)
#undef X
    enum ss_severity severities[SS_RULE_COUNT];
    bool regraded[SS_RULE_COUNT]; /* the user's own word */
};

/* The words of ENUM options, in the order of their rows' arg. */
enum { SS_ON_VIOLATION_LOG, SS_ON_VIOLATION_ABORT, SS_ON_VIOLATION_TRAP, SS_ON_VIOLATION_STOP };
enum { SS_AWAIT_CHECK_AUTO, SS_AWAIT_CHECK_FULL, SS_AWAIT_CHECK_OFF };
enum { SS_STACKS_SITE, SS_STACKS_ALL, SS_STACKS_OFF };
enum { SS_FIELDS_NAMES, SS_FIELDS_VALUES };

extern struct ss_options ss_options __attribute__((visibility("hidden")));

enum ss_option_type {
    SS_OPTION_BOOL,
    SS_OPTION_INT,
    SS_OPTION_ENUM,
    SS_OPTION_STRING,
    SS_OPTION_LIST,
    SS_OPTION_RULES
};

/* The rules' rows, by enum ss_rule. */
struct ss_rule_row {
    const char *code, *title;
    enum ss_severity severity; /* the default */
};
extern const struct ss_rule_row ss_rule_rows[SS_RULE_COUNT] SS_HIDDEN;

/* One row of the table, for whoever lists the options. */
struct ss_option {
    const char *name;
    enum ss_option_type type;
    const char *initial, *arg, *help;
    size_t offset; /* in struct ss_options */
};
extern const struct ss_option ss_option_rows[] __attribute__((visibility("hidden")));
extern const unsigned ss_option_count __attribute__((visibility("hidden")));

/* Sets the defaults, then parses text (the variable's value, or NULL). Warns of unknown names and
 * bad values, naming them. Start only. */
SS_HIDDEN void ss_options_read(const char *text);

/* The word that an ENUM option has now. */
SS_HIDDEN struct ss_text ss_option_word(const struct ss_option *option);

#endif
