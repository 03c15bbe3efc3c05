/* Writing to descriptors in somebody else's program, and building the text to be written. */
#ifndef SS_OUTPUT_H
#define SS_OUTPUT_H

#include "internal.h"

/* Text under construction in a buffer of fixed size; what does not fit is dropped and noted. The
 * limits are for a second try. */
struct ss_line {
    char *data;
    size_t size, used;
    bool full;
    uint32_t text_max;   /* JSON strings are cut after this many bytes of text, 0: not at all */
    uint32_t frames_max; /* how many frames of a stack a record shows (records.c) */
    uint32_t list_max;   /* how many entries of a list: of a history, of what came of breaches */
};

SS_HIDDEN void ss_put(struct ss_line *line, const char *text, size_t length);
SS_HIDDEN void ss_puts(struct ss_line *line, const char *text);
SS_HIDDEN void ss_put_unsigned(struct ss_line *line, uint64_t value);
SS_HIDDEN void ss_put_signed(struct ss_line *line, int64_t value);
SS_HIDDEN void ss_put_hex(struct ss_line *line, uint64_t value, unsigned digits);

/* As RFC 3339, UTC, with microseconds; nanoseconds since 1970. */
SS_HIDDEN void ss_put_time(struct ss_line *line, uint64_t nanoseconds);

/* Text with control characters, and bytes that are not UTF-8, shown as \xNN: for a terminal. */
SS_HIDDEN void ss_put_plain(struct ss_line *line, const char *text);

/* Text as a JSON string; bytes that are not UTF-8 become U+FFFD. */
SS_HIDDEN void ss_put_json(struct ss_line *line, const char *text, size_t length);

/* Length of the UTF-8 sequence at text (1 to 4), 0 where there is none within length bytes. */
SS_HIDDEN unsigned ss_utf8_length(const char *text, size_t length);

/* Writes all bytes with one write, without SIGPIPE or SIGXFSZ reaching the program. Returns the
 * number of bytes written, or -errno. Any thread; no lock, errno untouched. */
SS_HIDDEN long ss_output_write(int fd, const void *data, size_t size);

/* Remembers what descriptor 2 is. Start. */
SS_HIDDEN void ss_stderr_remember(void);

/* Writes to stderr if it is still what it was at start and takes bytes without blocking. Returns
 * whether it did. */
SS_HIDDEN bool ss_stderr_write(const char *data, size_t size);

#endif
