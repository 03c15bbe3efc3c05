/* What stays of the path of a source file: a table, the same files in other places, and bytes of any kind, under the
 * sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "source_paths.h"

enum { LENGTH_MAX = 512 };

/* Sets key to what stays of a path, and pattern to it with a `-*` for what is left out. */
static void take(const char *path, char key[LENGTH_MAX], char pattern[LENGTH_MAX])
{
    /* Copied, so that a byte too far would be seen. */
    char *copy = strdup(path);
    if (!copy)
        abort();
    struct ss_stable_path stable = ss_stable_path_of(copy);
    const char *behind = stable.crate + stable.crate_length;
    CHECK(stable.crate >= copy && behind <= stable.rest);
    CHECK(stable.rest <= copy + strlen(copy) && (stable.rest == behind || *behind == '-'));
    snprintf(key, LENGTH_MAX, "%.*s%s", (int)stable.crate_length, stable.crate, stable.rest);
    snprintf(pattern, LENGTH_MAX, "%.*s%s%s", (int)stable.crate_length, stable.crate,
             stable.rest == behind ? "" : "-*", stable.rest);
    free(copy);
}

static void check_key(const char *path, const char *want)
{
    char key[LENGTH_MAX], pattern[LENGTH_MAX];
    take(path, key, pattern);
    CHECK(strcmp(key, want) == 0);
    if (strcmp(key, want) != 0)
        fprintf(stderr, "    %s: %s, wanted %s\n", path, key, want);
}

#define HASH "-0123456789abcdef"

