/* What probe found, as text and as JSON. Called by probe_command.c and, for the defects, by run.c. */
#include <stdlib.h>
#include <string.h>

#include "defects.h"
#include "probe.h"
#include "render.h"
#include "report.h"
#include "text.h"

/* ---- text ---- */

static const char *clean(const char *text)
{
    return ss_text_clean_to(text, 400);
}

static void print_row(FILE *out, const char *name, const char *text)
{
    if (text && *text)
        fprintf(out, "    %-10s %s\n", name, ss_text_clean_to(text, 2000));
}

static const char *joined(const char *before, const char *separator, const char *text)
{
    return before ? ss_text("%s%s%s", before, separator, text) : text;
}

static const char *crate_text(const struct ss_crate *crate)
{
    if (crate->version)
        return ss_text("%s %s", crate->name, crate->version);
    return ss_text("%s (%s, release not told)", crate->name, crate->source);
}

static bool is_known(const struct ss_crates *crates, const char *name)
{
    for (size_t i = 0; i < crates->count; i++)
        if (strcmp(crates->crates[i].name, name) == 0)
            return true;
    return false;
}

static void print_crates(FILE *out, const struct ss_crates *crates)
{
    const char *known = NULL, *unknown = NULL;
    for (size_t i = 0; i < crates->count; i++)
        known = joined(known, ", ", crate_text(&crates->crates[i]));
    for (size_t i = 0; ss_crate_names[i]; i++)
        if (!is_known(crates, ss_crate_names[i]))
            unknown = joined(unknown, ", ", ss_crate_names[i]);
    print_row(out, "crates:", known);
    print_row(out, known ? "" : "crates:",
              unknown ? ss_text("not told, or not in it: %s", unknown) : NULL);
    if (crates->cut_off)
        print_row(out, "", "only the first 4 GiB were read");
    for (size_t i = 0; i < crates->compiler_count; i++)
        print_row(out, i == 0 ? "compiler:" : "", ss_text("rustc %s", crates->compilers[i]));
}

static const char *table_text(const struct ss_probe_table *table)
{
    const char *type = table->no_subscriber ? "NoSubscriber" : ss_short_type(table->type);
    return ss_text("%s, by %s", type ? type : "(type not known)", table->evidence);
}

static void print_tables(FILE *out, const struct ss_probe_contents *contents)
{
    const struct ss_probe_tables *tables = &contents->tables;
    const char *first = "tables:";
    if (tables->problem) {
        print_row(out, first, ss_text("not looked for: %s", tables->problem));
        return;
    }
    for (const struct ss_probe_table *table = tables->tables; table;) {
        const struct ss_probe_table *next = table;
        const char *text = table_text(table);
        size_t same = 0;
        for (; next && strcmp(table_text(next), text) == 0; next = next->next)
            same++;
        print_row(out, first, same > 1 ? ss_text("%zu times %s", same, text) : text);
        first = "";
        table = next;
    }
    if (!tables->count)
        print_row(out, first, contents->stripped ? "none found, without symbols" : "none found");
    for (size_t i = 0; i < SS_PROBE_NOTES && tables->notes[i]; i++)
        print_row(out, "", ss_text("note: %s", tables->notes[i]));
}

/* `36 of spans (2 ERROR, 34 INFO)`. */
static const char *sites_text(const size_t counts[SS_LEVELS], const char *what)
{
    size_t total = 0;
    const char *list = NULL;
    for (int level = SS_LEVELS - 1; level >= 0; level--) {
        total += counts[level];
        if (counts[level])
            list = joined(list, ", ", ss_text("%zu %s", counts[level], ss_level_names[level]));
    }
    return total ? ss_text("%zu %s (%s)", total, what, list) : NULL;
}

static void print_sites(FILE *out, const struct ss_probe_tables *tables)
{
    const char *spans =
        sites_text(tables->span_count, tables->kinds_tell ? "of spans" : "of spans and events");
    const char *events = sites_text(tables->event_count, "of events");
    print_row(out, "sites:",
              spans && events ? ss_text("%s, %s", spans, events)
              : spans         ? spans
                              : events);
    if (tables->sites_unread)
        print_row(out, "sites:", "there are some, in a layout that is not known");
    for (size_t i = 0; i < tables->site_count; i++) {
        const struct ss_probe_site *site = &tables->sites[i];
        const char *place = ss_place(site->file, site->line);
        fprintf(out, "        %-5s %-5s %s  %s%s%s\n", ss_level_names[site->level],
                !tables->kinds_tell ? ""
                : site->is_event    ? "event"
                                    : "span",
                clean(site->name), clean(site->target), place ? "  " : "",
                place ? clean(place) : "");
    }
}

/* A defect, with what ends it: alone, or with the other crate that is a part of it. */
static const char *defect_text(const struct ss_known_defect *defect)
{
    const char *text = ss_text("%s %s", defect->crate, defect->version);
    const char *end = defect->fixed ? ss_text("%s %s ends it", defect->crate, defect->fixed)
                                    : "no release ends it yet";
    if (!defect->with)
        return ss_text("%s: %s; %s", text, defect->what, end);
    if (defect->with_what)
        return ss_text("%s with %s %s: and %s; %s, %s %s lessens it", text, defect->with,
                       defect->with_version, defect->with_what, end, defect->with,
                       defect->with_fixed);
    return ss_text("%s with %s %s, which triggers it: %s, or %s %s does", text, defect->with,
                   defect->with_version, end, defect->with, defect->with_fixed);
}

