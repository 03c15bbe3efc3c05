/* What records are written with. A key has its comma before it where one is due; what comes from the program
 * (names, paths, hosts) is escaped and made valid UTF-8.
 *
 * Called by records.c and summary_record.c, under the log's lock. */
#include "json.h"

#include <string.h>

void ss_json_text(struct ss_line *line, const char *text)
{
    if (text)
        ss_put_json(line, text, strlen(text));
    else
        ss_puts(line, "null");
}

void ss_key(struct ss_line *line, const char *name)
{
    if (line->used && line->data[line->used - 1] != '{')
        ss_put(line, ",", 1);
    ss_put(line, "\"", 1);
    ss_puts(line, name);
    ss_put(line, "\":", 2);
}

void ss_key_text(struct ss_line *line, const char *name, const char *text)
{
    ss_key(line, name);
    ss_json_text(line, text);
}

void ss_key_name(struct ss_line *line, const char *name, const char *text)
{
    ss_key_text(line, name, *text ? text : NULL);
}

void ss_key_number(struct ss_line *line, const char *name, uint64_t value)
{
    ss_key(line, name);
    ss_put_unsigned(line, value);
}

void ss_key_bool(struct ss_line *line, const char *name, bool value)
{
    ss_key(line, name);
    ss_puts(line, value ? "true" : "false");
}

void ss_key_known(struct ss_line *line, const char *name, uint64_t value)
{
    if (value)
        ss_key_number(line, name, value);
    else
        ss_key_text(line, name, NULL);
}

void ss_key_time(struct ss_line *line, const char *name, uint64_t time)
{
    ss_key(line, name);
    if (!time) {
        ss_puts(line, "null");
        return;
    }
    ss_put(line, "\"", 1);
    ss_put_time(line, time);
    ss_put(line, "\"", 1);
}

void ss_key_hex(struct ss_line *line, const char *name, uint64_t value)
{
    ss_key(line, name);
    ss_put(line, "\"", 1);
    ss_put_hex(line, value, 16);
    ss_put(line, "\"", 1);
}

void ss_key_id(struct ss_line *line, const char *name, uint64_t id)
{
    ss_key(line, name);
    ss_put(line, "\"", 1);
    ss_put_unsigned(line, id);
    ss_put(line, "\"", 1);
}

void ss_open_object(struct ss_line *line, const char *name)
{
    ss_key(line, name);
    ss_put(line, "{", 1);
}

void ss_close_object(struct ss_line *line)
{
    ss_put(line, "}", 1);
}

void ss_open_record(struct ss_line *line, const struct ss_record_head *head, const char *type,
                    uint64_t time)
{
    ss_put(line, "{", 1);
    ss_key_number(line, "v", SS_LOG_VERSION);
    ss_key_text(line, "type", type);
    ss_key_time(line, "time", time);
    ss_key_number(line, "pid", (uint64_t)head->pid);
    ss_key_hex(line, "run", head->run);
}

void ss_close_record(struct ss_line *line)
{
    ss_put(line, "}\n", 2);
}
