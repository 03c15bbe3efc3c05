/* Which cfg(..) of cargo's configuration hold. */
#include "../../tools/cargo_cfg.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char linux_cfgs[] =
    "debug_assertions\npanic=\"unwind\"\ntarget_arch=\"x86_64\"\ntarget_env=\"gnu\"\n"
    "target_family=\"unix\"\ntarget_os=\"linux\"\nunix\n";

static const struct {
    const char *text;
    bool holds;
} cases[] = {
    {"target.'cfg(unix)'.runner", true},
    {"target.'cfg(windows)'.runner", false},
    {"target.'cfg(uni)'", false},
    {"target.'cfg(not(unix))'", false},
    {"target.'cfg(not(windows))'", true},
    {"target.\"cfg(target_os = \\\"linux\\\")\"", true},
    {"target.'cfg(target_os=\"none\")'", false},
    {"target.'cfg(target_os = \"lin\")'", false},
    {"target.'cfg(all(target_arch = \"arm\", target_os = \"none\"))'", false},
    {"target.'cfg(all(unix, target_arch = \"x86_64\",))'", true},
    {"target.'cfg(any(windows, all(unix, not(target_env = \"musl\"))))'", true},
    {"target.'cfg(any())'", false},
    {"target.'cfg(all())'", true},
    {"target.'cfg(true)'", true},
    {"target.'cfg(false)'", false},
    /* What cannot be made out may be meant. */
    {"target.'cfg(windows'", true},
    {"target.'cfg()'", true},
    {"target.'cfg(some(windows))'", true},
    {"target.'cfg(target_os = none)'", true},
    {"target.'cfg(not(windows, unix))'", true},
    {"target.x86_64", true},
};

int main(void)
{
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (ss_cfg_holds(cases[i].text, linux_cfgs) == cases[i].holds)
            continue;
        fprintf(stderr, "wrong: %s\n", cases[i].text);
        failures++;
    }
    char deep[4096] = "cfg(";
    for (int i = 0; i < 500; i++)
        strcat(deep, "not(");
    return failures || !ss_cfg_holds(deep, linux_cfgs);
}
