/* Reads logs line by line into the report's model. A line is bounded, only its first sight of a
 * fingerprint is kept, so memory is bounded by distinct fingerprints and processes, not by the size
 * of the logs. Called by report.c and run.c, and by follow.c, which has logs read as they grow. */
#include "log_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_kind.h"
#include "kept_frames.h"
#include "log_place.h"
#include "text.h"

enum { BUFFER_SIZE = 1 << 20, HEAD_LENGTH = 512, HEAD_KIND = 65536 };

/* ---- lines ---- */

/* Adds the process image of a record to the report. */
static struct ss_process *process_of(struct ss_reader *reader, const char *run,
                                     const json_t *record)
{
    struct ss_report *report = reader->report;
    struct ss_process *process = ss_keep(sizeof *process);
    process->run = ss_text_copy(run, strlen(run));
    process->file = reader->file;
    process->pid = ss_integer_of(record, "pid", 0);
    process->next = report->processes;
    report->processes = process;
    HASH_ADD_KEYPTR(hh, report->by_run, process->run, strlen(process->run), process);
    return process;
}

/* The run of an input's first record of it: a new one, the rest of one that is in another file, or again what was
 * read before, where a file is given twice. */
static struct ss_run *open_run(struct ss_reader *reader, const char *id, const json_t *record)
{
    struct ss_report *report = reader->report;
    const char *type = json_string_value(json_object_get(record, "type"));
    struct ss_process *process;
    struct ss_run *run;
    HASH_FIND_STR(report->by_run, id, process);
    HASH_FIND_STR(report->runs, id, run);
    if (run && !(run->begun && type && strcmp(type, SS_LOG_PROCESS) == 0))
        return run;
    run = calloc(1, sizeof *run);
    if (!run)
        uthash_fatal("out of memory");
    snprintf(run->id, sizeof run->id, "%s", id);
    run->repeated = process;
    if (process) {
        run->process = process;
        run->program_path = process->program;
        run->program_build_id = process->build_id;
    } else {
        run->process = process_of(reader, id, record);
    }
    run->shared = !process && !reader->apart;
    if (run->shared)
        HASH_ADD_STR(report->runs, id, run);
    return run;
}

static struct ss_run *run_of(struct ss_reader *reader, const json_t *record)
{
    const char *id = json_string_value(json_object_get(record, "run"));
    struct ss_part *part;
    size_t length = strnlen(id, sizeof part->id - 1);
    HASH_FIND(hh, reader->by_id, id, length, part);
    if (part)
        return part->run;
    part = calloc(1, sizeof *part);
    if (!part)
        uthash_fatal("out of memory");
    memcpy(part->id, id, length);
    part->run = open_run(reader, part->id, record);
    part->next = reader->parts;
    reader->parts = part;
    HASH_ADD(hh, reader->by_id, id[0], length, part);
    return part->run;
}

static void broken_line(struct ss_reader *reader)
{
    if (reader->broken++ == 0)
        reader->broken_first = reader->line;
}

/* Whether the violation of a line may end a suspicion about its span. */
static bool is_suspected(const struct ss_run *run, const char *line, size_t head)
{
    static const char serial_key[] = "\"span\":{\"serial\":";
    const char *key = memmem(line, head, serial_key, sizeof serial_key - 1);
    if (!key)
        return true;
    int64_t serial = strtoll(key + sizeof serial_key - 1, NULL, 10);
    struct ss_found *found;
    HASH_FIND(by_serial, run->open, &serial, sizeof serial, found);
    return found;
}

/* A repeat of what is known is most of a long log: it is recognised by its text alone. A quote
 * inside a JSON string is escaped, so these patterns cannot stand in one. */
static bool known_repeat(struct ss_reader *reader, const char *line, size_t length)
{
    static const char lookup[] = "{\"v\":1,\"type\":\"" SS_LOG_LOOKUP "\"";
    static const char violation[] = "{\"v\":1,\"type\":\"" SS_LOG_VIOLATION "\"";
    static const char run_key[] = "\"run\":\"", print_key[] = "\"fingerprint\":\"";
    static const char first[] = "\"count\":1,", error[] = "\"severity\":\"error\"";
    struct ss_run *run = reader->parts ? reader->parts->run : NULL;
    if (!run || line[length - 1] != '}')
        return false;
    if (length > sizeof lookup && memcmp(line, lookup, sizeof lookup - 1) == 0)
        return true;
    if (length < sizeof violation || memcmp(line, violation, sizeof violation - 1) != 0)
        return false;
    size_t head = length < HEAD_LENGTH ? length : HEAD_LENGTH;
    if (run->open && is_suspected(run, line, head))
        return false;
    const char *id = memmem(line, head, run_key, sizeof run_key - 1);
    const char *print = memmem(line, head, print_key, sizeof print_key - 1);
    size_t id_length = strlen(run->id);
    if (!id || !print || memmem(line, head, first, sizeof first - 1) ||
        (size_t)(line + length - id) < sizeof run_key + id_length ||
        (size_t)(line + length - print) < sizeof print_key + 16 ||
        memcmp(id + sizeof run_key - 1, run->id, id_length) != 0 ||
        id[sizeof run_key - 1 + id_length] != '"')
        return false;
    struct ss_print wanted = ss_print_of(print + sizeof print_key - 1, 16);
    struct ss_found *found;
    HASH_FIND(hh, run->found, &wanted, sizeof wanted, found);
    /* Unless it is worse than what is known. */
    if (!found || (found->violation->severity < SS_SEVERITY_ERROR &&
                   memmem(line, head, error, sizeof error - 1)))
        return false;
    found->lines++;
    return true;
}

