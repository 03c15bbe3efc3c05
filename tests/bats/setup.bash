# What every suite of this folder loads first: the libraries, the paths, and the check that every log that
# its tests made is a valid one.

bats_require_minimum_version 1.5.0

root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
build=${BUILD:-$root/build}
export STRAYSPAN_SHIM=$build/libstrayspan.so STRAYSPAN=$build/strayspan
# shellcheck disable=SC2034 # for the suites
c=$build/tests/c
unset STRAYSPAN_OPTIONS LD_PRELOAD RUST_LOG RUST_BACKTRACE NO_COLOR

export BATS_LIB_PATH=$root/tests/lib:${BATS_LIB_PATH-}:/usr/lib/bats:/usr/lib
load_libraries() {
    local library
    for library in bats-support bats-assert strayspan; do
        bats_load_library "$library/load.bash"
    done
}
load_libraries

# A log that is meant to be broken has another ending than .jsonl.
teardown_file() {
    find "$BATS_RUN_TMPDIR" -name '*.jsonl' -type f -size +0 -exec "$root/tests/validate" {} +
}

# Of a test that failed: the build that it was at, and how the last run ended.
build_checked=
teardown() {
    [ "${BATS_TEST_COMPLETED-}" ] || [ ! "$build_checked" ] ||
        printf '# build: %s\n# status: %s\n# stderr: %s\n' "$build_checked" "${status-}" "$(tail -n 8 <<<"${stderr-}")"
}

# Runs `strayspan run ARG...` with its logs in a folder of the test's, and uses these.
run_under() {
    strayspan_dir=$(mktemp -d "$BATS_TEST_TMPDIR/strayspan.XXXXXX")
    run --separate-stderr timeout 300 "$STRAYSPAN" run --log-dir "$strayspan_dir" "$@"
    strayspan_use "$strayspan_dir"
}

# Runs `strayspan report ARG...`.
report() {
    run --separate-stderr timeout 60 "$STRAYSPAN" report "$@"
}

# The same as run_under, without strayspan.
run_bare() {
    run --separate-stderr timeout 120 "$@"
}

# Asserts that jq's filter, given the violation that assert_violation found, prints the text.
assert_in_violation() {
    local got
    # shellcheck disable=SC2154 # set by assert_violation
    got=$(jq -r "$1" <<<"$violation")
    [ "$got" = "$2" ] || strayspan_fail "$1 is $got, not $2"
}

# Asserts that jq's filter is true of the violation.
assert_violation_has() {
    [ "$(jq -r "$1" <<<"$violation")" = true ] || strayspan_fail "not so: $1"
}

# Runs a command without the descriptors that bats and the caller left open, 3 and up.
without_descriptors() {
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -lt 3 ] || eval "exec $fd>&-" 2>/dev/null
        done
        exec "$@"
    )
}

# ---- the Rust samples ----------------------------------------------------------------------------------

# Prints NAME, RULE, STATUS and the path of each build that is there, for the rows of programs.tsv with this
# rule (or `legal`; all without one) and a name that matches the pattern.
sample_builds() {
    local name suites rule want suite path
    while IFS=$'\t' read -r name suites rule want _; do
        # shellcheck disable=SC2053 # a pattern
        [[ $name != '#name' && $rule == "${1:-$rule}" && $name == ${2:-*} ]] || continue
        for path in "$build"/samples/*/*/"$name"; do
            suite=${path#"$build"/samples/}
            case ,$suites, in
            ,all, | *,"${suite%%/*}",*) [ ! -x "$path" ] || printf '%s\t%s\t%s\t%s\n' "$name" "$rule" "$want" "$path" ;;
            esac
        done
    done <"$root/tests/programs/rust/programs.tsv"
}

# Calls a function with path and wanted status of each build of the samples of a rule, or of those of them
# whose names match the pattern.
for_each_build() {
    local check=$1 name rule want path builds
    builds=$(sample_builds "$2" "${3-}")
    [ -n "$builds" ] || skip "no build of ${3:-the samples}; scripts/samples says why"
    while IFS=$'\t' read -r name rule want path; do
        build_checked=${path#"$build"/}
        "$check" "$path" "$want"
    done <<<"$builds"
    build_checked=
}

# A program's stderr without what differs from run to run: the numbers of its threads.
normalized() {
    sed -E "s/^(thread '[^']*') \\([0-9]+\\)/\\1/"
}

# Asserts that the program prints the same and ends the same with strayspan, quiet, as it does without.
assert_same_output() {
    local bare_status bare_output bare_stderr
    run_bare "$@"
    # shellcheck disable=SC2154 # set by run
    bare_status=$status bare_output=$output bare_stderr=$(normalized <<<"$stderr")
    strayspan_run --options quiet=1 "$@"
    assert_hooked
    assert_equal "$status" "$bare_status"
    assert_equal "$output" "$bare_output"
    assert_equal "$(normalized <<<"$stderr")" "$bare_stderr"
}
