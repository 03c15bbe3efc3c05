/* The command `strayspan`: looks the command up in its table and calls it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/log_format.h"
#include "child.h"
#include "commands.h"
#include "text.h"

static const struct ss_command commands[] = {
    {"run", ss_run, "[options] [--] PROGRAM [ARG...]",
     "run a program, report what strayed at the end"},
    {"cargo", ss_cargo, "[options] test|run|bench.. [ARG...]",
     "the same for what cargo builds and runs, in one report"},
    {"report", ss_report, "[options] [LOG|DIR...]",
     "report from logs; without any, the last run's"},
    {"diff", ss_diff, "OLD NEW", "what is new, gone and unchanged between logs or reports"},
    {"suppress", ss_suppress_command, "[LOG|DIR...]", "print suppressions for what logs tell of"},
    {"explain", ss_explain, "[CODE]", "what a rule means, why it hurts, how to fix it"},
    {"probe", ss_probe, "[options] FILE|DIR...",
     "can these files be diagnosed, and what is in them"},
    {"bundle", ss_bundle, "[options] DIR", "put what a container needs into a folder"},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(out,
            "strayspan " SS_VERSION ": finds tracing spans that stray, in programs that nobody "
            "rebuilt\n\nusage:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  strayspan %-8s %-36s %s\n", commands[i].name, commands[i].arguments,
                commands[i].summary);
    fprintf(out, "\nstrayspan COMMAND --help lists a command's options.\n");
}

/* Descriptors 0 to 2 that came closed are filled, so that no file of ours gets their number, and
 * closed again by exec, so that the program finds them as it would without us. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    ss_child_begin();
    if (argc < 2) {
        print_help(stderr);
        return SS_EXIT_UNREADABLE;
    }
    const char *slash = strrchr(argv[0], '/'), *word = argv[1];
    /* As `cargo strayspan` calls it: with the name that it was called by before its arguments. */
    if (strcmp(slash ? slash + 1 : argv[0], "cargo-strayspan") == 0) {
        int named = strcmp(word, "strayspan") == 0;
        argv[named] = "cargo";
        return ss_cargo(argc - named, argv + named);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return fflush(stdout) == 0 ? 0 : SS_EXIT_UNREADABLE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("strayspan " SS_VERSION);
        return fflush(stdout) == 0 ? 0 : SS_EXIT_UNREADABLE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].function(argc - 1, argv + 1);
    fprintf(stderr, "strayspan: unknown %s `%s`\n       try: strayspan --help\n",
            word[0] == '-' ? "option" : "command", ss_text_clean(word));
    return SS_EXIT_UNREADABLE;
}
