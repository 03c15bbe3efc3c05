/* The options of the library in the program, as the command hands them on: checked against the
 * shared table, described from it, and put together for the environment. Called by run.c. */
#include "shim_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/option_table.h"
#include "log_place.h"
#include "report.h"
#include "text.h"

static const struct shim_option {
    const char *name, *type, *arg, *initial, *help;
} shim_options[] = {
#define X(name, type, initial, arg, help) {#name, #type, arg, initial, help},
    SS_OPTIONS(X)
#undef X
};

enum { SHIM_OPTION_COUNT = sizeof shim_options / sizeof shim_options[0] };

const char *ss_shim_options_help(void)
{
    const char *text =
        "Options for the library (--options, " SS_OPTIONS_VARIABLE "), KEY=VALUE:KEY=VALUE:\n";
    for (size_t i = 0; i < SHIM_OPTION_COUNT; i++) {
        const struct shim_option *option = &shim_options[i];
        if (strcmp(option->name, "log_path") == 0)
            continue; /* --log-dir */
        const char *head =
            ss_text("%s=%s", option->name, strcmp(option->type, "BOOL") == 0 ? "0|1" : option->arg);
        text = ss_text("%s  %-41s %s%s%s%s\n", text, head, option->help,
                       *option->initial ? " (" : "", option->initial, *option->initial ? ")" : "");
    }
    return ss_text(
        "%s\nexit status: the program's own, 128+N for signal N; 66 when it was 0 and there "
        "is an error;\n125 strayspan failed, 126 not executable, 127 not found.",
        text);
}

static bool is_word_of(const char *words, const char *value, size_t length)
{
    for (const char *at = words; *at;) {
        size_t word = strcspn(at, "|");
        if (word == length && strncmp(at, value, length) == 0)
            return true;
        at += word + (at[word] == '|');
    }
    return false;
}

/* Ends with an error where a part of a rules value is not +RULE, -RULE or RULE=severity. */
static void check_rules(const struct ss_usage *usage, const char *text)
{
    static const char *const severities[] = SS_SEVERITY_NAMES;
    while (*text) {
        char *part = ss_text_copy(text, strcspn(text, ","));
        char *equal = strchr(part, '=');
        text += strlen(part);
        text += *text == ',';
        bool good = !*part || ((*part == '+' || *part == '-') && !equal);
        if (equal)
            *equal = 0;
        for (unsigned i = 0; equal && !good && i < SS_SEVERITY_COUNT; i++)
            good = strcmp(equal + 1, severities[i]) == 0;
        const char *rule = part + (*part == '+' || *part == '-');
        if (*part && ss_rule_of(rule) < 0)
            ss_usage_error(usage,
                           "option `--options`: rules: no rule `%s`; `strayspan explain` "
                           "lists them",
                           rule);
        if (!good)
            ss_usage_error(usage,
                           "option `--options`: rules: `%s` wants + or - before it, or "
                           "=off|warning|error behind it",
                           rule);
    }
}

static void check_option(const struct ss_usage *usage, const char *name, size_t name_length,
                         const char *value, size_t length)
{
    const struct shim_option *option = NULL;
    for (size_t i = 0; i < SHIM_OPTION_COUNT && !option; i++)
        if (strlen(shim_options[i].name) == name_length &&
            strncmp(shim_options[i].name, name, name_length) == 0)
            option = &shim_options[i];
    if (!option)
        ss_usage_error(usage, "option `--options`: unknown option `%.*s`", (int)name_length, name);
    if (strcmp(option->name, "log_path") == 0)
        ss_usage_error(usage, "option `--options`: log_path is `--log-dir` here");
    char *text = ss_text_copy(value, length), *end = NULL;
    bool good = true;
    const char *wanted = option->arg;
    if (strcmp(option->type, "BOOL") == 0) {
        good = is_word_of(wanted = "0|1", text, length);
    } else if (strcmp(option->type, "ENUM") == 0) {
        good = is_word_of(option->arg, text, length);
    } else if (strcmp(option->type, "INT") == 0) {
        long least = strtol(option->arg, NULL, 10), number = strtol(text, &end, 10);
        long most = strtol(strstr(option->arg, "..") + 2, NULL, 10);
        good = length && !*end && number >= least && number <= most;
    } else if (strcmp(option->type, "RULES") == 0) {
        check_rules(usage, text);
    }
    if (!good)
        ss_usage_error(usage, "option `--options`: %s: bad value `%s`, want %s", option->name, text,
                       wanted);
}

