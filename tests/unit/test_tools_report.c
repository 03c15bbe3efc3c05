/* Reading logs into the report's model, and blame by the table of known defects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "report.h"
#include "text.h"

#define HEAD(run)                                                                                \
    "{\"v\":1,\"type\":\"%s\",\"time\":\"2026-01-02T03:04:05.000006Z\",\"pid\":7,\"run\":\"" run \
    "\","
#define ONE "0000000000000001"
#define TWO "0000000000000002"

/* ---- logs ---- */

static char *line(const char *head, const char *type, const char *rest)
{
    char *start = NULL;
    if (asprintf(&start, head, type) < 0)
        abort();
    char *text = ss_text("%s%s\n", start, rest);
    free(start);
    return text;
}

static char *process(const char *head)
{
    return line(head, "process", "\"exe\":\"/no/app\",\"build_id\":\"ab\",\"ppid\":1}");
}

static char *module(const char *head, const char *path)
{
    return line(head, "module",
                ss_text("\"id\":1,\"path\":\"%s\",\"build_id\":\"ab\",\"subscribers\":2}", path));
}

static char *violation(const char *head, const char *fingerprint, int count)
{
    return line(
        head, "violation",
        ss_text("\"rule\":\"foreign-thread-exit\",\"severity\":\"error\",\"fingerprint\":\"%s\","
                "\"count\":%d,\"span\":{\"name\":\"job\",\"id\":\"5\",\"file\":null,\"line\":null},"
                "\"exited\":{\"thread\":{\"serial\":2,\"tid\":9,\"name\":\"t\",\"stack\":[]},"
                "\"time\":null,\"stack\":[[1,4096],[99,1]],\"typical\":false}}",
                fingerprint, count));
}

static char *summary(const char *head, int violations, int fingerprints)
{
    return line(
        head, "summary",
        ss_text("\"rules\":{\"foreign-thread-exit\":{\"violations\":%d,\"fingerprints\":%d}},"
                "\"spans\":{\"created\":3,\"entered\":4,\"exited\":4,\"closed\":3},\"threads\":2,"
                "\"instances\":1}",
                violations, fingerprints));
}

/* Reads what was written to a file into the report. */
static void read_more(struct ss_report *report, const char *text, size_t length)
{
    char path[] = "/tmp/tools_report-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        abort();
    close(fd);
    ss_log_read(report, path, NULL);
    ss_log_end(report);
    unlink(path);
}

static struct ss_report read_text(const char *text, size_t length)
{
    struct ss_report report;
    ss_report_init(&report);
    read_more(&report, text, length);
    return report;
}

static struct ss_report read_log(const char *text)
{
    return read_text(text, strlen(text));
}

#define FIRST HEAD(ONE)
#define SECOND HEAD(TWO)
static const char print_a[] = "aaaaaaaaaaaaaaaa", print_b[] = "bbbbbbbbbbbbbbbb";

static void test_whole_log(void)
{
    struct ss_report report =
        read_log(ss_text("%s%s%s%s", process(FIRST), module(FIRST, "/no/app"),
                         violation(FIRST, print_a, 1), summary(FIRST, 50, 1)));
    struct ss_violation *found = report.violations;
    CHECK(!report.problems && report.violation_count == 1);
    CHECK(found->rule == SS_RULE_FOREIGN_THREAD_EXIT && found->severity == SS_SEVERITY_ERROR);
    CHECK(found->times == 50);
    CHECK(strcmp(found->span.name, "job") == 0 && !found->span.file);
    CHECK(found->sites[SS_SITE_EXITED].present && !found->sites[SS_SITE_ENTERED].present);
    CHECK(found->sites[SS_SITE_EXITED].time == -1 && found->time == 1767323045000006);
    CHECK(found->sites[SS_SITE_EXITED].stack.count == 2);
    CHECK(found->sites[SS_SITE_EXITED].stack.addresses[0].binary->program);
    CHECK(!found->sites[SS_SITE_EXITED].stack.addresses[1].binary);
    CHECK(report.seen.created == 3 && report.seen.entered == 4 && report.seen.threads == 2);
    CHECK(report.processes->summary && report.processes->hooked == 2);
}

