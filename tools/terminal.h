/* What is written for a person's eyes, and the only way by which it gets out. */
#ifndef SS_TERMINAL_H
#define SS_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Text to be written holds these marks, which become colours or nothing. Any other control
 * character in it but a newline is escaped on the way out, whatever came before. */
#define SS_PLAIN "\x0e"
#define SS_BOLD "\x0f"
#define SS_RED "\x10"
#define SS_YELLOW "\x11"
#define SS_BLUE "\x12"
#define SS_GREEN "\x13"

enum ss_colour { SS_COLOUR_AUTO, SS_COLOUR_ALWAYS, SS_COLOUR_NEVER };

/* The value of --color; -1 where word is none. */
int ss_colour_of(const char *word);

/* Writes length bytes of marked text to out. Returns false when that fails. */
bool ss_terminal_write(FILE *out, enum ss_colour colour, const char *text, size_t length);

/* Prints the line of a source file, where that is an ordinary readable text file that is not newer
 * than the program, nor than what happened in it at that time (microseconds since 1970; -1: not
 * known), with a caret under that of words (may be NULL) which is in it, and note beside the caret. Returns whether there was a word, and so the note is told. */
bool ss_terminal_source(FILE *out, const char *file, unsigned line, const char *program,
                        int64_t time, const char *const *words, const char *note);

#endif
