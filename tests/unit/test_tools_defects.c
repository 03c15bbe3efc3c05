/* The table of known defects: each row holds for its versions, and for no other ones; and whose
 * mistake it is where no row holds. */
#include "defects.c" /* whose table no other file sees */

#include <stdio.h>

#include "check.h"

static bool is(const char *text, const char *want)
{
    return text ? want && strcmp(text, want) == 0 : !want;
}

static bool has(const char *text, const char *part)
{
    return text && strstr(text, part);
}

/* A version next to another one: the last number changed by step; NULL below x.y.0. */
static const char *near(const char *version, int step)
{
    const char *last = strrchr(version, '.') + 1;
    long number = strtol(last, NULL, 10) + step;
    return number < 0 ? NULL : ss_text("%.*s%ld", (int)(last - version), version, number);
}

static const char *file_of(const char *crate, const char *version)
{
    return ss_text("/x/registry/%s-%s/src/a.rs", crate, version);
}

/* ---- a violation ----------------------------------------------------------------------------- */

static struct ss_violation new_violation(int rule)
{
    struct ss_violation violation = {.rule = rule, .rule_code = ss_rule_rows[rule].code};
    violation.owner.present = true;
    violation.owner.binary = ss_keep(sizeof *violation.owner.binary);
    violation.owner.binary->path = "/no/app";
    return violation;
}

/* One frame, of a crate or (NULL) of the user's, at the site that the rule's mistake is made at. */
static void set_frame(struct ss_violation *violation, const char *crate, const char *version)
{
    struct ss_site *site = &violation->sites[mistakes[violation->rule].site];
    struct ss_frame *frame = ss_keep(sizeof *frame);
    *frame = (struct ss_frame){.function = "it",
                               .file = crate ? file_of(crate, version) : "src/main.rs",
                               .line = 7,
                               .kind = crate ? SS_FRAME_DEPENDENCY : SS_FRAME_OWN,
                               .crate = crate,
                               .version = version};
    site->present = true;
    site->frames = (struct ss_frames){.count = 1, .frames = frame};
}

/* Puts a crate where the row looks for it. */
static void set_crate(struct ss_violation *violation, enum evidence evidence, const char *crate,
                      const char *version)
{
    struct ss_binary *binary = violation->owner.binary;
    if (evidence == IN_TYPE)
        violation->owner.type = "_ZN4core3ptr50drop_in_place$LT$sentry_tracing..layer..SentryLayer";
    else if (strcmp(crate, "tracing-subscriber") == 0)
        binary->tracing_subscriber = version;
    else if (strcmp(crate, "tracing-core") == 0)
        binary->tracing_core = version;
    else if (evidence == PRESENT)
        violation->span.file = file_of(crate, version);
    else
        set_frame(violation, crate, version);
}

static struct ss_blame blamed(const struct defect *row, int rule, const char *version,
                              const char *with)
{
    struct ss_violation violation = new_violation(rule);
    violation.closing.present = row->relation != ANY;
    violation.closing.relation = row->relation == PARENT ? "parent" : "span";
    set_crate(&violation, row->evidence, row->crate, version);
    if (with)
        set_crate(&violation, PRESENT, row->with, with);
    ss_blame(&violation);
    return violation.blame;
}

static bool by_row(struct ss_blame blame, const struct defect *row)
{
    return is(blame.whose, "known defect") && is(blame.crate, row->crate) &&
           is(blame.fixed_in, row->fixed) && has(blame.text, row->what) &&
           (row->with != NULL) == (row->with && has(blame.text, row->with)) &&
           is(blame.more[0], row->links[0]);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void test_rows_are_whole(void)
{
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        const struct defect *row = &defects[i];
        CHECK(row->crate && row->from && row->rules && row->what);
        CHECK(row->links[0] && ss_text_starts(row->links[0], "https://"));
        CHECK(!row->until == !row->fixed);
        CHECK(!row->until || (ss_compare_versions(row->from, row->until) <= 0 &&
                              ss_compare_versions(row->until, row->fixed) < 0));
        CHECK(!row->with == !row->with_fixed);
        CHECK(!row->with || (ss_compare_versions(row->with_from, row->with_until) <= 0 &&
                             ss_compare_versions(row->with_until, row->with_fixed) < 0));
    }
}