static void test_repeats(void)
{
    /* Two fingerprints of one rule: the summary's count is of both, the lines' of each. */
    struct ss_report report = read_log(ss_text(
        "%s%s%s%s%s%s", process(FIRST), violation(FIRST, print_a, 1), violation(FIRST, print_b, 1),
        violation(FIRST, print_a, 2), violation(FIRST, print_a, 3), summary(FIRST, 90, 2)));
    CHECK(report.violation_count == 2);
    CHECK(report.violations->times == 3 && report.violations->next->times == 1);

    /* The same fingerprint in another process of the same build. */
    report = read_log(ss_text("%s%s%s%s%s%s", process(FIRST), process(SECOND),
                              violation(SECOND, print_a, 1), violation(FIRST, print_a, 1),
                              summary(FIRST, 2, 1), summary(SECOND, 5, 1)));
    CHECK(report.violation_count == 1 && report.violations->times == 7);
    CHECK(report.violations->processes == 2);
}

/* Fills in that the violation is exited in one line, whatever its addresses are. */
static void set_line(struct ss_violation *violation, unsigned line)
{
    static struct ss_frame frames[8];
    static size_t used;
    frames[used] = (struct ss_frame){.kind = SS_FRAME_OWN, .file = "/w/src/a.rs", .line = line};
    violation->sites[SS_SITE_EXITED].frames = (struct ss_frames){1, &frames[used++]};
}

static void test_merged_and_read_on(void)
{
    static const char print_c[] = "cccccccccccccccc";
    struct ss_report report =
        read_log(ss_text("%s%s%s%s", process(FIRST), violation(FIRST, print_a, 1),
                         violation(FIRST, print_b, 1), violation(FIRST, print_c, 1)));
    struct ss_violation *a = report.violations, *b = a->next, *c = b->next;
    set_line(a, 7);
    set_line(b, 9);
    set_line(c, 7);
    a->severity = SS_SEVERITY_WARNING;
    ss_report_merge(&report);
    /* The worse one is told, in the first one's place; what follows stays in the list. */
    CHECK(report.violation_count == 2 && report.violations == c && c->next == b && !b->next);
    CHECK(ss_told_by(a) == c && c->times == 2 && c->processes == 1);
    CHECK(report.violations_end == &b->next);

    /* What is read afterwards goes to what is told, and behind the last. */
    static const char print_d[] = "dddddddddddddddd";
    const char *more = ss_text("%s%s%s", process(SECOND), violation(SECOND, print_a, 1),
                               violation(SECOND, print_d, 1));
    read_more(&report, more, strlen(more));
    CHECK(report.violation_count == 3 && c->times == 3 && c->processes == 2);
    CHECK(b->next && strcmp(b->next->fingerprint, print_d) == 0);
    CHECK(a->times == 1 && a->processes == 1);
}

static void test_runs_have_their_own_modules(void)
{
    struct ss_report report =
        read_log(ss_text("%s%s%s%s%s%s", process(FIRST), module(FIRST, "/no/app"), process(SECOND),
                         module(SECOND, "/no/other.so"), violation(FIRST, print_a, 1),
                         violation(SECOND, print_b, 1)));
    const struct ss_violation *one = report.violations, *two = one->next;
    CHECK(strcmp(one->sites[SS_SITE_EXITED].stack.addresses[0].binary->path, "/no/app") == 0);
    CHECK(strcmp(two->sites[SS_SITE_EXITED].stack.addresses[0].binary->path, "/no/other.so") == 0);
    /* No summary: counted by lines. */
    CHECK(one->times == 1 && two->times == 1 && !report.processes->summary);
}