const char *const *ss_probe_defects(const struct ss_probe *probe, size_t *count)
{
    struct ss_known_defect defects[SS_KNOWN_DEFECTS_MAX];
    const char **texts = ss_keep((1 + probe->library_count) * SS_KNOWN_DEFECTS_MAX * sizeof *texts);
    *count = 0;
    for (size_t i = 0; i <= probe->library_count; i++) {
        const struct ss_probe_contents *contents =
            i == 0 ? &probe->contents : probe->libraries[i - 1];
        size_t found = ss_known_defects(&contents->crates, defects, SS_KNOWN_DEFECTS_MAX);
        for (size_t j = 0; j < found; j++)
            texts[(*count)++] = defect_text(&defects[j]);
    }
    return texts;
}

static void print_defects(FILE *out, const struct ss_crates *crates)
{
    struct ss_known_defect defects[SS_KNOWN_DEFECTS_MAX];
    size_t count = ss_known_defects(crates, defects, SS_KNOWN_DEFECTS_MAX);
    for (size_t i = 0; i < count; i++) {
        print_row(out, "defect:", defect_text(&defects[i]));
        for (size_t j = 0; j < 3 && defects[i].links[j]; j++)
            print_row(out, "", defects[i].links[j]);
    }
}

static void print_contents(FILE *out, const struct ss_probe_contents *contents)
{
    if (!contents->crates.has_tracing && !contents->tables.count)
        return;
    print_crates(out, &contents->crates);
    print_tables(out, contents);
    print_sites(out, &contents->tables);
    print_defects(out, &contents->crates);
}

static void print_linkage(FILE *out, const struct ss_probe *probe)
{
    const char *text = probe->linkage, *needed = NULL;
    for (size_t i = 0; i < probe->needed_count; i++)
        needed = joined(needed, ", ", probe->needed[i]);
    if (probe->libc)
        text = ss_text("%s, %s", text, probe->libc);
    if (probe->loader)
        text = ss_text("%s, %s %s", text,
                       strcmp(probe->linkage, "script") == 0 ? "interpreter" : "loader",
                       probe->loader);
    print_row(out, "linkage:", text);
    print_row(out, "needs:", needed);
    print_row(out, "secure:", probe->secure);
    if (probe->sanitizer)
        print_row(out, "sanitizer:",
                  ss_text("%s, which `strayspan run` preloads first", probe->sanitizer));
}

void ss_probe_print(FILE *out, const char *path, const struct ss_probe *probe, bool brief)
{
    fprintf(out, "%s: %s: %s\n", ss_text_clean(path), probe->good ? "can be diagnosed" : "cannot",
            clean(probe->verdict));
    if (brief && !probe->good && !probe->has_tracing)
        return;
    print_row(out, "to do:", probe->advice);
    print_linkage(out, probe);
    print_contents(out, &probe->contents);
    for (size_t i = 0; i < probe->library_count; i++) {
        print_row(out, "library:", probe->libraries[i]->path);
        print_contents(out, probe->libraries[i]);
    }
}

/* ---- JSON ---- */

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *texts_value(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count && texts[i]; i++)
        json_array_append_new(list, ss_json_text(texts[i]));
    return list;
}

static json_t *crates_value(const struct ss_crates *crates)
{
    json_t *list = json_array();
    for (size_t i = 0; i < crates->count; i++) {
        json_t *crate = json_object();
        set(crate, "name", ss_json_text(crates->crates[i].name));
        set(crate, "version", ss_json_text(crates->crates[i].version));
        set(crate, "source", ss_json_text(crates->crates[i].source));
        json_array_append_new(list, crate);
    }
    return list;
}

static json_t *unknown_value(const struct ss_crates *crates)
{
    json_t *list = json_array();
    for (size_t i = 0; ss_crate_names[i]; i++)
        if (!is_known(crates, ss_crate_names[i]))
            json_array_append_new(list, json_string(ss_crate_names[i]));
    return list;
}

static json_t *tables_value(const struct ss_probe_tables *tables)
{
    json_t *object = json_object(), *list = json_array();
    for (const struct ss_probe_table *table = tables->tables; table; table = table->next) {
        json_t *entry = json_object();
        set(entry, "type", ss_json_text(ss_short_type(table->type)));
        set(entry, "full_type", ss_json_text(ss_demangle(table->type)));
        set(entry, "evidence", ss_json_text(table->evidence));
        set(entry, "offset", json_integer((json_int_t)table->offset));
        set(entry, "methods", json_integer(table->methods));
        set(entry, "no_subscriber", json_boolean(table->no_subscriber));
        json_array_append_new(list, entry);
    }
    set(object, "count", json_integer((json_int_t)tables->count));
    set(object, "no_subscribers", json_integer((json_int_t)tables->no_subscribers));
    set(object, "problem", ss_json_text(tables->problem));
    set(object, "notes", texts_value(tables->notes, SS_PROBE_NOTES));
    set(object, "list", list);
    return object;
}

