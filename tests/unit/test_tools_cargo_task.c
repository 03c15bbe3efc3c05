/* What cargo is asked to do, by its arguments. */
#include <stdio.h>
#include <string.h>

#include "cargo_task.h"

int main(void)
{
    static const struct {
        const char *argv[8];
        enum ss_cargo_task task;
        const char *command;
    } cases[] = {
        {{"test"}, SS_CARGO_RUNS, "test"},
        {{"t", "--workspace", "--", "--nocapture"}, SS_CARGO_RUNS, "t"},
        {{"+stable", "--color", "never", "test", "--no-run"}, SS_CARGO_TELLS, "test"},
        {{"test", "--", "--list"}, SS_CARGO_TELLS, "test"},
        {{"bench", "--", "-h"}, SS_CARGO_TELLS, "bench"},
        {{"run", "--", "--list"}, SS_CARGO_RUNS, "run"},
        {{"run", "--", "--help"}, SS_CARGO_RUNS, "run"},
        {{"run", "--help"}, SS_CARGO_TELLS, "run"},
        {{"nextest", "run"}, SS_CARGO_RUNS, "nextest"},
        {{"nextest", "--color", "never", "list"}, SS_CARGO_TELLS, "nextest"},
        {{"nextest", "run", "--no-run"}, SS_CARGO_TELLS, "nextest"},
        {{"nextest"}, SS_CARGO_RUNS, "nextest"},
        {{"-Z", "build", "test"}, SS_CARGO_RUNS, "test"},
        {{"build", "--tests"}, SS_CARGO_BUILDS, "build"},
        {{"clippy", "--", "-D", "warnings"}, SS_CARGO_BUILDS, "clippy"},
        {{"xtask", "--", "--list"}, SS_CARGO_RUNS, "xtask"},
        {{"--version"}, SS_CARGO_TELLS, NULL},
        {{"--", "test"}, SS_CARGO_RUNS, NULL},
        {{NULL}, SS_CARGO_RUNS, NULL},
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *command = "";
        enum ss_cargo_task task = ss_cargo_task((char **)(void *)cases[i].argv, &command);
        const char *want = cases[i].command;
        if (task == cases[i].task && (want ? command && strcmp(command, want) == 0 : !command))
            continue;
        fprintf(stderr, "case %zu: %d, `%s`\n", i, (int)task, command ? command : "(null)");
        failures++;
    }
    return failures != 0;
}
