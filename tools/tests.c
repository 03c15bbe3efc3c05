/* The tests of Rust's own harness (libtest): each has its name in the arguments, where it runs in a process
 * of its own, in the frames of its thread, and in that thread's name, which the kernel cuts to 15 bytes.
 * Called by run.c, which starts test programs, and by the renderers. */
#include "tests.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "text.h"

enum { THREAD_NAME_LENGTH = 15, NAME_COLUMNS = 80 };

bool ss_test_is_doctest(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL, *folder = slash;
    while (folder && folder > program && folder[-1] != '/')
        folder--;
    return slash && strcmp(slash, "/rust_out") == 0 && ss_text_starts(folder, "rustdoctest");
}

bool ss_test_lists(const char *path, char **argv)
{
    /* Cargo builds tests and benchmarks into `deps`; what it runs from elsewhere may have a `--list` of
     * its own. */
    const char *slash = strrchr(path, '/');
    if (!slash || (!ss_text_ends(ss_text_copy(path, (size_t)(slash - path)), "/deps") &&
                   !ss_test_is_doctest(path)))
        return false;
    for (char **at = argv + 1; *at; at++)
        if (strcmp(*at, "--list") == 0 || strcmp(*at, "--help") == 0 || strcmp(*at, "-h") == 0)
            return true;
    return false;
}

const char *ss_test_asked(const char *path, char **argv)
{
    static const char *const with_value[] = {
        "--format", "--color", "--skip", "--logfile", "-Z", "--test-threads", "--shuffle-seed"};
    const char *name = NULL;
    bool exact = false;
    size_t names = 0;
    const char *crate = getenv("CARGO_CRATE_NAME"); /* in the environment of rustdoc */
    if (ss_test_is_doctest(path))
        return ss_text("doctest%s%s", crate ? " of " : "", crate ? crate : "");
    for (char **at = argv + 1; *at; at++) {
        bool takes = false;
        for (size_t i = 0; i < sizeof with_value / sizeof with_value[0]; i++)
            takes |= strcmp(*at, with_value[i]) == 0;
        exact |= strcmp(*at, "--exact") == 0;
        if (takes && at[1])
            at++;
        else if (**at != '-')
            name = *at, names++;
    }
    return exact && names == 1 ? name : NULL;
}

/* ---- the test of a violation ---- */

/* What cargo calls a test program: its crate, by the file `deps/CRATE-<16 hex digits>`; NULL for another. */
static const char *crate_of(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;
    const char *dash = slash ? strrchr(slash, '-') : NULL;
    if (!dash || strlen(dash + 1) != 16 || strspn(dash + 1, "0123456789abcdef") != 16 ||
        !ss_text_ends(ss_text_copy(program, (size_t)(slash - program)), "/deps"))
        return NULL;
    return ss_text_copy(slash + 1, (size_t)(dash - slash - 1));
}

/* `app::total` for `app::total::{closure#0}`. */
static const char *without_closure(const char *function)
{
    const char *closure = strstr(function, "::{");
    return closure ? ss_text_copy(function, (size_t)(closure - function)) : function;
}

/* `app::orders::total` for the frames of a test's thread: of its own code the outermost that libtest called. */
static const char *test_in(const struct ss_frames *frames)
{
    const char *test = NULL;
    for (size_t i = 0; i < frames->count; i++) {
        const struct ss_frame *frame = &frames->frames[i];
        if (frame->kind == SS_FRAME_OWN && frame->function)
            test = frame->function;
        else if (test && frame->function && ss_text_starts(frame->function, "test::"))
            return without_closure(test);
    }
    return NULL;
}

static const char *test_of(const struct ss_violation *violation)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++) {
        const struct ss_site *site = &violation->sites[kind];
        const char *test = site->present ? test_in(&site->frames) : NULL;
        if (!test && site->present)
            test = test_in(&site->thread_frames);
        if (test)
            return test;
    }
    /* Without functions there is the name of a thread that libtest made, which it does from the first. */
    const char *crate = crate_of(violation->program);
    for (int kind = 0; crate && kind < SS_SITE_COUNT; kind++) {
        const struct ss_thread *thread = &violation->sites[kind].thread;
        if (violation->sites[kind].present && thread->name && thread->created_by == 1 &&
            !ss_thread_role(violation, thread))
            return ss_text("%s::%s%s", crate, thread->name,
                           strlen(thread->name) == THREAD_NAME_LENGTH ? "\u2026" : "");
    }
    return NULL;
}

/* ---- the doctest of a violation ---- */

/* The end of a file's path that is like the name that rustdoc makes of one, with `_` for what no name can have:
 * `a/src/lib.rs` for `a_src_lib_rs`; NULL where it is another file. */
static const char *file_like(const char *file, const char *name, size_t length)
{
    size_t whole = file ? strlen(file) : 0;
    const char *end = whole >= length ? file + whole - length : NULL;
    for (size_t i = 0; end && i < length; i++)
        if (name[i] != (isalnum((unsigned char)end[i]) ? end[i] : '_'))
            end = NULL;
    return end;
}

/* `a/src/lib.rs - … (line 11)`, as rustdoc calls it but for the item, for the frames of a doctest, which is in
 * a function `_doctest_main_a_src_lib_rs_11_0`, or, of several in one program, in a module `__doctest_0`, on a
 * thread with the first of its name. The latter may be another one in each process of that program: they count
 * where the violation is from the process in question. NULL where they tell nothing. */
