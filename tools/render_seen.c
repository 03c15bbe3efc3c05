/* The last lines of every report for a person: what was seen, and what was not. Called by
 * render_text.c and run.c. */
#include "report.h"

#include <string.h>

#include "suppressions.h"
#include "tests.h"
#include "text.h"

static const char *clean(const char *text)
{
    return ss_text_clean(text);
}

/* `filtered 12 (DEBUG 10, TRACE 2)`; NULL where there are none. */
static const char *level_counts(const struct ss_report *report, const char *what, size_t offset)
{
    uint64_t total = 0;
    char *list = NULL;
    for (int level = SS_LEVELS - 1; level >= 0; level--) {
        uint64_t count =
            *(const uint64_t *)((const char *)&report->seen.call_sites[level] + offset);
        total += count;
        if (count)
            list = list ? ss_text("%s, %llu %s", list, (unsigned long long)count,
                                  ss_level_names[level])
                        : ss_text("%llu %s", (unsigned long long)count, ss_level_names[level]);
    }
    return total ? ss_text("%llu %s (%s)", (unsigned long long)total, what, list) : NULL;
}

enum { NAMES_MAX = 4, NAME_COLUMNS = 80 };

enum { ALIKE_MIN = 3 }; /* so many programs and more that are alike share a line */

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether two test programs, say, were hooked in the same way. */
static bool are_alike(const struct ss_binary *a, const struct ss_binary *b)
{
    return a->program && b->program && a->subscribers && b->subscribers &&
           !(a->unhooked | b->unhooked | a->off | b->off | a->doubtful | b->doubtful) &&
           same(a->evidence, b->evidence) && same(a->tracing_core, b->tracing_core) &&
           same(a->tracing_subscriber, b->tracing_subscriber);
}

/* How many are alike with this one, and the sum of their tables; 0 where one before it told of them. */
static uint64_t alike(const struct ss_report *report, const struct ss_binary *binary,
                      uint64_t *tables)
{
    uint64_t count = 0, before = 0;
    bool passed = false;
    *tables = 0;
    for (const struct ss_binary *other = report->binaries; other; other = other->next) {
        passed |= other == binary;
        if (other != binary && !are_alike(binary, other))
            continue;
        count++;
        before += !passed;
        *tables += other->subscribers;
    }
    if (count < ALIKE_MIN) {
        *tables = binary->subscribers;
        return 1;
    }
    return before ? 0 : count;
}

static void print_hooked(FILE *out, const struct ss_report *report)
{
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next) {
        uint64_t tables, count = alike(report, binary, &tables);
        if (!(binary->subscribers | binary->unhooked | binary->doubtful) || !count)
            continue;
        const char *slash = strrchr(binary->path, '/');
        fprintf(out, "         %s: %s",
                count > 1 ? ss_count_text(count, "program")
                          : clean(slash ? slash + 1 : binary->path),
                ss_text("%s hooked by %s", ss_count_text(tables, "subscriber table"),
                        binary->evidence ? clean(binary->evidence) : "?"));
        if (binary->tracing_core)
            fprintf(out, ", tracing-core %s", clean(binary->tracing_core));
        if (binary->tracing_subscriber)
            fprintf(out, ", tracing-subscriber %s", clean(binary->tracing_subscriber));
        if (binary->unhooked)
            fprintf(out, "; %s could NOT be hooked (strayspan run --options verbosity=2 says why)",
                    ss_count_text(binary->unhooked, "table"));
        if (binary->off)
            fprintf(out,
                    "; %s switched off: found by code alone, and called with what makes no sense",
                    ss_count_text(binary->off, "table"));
        if (binary->doubtful)
            fprintf(out, "; %s may be a subscriber's, as far as code tells: its spans are not seen",
                    ss_count_text(binary->doubtful, "more table"));
        putc('\n', out);
    }
}

/* Whether a level has call sites and none of them was as much as asked about: a limit to the level
 * lets no such call site come so far. */
