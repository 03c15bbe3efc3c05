/* The commands: one row of the table in main.c each, one file each. */
#ifndef SS_COMMANDS_H
#define SS_COMMANDS_H

#include <stdbool.h>

/* Exit statuses of our own. */
enum {
    SS_EXIT_SOMETHING =
        1, /* report --check, diff: there is something; probe: cannot be diagnosed */
    SS_EXIT_UNREADABLE = 2, /* unreadable input, wrong usage */
    SS_EXIT_FOUND = 66,     /* run: a violation that counts, and the program itself ended with 0 */
    SS_EXIT_FAILED = 125,
    SS_EXIT_NOT_EXECUTABLE = 126,
    SS_EXIT_NOT_FOUND = 127,
    SS_EXIT_SIGNAL = 128 /* plus its number */
};

struct ss_command {
    const char *name;
    int (*function)(int argc, char **argv); /* argv[0] is the command's name */
    const char *arguments;
    const char *summary;
};

int ss_run(int argc, char **argv);
int ss_cargo(int argc, char **argv);
int ss_report(int argc, char **argv);
int ss_probe(int argc, char **argv);
int ss_suppress_command(int argc, char **argv);
int ss_diff(int argc, char **argv);
int ss_explain(int argc, char **argv);
int ss_bundle(int argc, char **argv);

#endif
