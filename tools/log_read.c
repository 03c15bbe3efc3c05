/* Reads logs line by line into the report's model. A line is bounded, only its first sight of a
 * fingerprint is kept, so memory is bounded by distinct fingerprints and processes, not by the size
 * of the logs. Nothing that a log says is trusted: every value is checked for its type. */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

enum { BUFFER_SIZE = 1 << 20, MODULES_MAX = 4096, RUNS_MAX = 65536, FIELDS_MAX = 256 };

/* One process image while its log is read. */
struct run {
    struct run *next;
    char id[20];
    struct ss_process *process;
    struct ss_binary *binaries[MODULES_MAX]; /* by module id */
    struct ss_binary *program;
    const char *program_path, *program_build_id;
    bool repeated;                    /* another file of this report has the same run */
    uint64_t written[SS_RULE_COUNT];  /* first lines of a fingerprint */
    uint64_t expected[SS_RULE_COUNT]; /* how many the summary has counted */
    /* The fingerprints of this run, with how often a line had each. */
    struct {
        struct ss_violation *violation;
        char fingerprint[20];
        uint64_t lines, highest;
    } * found;
    size_t found_count;
};

struct reader {
    struct ss_report *report;
    const char *file;
    bool stream;  /* standard input: other lines may stand between the records */
    bool started; /* a record was seen */
    bool stopped;
    uint64_t line, broken, broken_first;
    size_t run_count;
    struct run *runs; /* the latest first */
};

/* ---- values of a record ---- */

/* The text of a key, NULL where it has none. */
static const char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) && json_string_length(value)
               ? ss_text_copy(json_string_value(value), json_string_length(value))
               : NULL;
}

static int64_t integer_of(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    int64_t value = integer_of(object, key, 0);
    return value > 0 ? (uint64_t)value : 0;
}

/* Microseconds since 1970 of an RFC 3339 time in UTC; -1 where it is none. */
static int64_t time_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return -1;
    struct tm parts = {0};
    const char *rest = strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest)
        return -1;
    int64_t micros = 0;
    if (*rest == '.') {
        rest++;
        for (int i = 0; i < 6; i++)
            micros = micros * 10 + (*rest >= '0' && *rest <= '9' ? *rest++ - '0' : 0);
    }
    return (int64_t)timegm(&parts) * 1000000 + micros;
}

/* ---- the parts of a violation ---- */

static struct ss_binary *binary_of(const struct run *run, int64_t id)
{
    return id > 0 && id < MODULES_MAX ? run->binaries[id] : NULL;
}

static struct ss_stack stack_of(const struct run *run, const json_t *object)
{
    struct ss_stack stack = {0, NULL};
    const json_t *list = json_object_get(object, "stack");
    size_t size = json_array_size(list);
    if (size == 0)
        return stack;
    if (size > SS_FRAMES_MAX)
        size = SS_FRAMES_MAX;
    stack.addresses = ss_keep(size * sizeof *stack.addresses);
    for (size_t i = 0; i < size; i++) {
        const json_t *pair = json_array_get(list, i);
        const json_t *module = json_array_get(pair, 0), *offset = json_array_get(pair, 1);
        if (json_is_integer(module) && json_is_integer(offset))
            stack.addresses[stack.count++] = (struct ss_address){
                binary_of(run, json_integer_value(module)), (uint64_t)json_integer_value(offset)};
    }
    return stack;
}

static struct ss_site site_of(const struct run *run, const json_t *record, const char *key)
{
    struct ss_site site = {0};
    const json_t *object = json_object_get(record, key);
    site.time = -1;
    if (!json_is_object(object))
        return site;
    const json_t *thread = json_object_get(object, "thread");
    site.present = true;
    site.thread = (struct ss_thread){.serial = integer_of(thread, "serial", 0),
                                     .tid = integer_of(thread, "tid", 0),
                                     .created_by = integer_of(thread, "created_by", 0),
                                     .name = text_of(thread, "name"),
                                     .span = text_of(thread, "span"),
                                     .stack = stack_of(run, thread)};
    site.time = time_of(object, "time");
    site.stack = stack_of(run, object);
    site.typical = json_is_true(json_object_get(object, "typical"));
    return site;
}