static void test_damaged(void)
{
    const char *whole = ss_text("%s%s", process(FIRST), violation(FIRST, print_a, 1));
    size_t length = strlen(whole);
    struct ss_report report = read_text(whole, length - 20);
    CHECK(report.violation_count == 0 && report.problems && !ss_report_unreadable(&report));
    CHECK(strstr(report.problems->message, "line 2, is cut"));

    report = read_text(whole, length - 1); /* whole but for its newline */
    CHECK(report.violation_count == 1 && !report.problems);

    report = read_log(ss_text("%s{broken\n%s", process(FIRST), violation(FIRST, print_a, 1)));
    CHECK(report.violation_count == 1 && report.problems && !ss_report_unreadable(&report));

    char *long_line = ss_text("%s%*s\n%s", process(FIRST), 3 * SS_LOG_LINE_MAX, "x",
                              violation(FIRST, print_a, 1));
    report = read_log(long_line);
    CHECK(report.violation_count == 1 && report.problems);

    static const char *const foreign[] = {"",     "hello\n",     "{}\n", "[1,2]\n",
                                          "\n\n", "{\"v\":1}\n", "{"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        report = read_log(foreign[i]);
        CHECK(ss_report_unreadable(&report) && !report.processes);
    }
    report = read_log("{\"v\":2,\"type\":\"process\",\"run\":\"1\",\"pid\":1}\n");
    CHECK(ss_report_unreadable(&report) && strstr(report.problems->message, "version 2"));
}

/* A value named like a key of ours is a value. */
static void test_nested_keys(void)
{
    char *text =
        line(FIRST, "violation",
             ss_text("\"span\":{\"name\":\"job\",\"fields\":{\"type\":\"lookup\",\"run\":\"x\","
                     "\"fingerprint\":\"%s\"}},\"rule\":\"lost-close\",\"severity\":\"warning\","
                     "\"fingerprint\":\"%s\"}",
                     print_a, print_b));
    struct ss_report report =
        read_log(ss_text("%s%s%s", process(FIRST), text, violation(FIRST, print_a, 1)));
    CHECK(report.violation_count == 2);
    CHECK(report.violations->rule == SS_RULE_LOST_CLOSE);
}

/* ---- suspicions, consequences, history ---- */

/* A suspicion (type) or violation about a span, entered at an offset of module 1. */
static char *breach(const char *head, const char *type, const char *fingerprint, int serial,
                    int entered)
{
    return line(head, type,
                ss_text("\"rule\":\"held-across-await\",\"severity\":\"error\","
                        "\"fingerprint\":\"%s\",\"group\":\"%s\",\"count\":1,"
                        "\"span\":{\"serial\":%d,\"name\":\"job\"},"
                        "\"entered\":{\"stack\":[[1,%d]]},\"parks\":3,\"parked_ns\":18000000,"
                        "\"spans_under\":57,\"thread_changed\":true}",
                        fingerprint, print_b, serial, entered));
}

static char *consequence(const char *head, const char *of, const char *what, int offset)
{
    return line(head, "consequence",
                ss_text("\"of\":\"%s\",\"what\":\"%s\",\"count\":1,\"span\":{\"serial\":7},"
                        "\"at\":{\"stack\":[[1,%d]]},\"made\":{\"name\":\"new\",\"line\":4}}",
                        of, what, offset));
}

static char *told(const char *head, const char *of, const char *what, int count)
{
    return line(head, "summary",
                ss_text("\"rules\":{},\"consequences\":[{\"of\":\"%s\",\"what\":\"%s\","
                        "\"count\":%d},{\"of\":7},4]}",
                        of, what, count));
}

static char *begin(const char *head)
{
    return ss_text("%s%s", process(head), module(head, "/no/app"));
}

