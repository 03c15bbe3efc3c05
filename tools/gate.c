/* What stands at the end of a run: the report, where it goes, and the exit status. Called by run.c for one
 * program and by cargo.c for all that cargo ran. */
#include "gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "shim_options.h"
#include "text.h"

enum { EXITCODE_MAX = 255 };

void ss_gate_flag(const struct ss_usage *usage, const char *name, const char *value,
                  struct ss_gate *gate)
{
    char *end;
    if (strcmp(name, "log-dir") == 0) {
        gate->log_directory = value;
    } else if (strcmp(name, "output") == 0) {
        gate->output = value;
    } else if (strcmp(name, "exitcode") == 0) {
        long code = strtol(value, &end, 10);
        gate->exit_code = (int)code;
        if (!*value || *end || code < 0 || code > EXITCODE_MAX)
            ss_usage_error(usage, "option `--exitcode`: bad value `%s`, want 0 to 255", value);
    } else if (strcmp(name, "deny") == 0) {
        if (!ss_deny_add(&gate->deny, value))
            ss_usage_error(usage, "option `--deny`: no rule `%s`", value);
        /* What is denied is looked for, unless other options say that it is not to be. */
        int rule = ss_rule_of(value);
        if (rule >= 0 && !ss_rule_rows[rule].severity)
            gate->options =
                ss_text("rules=+%s%s%s", value, *gate->options ? ":" : "", gate->options);
    } else if (strcmp(name, "require-hooked") == 0) {
        gate->require_hooked = true;
    } else if (strcmp(name, "options") == 0) {
        ss_shim_options_check(usage, value);
        gate->options = *gate->options ? ss_text("%s:%s", gate->options, value) : value;
    } else {
        ss_style_flag(usage, name, value, &gate->style);
    }
}

FILE *ss_gate_open(const struct ss_gate *gate)
{
    FILE *out = gate->output ? fopen(gate->output, "we") : stderr;
    if (!out)
        fprintf(stderr, "strayspan: %s: cannot be written: %s\n", ss_text_clean(gate->output),
                strerror(errno));
    return out;
}

bool ss_gate_leaves(const struct ss_gate *gate)
{
    return gate->batch && !gate->exit_code && gate->log_directory;
}

bool ss_gate_document_alone(const struct ss_gate *gate)
{
    return !gate->style.format->marked && !gate->output;
}

/* `1 error and 2 warnings; 1 suspicion`: what counts, and what may have gone on; NULL: neither. */
static const char *findings(const struct ss_gate *gate, const struct ss_report *report)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &gate->deny, &errors, &warnings);
    const char *found = errors + warnings ? ss_findings_text(errors, warnings) : NULL;
    const char *suspicions =
        report->suspicion_count ? ss_count_text(report->suspicion_count, "suspicion") : NULL;
    return found && suspicions ? ss_text("%s; %s", found, suspicions) : found ? found : suspicions;
}

/* Why our status is not the program's 0. */
static const char *why_other(const struct ss_gate *gate, const struct ss_report *report,
                             bool written)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &gate->deny, &errors, &warnings);
    return errors + warnings                  ? ss_findings_text(errors, warnings)
           : !written                         ? "the report could not be written"
           : report->problems                 ? "a log has a problem, see above"
           : ss_report_counts_unknown(report) ? "whether a span was seen is not known, as no "
                                                "process lived to write its counts, and "
                                                "--require-hooked was given"
                                              : "no span was seen, and --require-hooked was given";
}

/* The last line of a run that found something, or has a status of its own; NULL else. */
static const char *last_line(const struct ss_gate *gate, const struct ss_report *report,
                             const struct ss_child *child, int status, bool written)
{
    if (status != child->status)
        return ss_text("exit status %d: %s (the program's own was 0)\n", status,
                       why_other(gate, report, written));
    const char *found = findings(gate, report);
    if (!found)
        return NULL;
    if (child->signal)
        return ss_text("exit status %d: the program was ended by signal %d (%s); %s\n", status,
                       child->signal, strsignal(child->signal), found);
    return ss_text("exit status %d: the program's own; %s\n", status, found);
}

static int exit_status(const struct ss_gate *gate, const struct ss_report *report,
                       const struct ss_child *child)
{
    uint64_t errors, warnings;
    ss_deny_count(report, &gate->deny, &errors, &warnings);
    if (child->status != 0)
        return child->status;
    if (errors + warnings && gate->exit_code)
        return gate->exit_code;
    /* A log with a problem may have held an error: a gate must not open by that. */
    bool nothing = report->nothing_why || ss_report_counts_unknown(report);
    bool problem = report->problems && !ss_gate_leaves(gate);
    return problem || (nothing && gate->require_hooked) ? SS_EXIT_FAILED : 0;
}

/* Writes the report to out; errno tells why it could not. */
static bool write_report(struct ss_report *report, const struct ss_gate *gate, FILE *out)
{
    bool text = gate->style.format->marked, done = true;
    char *lines = NULL;
    size_t length = 0;
    if (text && out == stderr && ss_report_found(report) && !gate->batch)
        putc('\n', out); /* apart from what the program wrote last */
    if (!text || ss_report_found(report) || report->problems)
        done = ss_report_write(report, &gate->style, out);
    if (!text || !done)
        return done;
    FILE *memory = open_memstream(&lines, &length);
    if (!memory)
        return false;
    if (report->nothing_why) {
        ss_render_nothing(memory, report);
    } else if (!ss_report_found(report) && !report->problems) {
        ss_render_clean(memory, report);
    }
    done = fclose(memory) == 0 && ss_terminal_write(out, gate->style.colour, lines, length);
    free(lines);
    return done;
}

int ss_gate_conclude(const struct ss_gate *gate, struct ss_report *report,
                     const struct ss_child *child, FILE *out)
{
    int status = exit_status(gate, report, child);
    report->ran = true;
    report->status = status;
    report->program_status = child->status;

    bool silent = gate->batch && !ss_report_found(report) && status == child->status;
    bool written = silent || write_report(report, gate, out);
    int problem = errno;
    if (gate->output && fclose(out) != 0 && written) {
        problem = errno;
        written = false;
    }
    if (!written && gate->output) {
        /* Better on standard error than nowhere. */
        fprintf(stderr, "strayspan: %s: could not be written: %s\n", ss_text_clean(gate->output),
                strerror(problem));
        write_report(report, gate, stderr);
        if (status == 0)
            status = SS_EXIT_FAILED;
    }
    const char *last = last_line(gate, report, child, status, written);
    if (last && !ss_gate_document_alone(gate) && (!gate->batch || status != child->status))
        ss_terminal_write(stderr, SS_COLOUR_NEVER, last, strlen(last));
    return status;
}
