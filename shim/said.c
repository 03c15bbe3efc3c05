/* The line that a violation or a suspicion is on stderr: for people, in plain text. Called by log.c under
 * the log's lock. */
#include <string.h>

#include "records.h"

static const char *const severity_names[] = SS_SEVERITY_NAMES;

static void say_thread(struct ss_line *line, const struct ss_thread_facts *thread)
{
    ss_puts(line, "thread ");
    ss_put_unsigned(line, thread->serial);
    if (*thread->name) {
        ss_puts(line, " `");
        ss_put_plain(line, thread->name);
        ss_puts(line, "`");
    }
}

/* The file from its crate's folder on, so that the line stays one line. */
static const char *short_file(const char *file)
{
    const char *source = strstr(file, "/src/");
    if (!source)
        return file;
    while (source > file && source[-1] != '/')
        source--;
    return source;
}

/* The span's name in backquotes: what the rule's title has a place for. */
static void say_span(struct ss_line *line, const struct ss_violation *violation)
{
    const struct ss_site *site = violation->site;
    ss_puts(line, "`");
    if (site && site->name)
        ss_put_plain(line, site->name);
    else if (violation->span_serial)
        ss_put_unsigned(line, violation->span_id);
    else
        ss_puts(line, "none");
    ss_puts(line, "`");
    if (site && site->file) {
        ss_puts(line, " (made at ");
        ss_put_plain(line, short_file(site->file));
        ss_puts(line, ":");
        ss_put_unsigned(line, site->line);
        ss_puts(line, ")");
    }
}

/* `, plugin.so+0x12ab`: fit for addr2line. */
static void say_place(struct ss_line *line, uintptr_t return_address)
{
    const struct ss_module *module = ss_module_of(return_address - 1);
    if (!module)
        return;
    const char *slash = strrchr(module->path, '/');
    ss_puts(line, " at ");
    ss_put_plain(line, slash ? slash + 1 : module->path);
    ss_puts(line, "+0x");
    uintptr_t offset = return_address - 1 - module->bias;
    unsigned digits = 1;
    while (digits < 16 && offset >> 4 * digits)
        digits++;
    ss_put_hex(line, offset, digits);
}

void ss_record_said(struct ss_line *line, const struct ss_violation_facts *facts, const char *log)
{
    const struct ss_violation *violation = facts->violation;
    const char *title = ss_rule_rows[violation->rule].title, *name = strstr(title, "%s");

    ss_puts(line, "strayspan: ");
    ss_puts(line, violation->suspicion ? "suspicion" : severity_names[violation->severity]);
    ss_puts(line, "[");
    ss_puts(line, ss_rule_rows[violation->rule].code);
    ss_puts(line, "]: ");
    ss_put(line, title, (size_t)(name - title));
    say_span(line, violation);
    ss_puts(line, name + 2);
    const char *separator = "; ";
    for (unsigned i = 0; i < SS_MOMENTS; i++)
        if (facts->moments[i]->thread) {
            ss_puts(line, separator);
            ss_puts(line, ss_moment_rows[i].verb);
            say_thread(line, &facts->threads[i]);
            say_place(line, facts->moments[i]->caller);
            separator = ", ";
        }
    if (log) {
        ss_puts(line, "; see: strayspan report ");
        ss_put_plain(line, log);
    }
}