static void test_suspicions(void)
{
    /* Left as one: not among the violations, counted once a process. */
    struct ss_report report =
        read_log(ss_text("%s%s%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_a, 7, 64),
                         breach(FIRST, "suspicion", print_a, 8, 64), begin(SECOND),
                         breach(SECOND, "suspicion", print_a, 7, 64)));
    CHECK(report.violation_count == 0 && !report.violations);
    CHECK(report.suspicion_count == 1 && report.suspicions && !report.suspicions->next);
    CHECK(report.suspicions->suspicion && report.suspicions->times == 3);
    CHECK(report.suspicions->processes == 2 && report.suspicions->parks.count == 3);
    CHECK(report.suspicions->parks.spans_under == 57 && report.suspicions->parks.thread_changed);

    /* The violation of the same span is what became of it, whatever its fingerprint and place. */
    report = read_log(ss_text("%s%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_a, 7, 64),
                              breach(FIRST, "violation", print_b, 7, 99), summary(FIRST, 1, 1)));
    CHECK(report.suspicion_count == 0 && !report.suspicions && report.violation_count == 1);

    /* A span of the same serial in another process is another span. */
    report = read_log(ss_text("%s%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_a, 7, 64),
                              begin(SECOND), breach(SECOND, "violation", print_b, 7, 99)));
    CHECK(report.suspicion_count == 1 && report.violation_count == 1);

    /* A repeat that is not the first line of its fingerprint ends it too. */
    report = read_log(ss_text("%s%s%s%s", begin(FIRST), breach(FIRST, "violation", print_b, 6, 99),
                              breach(FIRST, "suspicion", print_a, 7, 64),
                              breach(FIRST, "violation", print_b, 7, 99)));
    CHECK(report.suspicion_count == 0 && report.violations->times == 2);

    /* One misuse, one report: of another span that was entered at the same place. */
    report = read_log(ss_text("%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_a, 7, 64),
                              breach(FIRST, "violation", print_b, 9, 64)));
    CHECK(report.suspicion_count == 0 && report.violation_count == 1);
    report = read_log(ss_text("%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_a, 7, 64),
                              breach(FIRST, "violation", print_b, 9, 65)));
    CHECK(report.suspicion_count == 1 && report.violation_count == 1);
}

static char *graded(const char *head, const char *of, const char *severity)
{
    return line(head, "summary",
                ss_text("\"rules\":{},\"worse\":[4,{\"of\":7},{\"of\":\"%s\",\"severity\":\"%s\","
                        "\"spans_under\":99,\"thread_changed\":false}]}",
                        of, severity));
}

/* A fingerprint is written once: what a later case was graded is the summary's to say. */
static void test_worse(void)
{
    char *mild = line(
        FIRST, "violation",
        ss_text("\"rule\":\"held-across-await\",\"severity\":\"warning\",\"fingerprint\":\"%s\","
                "\"count\":1,\"span\":{\"serial\":7},\"parks\":1,\"spans_under\":0}",
                print_a));
    struct ss_report report =
        read_log(ss_text("%s%s%s", begin(FIRST), mild, graded(FIRST, print_a, "error")));
    CHECK(report.violation_count == 1 && report.violations->severity == SS_SEVERITY_ERROR);
    CHECK(report.violations->parks.spans_under == 99);

    report = read_log(ss_text("%s%s%s", begin(FIRST), mild, graded(FIRST, print_b, "error")));
    CHECK(report.violations->severity == SS_SEVERITY_WARNING);

    /* None gets milder. */
    report = read_log(ss_text("%s%s%s", begin(FIRST), breach(FIRST, "violation", print_a, 7, 64),
                              graded(FIRST, print_a, "warning")));
    CHECK(report.violations->severity == SS_SEVERITY_ERROR);
    CHECK(report.violations->parks.spans_under == 57);
}

