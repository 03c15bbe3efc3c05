/* Options by getopt_long, from the commands' own tables. Called at the start of each command. */
#include "command_line.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { FLAGS_MAX = 24, HELP_OPTION = 1000 };

void ss_print_usage(FILE *out, const struct ss_usage *usage)
{
    fprintf(out, "usage: strayspan %s [options] %s\n\n%s\n\noptions:\n", usage->command,
            usage->arguments, usage->summary);
    for (const struct ss_flag *flag = usage->flags; flag->name; flag++) {
        int width = fprintf(out, "  --%s%s%s", flag->name, flag->arg ? " " : "",
                            flag->arg ? flag->arg : "");
        fprintf(out, "%*s%s\n", width < 30 ? 30 - width : 1, "", flag->help);
    }
    fprintf(out, "  --help                      print this\n");
    if (usage->notes)
        fprintf(out, "\n%s\n", usage->notes);
}

void ss_usage_error(const struct ss_usage *usage, const char *format, ...)
{
    char *problem = NULL;
    va_list list;
    va_start(list, format);
    if (vasprintf(&problem, format, list) < 0)
        problem = NULL;
    va_end(list);
    fprintf(stderr, "strayspan %s: %s\n       try: strayspan %s --help\n", usage->command,
            problem ? ss_text_clean(problem) : "bad usage", usage->command);
    exit(usage->error_status);
}

int ss_next_flag(const struct ss_usage *usage, int argc, char **argv, bool stop_at_argument,
                 int *index, char **value)
{
    struct option options[FLAGS_MAX + 2] = {{0}};
    int count = 0;
    for (; count < FLAGS_MAX && usage->flags[count].name; count++)
        options[count] = (struct option){usage->flags[count].name,
                                         usage->flags[count].arg ? required_argument : no_argument,
                                         NULL, count + 1};
    options[count] = (struct option){"help", no_argument, NULL, HELP_OPTION};

    opterr = 0;
    int before = optind;
    int got = getopt_long(argc, argv, stop_at_argument ? "+:" : ":", options, NULL);
    switch (got) {
    case -1:
        *index = optind;
        return -1;
    case HELP_OPTION:
        ss_print_usage(stdout, usage);
        exit(fflush(stdout) == 0 ? 0 : usage->error_status);
    case ':':
        ss_usage_error(usage, "option `%s` wants a value", argv[optind - 1]);
    case '?':
        /* optopt: our number for `--flag=unwanted`, the letter of a short option, 0 otherwise. */
        if (optopt > 0 && optopt <= count)
            ss_usage_error(usage, "option `--%s` takes no value", options[optopt - 1].name);
        ss_usage_error(usage, "unknown option `%s`", argv[optopt ? before : optind - 1]);
    default:
        *value = optarg;
        return got - 1;
    }
}