static void test_rows_hold_for_their_versions(void)
{
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        const struct defect *row = &defects[i];
        for (int rule = 0; rule < SS_RULE_COUNT; rule++) {
            bool wanted = row->rules & 1U << rule;
            if (!wanted && row->evidence == PRESENT)
                continue; /* another row may hold */
            CHECK(by_row(blamed(row, rule, row->from, row->with_from), row) == wanted);
            if (row->until)
                CHECK(by_row(blamed(row, rule, row->until, row->with_until), row) == wanted);
            if (!wanted || row->evidence == IN_TYPE)
                continue;
            if (row->until)
                CHECK(!by_row(blamed(row, rule, row->fixed, row->with_from), row));
            if (near(row->from, -1))
                CHECK(!by_row(blamed(row, rule, near(row->from, -1), row->with_from), row));
            if (row->with) {
                CHECK(!by_row(blamed(row, rule, row->from, row->with_fixed), row));
                CHECK(!by_row(blamed(row, rule, row->from, near(row->with_from, -1)), row));
            }
        }
    }
}

/* ---- what the rows say ----------------------------------------------------------------------- */

static const struct defect *row_of(const char *crate)
{
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++)
        if (strcmp(defects[i].crate, crate) == 0)
            return &defects[i];
    return NULL;
}

static void test_default_that_came_too_early(void)
{
    struct ss_violation violation = new_violation(SS_RULE_LOST_CLOSE);
    violation.closing.present = true;
    violation.closing.relation = "span";
    violation.owner.binary->tracing_subscriber = "0.3.16";
    violation.owner.binary->tracing_core = "0.1.30";
    ss_blame(&violation);
    CHECK(is(violation.blame.crate, "tracing-subscriber"));
    CHECK(has(violation.blame.text, "tracing-core 0.1.24 to 0.1.30 may add to it"));
    CHECK(has(violation.blame.commands[1], "-p tracing-core ") &&
          has(violation.blame.commands[1], "0.1.31"));
    CHECK(has(violation.blame.help[0], "the first ends this"));

    violation.owner.binary->tracing_core = "0.1.32";
    violation.blame = (struct ss_blame){0};
    ss_blame(&violation);
    CHECK(is(violation.blame.crate, "tracing-subscriber") && !violation.blame.commands[1]);
}

static void test_release_not_known(void)
{
    struct ss_blame blame = blamed(row_of("sentry-tracing"), SS_RULE_CONCURRENT_ENTER, NULL, NULL);
    CHECK(!blame.version && has(blame.text, "sentry-tracing 0.35.0 to 0.46.2"));
    CHECK(has(blame.text, "is not known") && has(blame.commands[0], "0.47.0"));

    struct ss_violation violation = new_violation(SS_RULE_CONCURRENT_ENTER);
    violation.owner.type = "drop_in_place$LT$sentry..layer$GT$";
    set_frame(&violation, NULL, NULL);
    ss_blame(&violation);
    CHECK(is(violation.blame.whose, "your code"));
}

/* A library is not blamed for what the user does with its spans, nor for being on the stack. */
static void test_own_code_is_not_a_dependency(void)
{
    struct ss_violation violation = new_violation(SS_RULE_HELD_ACROSS_AWAIT);
    violation.span.file = file_of("rig-core", "0.25.0");
    set_frame(&violation, NULL, NULL);
    ss_blame(&violation);
    CHECK(is(violation.blame.whose, "your code") && has(violation.blame.text, "src/main.rs:7"));

    struct ss_frame frames[2] = {{.file = "src/main.rs", .line = 3, .kind = SS_FRAME_OWN},
                                 {.file = file_of("openraft", "0.6.2"),
                                  .line = 9,
                                  .kind = SS_FRAME_DEPENDENCY,
                                  .crate = "openraft",
                                  .version = "0.6.2"}};
    violation = new_violation(SS_RULE_HELD_ACROSS_AWAIT);
    violation.sites[SS_SITE_ENTERED].frames = (struct ss_frames){.count = 2, .frames = frames};
    ss_blame(&violation);
    CHECK(is(violation.blame.whose, "your code"));

    /* Its own span, entered by code of its that is not in the row. */
    violation = new_violation(SS_RULE_HELD_ACROSS_AWAIT);
    violation.span.file = file_of("jsonrpsee-core", "0.15.0");
    set_frame(&violation, "jsonrpsee-http-client", "0.15.0");
    ss_blame(&violation);
    CHECK(is(violation.blame.crate, "jsonrpsee-core"));
}