static void test_consequences(void)
{
    static const char clone[] = "clone-of-closed", parent[] = "stale-parent";
    char *start =
        ss_text("%s%s%s%s%s%s", begin(FIRST), breach(FIRST, "violation", print_a, 7, 64),
                consequence(FIRST, print_a, clone, 100), consequence(FIRST, print_a, clone, 200),
                consequence(FIRST, print_a, clone, 100),
                consequence(FIRST, "ffffffffffffffff", clone, 300));
    struct ss_report report = read_log(start);
    const struct ss_consequences *all =
        &report.violations->consequences[SS_CONSEQUENCE_CLONE_OF_CLOSED];
    CHECK(all->count == 3 && all->places == 2 && all->at_least);
    CHECK(all->first->at.stack.addresses[0].offset == 100 && all->first->span.serial == 7);
    CHECK(!report.violations->consequences[SS_CONSEQUENCE_STALE_PARENT].count);

    /* With a summary its count is the whole. */
    report = read_log(ss_text("%s%s", start, told(FIRST, print_a, clone, 41)));
    all = &report.violations->consequences[SS_CONSEQUENCE_CLONE_OF_CLOSED];
    CHECK(all->count == 41 && all->places == 2 && !all->at_least);

    /* Over processes; a place is one place. */
    report = read_log(ss_text("%s%s%s%s%s", start, told(FIRST, print_a, clone, 41), begin(SECOND),
                              breach(SECOND, "violation", print_a, 7, 64),
                              consequence(SECOND, print_a, clone, 200)));
    all = &report.violations->consequences[SS_CONSEQUENCE_CLONE_OF_CLOSED];
    CHECK(all->count == 42 && all->places == 2 && all->at_least);

    /* What came of a suspicion came of the violation that it became. */
    report = read_log(ss_text(
        "%s%s%s%s%s%s", begin(FIRST), breach(FIRST, "suspicion", print_b, 7, 64),
        consequence(FIRST, print_b, parent, 100), breach(FIRST, "violation", print_a, 7, 99),
        consequence(FIRST, print_a, parent, 200), consequence(FIRST, print_b, parent, 300)));
    all = &report.violations->consequences[SS_CONSEQUENCE_STALE_PARENT];
    CHECK(all->count == 3 && all->places == 3);
    CHECK(all->first->made.present && strcmp(all->first->made.name, "new") == 0);

    /* No log can make the places without end. */
    char *many = start;
    for (int i = 0; i < 200; i++)
        many = ss_text("%s%s", many, consequence(FIRST, print_a, parent, 1000 + i));
    report = read_log(many);
    all = &report.violations->consequences[SS_CONSEQUENCE_STALE_PARENT];
    CHECK(all->count == 200 && all->places == SS_PLACES_MAX);
}

static void test_history(void)
{
    char *events = ss_text("{\"ns\":-5,\"thread\":3,\"event\":\"exit\",\"span\":7},"
                           "{\"ns\":-9,\"thread\":3,\"event\":\"enter\",\"span\":7},"
                           "{\"ns\":-7,\"thread\":3,\"event\":\"dance\"},3,"
                           "{\"ns\":4,\"thread\":4,\"event\":\"lookup\",\"host\":\"h\","
                           "\"lookup_ns\":12,\"addresses\":2,\"site\":[1,64]}");
    struct ss_report report = read_log(
        ss_text("%s%s", begin(FIRST),
                line(FIRST, "violation",
                     ss_text("\"rule\":\"out-of-order-exit\",\"fingerprint\":\"%s\","
                             "\"above\":{\"name\":\"inner\",\"line\":3},\"use\":\"parent\","
                             "\"history\":{\"left_out\":2,\"events\":[%s]}}",
                             print_a, events))));
    const struct ss_violation *violation = report.violations;
    const struct ss_event *event = violation->history.events;
    CHECK(violation->history.count == 3 && violation->history.left_out == 2);
    CHECK(event[0].ns == -9 && event[0].kind == SS_EVENT_ENTER && event[0].span == 7);
    CHECK(event[1].kind == SS_EVENT_EXIT);
    CHECK(event[2].ns == 0 && event[2].kind == SS_EVENT_LOOKUP && event[2].lookup.ns == 12);
    CHECK(event[2].site.offset == 64 && event[2].site.binary);
    CHECK(violation->above.present && violation->above.line == 3);
    CHECK(violation->use == SS_USE_PARENT && !violation->span.present);

    char *many = ss_text("{\"ns\":-1,\"thread\":1,\"event\":\"park\"}");
    for (int i = 0; i < 99; i++)
        many = ss_text("%s,{\"ns\":-1,\"thread\":1,\"event\":\"park\"}", many);
    report = read_log(ss_text(
        "%s%s", begin(FIRST),
        line(FIRST, "violation",
             ss_text("\"fingerprint\":\"%s\",\"history\":{\"events\":[%s]}}", print_a, many))));
    CHECK(report.violations->history.count == SS_EVENTS_MAX);
    CHECK(report.violations->history.left_out == 100 - SS_EVENTS_MAX);
}