/* Where a record begins in a line of a stream, which a program and its logger may have a part in: what
 * stands before it is a container's name or a time. False: it is somebody else's line. */
static bool find_record(const char **line, size_t *length)
{
    static const char begin[] = "{\"v\":";
    const char *at = memmem(*line, *length, begin, sizeof begin - 1);
    if (!at)
        return false;
    *length -= (size_t)(at - *line);
    *line = at;
    return true;
}

/* Whether what was given for a log is something else, by its first line, which is no record. Then it is over. */
static bool is_foreign(struct ss_reader *reader)
{
    const char *advice = NULL;
    const char *kind = ss_file_kind(reader->head, reader->head_length, &advice);
    if (kind)
        ss_report_problem(reader->report, true, reader->file, "not a strayspan log: it is %s%s%s",
                          kind, advice ? "; " : "", advice ? advice : "");
    reader->stopped |= kind != NULL;
    return kind;
}

static void read_line(struct ss_reader *reader, const char *line, size_t length)
{
    reader->line++;
    if (reader->stream &&
        (!ss_container_line(&reader->container, &line, &length) || !find_record(&line, &length)))
        return;
    if (length == 0 || known_repeat(reader, line, length))
        return;
    json_error_t error;
    json_t *record = json_loadb(line, length, JSON_ALLOW_NUL, &error);
    const json_t *version = json_object_get(record, "v");
    const json_t *type = json_object_get(record, "type");
    bool ours = json_is_integer(version) && json_is_string(type) &&
                json_is_string(json_object_get(record, "run"));
    if (!ours) {
        if (reader->started || reader->stream || reader->broken || !is_foreign(reader)) {
            broken_line(reader);
            reader->others |= !reader->stream && !find_record(&line, &length);
        }
    } else if (json_integer_value(version) != SS_LOG_VERSION) {
        ss_report_problem(reader->report, true, reader->file,
                          "line %llu: a log of version %lld, and this strayspan (" SS_VERSION
                          ") reads version %d: use the strayspan that wrote it",
                          (unsigned long long)reader->line, (long long)json_integer_value(version),
                          SS_LOG_VERSION);
        reader->stopped = true;
    } else {
        reader->started = true;
        ss_read_record(reader, run_of(reader, record), record);
    }
    json_decref(record);
}

/* What the process counted, and no line tells: the disk was full, or the log was cut. */
static void report_missing(struct ss_report *report, const struct ss_run *run)
{
    for (int rule = 0; rule < SS_RULE_COUNT; rule++) {
        if (run->repeated || run->expected[rule] <= run->written[rule])
            continue;
        uint64_t missing = run->expected[rule] - run->written[rule];
        ss_report_problem(report, true, run->process->file,
                          "%s of pid %lld %s not written to it (%s; is the disk full?)",
                          ss_count_text(missing, "violation"), (long long)run->process->pid,
                          missing == 1 ? "was" : "were", ss_rule_rows[rule].code);
    }
}

/* Ends a run: where it has no summary, what was found is counted by its lines. */
static void end_run(struct ss_report *report, struct ss_run *run)
{
    struct ss_reader reader = {.report = report, .file = run->process->file};
    if (run->shared)
        HASH_DEL(report->runs, run);
    ss_end_run(&reader, run);
    report_missing(report, run);
    ss_free_run(run);
}

/* Ends the runs of which nothing more can come. */
static void end_parts(struct ss_reader *reader)
{
    HASH_CLEAR(hh, reader->by_id);
    while (reader->parts) {
        struct ss_part *part = reader->parts;
        reader->parts = part->next;
        if (!part->run->shared || part->run->process->summary)
            end_run(reader->report, part->run);
        free(part);
    }
}