static struct ss_instance instance_of(const struct run *run, const json_t *object)
{
    return (struct ss_instance){.present = json_is_object(object) || json_is_null(object),
                                .no_op = json_is_null(object),
                                .serial = integer_of(object, "serial", 0),
                                .type = text_of(object, "type"),
                                .binary = binary_of(run, integer_of(object, "module", 0))};
}

static enum ss_severity severity_of(const char *word)
{
    static const char *const names[] = SS_SEVERITY_NAMES;
    for (unsigned i = 0; word && i < SS_SEVERITY_COUNT; i++)
        if (strcmp(word, names[i]) == 0)
            return (enum ss_severity)i;
    return SS_SEVERITY_WARNING;
}

static void fill_violation(struct ss_violation *violation, const struct run *run,
                           const json_t *record)
{
    violation->rule_code = text_of(record, "rule");
    if (!violation->rule_code)
        violation->rule_code = "?";
    violation->rule = ss_rule_of(violation->rule_code);
    violation->severity = severity_of(text_of(record, "severity"));
    violation->fingerprint = text_of(record, "fingerprint");
    violation->group = text_of(record, "group");
    violation->program = run->process->program;
    violation->pid = integer_of(record, "pid", 0);
    violation->time = time_of(record, "time");

    const json_t *span = json_object_get(record, "span");
    violation->span.id = text_of(span, "id");
    violation->span.name = text_of(span, "name");
    violation->span.target = text_of(span, "target");
    violation->span.level = text_of(span, "level");
    violation->span.file = text_of(span, "file");
    violation->span.provider = text_of(span, "provider");
    violation->span.line = integer_of(span, "line", 0);
    violation->span.serial = integer_of(span, "serial", 0);
    violation->span.instance = integer_of(span, "instance", 0);
    json_t *fields = json_object_get(span, "fields");
    if (json_is_object(fields) && json_object_size(fields) <= FIELDS_MAX)
        violation->span.fields = json_deep_copy(fields);

    const json_t *closing = json_object_get(record, "closing");
    violation->closing.present = json_is_object(closing);
    violation->closing.id = text_of(closing, "id");
    violation->closing.relation = text_of(closing, "relation");

    for (int i = 0; i < SS_SITE_COUNT; i++)
        violation->sites[i] = site_of(run, record, ss_site_names[i]);

    const json_t *lookup = json_object_get(record, "lookup");
    if (json_is_object(lookup))
        violation->lookup = (struct ss_lookup){.present = true,
                                               .host = text_of(lookup, "host"),
                                               .service = text_of(lookup, "service"),
                                               .error = text_of(lookup, "error"),
                                               .result = integer_of(lookup, "result", 0),
                                               .ns = integer_of(lookup, "ns", -1),
                                               .addresses = integer_of(lookup, "addresses", 0)};

    const json_t *instances = json_object_get(record, "instances");
    violation->owner = instance_of(run, json_object_get(instances, "owner"));
    violation->called = instance_of(run, json_object_get(instances, "called"));
}

/* ---- records ---- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct ss_violation *)a)->key, ((const struct ss_violation *)b)->key);
}

static void read_violation(struct reader *reader, struct run *run, const json_t *record)
{
    struct ss_report *report = reader->report;
    const char *fingerprint = json_string_value(json_object_get(record, "fingerprint"));
    char print[20];
    snprintf(print, sizeof print, "%s", fingerprint ? fingerprint : "");
    uint64_t count = count_of(record, "count");
    int rule = ss_rule_of(json_is_string(json_object_get(record, "rule"))
                              ? json_string_value(json_object_get(record, "rule"))
                              : "");
    if (rule >= 0 && count <= 1)
        run->written[rule]++;

    for (size_t i = 0; i < run->found_count; i++) {
        if (strcmp(run->found[i].fingerprint, print) == 0) {
            run->found[i].lines++;
            if (count > run->found[i].highest)
                run->found[i].highest = count;
            return;
        }
    }

    /* A fingerprint means the same in the same build of the same program only. */
    char *key = ss_text("%s %s", print,
                        run->program_build_id ? run->program_build_id
                        : run->program_path   ? run->program_path
                                              : reader->file);
    struct ss_violation wanted = {.key = key}, *violation;
    struct ss_violation **known = tfind(&wanted, &report->violation_tree, compare_keys);
    if (known) {
        if (run->repeated)
            return;
        violation = *known;
    } else {
        violation = ss_keep(sizeof *violation);
        fill_violation(violation, run, record);
        violation->key = key;
        if (!tsearch(violation, &report->violation_tree, compare_keys))
            return;
        *report->violations_end = violation;
        report->violations_end = &violation->next;
        report->violation_count++;
    }
    violation->processes++;

    void *grown = realloc(run->found, (run->found_count + 1) * sizeof *run->found);
    if (!grown)
        return;
    run->found = grown;
    run->found[run->found_count].violation = violation;
    memcpy(run->found[run->found_count].fingerprint, print, sizeof print);
    run->found[run->found_count].lines = 1;
    run->found[run->found_count].highest = count;
    run->found_count++;
}