/* ---- a glance ---- */

/* Whether a directory with these logs is clean at a glance: the second is of another run. */
static bool is_clean(const char *text, const char *others)
{
    char folder[] = "/tmp/tools_report-XXXXXX";
    const char *texts[] = {text, others}, *paths[2];
    if (!mkdtemp(folder))
        abort();
    for (int i = 0; i < 2; i++) {
        paths[i] = ss_text("%s/a.run-%d.jsonl", folder, i);
        FILE *file = fopen(paths[i], "we");
        if (!file || fputs(texts[i], file) < 0 || fclose(file) != 0)
            abort();
    }
    bool clean = ss_log_is_clean(folder, "run-0");
    for (int i = 0; i < 2; i++)
        unlink(paths[i]);
    rmdir(folder);
    return clean;
}

static void test_glance(void)
{
    const char *begin = ss_text("%s%s", process(FIRST), module(FIRST, "/no/app"));
    const char *found = violation(FIRST, print_a, 1), *end = summary(FIRST, 0, 0);
    const char *clean = ss_text("%s%s", begin, end);
    CHECK(is_clean(clean, found));
    CHECK(is_clean(begin, "")); /* it was killed */
    CHECK(is_clean(line(FIRST, "module", "\"path\":\"/a\\\"violations\\\":1\"}"), ""));
    CHECK(!is_clean(ss_text("%s%s%s", begin, found, end), ""));
    CHECK(!is_clean(ss_text("%s%s", begin, line(FIRST, "suspicion", "\"rule\":\"x\"}")), ""));
    CHECK(!is_clean(ss_text("%s%s", begin, line(FIRST, "lost", "\"why\":\"x\"}")), ""));
    /* What was counted, and had no room. */
    CHECK(!is_clean(ss_text("%s%s", begin, summary(FIRST, 1, 1)), ""));
    CHECK(!is_clean(ss_text("%s%s", begin, summary(FIRST, 10, 1)), ""));
    CHECK(!is_clean(line(FIRST, "summary", "\"rules\":{},\"suspicions\":1}"), ""));
    /* What is not whole. */
    CHECK(!is_clean(ss_text("%.*s", (int)strlen(clean) - 1, clean), ""));
    CHECK(!is_clean(ss_text("%.*s\n", (int)strlen(clean) - 2, clean), ""));
    CHECK(!is_clean(ss_text("%s\n", clean), ""));
    CHECK(!is_clean("", ""));
    CHECK(!is_clean("text\n", ""));
    CHECK(!ss_log_is_clean("/no/such/folder", "run-0"));
}

/* ---- blame ---- */

static struct ss_violation blamed(int rule, const char *file, const char *subscriber,
                                  const char *relation)
{
    static struct ss_binary binaries[16];
    static size_t used;
    struct ss_binary *binary = &binaries[used++];
    binary->path = "/no/app";
    binary->tracing_subscriber = subscriber;
    struct ss_violation result = {.rule = rule, .rule_code = ss_rule_rows[rule].code};
    result.span.file = file;
    result.owner = (struct ss_instance){.present = true, .binary = binary};
    result.closing.present = relation != NULL;
    result.closing.relation = relation;
    ss_blame(&result);
    return result;
}

static bool is(const char *text, const char *want)
{
    return text ? want && strcmp(text, want) == 0 : !want;
}