static bool is_below_limit(const struct ss_seen *seen)
{
    for (int level = 0; level < SS_LEVELS; level++) {
        const struct ss_level_counts *counts = &seen->call_sites[level];
        if (strcmp(ss_level_names[level], "INFO") == 0)
            return false;
        if (counts->unreached && !counts->filtered && !counts->live)
            return true;
    }
    return false;
}

/* What a process is called by: the test that it was asked for, or its file. */
static const char *process_name(const struct ss_process *process)
{
    const char *label = ss_test_label(process);
    const char *program = process->program ? process->program : "a process";
    const char *slash = strrchr(program, '/');
    return label ? label : slash ? slash + 1 : program;
}

/* The names of the first few of many processes. */
struct names {
    const char *told[NAMES_MAX];
    size_t count;
    const char *list; /* fit for a terminal; NULL: none */
    bool more;
};

/* Adds a process: a program once, however often it ran. */
static void add_name(struct names *names, const struct ss_process *process)
{
    const char *name = process_name(process);
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->told[i], name) == 0)
            return;
    names->more = names->count == NAMES_MAX;
    if (names->more)
        return;
    names->told[names->count++] = name;
    names->list = names->list ? ss_text("%s, %s", names->list, ss_text_clean_to(name, NAME_COLUMNS))
                              : ss_text_clean_to(name, NAME_COLUMNS);
}

/* Whether a process only had others of its program run the doctests that are in it. */
static bool only_starts(const struct ss_report *report, const struct ss_process *process)
{
    const struct ss_process *other = report->processes;
    if (!process->program || !ss_test_is_doctest(process->program))
        return false;
    while (other && !(other->parent == process->pid && other->program &&
                      strcmp(other->program, process->program) == 0))
        other = other->next;
    return other;
}

/* Of many processes, those in which there was nothing to check, and what helps. */
static void print_spanless(FILE *out, const struct ss_report *report)
{
    static const char *const whys[] = {
        "no subscriber was installed there, or no call site reached under one; in tests: "
        "tracing_subscriber::fmt().with_test_writer().try_init(), or the crate test-log",
        "their call sites are filtered out; RUST_LOG=trace lets all through"};
    struct names names[2] = {{.count = 0}};
    uint64_t counts[2] = {0}, processes = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next) {
        processes++;
        if (!process->summary || !process->hooked || process->created ||
            only_starts(report, process))
            continue;
        counts[process->asked]++;
        add_name(&names[process->asked], process);
    }
    for (size_t i = 0; i < 2; i++)
        if (counts[i])
            fprintf(out,
                    "unseen:  %llu of %llu processes %s `tracing` and made no span, so there was "
                    "nothing to check:\n           %s%s\n           %s\n",
                    (unsigned long long)counts[i], (unsigned long long)processes,
                    counts[i] == 1 ? "has" : "have", names[i].list, names[i].more ? ", .." : "",
                    whys[i]);
}

/* The suppressions that held nothing back, or that were for a report of the time. */
static void print_unused(FILE *out, const struct ss_report *report)
{
    enum { LINES = 16 };
    uint64_t unused = 0;
    for (const struct ss_suppressions *at = report->suppressions; at; at = at->next) {
        if (at->count || unused++ >= LINES)
            continue;
        bool elsewhere = ss_suppressions_elsewhere(at);
        fprintf(out, "note:    %s: %s%s\n",
                elsewhere ? "not in force here is the run's suppression" : "unused suppression",
                clean(at->text), elsewhere ? " (--suppressions FILE)" : "");
    }
    if (unused > LINES)
        fprintf(out, "note:    and %s\n", ss_count_text(unused - LINES, "more unused suppression"));
}

