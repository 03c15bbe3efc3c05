/* What a program that only starts others was to start. See inner_program.c. */
#ifndef SS_INNER_PROGRAM_H
#define SS_INNER_PROGRAM_H

#include "probe.h"

/* The first program with tracing or annotations in it among the words of a command (argv) and of the
 * scripts that it names: a shell's, env's, timeout's. Its name as it was given, and what it is in
 * *probe; NULL, with *probe untouched, where there is none. */
const char *ss_inner_program(char **argv, struct ss_probe *probe);

#endif
