/* What cargo is asked to do, by its arguments: whether it was to run programs at all tells whether it is worth a
 * word that it ran none. Called by cargo.c. */
#include "cargo_task.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The commands that are known; others (of plugins, aliases) may run programs. */
static const struct {
    const char *name;
    bool runs, tests; /* tests: what is behind `--` is for Rust's test harness */
} commands[] = {
    {"test", true, true},       {"t", true, true},
    {"bench", true, true},      {"nextest", true, false},
    {"run", true, false},       {"r", true, false},
    {"build", false, false},    {"b", false, false},
    {"check", false, false},    {"c", false, false},
    {"clippy", false, false},   {"doc", false, false},
    {"d", false, false},        {"rustc", false, false},
    {"rustdoc", false, false},  {"fmt", false, false},
    {"fix", false, false},      {"clean", false, false},
    {"fetch", false, false},    {"tree", false, false},
    {"metadata", false, false}, {"update", false, false},
    {"help", false, false},     {"version", false, false},
    {"package", false, false},  {"publish", false, false},
    {"install", false, false},  {"add", false, false},
    {"remove", false, false},   {"generate-lockfile", false, false},
    {"vendor", false, false},   {"locate-project", false, false},
};

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words;
}

/* The first word from at on that is no option and no option's value; argv's end where there is none. */
static char **next_word(char **at)
{
    static const char *const with_value[] = {"--color", "--config", "--manifest-path",
                                             "-Z",      "-C",       NULL};
    for (; *at && strcmp(*at, "--") != 0; at++) {
        if (**at != '-' && **at != '+')
            return at;
        if (is_one_of(*at, with_value) && at[1])
            at++;
    }
    while (*at)
        at++;
    return at;
}

enum ss_cargo_task ss_cargo_task(char **argv, const char **command)
{
    static const char *const telling[] = {"--no-run", "--help", "-h", "--version", "-V", NULL};
    static const char *const listing[] = {"--list", "--help", "-h", NULL};
    static const char *const nextest[] = {"run", "r", "bench", NULL};
    char **word = next_word(argv);
    size_t i = 0, count = sizeof commands / sizeof commands[0];
    *command = *word;
    while (*word && i < count && strcmp(*word, commands[i].name) != 0)
        i++;
    if (*word && i < count && !commands[i].runs)
        return SS_CARGO_BUILDS;
    if (*word && strcmp(*word, "nextest") == 0) {
        char **verb = next_word(word + 1);
        if (*verb && !is_one_of(*verb, nextest))
            return SS_CARGO_TELLS;
    }
    bool behind = false;
    for (char **at = argv; *at; at++) {
        if (!behind && strcmp(*at, "--") == 0)
            behind = true;
        else if (behind ? *word && i < count && commands[i].tests && is_one_of(*at, listing)
                        : is_one_of(*at, telling))
            return SS_CARGO_TELLS;
    }
    return SS_CARGO_RUNS;
}