static void print_unseen(FILE *out, const struct ss_report *report)
{
    bool several = report->processes && report->processes->next;
    if (several)
        print_spanless(out, report);
    const struct ss_seen *seen = &report->seen;
    const char *filtered =
        level_counts(report, "filtered out", offsetof(struct ss_level_counts, filtered));
    const char *unreached =
        level_counts(report, "never reached", offsetof(struct ss_level_counts, unreached));
    if (filtered || unreached)
        fprintf(out, "unseen:  call sites of spans: %s%s%s%s\n", filtered ? filtered : "",
                filtered && unreached ? ", " : "", unreached ? unreached : "",
                filtered || is_below_limit(seen) ? ": RUST_LOG=trace would check more" : "");
    if (seen->not_judged) {
        char *list = NULL;
        for (size_t i = 0; i < sizeof seen->reasons / sizeof seen->reasons[0]; i++)
            if (seen->reasons[i].reason)
                list = ss_text("%s%s%s %llu", list ? list : "", list ? ", " : "",
                               clean(seen->reasons[i].reason),
                               (unsigned long long)seen->reasons[i].count);
        fprintf(out, "unseen:  %s on %s not judged%s%s%s\n",
                ss_count_text(seen->not_judged, "event"),
                ss_count_text(seen->not_judged_threads, "thread"), list ? " (" : "",
                list ? list : "", list ? ")" : "");
    }
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next)
        if (binary->silent && !binary->called && !(several && binary->program))
            fprintf(out,
                    "unseen:  %s was hooked, but no span was made there: no subscriber was "
                    "installed, or no call site reached under one%s\n",
                    clean(binary->path), ss_found_by_code(binary) ? ss_unfound_reason : "");
    const char *off = NULL;
    for (int i = 0; i < SS_RULE_COUNT; i++)
        if (seen->rules_off[i])
            off = off ? ss_text("%s, %s", off, ss_rule_rows[i].code) : ss_rule_rows[i].code;
    if (off)
        fprintf(out, "unseen:  not looked for, by options: %s\n", off);
    for (size_t i = 0; i < sizeof seen->apart / sizeof seen->apart[0] && seen->apart[i]; i++)
        fprintf(out,
                "unseen:  %s is in a namespace of its own (dlmopen), where nothing is hooked\n",
                clean(seen->apart[i]));
    for (size_t i = 0; i < seen->not_judged_instance_count; i++) {
        const char *type = ss_short_type(seen->not_judged_instances[i].type);
        fprintf(out, "unseen:  a subscriber that gives one id to several spans is not judged: %s\n",
                type ? clean(type) : "(type not known)");
    }
    if (seen->table_limit)
        fprintf(out, "unseen:  %s beyond the limit are not hooked\n",
                ss_count_text(seen->table_limit, "subscriber table"));
    if (seen->suppressed)
        fprintf(out, "unseen:  %s suppressed\n", ss_count_text(seen->suppressed, "violation"));
    print_unused(out, report);
}

/* Whether an image has no summary and did not make room for another one by exec. */
static bool is_unfinished(const struct ss_process *process)
{
    return !process->summary && !ss_process_replaced(process);
}

static void print_without_summary(FILE *out, const struct ss_report *report)
{
    const char *told[8];
    size_t count = 0;
    uint64_t replaced = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        replaced += ss_process_replaced(process);
    if (replaced)
        fprintf(out, "unseen:  %s no counts: replaced by exec\n",
                replaced == 1 ? "1 process image has"
                              : ss_text("%llu process images have", (unsigned long long)replaced));
    for (const struct ss_process *process = report->processes; process; process = process->next) {
        const char *name = process_name(process);
        bool known = !is_unfinished(process);
        for (size_t i = 0; i < count; i++)
            known |= strcmp(told[i], name) == 0;
        if (known || count == sizeof told / sizeof told[0])
            continue;
        told[count++] = name;
        uint64_t others = 0;
        for (const struct ss_process *other = process->next; other; other = other->next)
            others += is_unfinished(other) && strcmp(process_name(other), name) == 0;
        fprintf(out,
                "unseen:  %s, pid %lld%s: no counts: ended by a signal, _exit or exec, still "
                "running, or its log had no room; what was logged is told\n",
                clean(name), (long long)process->pid,
                others ? ss_text(" and %s", ss_count_text(others, "other process")) : "");
    }
}

