/* Which test a program is asked for, by its arguments, and which ones a violation was seen in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "tests.h"

static int failures;

static void check(const char *what, const char *got, const char *want)
{
    if (got == want || (got && want && strcmp(got, want) == 0))
        return;
    fprintf(stderr, "%s: `%s`, not `%s`\n", what, got ? got : "(null)", want ? want : "(null)");
    failures++;
}

static void test_asked(void)
{
    static const struct {
        const char *argv[8], *want;
    } cases[] = {
        {{"p", "--exact", "a::b", "--nocapture"}, "a::b"},
        {{"p", "a::b", "--exact"}, "a::b"},
        {{"p", "--exact", "a::b", "--skip", "c"}, "a::b"},
        {{"p", "--format", "terse", "a::b", "--exact"}, "a::b"},
        {{"p", "--test-threads=1", "--exact", "a"}, "a"},
        {{"p", "a::b"}, NULL},
        {{"p", "--exact", "a", "b"}, NULL},
        {{"p", "--exact"}, NULL},
        {{"p", "--exact", "--skip"}, NULL},
        {{"p"}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check("asked", ss_test_asked("/w/target/debug/deps/p", (char **)(void *)cases[i].argv),
              cases[i].want);
}

/* A doctest's program has no arguments: the crate is in the environment. */
static void test_doctest_label(void)
{
    const char *argv[] = {"p", NULL};
    setenv("CARGO_CRATE_NAME", "shop", 1);
    check("doctest", ss_test_asked("/tmp/rustdoctestAb12/rust_out", (char **)(void *)argv),
          "doctest of shop");
    check("no doctest", ss_test_asked("/tmp/doctest/rust_out", (char **)(void *)argv), NULL);
    check("no doctest", ss_test_asked("rust_out", (char **)(void *)argv), NULL);
    unsetenv("CARGO_CRATE_NAME");
    check("doctest", ss_test_asked("/tmp/rustdoctestAb12/rust_out", (char **)(void *)argv),
          "doctest");
}

/* What a doctest is called by where it stands, of a name that is unlike the path it was made from. */
static void test_doctest_names(void)
{
    static const struct {
        const char *function, *thread, *file, *want, *again; /* again: another process of it */
    } cases[] = {
        {"rust_out::main::_doctest_main_shop_src_my_orders_rs_11_0::{closure}", "main",
         "shop/src/my-orders.rs", "shop/src/my-orders.rs - \u2026 (line 11)",
         "shop/src/my-orders.rs - \u2026 (line 11)"},
        {"rust_out::main::_doctest_main_src_lib_rs_7_2", "main", "/w/other.rs",
         "src_lib_rs - \u2026 (line 7)", "src_lib_rs - \u2026 (line 7)"},
        {"doctest_bundle_2024::__doctest_4::main", "src/lib.rs - ta", "src/lib.rs",
         "src/lib.rs - ta\u2026 (number 5 by name)", "doctest of shop"},
        {"rust_out::main::_doctest_main_", "main", NULL, "doctest of shop", "doctest of shop"},
        {"rust_out::helper", "main", "src/lib.rs", "doctest of shop", "doctest of shop"},
        {NULL, "main", NULL, "doctest of shop", "doctest of shop"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ss_process process = {
            .program = "/tmp/rustdoctestAb12/rust_out", .label = "doctest of shop", .pid = 7};
        struct ss_process other = process;
        other.pid = 8;
        struct ss_sighting later = {.process = &other};
        struct ss_sighting sighting = {.next = &later, .process = &process};
        struct ss_frame frame = {.function = cases[i].function};
        struct ss_violation violation = {
            .pid = 7, .seen_in = &sighting, .span = {.file = cases[i].file}};
        violation.sites[SS_SITE_ENTERED] = (struct ss_site){
            .present = true, .thread = {.name = cases[i].thread}, .frames = {1, &frame}};
        ss_test_name(&violation);
        check("doctest", sighting.test, cases[i].want);
        check("doctest again", later.test, cases[i].again);
    }
}

static void test_lists(void)
{
    static const struct {
        const char *path, *argv[4];
        bool want;
    } cases[] = {
        {"/w/target/debug/deps/a-0123456789abcdef", {"p", "--list"}, true},
        {"/w/target/debug/deps/a-0123456789abcdef", {"p", "--format", "terse"}, false},
        {"/w/target/debug/deps/a-0123456789abcdef", {"p", "-h"}, true},
        {"/tmp/rustdoctestAb12/rust_out", {"p", "*doctest-bundle-id", "--list"}, true},
        {"/w/target/debug/app", {"p", "--list"}, false},
        {"app", {"p", "--list"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].path,
              ss_test_lists(cases[i].path, (char **)(void *)cases[i].argv) ? "lists" : "runs",
              cases[i].want ? "lists" : "runs");
}

/* The processes of a test program, each with the test that it was asked for; one was asked for none. */
static void test_names(void)
{
    struct ss_process processes[] = {
        {.program = "/w/target/debug/deps/my_app-0123456789abcdef", .label = "orders::total"},
        {.program = "/w/target/debug/deps/my_app-0123456789abcdef", .label = "orders::tax"},
        {.program = "/w/target/debug/deps/my_app-0123456789abcdef", .label = "orders::tax"},
        {.program = "/w/target/debug/app", .label = "orders::all"},
        {.program = "/w/target/debug/deps/my_app-0123456789abcdef", .label = ""},
    };
    struct ss_violation violation = {.pid = 5}, other = {.pid = 6};
    for (size_t i = 0; i < 5; i++)
        ss_seen_in(&violation, &processes[i]);
    ss_seen_in(&violation, &processes[4]);
    ss_seen_in(&other, &processes[1]);
    ss_take_sightings(&violation, &other);
    if (violation.processes != 5) {
        fprintf(stderr, "%d processes, not 5\n", (int)violation.processes);
        failures++;
    }
    check("no name yet", ss_test_known(&violation) ? "a test" : ss_test_names(&violation, NULL, 4),
          "my_app-0123456789abcdef (4 processes), app");
    ss_test_name(&violation);
    check("names", ss_test_names(&violation, NULL, 4),
          "my_app::orders::total, my_app::orders::tax, orders::all, my_app-0123456789abcdef");
    check("names, cut", ss_test_names(&violation, NULL, 2),
          "my_app::orders::total, my_app::orders::tax and 2 more");
}

int main(void)
{
    test_asked();
    test_doctest_label();
    test_doctest_names();
    test_lists();
    test_names();
    return failures != 0;
}
