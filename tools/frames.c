/* Whose a frame is, how its place is written, and what a thread is for. A frame is judged by its
 * file's path; without one by the crate in its function's name. */
#include "report.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* Crates that a reader does not look for their mistake in, by name; `*` ends a prefix. */
static const struct {
    const char *crate;
    enum ss_frame_kind kind;
} crate_kinds[] = {
    {"std", SS_FRAME_STD},          {"core", SS_FRAME_STD},
    {"alloc", SS_FRAME_STD},        {"backtrace", SS_FRAME_STD},
    {"tracing", SS_FRAME_TRACING},  {"tracing-*", SS_FRAME_TRACING},
    {"tokio", SS_FRAME_RUNTIME},    {"tokio-*", SS_FRAME_RUNTIME},
    {"futures", SS_FRAME_RUNTIME},  {"futures-*", SS_FRAME_RUNTIME},
    {"async-*", SS_FRAME_RUNTIME},  {"smol", SS_FRAME_RUNTIME},
    {"blocking", SS_FRAME_RUNTIME}, {"rayon", SS_FRAME_RUNTIME},
    {"rayon-*", SS_FRAME_RUNTIME},  {"crossbeam*", SS_FRAME_RUNTIME},
    {"mio", SS_FRAME_RUNTIME},      {"pin-project*", SS_FRAME_RUNTIME},
};