/* The binary with this path and build id, made where it is new. */
static struct ss_binary *intern_binary(struct ss_report *report, const char *path,
                                       const char *build_id)
{
    for (struct ss_binary *binary = report->binaries; binary; binary = binary->next)
        if (strcmp(binary->path, path) == 0 &&
            strcmp(binary->build_id ? binary->build_id : "", build_id ? build_id : "") == 0)
            return binary;
    struct ss_binary *binary = ss_keep(sizeof *binary);
    binary->path = path;
    binary->build_id = build_id;
    binary->next = report->binaries;
    report->binaries = binary;
    return binary;
}

static void read_module(struct reader *reader, struct run *run, const json_t *record)
{
    int64_t id = integer_of(record, "id", 0);
    const char *path = text_of(record, "path");
    if (id <= 0 || id >= MODULES_MAX || !path)
        return;
    struct ss_binary *binary = intern_binary(reader->report, path, text_of(record, "build_id"));
    run->binaries[id] = binary;
    if (run->program_path && strcmp(path, run->program_path) == 0) {
        run->program = binary;
        binary->program = true;
    }
    uint64_t subscribers = count_of(record, "subscribers"), unhooked = count_of(record, "unhooked");
    if (subscribers > binary->subscribers)
        binary->subscribers = subscribers;
    if (unhooked > binary->unhooked)
        binary->unhooked = unhooked;
    run->process->hooked += subscribers;
    const char *evidence = text_of(record, "evidence");
    const char *core = text_of(record, "tracing_core");
    const char *subscriber = text_of(record, "tracing_subscriber");
    binary->evidence = evidence ? evidence : binary->evidence;
    binary->tracing_core = core ? core : binary->tracing_core;
    binary->tracing_subscriber = subscriber ? subscriber : binary->tracing_subscriber;
}

static void read_process(struct reader *reader, struct run *run, const json_t *record)
{
    (void)reader;
    run->program_path = text_of(record, "exe");
    run->program_build_id = text_of(record, "build_id");
    run->process->program = run->program_path;
    run->process->time = time_of(record, "time");
}

static void add_not_judged(struct ss_seen *seen, const struct run *run, const json_t *object)
{
    seen->not_judged += count_of(object, "total");
    const char *reason;
    json_t *value;
    json_object_foreach(json_object_get(object, "by"), reason, value)
    {
        size_t i = 0, room = sizeof seen->reasons / sizeof seen->reasons[0];
        while (i < room && seen->reasons[i].reason && strcmp(seen->reasons[i].reason, reason) != 0)
            i++;
        if (i == room || !json_is_integer(value) || json_integer_value(value) <= 0)
            continue;
        if (!seen->reasons[i].reason)
            seen->reasons[i].reason = ss_text_copy(reason, strlen(reason));
        seen->reasons[i].count += (uint64_t)json_integer_value(value);
    }
    size_t index;
    json_array_foreach(json_object_get(object, "instances"), index, value)
    {
        size_t room = sizeof seen->not_judged_instances / sizeof seen->not_judged_instances[0];
        if (seen->not_judged_instance_count < room)
            seen->not_judged_instances[seen->not_judged_instance_count++] = instance_of(run, value);
    }
}

/* How often each violation of this run happened. The summary counts by rule, so where a rule has
 * one fingerprint its count is that one's; else what the lines themselves say is all that is known.
 */
