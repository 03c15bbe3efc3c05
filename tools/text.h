/* Pieces of text that live until the command ends, and how text becomes fit for a terminal. */
#ifndef SS_TEXT_H
#define SS_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory that is never freed; the command ends where there is none. */
void *ss_keep(size_t size);

char *ss_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *ss_text_copy(const char *text, size_t length);

/* text with every control character (C0, DEL, C1), bidirectional override, noncharacter and byte that is not
 * UTF-8 written as \n, \t, \x1b, \u{202e} or \xff, and at most max columns long, cut with an
 * ellipsis. */
char *ss_text_clean_to(const char *text, size_t max);
char *ss_text_clean(const char *text);

/* Takes the blanks at the ends of lines out of text; returns its new length. */
size_t ss_text_trim_lines(char *text, size_t length);

/* text as one word of a shell's: in quotes where it needs them. */
const char *ss_text_shell(const char *text);

/* Columns that clean text takes: one for each character. */
size_t ss_text_width(const char *text);

bool ss_text_starts(const char *text, const char *prefix);
bool ss_text_ends(const char *text, const char *suffix);

/* Length of the UTF-8 character at text, 0 where it is none; its code point goes to *code. */
size_t ss_text_character(const char *text, uint32_t *code);

/* Whether code must not reach a terminal as it is. */
bool ss_text_is_control(uint32_t code);

/* Number and noun: `1 span`, `2 spans`. */
const char *ss_count_text(uint64_t count, const char *one);

#endif