static void report_broken(struct ss_reader *reader, bool cut)
{
    if (reader->stopped)
        return;
    /* A cut last line is counted as broken where it is not whole JSON by chance. */
    uint64_t broken = reader->broken;
    if (broken)
        ss_report_problem(reader->report, false, reader->file,
                          "%llu of its lines could not be read, the first is line %llu; all "
                          "others are in this report%s",
                          (unsigned long long)broken, (unsigned long long)reader->broken_first,
                          reader->others ? ss_text("; where it is what a program wrote to standard "
                                                   "error, among other lines: report - <%s",
                                                   ss_text_shell(reader->file))
                                         : "");
    if (cut)
        ss_report_problem(reader->report, false, reader->file,
                          "its last line, line %llu, is cut: the process was killed while it "
                          "wrote, still writes, or the disk was full; all lines before it are in "
                          "this report",
                          (unsigned long long)reader->line + 1);
    if (!reader->started && !reader->stopped)
        ss_report_problem(reader->report, true, reader->file, "no record in it");
}

/* Reads the lines that are whole, and keeps what comes after them. */
static void take_lines(struct ss_reader *reader, struct ss_input *input)
{
    char *at = input->buffer, *end = at + input->held, *newline;
    reader->head = at;
    reader->head_length = input->held < HEAD_KIND ? input->held : HEAD_KIND;
    while (!reader->stopped && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (input->skipping || newline - at >= SS_LOG_LINE_MAX) {
            reader->line++;
            broken_line(reader);
            input->skipping = false;
        } else {
            read_line(reader, at, (size_t)(newline - at));
        }
        at = newline + 1;
    }
    input->held = (size_t)(end - at);
    if (input->held >= SS_LOG_LINE_MAX) {
        input->skipping = true;
        input->held = 0;
    } else {
        memmove(input->buffer, at, input->held);
    }
}

