/* The report as SARIF 2.1.0, for code scanning. One result for each violation; a suspicion is a note.
 * Paths are relative to the working directory where they are below it, those of dependencies are
 * `crate-version/src/f.rs`. Called by report.c and run.c. */
#include <string.h>

#include "explain_pages.h"
#include "render.h"
#include "text.h"

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* A message; `[text](target)` would be a link in one. */
static json_t *message(const char *text)
{
    json_t *object = json_object();
    for (const char *at; text && (at = strstr(text, "]("));)
        text = ss_text("%.*s]\\(%s", (int)(at - text), text, at + 2);
    set(object, "text", ss_json_text(text));
    return object;
}

/* path as a reference of RFC 3986. */
static const char *uri_of(const char *path)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    char *uri = ss_keep(strlen(path) * 3 + 8), *out = uri;
    out += sprintf(out, "%s", *path == '/' ? "file://" : "");
    for (; *path; path++) {
        if (strchr(safe, *path))
            *out++ = *path;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*path);
    }
    return uri;
}

/* A location in a file; text (may be NULL) says what happens there. */
static json_t *location(const char *path, unsigned line, const char *text)
{
    json_t *object = json_object(), *physical = json_object(), *artifact = json_object();
    set(artifact, "uri", json_string(uri_of(path)));
    set(physical, "artifactLocation", artifact);
    if (line)
        set(physical, "region", json_pack("{s:i}", "startLine", (int)line));
    set(object, "physicalLocation", physical);
    if (text)
        set(object, "message", message(text));
    return object;
}

/* The file of a frame; NULL where it is not known. */
static json_t *frame_location(const struct ss_frame *frame, const char *text)
{
    return frame && frame->file ? location(ss_place(frame->file, 0), frame->line, text) : NULL;
}

/* Code scanning takes 1000 locations for a result, and shows 100. */
enum { OTHER_PLACES_MAX = 90 };

/* Where a violation is: its own code's line, else where the span is made, else its program. */
static json_t *main_location(const struct ss_violation *violation)
{
    json_t *found = frame_location(ss_primary_frame(violation), NULL);
    if (!found && violation->span.file)
        found = location(ss_place(violation->span.file, 0), (unsigned)violation->span.line, NULL);
    return found ? found : location(violation->program ? violation->program : "unknown", 0, NULL);
}

static json_t *related_locations(const struct ss_violation *violation)
{
    json_t *list = json_array();
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        json_t *at = frame_location(site->present ? ss_responsible_frame(&site->frames) : NULL,
                                    ss_text("%s on %s", ss_site_names[kind],
                                            ss_thread_text(violation, &site->thread, false)));
        if (!at)
            continue;
        set(at, "id", json_integer(kind + 1));
        json_array_append_new(list, at);
    }
    json_int_t id = SS_SITE_COUNT;
    for (const struct ss_other_place *other = violation->other_places;
         other && id < SS_SITE_COUNT + OTHER_PLACES_MAX; other = other->next) {
        struct ss_where where = ss_where(other->violation);
        if (!where.file)
            continue;
        json_t *at = location(ss_place(where.file, 0), where.line,
                              ss_text("also at %s", ss_other_place_text(violation, other)));
        set(at, "id", json_integer(++id));
        json_array_append_new(list, at);
    }
    return list;
}

static const char *level_of(const struct ss_violation *violation)
{
    return violation->suspicion                       ? "note"
           : violation->severity == SS_SEVERITY_ERROR ? "error"
                                                      : "warning";
}

static const char *message_text(const struct ss_violation *violation)
{
    const struct ss_blame *blame = &violation->blame;
    char *text = ss_text("%s.", ss_title_text(violation));
    size_t shown = 0;
    for (const struct ss_other_place *at = violation->other_places;
         at && shown < SS_OTHER_PLACES_SHOWN; at = at->next, shown++)
        text = ss_text("%s\nAlso at %s.", text, ss_other_place_text(violation, at));
    const char *more = ss_more_places_text(violation);
    if (more)
        text = ss_text("%s\n%s.", text, more);
    if (blame->text)
        text = ss_text("%s\nBlame: %s", text, ss_text_clean_to(blame->text, 600));
    for (size_t i = 0; i < 6 && blame->commands[i]; i++)
        text = ss_text("%s\n%s%s", text, i ? "" : "Help:\n", ss_text_clean(blame->commands[i]));
    return text;
}

/* strayspanGroup is what `diff` and baselines go by; primaryLocationLineHash what GitHub does, which else takes
 * it from the source's lines: an alert would be new with each change to them. groups: how many results each
 * group has so far. */