static const char *doctest_in(const struct ss_violation *violation, const struct ss_site *site,
                              const char *label, bool its)
{
    static const char function[] = "::_doctest_main_", module[] = "::__doctest_";
    const struct ss_frames *frames = &site->frames;
    const char *thread = site->thread.name ? site->thread.name : "";
    for (size_t i = 0; i < frames->count; i++) {
        const char *text = frames->frames[i].function;
        const char *name = text ? strstr(text, function) : NULL;
        const char *number = text ? strstr(text, module) : NULL;
        const char *end = name ? strstr(name, "_rs_") : NULL, *file;
        if (end) {
            name += strlen(function);
            end += strlen("_rs");
            file = file_like(violation->span.file, name, (size_t)(end - name));
            for (size_t j = 0; j < frames->count && !file; j++)
                file = file_like(frames->frames[j].file, name, (size_t)(end - name));
            return ss_text("%s - \u2026 (line %lu)",
                           file ? file : ss_text_copy(name, (size_t)(end - name)),
                           strtoul(end + 1, NULL, 10));
        }
        if (number && its)
            return ss_text("%s (number %lu by name)",
                           strchr(thread, '/') ? ss_text("%s\u2026", thread) : label,
                           strtoul(number + strlen(module), NULL, 10) + 1);
    }
    return NULL;
}

static const char *doctest_of(const struct ss_violation *violation, const char *label, bool its)
{
    const char *test = NULL;
    for (int kind = 0; kind < SS_SITE_COUNT && !test; kind++)
        if (violation->sites[kind].present)
            test = doctest_in(violation, &violation->sites[kind], label, its);
    return test;
}

const char *ss_test_label(const struct ss_process *process)
{
    const char *crate = crate_of(process->program);
    if (!process->label || !*process->label)
        return NULL;
    return crate ? ss_text("%s::%s", crate, process->label) : process->label;
}

void ss_test_name(struct ss_violation *violation)
{
    for (struct ss_sighting *seen = violation->seen_in; seen; seen = seen->next) {
        const struct ss_process *process = seen->process;
        const char *label = ss_test_label(process);
        bool its = process->pid == violation->pid;
        if (!seen->test && ss_test_is_doctest(process->program))
            seen->test = doctest_of(violation, label ? label : "doctest", its);
        if (!seen->test)
            seen->test = label;
        if (!seen->test && its)
            seen->test = test_of(violation);
    }
}

/* What is told of those who saw a violation: a test, or a program and how many processes of it. */
struct name {
    const char *text;
    uint64_t processes; /* 0: a test */
    UT_hash_handle hh;
};

static struct name *name_of(struct name **names, const char *text)
{
    struct name *name;
    unsigned length = (unsigned)strlen(text);
    HASH_FIND(hh, *names, text, length, name);
    if (!name) {
        name = ss_keep(sizeof *name);
        name->text = text;
        HASH_ADD_KEYPTR(hh, *names, name->text, length, name);
    }
    return name;
}

static const char *file_name(const struct ss_process *process)
{
    const char *slash = process->program ? strrchr(process->program, '/') : NULL;
    return slash ? slash + 1 : process->program ? process->program : "a process";
}

bool ss_test_known(const struct ss_violation *violation)
{
    const struct ss_sighting *seen = violation->seen_in;
    while (seen && !seen->test)
        seen = seen->next;
    return seen;
}

/* Each name that a violation was seen under at a place, in their order. */
static struct name *names_at(const struct ss_violation *violation,
                             const struct ss_other_place *place)
{
    struct name *names = NULL;
    for (const struct ss_sighting *seen = violation->seen_in; seen; seen = seen->next)
        seen->process->counted_for = NULL;
    for (const struct ss_sighting *seen = violation->seen_in; seen; seen = seen->next)
        if (seen->test && seen->place == place)
            seen->process->counted_for = violation;
    for (int others = 0; others < 2; others++)
        for (const struct ss_sighting *seen = violation->seen_in; seen; seen = seen->next) {
            struct ss_process *process = seen->process;
            if (seen->place != place || (process->pid != violation->pid) != others)
                continue;
            if (seen->test) {
                name_of(&names, seen->test);
            } else if (violation->processes > 1 && process->counted_for != violation) {
                process->counted_for = violation;
                name_of(&names, file_name(process))->processes++;
            }
        }
    return names;
}

const char *ss_test_names(const struct ss_violation *violation, const struct ss_other_place *place,
                          size_t max)
{
    struct name *names = names_at(violation, place);
    const char *text = NULL;
    size_t shown = 0, count = HASH_COUNT(names);
    for (const struct name *at = names; at && shown < max; at = at->hh.next, shown++) {
        const char *name = ss_text_clean_to(at->text, NAME_COLUMNS);
        if (at->processes > 1)
            name = ss_text("%s (%s)", name, ss_count_text(at->processes, "process"));
        text = shown ? ss_text("%s, %s", text, name) : name;
    }
    HASH_CLEAR(hh, names);
    return count > shown ? ss_text("%s and %zu more", text, count - shown) : text;
}
