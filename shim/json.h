/* JSON, as the log's records are written. The keys are words of ours; no text is too long: a line that is full
 * says so itself (output.h). */
#ifndef SS_JSON_H
#define SS_JSON_H

#include "output.h"
#include "records.h"

/* A string, quoted; null for NULL. */
SS_HIDDEN void ss_json_text(struct ss_line *line, const char *text);

/* `,"key":`; the comma is left out after a brace. */
SS_HIDDEN void ss_key(struct ss_line *line, const char *name);

/* A key with its value: text (null for NULL), a number, true or false, a time (ns of CLOCK_REALTIME,
 * null for 0), 16 hex digits. */
SS_HIDDEN void ss_key_text(struct ss_line *line, const char *name, const char *text);

/* A name that may be empty where it is unknown. */
SS_HIDDEN void ss_key_name(struct ss_line *line, const char *name, const char *text);

SS_HIDDEN void ss_key_number(struct ss_line *line, const char *name, uint64_t value);

SS_HIDDEN void ss_key_bool(struct ss_line *line, const char *name, bool value);

/* A number that is null where it is 0. */
SS_HIDDEN void ss_key_known(struct ss_line *line, const char *name, uint64_t value);

SS_HIDDEN void ss_key_time(struct ss_line *line, const char *name, uint64_t time);

SS_HIDDEN void ss_key_hex(struct ss_line *line, const char *name, uint64_t value);

/* An id as text: it may have all 64 bits. */
SS_HIDDEN void ss_key_id(struct ss_line *line, const char *name, uint64_t id);

/* `"name":{` and `}`; a whole record with what all begin with, and its end. */
SS_HIDDEN void ss_open_object(struct ss_line *line, const char *name);

SS_HIDDEN void ss_close_object(struct ss_line *line);

SS_HIDDEN void ss_open_record(struct ss_line *line, const struct ss_record_head *head,
                              const char *type, uint64_t time);

SS_HIDDEN void ss_close_record(struct ss_line *line);

#endif