void ss_shim_options_check(const struct ss_usage *usage, const char *text)
{
    while (*text) {
        size_t name = strcspn(text, "=:");
        const char *value = text + name;
        if (*value == '=') {
            value++;
            char quote = *value == '"' || *value == '\'' ? *value : 0;
            value += quote != 0;
            char ends[2] = {quote ? quote : ':', 0};
            size_t length = strcspn(value, ends);
            /* It would swallow what is put behind. */
            if (quote && !value[length])
                ss_usage_error(usage, "option `--options`: %.*s: its quote is not closed",
                               (int)name, text);
            check_option(usage, text, name, value, length);
            text = value + length;
            text += *text && *text == quote;
        } else if (name) {
            ss_usage_error(usage, "option `--options`: `%.*s` has no =value", (int)name, text);
        }
        text += *text == ':';
    }
}

/* Whether an option of that name is set in options. */
static bool sets_option(const char *options, const char *name)
{
    for (const char *at = options; at && (at = strstr(at, name)); at++)
        if ((at == options || at[-1] == ':') && at[strlen(name)] == '=')
            return true;
    return false;
}

/* The quote that a value in options begins with and nothing closes, as it would swallow what is put
 * behind; empty where all are closed. */
static const char *unclosed_quote(const char *options)
{
    for (const char *at = options; at && *at; at++) {
        if (*at != '=' || (at[1] != '"' && at[1] != '\''))
            continue;
        const char *end = strchr(at + 2, at[1]);
        if (!end)
            return at[1] == '"' ? "\"" : "'";
        at = end;
    }
    return "";
}

/* What options begin with that are ours. */
#define OWN_OPTIONS "quiet=1:history=256:"

const char *ss_shim_options_value(const char *directory, const char *token, const char *more,
                                  const char *label)
{
    const char *users = getenv(SS_OPTIONS_VARIABLE);
    /* Another run, of which this is a part, as in a test that starts cargo, has set its own. */
    bool nested = users && ss_text_starts(users, OWN_OPTIONS);
    if (!nested && sets_option(users, "log_path"))
        fprintf(stderr,
                "strayspan: log_path in " SS_OPTIONS_VARIABLE " is not used: the logs of a run go "
                "to %s (--log-dir)\n",
                ss_text_clean(directory));
    char quote = strchr(directory, '"') ? '\'' : '"';
    if (strchr(directory, quote) || strchr(directory, '%')) {
        fprintf(stderr,
                "strayspan: %s: a log directory's name can hold no %% and not both quotes\n",
                ss_text_clean(directory));
        return NULL;
    }
    const char *label_option = label && !strchr(label, '"') ? ss_text("label=\"%s\":", label) : "";
    return ss_text(OWN_OPTIONS "%s%s%s:%s:log_path=%c%s/strayspan.%%e.%%p.%%t%s%s.jsonl%c",
                   label_option, users ? users : "", unclosed_quote(users), more, quote, directory,
                   token ? "." : "", token ? token : "", quote);
}

const char *ss_find_shim(void)
{
    static const char *const places[] = {"", "../lib/strayspan/"};
    char self[PATH_MAX], found[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? (self[length] = 0, strrchr(self, '/')) : NULL;
    if (!slash) {
        fprintf(stderr, "strayspan: /proc/self/exe: %s: cannot find " SS_SHIM_NAME "\n",
                strerror(errno));
        return NULL;
    }
    slash[1] = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (realpath(ss_text("%s%s%s", self, places[i], SS_SHIM_NAME), found)) {
            const char *path = strpbrk(found, " :") ? ss_log_place_library(found)
                                                    : ss_text_copy(found, strlen(found));
            if (path)
                return path;
            fprintf(stderr,
                    "strayspan: %s: LD_PRELOAD cannot hold a path with a space or colon, and no "
                    "link to it can be made: install it elsewhere\n",
                    ss_text_clean(found));
            return NULL;
        }
    fprintf(stderr,
            "strayspan: " SS_SHIM_NAME
            " is not there: looked for it in %s and %s../lib/strayspan/\n",
            ss_text_clean(self), ss_text_clean(self));
    return NULL;
}