bool ss_input_read(struct ss_reader *reader, struct ss_input *input)
{
    ssize_t got = 0;
    if (!input->buffer)
        input->buffer = malloc(BUFFER_SIZE);
    while (input->buffer && !reader->stopped) {
        got = read(input->fd, input->buffer + input->held, BUFFER_SIZE - input->held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        input->total += (uint64_t)got;
        input->held += (size_t)got;
        take_lines(reader, input);
    }
    bool later = got < 0 && errno == EAGAIN;
    if (got < 0 && !later)
        ss_report_problem(reader->report, true, reader->file, "cannot be read: %s",
                          strerror(errno));
    if (!input->held) {
        free(input->buffer);
        input->buffer = NULL;
    }
    return later;
}

bool ss_input_end(struct ss_reader *reader, struct ss_input *input)
{
    bool cut = input->skipping;
    if (input->held && !reader->stopped) {
        /* The last line has no newline: whole by chance, or cut. */
        json_error_t error;
        json_t *whole = json_loadb(input->buffer, input->held, JSON_ALLOW_NUL, &error);
        reader->head = input->buffer;
        reader->head_length = input->held < HEAD_KIND ? input->held : HEAD_KIND;
        if (whole || !reader->started)
            read_line(reader, input->buffer, input->held);
        cut |= !whole && reader->started;
        json_decref(whole);
    }
    free(input->buffer);
    input->buffer = NULL;
    input->held = 0;
    return cut;
}

void ss_reader_end(struct ss_reader *reader, bool cut)
{
    report_broken(reader, cut);
    end_parts(reader);
}

static void read_descriptor(struct ss_reader *reader, int fd)
{
    struct ss_input input = {.fd = fd};
    struct pollfd more = {fd, POLLIN, 0};
    /* Not to block may be a state of a standard input that others share. */
    while (ss_input_read(reader, &input))
        poll(&more, 1, -1);
    bool cut = ss_input_end(reader, &input);
    if (input.total == 0 && !reader->stopped) {
        ss_report_problem(reader->report, true, reader->file,
                          reader->stream ? "empty: nothing came"
                                         : "empty: nothing was written to it (is the disk full?)");
        reader->stopped = true;
    }
    ss_reader_end(reader, cut);
}

/* A log that begins in the midst of a run. */
struct ss_rest {
    struct ss_rest *next;
    const char *path;
    off_t size;
    char begin[128]; /* its first bytes, NUL-terminated: no two records begin alike */
};

/* For qsort: the one that begins earlier first, and of two that begin with the same record the longer one. */
static int compare_begins(const void *a, const void *b)
{
    const struct ss_rest *one = *(struct ss_rest *const *)a, *other = *(struct ss_rest *const *)b;
    const char *time = strstr(one->begin, "\"time\":"), *later = strstr(other->begin, "\"time\":");
    int order = strcmp(time ? time : "", later ? later : "");
    return order ? order : (one->size < other->size) - (one->size > other->size);
}

/* Leaves a file for later that begins in the midst of a run, as what a rotation leaves: what it has to say
 * may need what other files tell, which are read before it. */
static bool left_for_later(struct ss_report *report, const char *path, int fd, off_t size)
{
    static const char any[] = "{\"v\":1,\"type\":\"", first[] = SS_LOG_PROCESS "\"";
    struct ss_rest rest = {.path = path, .size = size};
    if (report->ending || pread(fd, rest.begin, sizeof rest.begin - 1, 0) <= 0 ||
        !ss_text_starts(rest.begin, any) || ss_text_starts(rest.begin + sizeof any - 1, first))
        return false;
    rest.next = report->rests;
    report->rests = ss_keep(sizeof rest);
    *report->rests = rest;
    report->rest_count++;
    return true;
}

static void read_file(struct ss_report *report, const char *path)
{
    struct ss_reader reader = {.report = report, .file = path};
    report->files++;
    if (strcmp(path, "-") == 0) {
        reader.file = "standard input";
        reader.stream = true;
        read_descriptor(&reader, STDIN_FILENO);
        return;
    }
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        ss_report_problem(report, true, path, "cannot be read: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) {
        ss_report_problem(report, true, path, "not a strayspan log: not a file");
    } else if (S_ISREG(status.st_mode) && left_for_later(report, path, fd, status.st_size)) {
        report->files--;
    } else {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        read_descriptor(&reader, fd);
    }
    if (fd >= 0)
        close(fd);
}

int ss_is_log(const struct dirent *entry)
{
    return ss_text_ends(entry->d_name, ".jsonl");
}

static const char *log_token; /* of log_of_token */

/* For scandir: whether an entry is a log whose name has the token in it. */
static int log_of_token(const struct dirent *entry)
{
    return ss_is_log(entry) && (!log_token || strstr(entry->d_name, log_token));
}

int ss_log_names(const char *directory, const char *token, struct dirent ***entries)
{
    log_token = token;
    return scandir(directory, entries, log_of_token, alphasort);
}

/* For scandir. */
static int is_kept_frames(const struct dirent *entry)
{
    return ss_text_ends(entry->d_name, SS_FRAMES_SUFFIX);
}

int ss_is_run_folder(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789") == 8 && entry->d_name[8] == 'T' &&
           strspn(entry->d_name + 9, "0123456789") == 6 && entry->d_name[15] == 'Z' &&
           entry->d_name[16] == '-';
}

/* Reads the frames that were kept beside the logs of a directory; none of them has to be there. */
static void read_kept_frames(struct ss_report *report, const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_kept_frames, alphasort);
    for (int i = 0; i < count; i++) {
        ss_frames_read(report, ss_text("%s/%s", directory, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
}

void ss_log_read(struct ss_report *report, const char *path, const char *token)
{
    struct stat status;
    if (strcmp(path, "-") == 0 || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        read_file(report, path);
        return;
    }
    struct dirent **entries = NULL, **folders = NULL;
    int count = ss_log_names(path, token, &entries);
    if (count < 0) {
        ss_report_problem(report, true, path, "cannot be read: %s", strerror(errno));
        return;
    }
    size_t length = strlen(path);
    for (int i = 0; i < count; i++) {
        read_file(report,
                  ss_text("%s%s%s", path, path[length - 1] == '/' ? "" : "/", entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    if (count > 0 && !token)
        read_kept_frames(report, path);
    bool incomplete = !token && ss_log_place_marked(report, path);
    if (count > 0 || token || incomplete || ss_log_place_nothing_there(report, path))
        return;
    /* Of cargo's runs each has a folder of its own, called by its time. */
    int below = scandir(path, &folders, ss_is_run_folder, alphasort);
    const char *newest =
        below > 0 ? ss_text("; the newest run below it is %s%s%s", path,
                            path[length - 1] == '/' ? "" : "/", folders[below - 1]->d_name)
                  : "";
    ss_report_problem(report, true, path, "no log in it (no file that ends in .jsonl)%s", newest);
    for (int i = 0; i < below; i++)
        free(folders[i]);
    free(folders);
}

void ss_log_end(struct ss_report *report)
{
    struct ss_rest **rests = ss_keep((report->rest_count + 1) * sizeof(struct ss_rest *));
    for (size_t i = report->rest_count; i-- > 0; report->rests = report->rests->next)
        rests[i] = report->rests;
    qsort(rests, report->rest_count, sizeof(struct ss_rest *), compare_begins);
    report->ending = true;
    for (size_t i = 0; i < report->rest_count; i++)
        if (i == 0 || strcmp(rests[i]->begin, rests[i - 1]->begin) != 0)
            read_file(report, rests[i]->path);
    report->ending = false;
    report->rest_count = 0;
    if (report->processes)
        report->nothing_why = report->nothing_advice = NULL; /* not of all that was read */
    while (report->runs)
        end_run(report, report->runs);
}
