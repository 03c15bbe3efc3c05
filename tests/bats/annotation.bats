# The C header.
setup() {
    load setup
}

@test "an annotated program runs without strayspan" {
    run_bare "$c/annotated_plain"
    assert_success
    assert_output 'not watched'
}

@test "an annotated program is watched" {
    strayspan_run "$c/annotated_plain"
    assert_success
    assert_output watched
    assert_no_violations
    assert_coverage
}

@test "so is one at a fixed address" {
    run_bare "$c/annotated_plain_nopie"
    assert_output 'not watched'
    strayspan_run "$c/annotated_plain_nopie"
    assert_output watched
    assert_coverage
}

@test "the header stands by itself, in C and C++, without extensions" {
    for language in "c -std=c11" "c++ -std=c++11"; do
        # shellcheck disable=SC2086 # two words
        run cc -x $language -Wall -Wextra -Werror -fsyntax-only -I"$root/shim" - \
            <<<'#include <strayspan.h>'
        assert_success
    done
}
