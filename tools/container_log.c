/* Docker's json-file driver keeps what a container wrote as JSON lines, {"log":TEXT,"stream":"stderr",
 * "time":..}, and a long line in several such pieces: the last one's text ends with a newline. Called
 * by log_read.c for standard input; one thread. */
#include "container_log.h"

#include <jansson.h>
#include <string.h>

#include "../shim/log_format.h"
#include "text.h"

bool ss_container_line(struct ss_container_log *log, const char **line, size_t *length)
{
    static const char begin[] = "{\"log\":\"";
    static const char *const names[SS_CONTAINER_STREAMS] = {"stdout", "stderr"};
    if (*length < sizeof begin || memcmp(*line, begin, sizeof begin - 1) != 0)
        return true;
    json_t *entry = json_loadb(*line, *length, JSON_ALLOW_NUL, NULL);
    const json_t *text = json_object_get(entry, "log");
    const char *name = json_string_value(json_object_get(entry, "stream"));
    size_t size = json_string_length(text), i = 0;
    while (i < SS_CONTAINER_STREAMS && !(name && strcmp(name, names[i]) == 0))
        i++;
    bool is_piece = false;
    if (i < SS_CONTAINER_STREAMS && text) {
        char **held = &log->streams[i].text;
        size_t *used = &log->streams[i].length;
        if (!*held)
            *held = ss_keep(SS_LOG_LINE_MAX);
        if (log->streams[i].whole)
            *used = 0;
        /* A line that is too long is none of ours. */
        size_t fitting = size < SS_LOG_LINE_MAX - *used ? size : SS_LOG_LINE_MAX - *used;
        memcpy(*held + *used, json_string_value(text), fitting);
        *used += fitting;
        is_piece = !size || json_string_value(text)[size - 1] != '\n';
        log->streams[i].whole = !is_piece;
        *line = *held;
        *length = *used;
        while (*length && ((*held)[*length - 1] == '\n' || (*held)[*length - 1] == '\r'))
            --*length;
    }
    json_decref(entry);
    return !is_piece;
}