/* Every rule says what the mistake is and how to end it, for Rust and for annotated code. */
static void test_every_rule_has_its_mistake(void)
{
    for (int rule = 0; rule < SS_RULE_COUNT; rule++) {
        struct ss_violation violation = new_violation(rule);
        set_frame(&violation, NULL, NULL);
        ss_blame(&violation);
        CHECK(is(violation.blame.whose, "your code"));
        CHECK(has(violation.blame.text, "your code, src/main.rs:7: "));
        CHECK(violation.blame.help[0] && violation.blame.help[0][0]);

        const char *rust = violation.blame.help[0];
        violation = new_violation(rule);
        violation.span.provider = "annotation";
        violation.owner.binary->tracing_subscriber = "0.3.18";
        set_frame(&violation, NULL, NULL);
        ss_blame(&violation);
        CHECK(is(violation.blame.whose, "your code"));
        CHECK(violation.blame.help[0] && !is(violation.blame.help[0], rust));
        CHECK(!violation.blame.help[1]);
    }
}

/* ---- the table for files --------------------------------------------------------------------- */

/* Whether the row is among the known defects of these releases (with: NULL for none). */
static bool is_known(const struct defect *row, const char *version, const char *with)
{
    struct ss_crates crates = {.count = with ? 2 : 1};
    struct ss_known_defect known[SS_KNOWN_DEFECTS_MAX];
    crates.crates[0] = (struct ss_crate){row->crate, version, "path"};
    crates.crates[1] = (struct ss_crate){row->with, with, "path"};
    size_t count = ss_known_defects(&crates, known, SS_KNOWN_DEFECTS_MAX);
    for (size_t i = 0; i < count; i++)
        if (known[i].rules == row->rules && is(known[i].crate, row->crate) &&
            is(known[i].version, version) && is(known[i].fixed, row->fixed) &&
            is(known[i].what, row->what) && is(known[i].with, row->with) &&
            is(known[i].with_version, with) && is(known[i].links[0], row->links[0]))
            return true;
    return false;
}

static void test_files_have_the_defects_of_their_releases(void)
{
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        const struct defect *row = &defects[i];
        CHECK(is_known(row, row->from, row->with_from));
        CHECK(!row->until || is_known(row, row->until, row->with_until));
        CHECK(!row->until || !is_known(row, row->fixed, row->with_from));
        CHECK(!near(row->from, -1) || !is_known(row, near(row->from, -1), row->with_from));
        CHECK(!row->with || !is_known(row, row->from, row->with_fixed));
        CHECK(!row->with || !is_known(row, row->from, NULL));
        CHECK(!is_known(row, NULL, row->with_from));
        CHECK(is(ss_defect_crate(i), row->crate));
    }
    CHECK(!ss_defect_crate(sizeof defects / sizeof defects[0]));
}

/* Every release that is there is looked at, not the first alone. */
static void test_a_file_has_several_releases_of_a_crate(void)
{
    struct ss_known_defect known[SS_KNOWN_DEFECTS_MAX];
    const struct ss_crates crates = {.crates = {{"jsonrpsee-core", "0.14.0", "path"},
                                                {"jsonrpsee-core", NULL, "git 1234567"},
                                                {"jsonrpsee-core", "0.15.0", "path"}},
                                     .count = 3};
    CHECK(ss_known_defects(&crates, known, SS_KNOWN_DEFECTS_MAX) == 1);
    CHECK(is(known[0].version, "0.15.0"));
}

int main(void)
{
    test_rows_are_whole();
    test_rows_hold_for_their_versions();
    test_default_that_came_too_early();
    test_release_not_known();
    test_own_code_is_not_a_dependency();
    test_every_rule_has_its_mistake();
    test_files_have_the_defects_of_their_releases();
    test_a_file_has_several_releases_of_a_crate();
    return failures != 0;
}
