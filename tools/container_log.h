/* Lines as a container's logger keeps them. See container_log.c. */
#ifndef SS_CONTAINER_LOG_H
#define SS_CONTAINER_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum { SS_CONTAINER_STREAMS = 2 };

/* What is held of one log. Begins as zeros. */
struct ss_container_log {
    struct {
        char *text;
        size_t length;
        bool whole; /* the line was given, and the next one begins anew */
    } streams[SS_CONTAINER_STREAMS];
};

/* Takes a line apart that docker's json-file driver wrote: *line and *length become those of the
 * program's, which stays there up to the next call. A line that is none is left as it is. False: it
 * is a piece, the rest of its line is in one that follows. */
bool ss_container_line(struct ss_container_log *log, const char **line, size_t *length);

#endif
