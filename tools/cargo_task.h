/* What cargo is asked to do. See cargo_task.c. */
#ifndef SS_CARGO_TASK_H
#define SS_CARGO_TASK_H

enum ss_cargo_task {
    SS_CARGO_RUNS,  /* to run programs, or what is not known here and may run some */
    SS_CARGO_TELLS, /* to list tests, to build them only, to print help */
    SS_CARGO_BUILDS /* a command that never runs a program of the workspace's */
};

/* By cargo's arguments, ended by NULL. *command gets the word among them that is the command, NULL where none
 * is. */
enum ss_cargo_task ss_cargo_task(char **argv, const char **command);

#endif