static void count_violations(struct run *run, const json_t *rules)
{
    for (size_t i = 0; i < run->found_count; i++) {
        struct ss_violation *violation = run->found[i].violation;
        uint64_t times = run->found[i].lines > run->found[i].highest ? run->found[i].lines
                                                                     : run->found[i].highest;
        const json_t *rule = json_object_get(rules, violation->rule_code);
        if (count_of(rule, "fingerprints") == 1 && count_of(rule, "violations") > times)
            times = count_of(rule, "violations");
        violation->times += times;
    }
    run->found_count = 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A program's call sites are the same ones in each of its processes: they are taken once. */
static void add_call_sites(struct ss_report *report, const struct run *run, const json_t *sites)
{
    const char *key = run->program_build_id ? run->program_build_id
                      : run->program_path   ? run->program_path
                                            : run->id;
    struct ss_program_sites *program = report->programs;
    while (program && strcmp(program->key, key) != 0)
        program = program->next;
    bool fresh = !program;
    if (fresh) {
        program = ss_keep(sizeof *program);
        program->key = ss_text_copy(key, strlen(key));
        program->next = report->programs;
        report->programs = program;
    }
    for (int level = 0; level < SS_LEVELS; level++) {
        const json_t *counts = json_object_get(sites, ss_level_names[level]);
        struct ss_level_counts *one = &program->levels[level];
        struct ss_level_counts *all = &report->seen.call_sites[level], before = *one;
        uint64_t unreached = count_of(counts, "unreached");
        one->live = larger(one->live, count_of(counts, "live"));
        one->filtered = larger(one->filtered, count_of(counts, "filtered"));
        one->unreached = fresh || unreached < one->unreached ? unreached : one->unreached;
        all->live += one->live - before.live;
        all->filtered += one->filtered - before.filtered;
        all->unreached = all->unreached - before.unreached + one->unreached;
    }
}

static void read_summary(struct reader *reader, struct run *run, const json_t *record)
{
    struct ss_seen *seen = &reader->report->seen;
    const json_t *spans = json_object_get(record, "spans");
    const json_t *rules = json_object_get(record, "rules");
    if (run->process->summary)
        return; /* of a log that is given twice */
    run->process->summary = true;
    seen->created += count_of(spans, "created");
    seen->entered += count_of(spans, "entered");
    seen->exited += count_of(spans, "exited");
    seen->closed += count_of(spans, "closed");
    seen->threads += count_of(record, "threads");
    seen->instances += count_of(record, "instances");
    seen->lookups += count_of(record, "lookups");
    seen->table_limit += count_of(record, "table_limit");
    add_call_sites(reader->report, run, json_object_get(record, "call_sites"));
    const char *code;
    json_t *rule;
    json_object_foreach((json_t *)rules, code, rule)
    {
        seen->suppressed += count_of(rule, "suppressed");
        int row = ss_rule_of(code);
        if (row >= 0)
            run->expected[row] = count_of(rule, "fingerprints");
    }
    add_not_judged(seen, run, json_object_get(record, "not_judged"));
    count_violations(run, rules);
}

static const struct {
    const char *type;
    void (*read)(struct reader *, struct run *, const json_t *);
} record_types[] = {
    {SS_LOG_PROCESS, read_process},
    {SS_LOG_MODULE, read_module},
    {SS_LOG_VIOLATION, read_violation},
    {SS_LOG_SUMMARY, read_summary},
};

/* ---- lines ---- */

static struct run *run_of(struct reader *reader, const json_t *record)
{
    const char *id = json_string_value(json_object_get(record, "run"));
    struct run *run = reader->runs;
    while (run && strncmp(run->id, id, sizeof run->id - 1) != 0)
        run = run->next;
    if (run || reader->run_count >= RUNS_MAX)
        return run;
    run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    snprintf(run->id, sizeof run->id, "%s", id);
    run->next = reader->runs;
    reader->runs = run;
    reader->run_count++;
    for (struct ss_process *known = reader->report->processes; known; known = known->next) {
        if (strcmp(known->run, run->id) != 0)
            continue;
        run->process = known;
        run->repeated = true;
        return run;
    }
    run->process = ss_keep(sizeof *run->process);
    run->process->run = ss_text_copy(run->id, strlen(run->id));
    run->process->file = reader->file;
    run->process->pid = integer_of(record, "pid", 0);
    run->process->next = reader->report->processes;
    reader->report->processes = run->process;
    return run;
}

static void broken_line(struct reader *reader)
{
    if (reader->broken++ == 0)
        reader->broken_first = reader->line;
}

/* A repeat of what is known is most of a long log: it is recognised by its text alone. A quote
 * inside a JSON string is escaped, so these patterns cannot stand in one. */
static bool known_repeat(struct reader *reader, const char *line, size_t length)
{
    static const char lookup[] = "{\"v\":1,\"type\":\"" SS_LOG_LOOKUP "\"";
    static const char violation[] = "{\"v\":1,\"type\":\"" SS_LOG_VIOLATION "\"";
    static const char run_key[] = "\"run\":\"", print_key[] = "\"fingerprint\":\"";
    static const char first[] = "\"count\":1,";
    struct run *run = reader->runs;
    if (!run || line[length - 1] != '}')
        return false;
    if (length > sizeof lookup && memcmp(line, lookup, sizeof lookup - 1) == 0)
        return true;
    if (length < sizeof violation || memcmp(line, violation, sizeof violation - 1) != 0)
        return false;
    size_t head = length < 512 ? length : 512;
    const char *id = memmem(line, head, run_key, sizeof run_key - 1);
    const char *print = memmem(line, head, print_key, sizeof print_key - 1);
    size_t id_length = strlen(run->id);
    if (!id || !print || memmem(line, head, first, sizeof first - 1) ||
        (size_t)(line + length - id) < sizeof run_key + id_length ||
        (size_t)(line + length - print) < sizeof print_key + 16 ||
        memcmp(id + sizeof run_key - 1, run->id, id_length) != 0 ||
        id[sizeof run_key - 1 + id_length] != '"')
        return false;
    for (size_t i = 0; i < run->found_count; i++) {
        if (strlen(run->found[i].fingerprint) == 16 &&
            memcmp(print + sizeof print_key - 1, run->found[i].fingerprint, 16) == 0) {
            run->found[i].lines++;
            return true;
        }
    }
    return false;
}

static void read_line(struct reader *reader, const char *line, size_t length)
{
    reader->line++;
    if (length == 0 || known_repeat(reader, line, length))
        return;
    if (reader->stream && line[0] != '{')
        return;
    json_error_t error;
    json_t *record = json_loadb(line, length, JSON_ALLOW_NUL, &error);
    const json_t *version = json_object_get(record, "v");
    const json_t *type = json_object_get(record, "type");
    bool ours = json_is_integer(version) && json_is_string(type) &&
                json_is_string(json_object_get(record, "run"));
    if (!reader->started && !ours && !reader->stream) {
        ss_report_problem(reader->report, true, reader->file,
                          "not a strayspan log: its first line is no record");
        reader->stopped = true;
    } else if (!ours) {
        broken_line(reader);
    } else if (json_integer_value(version) != SS_LOG_VERSION) {
        ss_report_problem(reader->report, true, reader->file,
                          "line %llu: a log of version %lld, and this strayspan (" SS_VERSION
                          ") reads version %d: use the strayspan that wrote it",
                          (unsigned long long)reader->line, (long long)json_integer_value(version),
                          SS_LOG_VERSION);
        reader->stopped = true;
    } else {
        reader->started = true;
        struct run *run = run_of(reader, record);
        for (size_t i = 0; run && i < sizeof record_types / sizeof record_types[0]; i++)
            if (strcmp(json_string_value(type), record_types[i].type) == 0)
                record_types[i].read(reader, run, record);
    }
    json_decref(record);
}

/* What the process counted, and no line tells: the disk was full, or the log was cut. */
static void report_missing(struct reader *reader, const struct run *run)
{
    for (int rule = 0; rule < SS_RULE_COUNT; rule++) {
        if (run->repeated || run->expected[rule] <= run->written[rule])
            continue;
        uint64_t missing = run->expected[rule] - run->written[rule];
        ss_report_problem(reader->report, true, reader->file,
                          "%s of pid %lld %s not written to it (%s; is the disk full?)",
                          ss_count_text(missing, "violation"), (long long)run->process->pid,
                          missing == 1 ? "was" : "were", ss_rule_rows[rule].code);
    }
}

/* Ends the reading of one file: what has no summary is counted by its lines. */
static void end_runs(struct reader *reader)
{
    while (reader->runs) {
        struct run *run = reader->runs;
        reader->runs = run->next;
        count_violations(run, NULL);
        report_missing(reader, run);
        free(run->found);
        free(run);
    }
}

static void report_broken(struct reader *reader, bool cut)
{
    if (reader->stopped)
        return;
    /* A cut last line is counted as broken where it is not whole JSON by chance. */
    uint64_t broken = reader->broken;
    if (broken)
        ss_report_problem(reader->report, false, reader->file,
                          "%llu of its lines could not be read, the first is line %llu; all "
                          "others are in this report",
                          (unsigned long long)broken, (unsigned long long)reader->broken_first);
    if (cut)
        ss_report_problem(reader->report, false, reader->file,
                          "its last line, line %llu, is cut: the process was killed while it "
                          "wrote, still writes, or the disk was full; all lines before it are in "
                          "this report",
                          (unsigned long long)reader->line + 1);
    if (!reader->started && !reader->stopped)
        ss_report_problem(reader->report, true, reader->file, "no record in it");
}

static void read_descriptor(struct reader *reader, int fd)
{
    char *buffer = malloc(BUFFER_SIZE);
    size_t held = 0;
    bool skipping = false, cut = false; /* skipping: inside a line that is too long */
    uint64_t total = 0;
    while (buffer && !reader->stopped) {
        ssize_t got = read(fd, buffer + held, BUFFER_SIZE - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            ss_report_problem(reader->report, true, reader->file, "cannot be read: %s",
                              strerror(errno));
        if (got <= 0)
            break;
        total += (uint64_t)got;
        held += (size_t)got;
        char *at = buffer, *end = buffer + held, *newline;
        while (!reader->stopped && (newline = memchr(at, '\n', (size_t)(end - at)))) {
            if (skipping || newline - at >= SS_LOG_LINE_MAX) {
                reader->line++;
                broken_line(reader);
                skipping = false;
            } else {
                read_line(reader, at, (size_t)(newline - at));
            }
            at = newline + 1;
        }
        held = (size_t)(end - at);
        if (held >= SS_LOG_LINE_MAX) {
            skipping = true;
            held = 0;
        } else {
            memmove(buffer, at, held);
        }
    }
    if (held && !reader->stopped) {
        /* The last line has no newline: whole by chance, or cut. */
        json_error_t error;
        json_t *whole = json_loadb(buffer, held, JSON_ALLOW_NUL, &error);
        if (whole || !reader->started)
            read_line(reader, buffer, held);
        cut = !whole && reader->started;
        json_decref(whole);
    }
    free(buffer);
    if (total == 0 && !reader->stopped) {
        ss_report_problem(reader->report, true, reader->file,
                          "empty: nothing was written to it (is the disk full?)");
        reader->stopped = true;
    }
    report_broken(reader, cut || skipping);
    end_runs(reader);
}

static void read_file(struct ss_report *report, const char *path)
{
    struct reader reader = {.report = report, .file = path};
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
    } else {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        read_descriptor(&reader, fd);
    }
    if (fd >= 0)
        close(fd);
}

static int is_log(const struct dirent *entry)
{
    return ss_text_ends(entry->d_name, ".jsonl");
}

void ss_log_read(struct ss_report *report, const char *path, const char *token)
{
    struct stat status;
    if (strcmp(path, "-") == 0 || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        read_file(report, path);
        return;
    }
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_log, alphasort);
    if (count < 0) {
        ss_report_problem(report, true, path, "cannot be read: %s", strerror(errno));
        return;
    }
    size_t length = strlen(path);
    for (int i = 0; i < count; i++) {
        if (!token || strstr(entries[i]->d_name, token))
            read_file(report, ss_text("%s%s%s", path, path[length - 1] == '/' ? "" : "/",
                                      entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    if (count == 0 && !token)
        ss_report_problem(report, true, path, "no log in it (no file that ends in .jsonl)");
}