static json_t *levels_value(const size_t counts[SS_LEVELS])
{
    json_t *object = json_object();
    for (int level = 0; level < SS_LEVELS; level++)
        set(object, ss_level_names[level], json_integer((json_int_t)counts[level]));
    return object;
}

static json_t *sites_value(const struct ss_probe_tables *tables)
{
    json_t *object = json_object();
    set(object, "spans", levels_value(tables->span_count));
    set(object, "events", levels_value(tables->event_count));
    set(object, "told_apart", json_boolean(tables->kinds_tell));
    set(object, "readable", json_boolean(!tables->sites_unread));
    if (!tables->sites)
        return object;
    json_t *list = json_array();
    for (size_t i = 0; i < tables->site_count; i++) {
        const struct ss_probe_site *site = &tables->sites[i];
        json_t *entry = json_object();
        set(entry, "name", ss_json_text(site->name));
        set(entry, "target", ss_json_text(site->target));
        set(entry, "level", json_string(ss_level_names[site->level]));
        set(entry, "file", ss_json_text(site->file));
        set(entry, "line", site->line ? json_integer(site->line) : json_null());
        set(entry, "event", tables->kinds_tell ? json_boolean(site->is_event) : json_null());
        json_array_append_new(list, entry);
    }
    set(object, "list", list);
    return object;
}

static json_t *defects_value(const struct ss_crates *crates)
{
    struct ss_known_defect defects[SS_KNOWN_DEFECTS_MAX];
    size_t count = ss_known_defects(crates, defects, SS_KNOWN_DEFECTS_MAX);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct ss_known_defect *defect = &defects[i];
        json_t *object = json_object(), *with = json_null(), *rules = json_array();
        for (int rule = 0; rule < SS_RULE_COUNT; rule++)
            if (defect->rules & 1U << rule)
                json_array_append_new(rules, json_string(ss_rule_rows[rule].code));
        if (defect->with) {
            with = json_object();
            set(with, "crate", ss_json_text(defect->with));
            set(with, "version", ss_json_text(defect->with_version));
            set(with, "fixed_in", ss_json_text(defect->with_fixed));
            set(with, "what", ss_json_text(defect->with_what));
        }
        set(object, "crate", ss_json_text(defect->crate));
        set(object, "version", ss_json_text(defect->version));
        set(object, "fixed_in", ss_json_text(defect->fixed));
        set(object, "what", ss_json_text(defect->what));
        set(object, "with", with);
        set(object, "rules", rules);
        set(object, "links", texts_value(defect->links, 3));
        json_array_append_new(list, object);
    }
    return list;
}

static void set_contents(json_t *object, const struct ss_probe_contents *contents)
{
    const struct ss_crates *crates = &contents->crates;
    set(object, "tracing", json_boolean(crates->has_tracing));
    set(object, "annotated", json_boolean(crates->annotated));
    set(object, "stripped", json_boolean(contents->stripped));
    set(object, "compilers", texts_value(crates->compilers, crates->compiler_count));
    set(object, "crates", crates_value(crates));
    set(object, "crates_not_told", unknown_value(crates));
    set(object, "read_whole", json_boolean(!crates->cut_off));
    set(object, "tables", tables_value(&contents->tables));
    set(object, "call_sites", sites_value(&contents->tables));
    set(object, "defects", defects_value(crates));
}

static json_t *linkage_value(const struct ss_probe *probe)
{
    json_t *object = json_object();
    set(object, "kind", ss_json_text(probe->linkage));
    set(object, "loader", ss_json_text(probe->loader));
    set(object, "libc", ss_json_text(probe->libc));
    set(object, "needed", texts_value(probe->needed, probe->needed_count));
    set(object, "secure", ss_json_text(probe->secure));
    set(object, "sanitizer", ss_json_text(probe->sanitizer));
    set(object, "loads_modules", json_boolean(probe->loads_modules));
    set(object, "preload", json_boolean(probe->reached));
    return object;
}

void ss_probe_print_json(FILE *out, const char *path, const struct ss_probe *probe)
{
    json_t *object = json_object();
    set(object, "path", ss_json_text(path));
    if (!probe->readable) {
        set(object, "error", ss_json_text(probe->verdict));
    } else {
        json_t *libraries = json_array();
        set(object, "can_be_diagnosed", json_boolean(probe->good));
        set(object, "verdict", ss_json_text(probe->verdict));
        set(object, "advice", ss_json_text(probe->advice));
        set(object, "linkage", linkage_value(probe));
        if (probe->contents.path)
            set_contents(object, &probe->contents);
        for (size_t i = 0; i < probe->library_count; i++) {
            json_t *library = json_object();
            set(library, "path", ss_json_text(probe->libraries[i]->path));
            set_contents(library, probe->libraries[i]);
            json_array_append_new(libraries, library);
        }
        set(object, "libraries", libraries);
    }
    json_dumpf(object, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    json_decref(object);
}