static void test_blame(void)
{
    static const char dns[] = "/x/registry/hyper-util-0.1.10/src/client/legacy/connect/dns.rs";
    struct ss_blame blame = blamed(SS_RULE_WRONG_SUBSCRIBER, dns, "0.3.18", "span").blame;
    CHECK(is(blame.whose, "known defect") && is(blame.crate, "tracing-subscriber"));
    CHECK(is(blame.version, "0.3.18") && is(blame.fixed_in, "0.3.22"));
    CHECK(strstr(blame.text, "hyper-util 0.1.8 to 0.1.11") && blame.commands[1]);

    /* The trigger is fixed, or another's: the defect is there without it. */
    blame =
        blamed(SS_RULE_WRONG_SUBSCRIBER, "/x/registry/hyper-util-0.1.12/src/a.rs", "0.3.20", "span")
            .blame;
    CHECK(is(blame.crate, "tracing-subscriber") && !strstr(blame.text, "hyper-util"));
    CHECK(blame.commands[0] && !blame.commands[1]);
    blame = blamed(SS_RULE_LOST_CLOSE, "src/main.rs", "0.3.9", "span").blame;
    CHECK(is(blame.fixed_in, "0.3.22"));

    /* Not before the defect came, not after it went, not for other rules. */
    blame = blamed(SS_RULE_WRONG_SUBSCRIBER, dns, "0.1.6", "span").blame;
    CHECK(is(blame.whose, "unknown"));
    blame = blamed(SS_RULE_WRONG_SUBSCRIBER, dns, "0.3.22", "span").blame;
    CHECK(is(blame.whose, "unknown"));
    blame = blamed(SS_RULE_FOREIGN_THREAD_EXIT, dns, "0.3.18", NULL).blame;
    CHECK(is(blame.whose, "unknown"));

    /* A parent's close goes astray in every release. */
    blame = blamed(SS_RULE_WRONG_SUBSCRIBER, "src/main.rs", "0.3.23", "parent").blame;
    CHECK(is(blame.whose, "known defect") && !blame.fixed_in &&
          strstr(blame.text, "every release"));
    blame = blamed(SS_RULE_WRONG_SUBSCRIBER, "src/main.rs", NULL, "span").blame;
    CHECK(is(blame.whose, "unknown"));
}

/* ---- places ---- */

static void test_places(void)
{
    static const struct {
        const char *file, *place, *crate, *version;
    } cases[] = {
        {"/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.43.1/src/lib.rs",
         "tokio-1.43.1/src/lib.rs:7", "tokio", "1.43.1"},
        {"/usr/share/cargo/registry/tracing-subscriber-0.3.18/src/a.rs",
         "tracing-subscriber-0.3.18/src/a.rs:7", "tracing-subscriber", "0.3.18"},
        {"/v/vendor/h2-0.4.0-rc.1+x/src/a.rs", "h2-0.4.0-rc.1+x/src/a.rs:7", "h2", "0.4.0-rc.1+x"},
        {"/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs",
         "core/src/option.rs:7", NULL, NULL},
        {"/usr/src/rustc-1.63.0/library/std/src/thread/mod.rs", "std/src/thread/mod.rs:7", NULL,
         NULL},
        {"/elsewhere/app/src/main.rs", "/elsewhere/app/src/main.rs:7", NULL, NULL},
        {"src/main.rs", "src/main.rs:7", NULL, NULL},
        {"./src/main.rs", "src/main.rs:7", NULL, NULL},
        {"/srv/my-app-1.2/src/main.rs", "/srv/my-app-1.2/src/main.rs:7", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *crate = NULL, *version = NULL;
        bool found = ss_crate_of_path(cases[i].file, &crate, &version);
        const char *place = ss_place(cases[i].file, 7);
        if (!is(place, cases[i].place))
            fprintf(stderr, "%s: %s\n", cases[i].file, place);
        CHECK(is(place, cases[i].place));
        if (!strstr(cases[i].file, "rustc"))
            CHECK(found == (cases[i].crate != NULL) && is(crate, cases[i].crate) &&
                  is(version, cases[i].version));
    }
}

int main(void)
{
    test_whole_log();
    test_repeats();
    test_merged_and_read_on();
    test_runs_have_their_own_modules();
    test_damaged();
    test_nested_keys();
    test_suspicions();
    test_worse();
    test_consequences();
    test_history();
    test_glance();
    test_blame();
    test_places();
    return failures != 0;
}
