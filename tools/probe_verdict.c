/* The judgement on a file, in one line, and what helps: a table of what can be, the first that holds
 * decides. Called by probe.c with what it found. */
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "text.h"

const char ss_build_dynamic[] =
    "build the same source for a gnu target once (cargo build --target x86_64-unknown-linux-gnu, "
    "without target-feature=+crt-static): what strays does not depend on the libc";

/* ---- what holds ---- */

static bool is_foreign(const struct ss_probe *probe)
{
    return probe->foreign != NULL;
}

static bool is_static(const struct ss_probe *probe)
{
    return strcmp(probe->linkage, "static") == 0 || strcmp(probe->linkage, "static-pie") == 0;
}

static bool is_static_without(const struct ss_probe *probe)
{
    bool looked = probe->contents.path != NULL;
    return is_static(probe) && looked && !probe->has_tracing && !probe->contents.crates.annotated;
}

static bool lacks_loader(const struct ss_probe *probe)
{
    return probe->loader && access(probe->loader, F_OK) != 0;
}

static bool is_of_other_libc(const struct ss_probe *probe)
{
    return probe->loader && !probe->libc;
}

static bool is_secure(const struct ss_probe *probe)
{
    return probe->secure != NULL;
}

static bool has_tables(const struct ss_probe *probe)
{
    return probe->tables != 0;
}

static bool is_annotated(const struct ss_probe *probe)
{
    return probe->contents.crates.annotated;
}

static bool is_own(const struct ss_probe *probe)
{
    return probe->contents.own;
}

static bool has_no_image(const struct ss_probe *probe)
{
    return probe->has_tracing && probe->contents.tables.problem;
}

static bool is_stripped(const struct ss_probe *probe)
{
    return probe->has_tracing && probe->contents.stripped;
}

static bool has_tracing(const struct ss_probe *probe)
{
    return probe->has_tracing;
}

static bool loads_modules(const struct ss_probe *probe)
{
    return probe->loads_modules;
}

static bool always(const struct ss_probe *probe)
{
    (void)probe;
    return true;
}

/* ---- what is said of it ---- */

static const char *foreign_text(const struct ss_probe *probe)
{
    return probe->foreign;
}

static const char *static_text(const struct ss_probe *probe)
{
    bool pie = strcmp(probe->linkage, "static-pie") == 0;
    return ss_text("it is statically linked%s: no library can be preloaded into it",
                   pie ? " (static-pie)" : "");
}

static const char *static_without_text(const struct ss_probe *probe)
{
    return ss_text("%s; and there is no `tracing` in it", static_text(probe));
}

static const char *loader_text(const struct ss_probe *probe)
{
    return ss_text("its loader %s is not on this machine", probe->loader);
}

static const char *libc_text(const struct ss_probe *probe)
{
    return ss_text("its loader is %s, of another libc than glibc or musl", probe->loader);
}

static const char *secure_text(const struct ss_probe *probe)
{
    return ss_text("%s: the loader drops LD_PRELOAD for it", probe->secure);
}

/* `2 subscriber tables, found by symbols`, with the library where these are. The number is that of
 * the tables that are hooked: NoSubscriber's is one of them. */
static const char *tables_text(const struct ss_probe *probe)
{
    const struct ss_probe_contents *where = &probe->contents;
    for (size_t i = 0; i < probe->library_count && !where->tables.count; i++)
        where = probe->libraries[i];
    const char *evidence = NULL, *slash = strrchr(where->path, '/');
    size_t nones = probe->contents.tables.no_subscribers;
    for (size_t i = 0; i < probe->library_count; i++)
        nones += probe->libraries[i]->tables.no_subscribers;
    const char *of_them = nones ? ss_text(" (%zu of them NoSubscriber's)", nones) : "";
    for (const struct ss_probe_table *table = where->tables.tables; table; table = table->next)
        if (!table->no_subscriber && !evidence)
            evidence = table->evidence;
    return ss_text("%s%s, found by %s%s%s",
                   ss_count_text(probe->tables + nones, "subscriber table"), of_them, evidence,
                   where == &probe->contents ? "" : ", in ",
                   where == &probe->contents ? ""
                   : slash                   ? slash + 1
                                             : where->path);
}

static const char *annotated_text(const struct ss_probe *probe)
{
    (void)probe;
    return "it has annotations";
}

static const char *image_text(const struct ss_probe *probe)
{
    return ss_text("there is `tracing` in it, but no subscriber can be looked for: %s",
                   probe->contents.tables.problem);
}

/* A row: what holds, what is said, and what helps. */
static const struct outcome {
    bool (*holds)(const struct ss_probe *probe);
    const char *(*describe)(const struct ss_probe *probe);
    const char *text, *advice;
    bool reached, good;
    bool by_contents; /* nothing of it is known from the linkage alone */
} outcomes[] = {
    {is_foreign, foreign_text, NULL, NULL, false, false, false},
    {is_static_without, static_without_text, NULL, NULL, false, false, false},
    {is_static, static_text, NULL, ss_build_dynamic, false, false, false},
    {lacks_loader, loader_text, NULL, "run strayspan where the program runs", false, false, false},
    {is_of_other_libc, libc_text, NULL, ss_build_dynamic, false, false, false},
    {is_secure, secure_text, NULL,
     "run a copy of it without that (cp keeps neither bit nor capabilities), or run strayspan as "
     "the user it changes to",
     false, false, false},
    {has_tables, tables_text, NULL, NULL, true, true, true},
    {is_annotated, annotated_text, NULL, NULL, true, true, true},
    {is_own, NULL, "it is strayspan itself: no program, but what reads and hooks them", NULL, true,
     false, true},
    {has_no_image, image_text, NULL, NULL, true, false, true},
    {is_stripped, NULL,
     "there is `tracing` in it, but no subscriber was found, and it has no symbols to find one by",
     "put its debug file beside it, or build it with strip = false or \"debuginfo\" in its profile",
     true, false, true},
    {has_tracing, NULL, "there is `tracing` in it, but no subscriber: nobody is told of its spans",
     "install one, such as tracing_subscriber::fmt::init(); where a program that loads it, or one "
     "that it starts, has it, probe that",
     true, false, true},
    {loads_modules, NULL,
     "there is no `tracing` in it, but it loads modules while it runs (dlopen), which may have it",
     "probe these modules; strayspan run sees them once they are loaded", true, false, true},
    {always, NULL, "there is no `tracing` in it",
     "it is no Rust program with tracing; what it loads or starts may be one", true, false, true},
};

void ss_probe_judge(struct ss_probe *probe, enum ss_probe_depth depth)
{
    probe->has_tracing = probe->contents.crates.has_tracing;
    probe->tables = probe->contents.tables.count;
    for (size_t i = 0; i < probe->library_count; i++) {
        probe->has_tracing |= probe->libraries[i]->crates.has_tracing;
        probe->tables += probe->libraries[i]->tables.count;
    }
    const struct outcome *outcome = outcomes;
    while (!outcome->holds(probe))
        outcome++;
    probe->reached = outcome->reached;
    if (outcome->by_contents && depth == SS_PROBE_LINKAGE)
        return;
    probe->good = outcome->good;
    probe->verdict = outcome->describe ? outcome->describe(probe) : outcome->text;
    probe->advice = outcome->advice;
    if (strcmp(probe->linkage, "script") == 0)
        probe->verdict =
            ss_text("it is a script, and of its interpreter %s: %s", probe->loader, probe->verdict);
}