static void check_table(void)
{
    static const struct {
        const char *path, *key;
    } rows[] = {
        /* relative paths stay, but for releases and revisions */
        {"", ""},
        {"lib.rs", "lib.rs"},
        {"src/lib.rs", "src/lib.rs"},
        {"./src/lib.rs", "./src/lib.rs"},
        {"crates/a/src/lib.rs", "crates/a/src/lib.rs"},
        {"a/src/net/tests/mod.rs", "a/src/net/tests/mod.rs"},
        {"rustdoctest/doctest_bundle_2024.rs", "rustdoctest/doctest_bundle_2024.rs"},
        {"a" HASH "/src/lib.rs", "a" HASH "/src/lib.rs"},
        {"held-1.0.0/src/lib.rs", "held/src/lib.rs"},
        {"vendor/held-1.0.0/rust/src/lib.rs", "held/rust/src/lib.rs"},
        {"git/checkouts/held" HASH "/a1b2c3d/src/lib.rs", "held/src/lib.rs"},
        {"git/checkouts/all" HASH "/a1b2c3d/crates/held/src/lib.rs", "held/src/lib.rs"},
        /* no folder that could be a crate's */
        {"/", "/"},
        {"/lib.rs", "/lib.rs"},
        {"/src/lib.rs", "src/lib.rs"},
        {"//lib.rs", "/lib.rs"},
        {"/home/me/held/lib.rs", "held/lib.rs"},
        {"/home/me/held/net/tcp.rs", "net/tcp.rs"},
        /* nearly a release, a hash, a revision, a folder of sources, a doctest */
        {"/home/me/held-1.0/src/lib.rs", "held-1.0/src/lib.rs"},
        {"/home/me/held-rc.1.0/src/lib.rs", "held-rc.1.0/src/lib.rs"},
        {"/home/me/held-0123456789abcde/src/lib.rs", "held-0123456789abcde/src/lib.rs"},
        {"/home/me/held-0123456789abcdeg/src/lib.rs", "held-0123456789abcdeg/src/lib.rs"},
        {"/home/me/held" HASH "/defaceg/src/lib.rs", "defaceg/src/lib.rs"},
        {"/home/me/held" HASH "/facade/src/lib.rs", "facade/src/lib.rs"},
        {"/home/me/held/1234567/src/lib.rs", "1234567/src/lib.rs"},
        {"/home/me/held/srcs/net/lib.rs", "net/lib.rs"},
        {"/home/me/held/src", "held/src"},
        {"/home/me/doctest/rustdoc/lib.rs", "rustdoc/lib.rs"},
        /* a project that is unpacked from an archive, whose folder has its release */
        {"/build/app-1.2.3/src/main.rs", "app/src/main.rs"},
        {"/build/app-1.2.3/main.rs", "app/main.rs"},
        {"/build/app-1.2.3/src/vendor/held/src/lib.rs", "held/src/lib.rs"},
        {"/usr/src/rustc-1.63.0/library/std/src/time.rs", "std/src/time.rs"},
        /* the innermost release; what is behind it is the crate's own */
        {"/x/a-1.0.0/b-2.0.0-rc.1+c.2/src/tests/out/mod.rs", "b/src/tests/out/mod.rs"},
        {"/usr/src/cargo/held-1.0.0/lib.rs", "held/lib.rs"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_key(rows[i].path, rows[i].key);
}

static void check_places(void)
{
    static const char *const places[] = {
        "/",         "/home/me/",       "/root/.cargo/",     "/usr/src/app/",   "/usr/src/",
        "/x/tests/", "/build/a-1.2.3/", "/build/a" HASH "/", "/x/rustdoctest/", "/x//y/../",
    };
    static const struct {
        const char *path, *key, *pattern;
    } rows[] = {
        {"registry/src/index.crates.io-6f17d22bba15001f/hyper-util-0.1.10/src/client/x.rs",
         "hyper-util/src/client/x.rs", "hyper-util-*/src/client/x.rs"},
        {"registry/src/index.crates.io" HASH "/hyper-1.0.0-rc.4/src/net/tests/mod.rs",
         "hyper/src/net/tests/mod.rs", "hyper-*/src/net/tests/mod.rs"},
        {"registry/src/index.crates.io" HASH "/held-1.0.0/lib.rs", "held/lib.rs", "held-*/lib.rs"},
        {"share/cargo/registry/held-1.0.0/src/lib.rs", "held/src/lib.rs", "held-*/src/lib.rs"},
        {"git/checkouts/held" HASH "/a1b2c3d/src/lib.rs", "held/src/lib.rs", "held-*/src/lib.rs"},
        {"git/checkouts/held" HASH "/0a1b2c3d4e/src/net/tests/mod.rs", "held/src/net/tests/mod.rs",
         "held-*/src/net/tests/mod.rs"},
        {"git/checkouts/held" HASH "/a1b2c3d/lib.rs", "held/lib.rs", "held-*/lib.rs"},
        {"git/checkouts/all" HASH "/a1b2c3d/crates/held/src/lib.rs", "held/src/lib.rs", NULL},
        {"vendor/held/src/lib.rs", "held/src/lib.rs", NULL},
        {"vendor/held-1.0.0/src/lib.rs", "held/src/lib.rs", "held-*/src/lib.rs"},
        {"held/src/lib.rs", "held/src/lib.rs", NULL},
        {"held/src/net/tests/mod.rs", "net/tests/mod.rs", NULL},
        {"tests/src/lib.rs", "tests/src/lib.rs", NULL},
        {"held/examples/a.rs", "held/examples/a.rs", NULL},
        {"held/benches/a.rs", "held/benches/a.rs", NULL},
        {"target/debug/build/held" HASH "/out/made.rs", "held/out/made.rs", "held-*/out/made.rs"},
        {"rustc/59807616e1a2b3c4d5e6f708192a3b4c5d6e7f80/library/std/src/thread/mod.rs",
         "std/src/thread/mod.rs", NULL},
        {"toolchains/stable/lib/rustlib/src/rust/library/std/src/thread/mod.rs",
         "std/src/thread/mod.rs", NULL},
        {"rustdoctestWGs8P2/doctest_bundle_2024.rs", "doctest_bundle_2024.rs", NULL},
    };
    char path[LENGTH_MAX], key[LENGTH_MAX], pattern[LENGTH_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++) {
            snprintf(path, sizeof path, "%s%s", places[j], rows[i].path);
            check_key(path, rows[i].key);
            take(path, key, pattern);
            CHECK(strcmp(pattern, rows[i].pattern ? rows[i].pattern : rows[i].key) == 0);
        }
}

/* Paths of pieces that mean something, in any order: take sees what is no part of them. */
static void check_any(void)
{
    static const char *const pieces[] = {
        "/",     "/",  "/",  "src/", "out/",   "-1.2.3", "-1.2", ".3",           "-",
        "a1b2c", "3d", HASH, "held", "tests/", "lib.rs", "é",    "rustdoctestX",
    };
    char path[LENGTH_MAX], key[LENGTH_MAX], pattern[LENGTH_MAX];
    srand(1);
    for (int turn = 0; turn < 200000; turn++) {
        size_t length = 0;
        path[0] = '\0';
        for (int i = rand() % 16; i > 0; i--)
            length += (size_t)snprintf(path + length, sizeof path - length, "%s",
                                       pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
        take(path, key, pattern);
        /* What stays, stays: it is whole, or a path's end. */
        CHECK(*path != '/' || strcmp(strrchr(path, '/') + 1, key) == 0 || strchr(key, '/'));
    }
}

int main(void)
{
    check_table();
    check_places();
    check_any();
    return failures != 0;
}
