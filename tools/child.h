/* A program that the command starts and waits for. */
#ifndef SS_CHILD_H
#define SS_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct ss_child {
    pid_t pid;
    int exec_error; /* errno of exec, 0 where it went well */
    int status;     /* as a shell has it */
    int signal;     /* that ended it, 0 */
};

/* One variable of the program's environment. */
struct ss_variable {
    const char *name, *value;
};

/* Takes what becomes of our children into our own hands: an inherited SIG_IGN would take their status from us.
 * The programs that are run here get it all the same. First of all calls. */
void ss_child_begin(void);

/* Runs the file at path with argv to its end, with environment (up to a row with a NULL name) over our
 * own. Until then signals that are sent to us are handed on, and those of a terminal are left to it;
 * afterwards they end us, but for those that come within a second or so of its end. False, and said:
 * no process could be made for it, and all is as before. Once in a process's life, from its one thread. */
bool ss_child_run(const char *path, char **argv, const struct ss_variable *environment,
                  struct ss_child *child);

/* Ends us by the signal that ended the child: for a parent that tells of it. Returns where it cannot. */
void ss_child_end_alike(const struct ss_child *child);

/* Becomes the program, with our own environment. Returns, with our exit status, only where that failed,
 * which it said. */
int ss_child_become(const char *path, char **argv);

#endif