/* `3 processes`, and where that tells more, how many of them made spans. */
static const char *processes_text(const struct ss_report *report)
{
    uint64_t processes = 0, made = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next) {
        processes++;
        made += process->created != 0;
    }
    const char *text = ss_count_text(processes, "process");
    if (processes == 1 || !made)
        return text;
    return made == processes
               ? ss_text("%s (all made spans)", text)
               : ss_text("%s (%llu of them made spans)", text, (unsigned long long)made);
}

/* The problems with logs: of hundreds of processes, on a full disk, not each one's. */
static void print_problems(FILE *out, const struct ss_report *report)
{
    enum { LINES = 8 };
    uint64_t count = 0;
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next)
        if (count++ < LINES)
            fprintf(out, SS_YELLOW "problem:" SS_PLAIN " %s: %s\n", clean(problem->file),
                    ss_text_clean_to(problem->message, 400));
    if (count > LINES)
        fprintf(out, SS_YELLOW "problem:" SS_PLAIN " and %s\n",
                ss_count_text(count - LINES, "more problem"));
}

void ss_render_seen(FILE *out, const struct ss_report *report)
{
    const struct ss_seen *seen = &report->seen;
    const char *found = ss_all_findings_text(report);
    uint64_t processes = 0;
    for (const struct ss_process *process = report->processes; process; process = process->next)
        processes++;
    if (found)
        fprintf(out, SS_BOLD "found:" SS_PLAIN "   %s\n", found);
    if (processes && !seen->created && ss_report_unfinished(report))
        fprintf(out, SS_BOLD "seen:" SS_PLAIN "    %s; how many spans, is not known\n",
                ss_count_text(processes, "process"));
    else
        fprintf(out, SS_BOLD "seen:" SS_PLAIN "    %s, %s, %s on %s, %s%s\n",
                processes_text(report), ss_count_text(seen->created, "span"),
                ss_count_text(seen->entered, "enter"), ss_count_text(seen->threads, "thread"),
                ss_count_text(seen->instances, "subscriber"),
                seen->lookups ? ss_text(", %s", ss_count_text(seen->lookups, "look-up")) : "");
    print_hooked(out, report);
    print_unseen(out, report);
    print_without_summary(out, report);
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next)
        if (binary->problem && binary->path[0] == '/')
            fprintf(out, "note:    %s: %s\n", clean(binary->path), clean(binary->problem));
    print_problems(out, report);
    if (report->logs)
        fprintf(out, "logs:    %s\n", clean(report->logs));
}

void ss_render_clean(FILE *out, const struct ss_report *report)
{
    const struct ss_seen *seen = &report->seen;
    if (ss_report_counts_unknown(report))
        fputs("strayspan: no violation was logged; how many spans were seen, is not known\n", out);
    else
        fprintf(out, SS_GREEN "strayspan: %s" SS_PLAIN "%s and %s on %s, %s%s\n",
                ss_report_unfinished(report) ? "no violation was logged: at least "
                : ss_report_partly(report)   ? "nothing strayed in what was judged: "
                                             : "nothing strayed: ",
                ss_count_text(seen->created, "span"), ss_count_text(seen->entered, "enter"),
                ss_count_text(seen->threads, "thread"),
                ss_count_text(seen->instances, "subscriber"),
                report->processes && report->processes->next
                    ? ss_text(", in %s", processes_text(report))
                    : "");
    print_unseen(out, report);
    print_without_summary(out, report);
}

void ss_render_nothing(FILE *out, const struct ss_report *report)
{
    fprintf(out, SS_YELLOW "strayspan: NOTHING WAS CHECKED" SS_PLAIN ": %s\n",
            ss_text_clean_to(report->nothing_why, 400));
    if (report->nothing_advice)
        fprintf(out, "    to do: %s\n", ss_text_clean_to(report->nothing_advice, 400));
    for (size_t i = 0; i < report->nothing_defect_count; i++)
        fprintf(out, "    known defect in it: %s\n",
                ss_text_clean_to(report->nothing_defects[i], 400));
}