static bool kind_of_crate(const char *crate, enum ss_frame_kind *kind)
{
    for (size_t i = 0; i < sizeof crate_kinds / sizeof crate_kinds[0]; i++) {
        const char *pattern = crate_kinds[i].crate;
        /* A crate's name has `-` in paths, `_` in symbols. */
        size_t at = 0;
        while (pattern[at] && pattern[at] != '*' && crate[at] &&
               (pattern[at] == crate[at] || (pattern[at] == '-' && crate[at] == '_')))
            at++;
        if (pattern[at] == '*' || (!pattern[at] && !crate[at])) {
            *kind = crate_kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* ---- paths ---- */

/* The length of a version such as 0.1.10 or 1.0.0-beta.2+x at text, which ends its component. */
static size_t version_length(const char *text, const char *end)
{
    const char *at = text;
    for (int part = 0; part < 3; part++) {
        if (at == end || !isdigit((unsigned char)*at))
            return 0;
        while (at < end && isdigit((unsigned char)*at))
            at++;
        if (part < 2 && (at == end || *at++ != '.'))
            return 0;
    }
    if (at < end && *at != '-' && *at != '+' && *at != '.')
        return 0;
    return (size_t)(end - text);
}

/* The component `crate-version` of a path, the innermost; *version gets its version. */
static const char *crate_component(const char *file, const char **version)
{
    const char *found = NULL;
    for (const char *start = file; start && *start;) {
        const char *end = strchr(start, '/');
        if (!end)
            break; /* the file itself */
        for (const char *dash = start; (dash = memchr(dash, '-', (size_t)(end - dash))); dash++) {
            if (dash > start && version_length(dash + 1, end)) {
                found = start;
                *version = dash + 1;
                break;
            }
        }
        start = end + 1;
    }
    return found;
}

static const char *working_directory(void)
{
    static char directory[4096];
    if (!*directory && !getcwd(directory, sizeof directory))
        strcpy(directory, "/");
    return directory;
}

bool ss_crate_of_path(const char *file, const char **crate, const char **version)
{
    const char *number = NULL, *component = file ? crate_component(file, &number) : NULL;
    if (!component)
        return false;
    /* A project that is called so itself: we stand in it. */
    const char *here = working_directory(), *end = strchr(component, '/');
    size_t length = (size_t)(end - file);
    if (strncmp(here, file, length) == 0 && (here[length] == '/' || !here[length]))
        return false;
    *crate = ss_text_copy(component, (size_t)(number - 1 - component));
    *version = ss_text_copy(number, (size_t)(end - number));
    return true;
}

static const char *library_path(const char *file)
{
    static const char *const marks[] = {"/rustc/", "/rustc-", "/rustlib/src/rust/"};
    const char *library = strstr(file, "/library/");
    for (size_t i = 0; library && i < sizeof marks / sizeof marks[0]; i++) {
        const char *mark = strstr(file, marks[i]);
        if (mark && mark <= library)
            return library + strlen("/library/");
    }
    return NULL;
}

const char *ss_place(const char *file, unsigned line)
{
    if (!file)
        return NULL;
    const char *version = NULL, *crate = NULL, *shown = file, *library = library_path(file);
    const char *here = working_directory();
    size_t length = strlen(here);
    while (ss_text_starts(shown, "./"))
        shown += 2;
    if (library)
        shown = library;
    else if (ss_crate_of_path(file, &crate, &version))
        shown = crate_component(file, &version);
    else if (length > 1 && strncmp(file, here, length) == 0 && file[length] == '/')
        shown = file + length + 1;
    return line ? ss_text("%s:%u", shown, line) : shown;
}

const char *ss_frame_place(const struct ss_frame *frame)
{
    if (frame->file)
        return ss_place(frame->file, frame->line);
    if (!frame->address.binary)
        return ss_text("?+0x%llx", (unsigned long long)frame->address.offset);
    const char *path = frame->address.binary->path, *slash = strrchr(path, '/');
    return ss_text("%s+0x%llx", slash ? slash + 1 : path,
                   (unsigned long long)frame->address.offset);
}

/* ---- whose ---- */

/* The crate that a demangled Rust name begins with: of the type where it is `<T as ..>::f`. */
static const char *crate_of_function(const char *function)
{
    const char *at = function;
    for (;;) {
        if (*at == '<' || *at == '&' || *at == '*' || *at == ' ' || *at == '[' || *at == '(')
            at++;
        else if (ss_text_starts(at, "impl ") || ss_text_starts(at, "dyn ") ||
                 ss_text_starts(at, "mut "))
            at = strchr(at, ' ') + 1;
        else if (ss_text_starts(at, "const "))
            at += 6;
        else
            break;
    }
    size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    bool path = at[length] == ':' && at[length + 1] == ':';
    return length && path ? ss_text_copy(at, length) : NULL;
}

static bool is_system_path(const char *path)
{
    return ss_text_starts(path, "/lib/") || ss_text_starts(path, "/lib64/") ||
           ss_text_starts(path, "/usr/lib/") || ss_text_starts(path, "/usr/lib64/") || *path == '[';
}

/* Whether crate is the one that the program is made from: its file has that name. */
static bool is_program_crate(const struct ss_binary *binary, const char *crate)
{
    const char *slash = strrchr(binary->path, '/'), *name = slash ? slash + 1 : binary->path;
    size_t at = 0;
    for (; name[at] && crate[at]; at++)
        if (name[at] != crate[at] && !(name[at] == '-' && crate[at] == '_'))
            return false;
    /* cargo's test programs end in a hash. */
    return !crate[at] && (!name[at] || name[at] == '-' || name[at] == '.');
}

/* Whether crate is the one that makes the span, which is the reader's: cargo gives the paths of others absolute. */
static bool is_span_crate(const struct ss_span *span, const char *crate)
{
    size_t length = strlen(crate);
    return span->target && span->file && *span->file != '/' &&
           strncmp(span->target, crate, length) == 0 &&
           (!span->target[length] || ss_text_starts(span->target + length, "::"));
}

static enum ss_frame_kind kind_without_file(struct ss_frame *frame, const struct ss_span *span)
{
    enum ss_frame_kind kind;
    const struct ss_binary *binary = frame->address.binary;
    if (binary && !binary->program && is_system_path(binary->path))
        return SS_FRAME_SYSTEM;
    if (!frame->function)
        return SS_FRAME_UNKNOWN;
    if (strcmp(frame->function, "main") == 0 || strcmp(frame->function, "_start") == 0 ||
        ss_text_starts(frame->function, "__libc_"))
        return SS_FRAME_SYSTEM;
    frame->crate = crate_of_function(frame->function);
    if (!frame->crate)
        return ss_text_starts(frame->function, "__rust") || ss_text_starts(frame->function, "rust_")
                   ? SS_FRAME_STD
                   : SS_FRAME_UNKNOWN;
    /* Asked first, as it may be called like crates of others; but what std is made of is called so alone. */
    bool known = kind_of_crate(frame->crate, &kind);
    if (!(known && kind == SS_FRAME_STD) &&
        ((binary && is_program_crate(binary, frame->crate)) || is_span_crate(span, frame->crate)))
        return SS_FRAME_OWN;
    return known ? kind : SS_FRAME_UNKNOWN;
}

static enum ss_frame_kind kind_of_frame(struct ss_frame *frame, const struct ss_span *span)
{
    enum ss_frame_kind kind;
    const struct ss_binary *binary = frame->address.binary;
    /* The functions of the annotation header. */
    if (ss_text_starts(frame->function, "strayspan_"))
        return SS_FRAME_TRACING;
    if (!frame->file)
        return kind_without_file(frame, span);
    if (library_path(frame->file))
        return SS_FRAME_STD;
    if (ss_crate_of_path(frame->file, &frame->crate, &frame->version))
        return kind_of_crate(frame->crate, &kind) ? kind : SS_FRAME_DEPENDENCY;
    if (binary && !binary->program && is_system_path(binary->path))
        return SS_FRAME_SYSTEM;
    /* Start code of the C library, with its debug information. */
    if (ss_text_starts(frame->function, "__libc_") || ss_text_starts(frame->function, "_start"))
        return SS_FRAME_SYSTEM;
    return SS_FRAME_OWN;
}

/* Without debug information no path tells what is the reader's own: then it is what the program
 * itself has and no name tells to be another's; and where a C program has but `main`, that. */
static void find_own(struct ss_frame *frames, size_t count)
{
    bool rust = false, found = false;
    for (size_t i = 0; i < count; i++) {
        found |= frames[i].kind == SS_FRAME_OWN;
        rust |= frames[i].kind == SS_FRAME_STD;
    }
    for (int mains = 0; mains < (rust ? 1 : 2) && !found; mains++) {
        for (size_t i = 0; i < count; i++) {
            struct ss_frame *frame = &frames[i];
            if (frame->file || !frame->function || !frame->address.binary ||
                !frame->address.binary->program ||
                !(frame->kind == SS_FRAME_UNKNOWN ||
                  (mains && strcmp(frame->function, "main") == 0)))
                continue;
            frame->kind = SS_FRAME_OWN;
            found = true;
        }
    }
}

static struct ss_frames frames_of(const struct ss_stack *stack, const struct ss_span *span)
{
    struct ss_frame all[4 * SS_FRAMES_MAX] = {{0}};
    size_t count = 0, room = sizeof all / sizeof all[0];
    for (size_t i = 0; i < stack->count; i++) {
        struct ss_frames part = ss_symbolize(stack->addresses[i]);
        for (size_t j = 0; j < part.count && count < room; j++) {
            all[count] = part.frames[j];
            all[count].kind = kind_of_frame(&all[count], span);
            count++;
        }
    }
    find_own(all, count);
    struct ss_frames frames = {count, ss_keep(count * sizeof *all)};
    memcpy(frames.frames, all, count * sizeof *all);
    return frames;
}

static void fill_site(struct ss_site *site, const struct ss_span *span)
{
    site->frames = frames_of(&site->stack, span);
    site->thread_frames = frames_of(&site->thread.stack, span);
}

void ss_frames_fill(struct ss_violation *violation)
{
    for (int i = 0; i < SS_SITE_COUNT; i++)
        fill_site(&violation->sites[i], &violation->span);
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++)
        for (struct ss_consequence *at = violation->consequences[kind].first; at; at = at->next)
            fill_site(&at->at, &violation->span);
    for (size_t i = 0; i < violation->history.count; i++) {
        struct ss_event *event = &violation->history.events[i];
        event->frames = frames_of(&(struct ss_stack){1, &event->site}, &violation->span);
    }
}

const struct ss_frame *ss_first_frame(const struct ss_frames *frames, unsigned kinds)
{
    for (size_t i = 0; i < frames->count; i++)
        if (kinds & SS_KIND(frames->frames[i].kind))
            return &frames->frames[i];
    return NULL;
}

const struct ss_frame *ss_responsible_frame(const struct ss_frames *frames)
{
    const struct ss_frame *frame = ss_first_frame(frames, SS_RESPONSIBLE_KINDS);
    return frame ? frame : ss_first_frame(frames, SS_RESPONSIBLE_ELSE);
}

bool ss_frames_hold(const struct ss_frames *frames, const char *part)
{
    for (size_t i = 0; i < frames->count; i++)
        if (frames->frames[i].function && strstr(frames->frames[i].function, part))
            return true;
    return false;
}

/* ---- threads ---- */

/* Signs of what a thread is for, the most telling first: what runs on it, what made it, its name. A
 * tokio worker runs on a thread of the blocking pool, hence the order. */
static const struct {
    enum { RUNS, MADE_BY, NAME } where;
    const char *part, *role;
} roles[] = {
    {RUNS, "multi_thread::worker::", "tokio worker"},
    {RUNS, "multi_thread_alt::worker::", "tokio worker"},
    {RUNS, "thread_pool::worker::", "tokio worker"},
    {RUNS, "tokio::runtime::blocking::", "tokio blocking pool"},
    {MADE_BY, "multi_thread::worker::Launch", "tokio worker"},
    {MADE_BY, "runtime::builder::Builder::build", "tokio worker"},
    {MADE_BY, "tokio::runtime::blocking::", "tokio blocking pool"},
    {RUNS, "rayon_core::registry::", "rayon worker"},
    {MADE_BY, "std::thread::scoped::", "scoped thread"},
    {NAME, "tokio-runtime-w", "tokio thread"},
    {NAME, "async-std/", "async-std worker"},
    {NAME, "smol-", "smol worker"},
};

static bool site_shows(const struct ss_site *site, int64_t thread, bool runs, const char *part)
{
    return site->present && site->thread.serial == thread &&
           ss_frames_hold(runs ? &site->frames : &site->thread_frames, part);
}

/* Whether a site of the thread, of the violation or of what came of it, has that sign. */
static bool thread_shows(const struct ss_violation *violation, int64_t thread, bool runs,
                         const char *part)
{
    for (int kind = 0; kind < SS_SITE_COUNT; kind++)
        if (site_shows(&violation->sites[kind], thread, runs, part))
            return true;
    for (int kind = 0; kind < SS_CONSEQUENCE_COUNT; kind++)
        for (const struct ss_consequence *at = violation->consequences[kind].first; at;
             at = at->next)
            if (site_shows(&at->at, thread, runs, part))
                return true;
    return false;
}

const char *ss_thread_role(const struct ss_violation *violation, const struct ss_thread *thread)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (roles[i].where == NAME
                ? ss_text_starts(thread->name, roles[i].part)
                : thread_shows(violation, thread->serial, roles[i].where == RUNS, roles[i].part))
            return roles[i].role;
    return thread->tid == violation->pid && thread->tid ? "main thread" : NULL;
}
