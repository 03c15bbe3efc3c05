/* Options of the commands, as tables: parsing and help derive from the rows. */
#ifndef SS_COMMAND_LINE_H
#define SS_COMMAND_LINE_H

#include <stdbool.h>
#include <stdio.h>

/* One option: `--name`, with a value where arg is not NULL. */
struct ss_flag {
    const char *name;
    const char *arg; /* what the value stands for */
    const char *help;
};

struct ss_usage {
    const char *command;
    const char *arguments; /* after the options, as usage shows them */
    const char *summary;
    const struct ss_flag *flags; /* up to a row with a NULL name; `help` is added to them */
    const char *notes;           /* printed below the options, may be NULL */
    int error_status;            /* of an unknown option or a missing value */
};

/* Takes one option off the line. Returns its index in flags, with *value set (NULL without one), or
 * -1 at the end of the options: *index is then the first argument. --help prints and exits with 0;
 * what is wrong is named on stderr and exits with error_status. Options end at `--`, and, with
 * stop_at_argument, at the first argument; else arguments and options may alternate. */
int ss_next_flag(const struct ss_usage *usage, int argc, char **argv, bool stop_at_argument,
                 int *index, char **value);

void ss_print_usage(FILE *out, const struct ss_usage *usage);

/* Says what is wrong, how to get help, and exits with the usage's error status. */
void ss_usage_error(const struct ss_usage *usage, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

#endif
