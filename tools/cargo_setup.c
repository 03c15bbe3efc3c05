/* Finds cargo, the target that it builds for, its target directory, and a runner that the user has. Called
 * by cargo.c, before cargo is run. */
#include "cargo_setup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>

#include "cargo_cfg.h"
#include "ordinary_file.h"
#include "probe.h"
#include "text.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, CONFIG_MAX = 1024 * 1024 };

/* ---- asking cargo ---- */

/* A command that runs, and what it prints. */
struct question {
    pid_t pid; /* 0: it was not asked */
    FILE *answer;
};

/* Its errors are dropped: cargo will say them again. */
static struct question ask(const char *path, const char *const *line)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return (struct question){0, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (nowhere >= 0 && dup2(nowhere, 0) == 0 && dup2(nowhere, 2) == 2 && dup2(ends[1], 1) == 1)
            execv(path, (char *const *)line);
        _exit(1);
    }
    close(ends[1]);
    return (struct question){pid > 0 ? pid : 0, fdopen(ends[0], "r")};
}

/* All that it printed; NULL where it failed. */
static char *answer_to(const struct question *question)
{
    char *text = NULL;
    size_t length = 0, total = 0, got;
    FILE *out = open_memstream(&text, &length);
    char part[4096];
    while (question->answer && out && total < ANSWER_MAX &&
           (got = fread(part, 1, sizeof part, question->answer)) > 0)
        total += fwrite(part, 1, got, out);
    int status = 1;
    if (question->answer)
        fclose(question->answer);
    bool whole = out && fclose(out) == 0;
    while (question->pid && waitpid(question->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return whole && question->pid && status == 0 ? text : NULL;
}

/* ---- arguments ---- */

/* The value of the next option of this name among cargo's arguments from *at on, which end at `--`, and *at behind
 * it; NULL where there is none. */
static const char *next_option(char ***at, const char *name)
{
    size_t length = strlen(name);
    for (char **argv = *at; *argv && strcmp(*argv, "--") != 0; argv++) {
        if (strncmp(*argv, name, length) != 0)
            continue;
        *at = argv + 1;
        if ((*argv)[length] == '=')
            return *argv + length + 1;
        if (!(*argv)[length] && argv[1])
            return argv[1];
    }
    return NULL;
}

static const char *option_of(char **argv, const char *name)
{
    return next_option(&argv, name);
}

static const char *absolute(const char *path)
{
    char here[PATH_MAX];
    return *path == '/' || !getcwd(here, sizeof here) ? path : ss_text("%s/%s", here, path);
}

/* ---- the target ---- */

/* NULL where cargo has to tell: its host, then. */
static const char *triple_given(char **argv)
{
    const char *given = option_of(argv, "--target"), *variable = getenv("CARGO_BUILD_TARGET");
    return given ? given : variable && *variable ? variable : NULL;
}

static struct question ask_for_host(const char *cargo)
{
    return ask(cargo, (const char *const[]){"cargo", "-vV", NULL});
}

static const char *host_in(const char *answer)
{
    static const char key[] = "\nhost: ";
    const char *host = answer ? strstr(answer, key) : NULL;
    host = host ? host + strlen(key) : NULL;
    return host ? ss_text_copy(host, strcspn(host, "\n")) : NULL;
}

static const char *variable_of(const char *triple)
{
    char *name = ss_text("CARGO_TARGET_%s_RUNNER", triple);
    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    return name;
}

/* ---- the target directory ---- */

static const char *directory_given(char **argv)
{
    const char *given = option_of(argv, "--target-dir"), *variable = getenv("CARGO_TARGET_DIR");
    given = given ? given : variable && *variable ? variable : NULL;
    return given ? absolute(given) : NULL;
}

static struct question ask_for_directory(const char *cargo, char **argv)
{
    const char *manifest = option_of(argv, "--manifest-path");
    const char *config = option_of(argv, "--config");
    const char *line[] = {"cargo", "metadata", "--no-deps", "--format-version=1", NULL, NULL, NULL};
    size_t count = 4;
    if (manifest)
        line[count++] = ss_text("--manifest-path=%s", manifest);
    if (config)
        line[count++] = ss_text("--config=%s", config);
    return ask(cargo, line);
}

static const char *directory_in(const char *answer)
{
    json_t *metadata = answer ? json_loads(answer, 0, NULL) : NULL;
    const char *directory = json_string_value(json_object_get(metadata, "target_directory"));
    directory = directory ? ss_text_copy(directory, strlen(directory)) : NULL;
    json_decref(metadata);
    return directory;
}

/* ---- a runner that the user has ---- */

static const char blanks[] = " \t\"'"; /* and what may be around a key */

/* Whether text ends a key `runner` before its end, or at the `=` that is there. */
static bool has_key(const char *text, size_t length)
{
    static const char key[] = "runner";
    for (size_t i = 0; i + strlen(key) <= length; i++) {
        const char *end = text + i + strlen(key);
        if (strncmp(text + i, key, strlen(key)) != 0 || (i && !strchr(".{, \t\"'", text[i - 1])))
            continue;
        end += strspn(end, blanks);
        if (end >= text + length || *end == '=')
            return true;
    }
    return false;
}

/* The length of a line's key; parts of it may be in quotes: target.'cfg(unix = "x")'.runner */
static size_t key_length(const char *line)
{
    size_t length = 0;
    while (line[length] && line[length] != '=') {
        const char *end =
            strchr("\"'", line[length]) ? strchr(line + length + 1, line[length]) : NULL;
        length = end ? (size_t)(end - line) + 1 : length + 1;
    }
    return length;
}

/* What the compiler says of a target, asked once; an empty text where it says nothing. */
static const char *cfgs_of(const char *triple)
{
    static const char *cfgs;
    const char *given = getenv("RUSTC");
    const char *rustc = ss_find_program(given && *given ? given : "rustc");
    if (cfgs)
        return cfgs;
    struct question question = {0, NULL};
    if (rustc)
        question =
            ask(rustc, (const char *const[]){"rustc", "--print=cfg", "--target", triple, NULL});
    cfgs = answer_to(&question);
    return cfgs = cfgs ? cfgs : "";
}

/* Whether a line of cargo's configuration, in a section, sets a runner for the triple, or for a cfg(..) that holds
 * for it. */
static bool sets_runner(const char *section, const char *line, const char *triple)
{
    size_t key = key_length(line);
    const char *value = line + key + (line[key] == '=');
    const char *path =
        *section ? ss_text("%s.%.*s", section, (int)key, line) : ss_text("%.*s", (int)key, line);
    value += strspn(value, blanks);
    if (!has_key(path, strlen(path)) && (*value != '{' || !has_key(value, strlen(value))))
        return false;
    if (!ss_text_starts(path, "target") || strstr(path, triple))
        return ss_text_starts(path, "target");
    return strstr(path, "cfg(") && (!*cfgs_of(triple) || ss_cfg_holds(path, cfgs_of(triple)));
}

static const char *runner_place(const char *file, const char *triple, int depth);

/* Where one of the files that a line includes, whose paths are from the file's folder on, sets one; NULL. */
static const char *included_place(const char *file, const char *line, const char *triple, int depth)
{
    enum { DEPTH_MAX = 8 };
    const char *place = NULL, *slash = strrchr(file, '/');
    if (!ss_text_starts(line, "include") || depth == DEPTH_MAX)
        return NULL;
    for (const char *at = line; !place && (at = strpbrk(at, "\"'"));) {
        const char *end = strchr(at + 1, *at);
        if (!end)
            break;
        const char *path = ss_text_copy(at + 1, (size_t)(end - at) - 1);
        if (*path != '/' && slash)
            path = ss_text("%.*s/%s", (int)(slash - file), file, path);
        place = runner_place(path, triple, depth + 1);
        at = end + 1;
    }
    return place;
}

/* `FILE:LINE` that sets one, in a configuration file or one that it includes; NULL where none does. */
static const char *runner_place(const char *file, const char *triple, int depth)
{
    struct stat status;
    int fd = ss_open_ordinary(file, &status);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL, *section = ss_text("%s", "");
    size_t room = 0, total = 0;
    const char *found = NULL;
    unsigned number = 0;
    ssize_t length;
    while (in && !found && (length = getline(&line, &room, in)) > 0 && total < CONFIG_MAX) {
        const char *at = line + strspn(line, " \t");
        number++;
        total += (size_t)length;
        if (*at == '[' && strchr(at, ']'))
            section = ss_text_copy(at + 1, (size_t)(strrchr(at, ']') - at - 1));
        else if (*at != '#' && sets_runner(section, at, triple))
            found = ss_text("%s:%u", file, number);
        else if (!*section)
            found = included_place(file, at, triple, depth);
    }
    free(line);
    if (in)
        fclose(in);
    return found;
}

static bool refuse(const char *where, const char *variable)
{
    fprintf(stderr,
            "strayspan: %s: sets a runner, and strayspan has to be cargo's runner here\n"
            "       put it in the environment, and it is run by strayspan's: %s='RUNNER ARGS'\n",
            ss_text_clean(where), variable);
    return false;
}

/* False, and said: a configuration file sets a runner, which ours would silently replace. */
static bool check_configuration(const char *triple, const char *variable, char **argv)
{
    static const char *const names[] = {"config", "config.toml"};
    const char *given, *home = getenv("CARGO_HOME"), *place;
    char here[PATH_MAX];
    while ((given = next_option(&argv, "--config"))) {
        if (access(given, F_OK) != 0 && strstr(given, "runner"))
            return refuse(ss_text("--config %s", given), variable);
        if ((place = runner_place(given, triple, 0)))
            return refuse(place, variable);
    }
    if (!getcwd(here, sizeof here))
        return true;
    const char *last = home ? home : ss_text("%s/.cargo", getenv("HOME") ? getenv("HOME") : "");
    for (bool more = true; more;) {
        char *slash = strrchr(here, '/');
        const char *folder = slash ? ss_text("%s/.cargo", here) : last;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *file = ss_text("%s/%s", folder, names[i]);
            if ((place = runner_place(file, triple, 0)))
                return refuse(place, variable);
        }
        more = slash != NULL;
        if (slash)
            *slash = 0;
    }
    return true;
}

bool ss_cargo_setup(struct ss_cargo *cargo, char **argv)
{
    const char *self = getenv("CARGO"); /* set by the cargo that called us */
    cargo->path = self && *self ? self : ss_find_program("cargo");
    if (!cargo->path) {
        fputs("strayspan: cargo: not found\n", stderr);
        return false;
    }
    /* Cargo takes its time to start: both questions are asked at once. */
    const char *triple = triple_given(argv);
    cargo->target_directory = directory_given(argv);
    struct question host = triple ? (struct question){0, NULL} : ask_for_host(cargo->path);
    struct question directory =
        cargo->target_directory ? (struct question){0, NULL} : ask_for_directory(cargo->path, argv);
    triple = triple ? triple : host_in(answer_to(&host));
    if (!cargo->target_directory)
        cargo->target_directory = directory_in(answer_to(&directory));
    if (!triple) {
        fprintf(stderr, "strayspan: %s does not say what it builds for (cargo -vV)\n",
                ss_text_clean(cargo->path));
        return false;
    }
    cargo->variable = variable_of(triple);
    cargo->runner = getenv(cargo->variable);
    return cargo->runner || check_configuration(triple, cargo->variable, argv);
}