static json_t *fingerprints_value(json_t *groups, const char *group)
{
    json_t *object = json_object();
    if (group) {
        json_int_t count = json_integer_value(json_object_get(groups, group)) + 1;
        set(groups, group, json_integer(count));
        set(object, "strayspanGroup/v1", ss_json_text(group));
        set(object, "primaryLocationLineHash", ss_json_text(ss_text("%s:%lld", group, count)));
    }
    return object;
}

static json_t *result_value(const struct ss_violation *violation, json_t *groups)
{
    json_t *object = json_object(), *locations = json_array();
    json_t *properties = json_object();
    set(object, "ruleId", ss_json_text(violation->rule_code));
    if (violation->rule >= 0)
        set(object, "ruleIndex", json_integer(violation->rule));
    set(object, "level", json_string(level_of(violation)));
    set(object, "message", message(message_text(violation)));
    json_array_append_new(locations, main_location(violation));
    set(object, "locations", locations);
    set(object, "relatedLocations", related_locations(violation));
    set(object, "partialFingerprints", fingerprints_value(groups, violation->group));
    if (violation->times)
        set(object, "occurrenceCount", json_integer((json_int_t)violation->times));
    set(properties, "span", ss_json_text(violation->span.name));
    set(properties, "target", ss_json_text(violation->span.target));
    set(properties, "processes", json_integer((json_int_t)violation->processes));
    set(properties, "fingerprint", ss_json_text(violation->fingerprint));
    set(properties, "blame", ss_json_text(violation->blame.whose));
    set(object, "properties", properties);
    return object;
}

static json_t *rule_value(int rule)
{
    static const char *const levels[] = {"warning", "warning", "error"};
    const struct ss_page *page = ss_pages[rule];
    json_t *object = json_object(), *settings = json_object(), *help = json_object();
    set(object, "id", json_string(ss_rule_rows[rule].code));
    set(object, "shortDescription", message(page->summary));
    set(object, "fullDescription", message(page->meaning));
    set(help, "text", json_string(ss_text("%s\n\n%s", page->meaning, page->fix)));
    set(help, "markdown",
        json_string(ss_text("%s\n\n**The smallest code that does it**\n\n```rust\n%s\n```\n\n"
                            "**What you see because of it**\n\n```text\n%s\n```\n\n"
                            "**How to fix it**\n\n```text\n%s\n```\n\n%s\n",
                            page->meaning, page->code, page->effects, page->fix,
                            page->links ? page->links : "")));
    set(object, "help", help);
    set(settings, "enabled", json_boolean(ss_rule_rows[rule].severity != SS_SEVERITY_OFF));
    set(settings, "level", json_string(levels[ss_rule_rows[rule].severity]));
    set(object, "defaultConfiguration", settings);
    return object;
}

/* What went wrong in reading, and that nothing was checked. */
static json_t *invocation_value(const struct ss_report *report)
{
    json_t *object = json_object(), *list = json_array();
    const char *nothing = ss_report_nothing(report);
    if (nothing)
        json_array_append_new(list,
                              json_pack("{s:s,s:o}", "level", "warning", "message",
                                        message(ss_text("nothing was checked: %s", nothing))));
    for (const struct ss_problem *problem = report->problems; problem; problem = problem->next)
        json_array_append_new(
            list,
            json_pack("{s:s,s:o}", "level", problem->unreadable ? "error" : "warning", "message",
                      message(ss_text("%s: %s", problem->file, problem->message))));
    set(object, "executionSuccessful", json_boolean(!ss_report_unreadable(report) && !nothing));
    set(object, "toolExecutionNotifications", list);
    return object;
}

void ss_render_sarif(FILE *out, const struct ss_report *report, const struct ss_style *style)
{
    json_t *document = json_object(), *runs = json_array(), *run = json_object();
    json_t *tool = json_object(), *driver = json_object(), *rules = json_array();
    json_t *results = json_array(), *invocations = json_array(), *groups = json_object();
    (void)style;
    for (int i = 0; i < SS_RULE_COUNT; i++)
        json_array_append_new(rules, rule_value(i));
    set(driver, "name", json_string("strayspan"));
    set(driver, "version", json_string(SS_VERSION));
    set(driver, "rules", rules);
    set(tool, "driver", driver);
    const struct ss_violation *const lists[] = {report->violations, report->suspicions};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct ss_violation *at = lists[i]; at; at = at->next)
            json_array_append_new(results, result_value(at, groups));
    json_array_append_new(invocations, invocation_value(report));
    set(run, "tool", tool);
    set(run, "invocations", invocations);
    set(run, "results", results);
    json_array_append_new(runs, run);
    set(document, "$schema", json_string("https://json.schemastore.org/sarif-2.1.0.json"));
    set(document, "version", json_string("2.1.0"));
    set(document, "runs", runs);
    json_decref(groups);
    ss_json_write(out, document);
}
