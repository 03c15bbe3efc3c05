# Correct programs: watched, counted, and silent.
setup() {
    load setup
}

check_legal() {
    strayspan_run "$@"
    assert_success
    assert_equal "$stderr" ""
    assert_no_violations
    assert_coverage
}

# The spans of the summary: created, entered, exited, closed.
assert_spans() {
    run strayspan_query 'select(.type == "summary") | .spans | "\(.created) \(.entered) \(.exited) \(.closed)"'
    assert_output "\"$*\""
}

@test "a span made on one thread, entered on another, closed on a third" {
    check_legal "$c/legal_handed"
    assert_spans 1 1 1 1
}

@test "a span entered again while it is open" {
    check_legal "$c/legal_reentered"
    assert_spans 1 3 3 1
}

@test "a span open on two threads, each exiting its own" {
    check_legal "$c/legal_shared"
    assert_spans 1 3 3 1
}

@test "exits out of order, as the rule against them is off" {
    check_legal "$c/legal_out_of_order"
    assert_spans 2 2 2 2
}

@test "100,000 spans open at once" {
    check_legal "$c/legal_deep"
    assert_spans 100000 100000 100000 100000
}

@test "eight threads times 1,000,000 spans during fork and dlopen: counts are exact" {
    local spans=1000000
    [ -z "${STRAYSPAN_TEST_QUICK-}" ] || spans=20000
    strayspan_run "$c/legal_storm" $spans "$c/cpp_plugin.so"
    assert_success
    assert_output 'forks some'
    assert_no_violations
    assert_coverage
    # The children's logs hold two spans each at most.
    run strayspan_query "select(.type == \"summary\" and .spans.created > 2) | .spans | tostring"
    assert_equal "${#lines[@]}" 1
    assert_output --partial "created\\\":$((8 * spans))"
    assert_output --partial "entered\\\":$((8 * spans))"
    assert_output --partial "exited\\\":$((8 * spans))"
    assert_output --partial "closed\\\":$((8 * spans))"
}

check_legal_rust() {
    case ${1##*/} in
    legal_many) return ;; # has a test of its own
    esac
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_no_violations
    assert_hooked
    case ${1##*/} in
    legal_constant_id)
        # Ids that tell nothing: not judged, and named.
        run strayspan_query 'select(.type == "summary") | .not_judged
            | .total > 0 and .total == .by["constant-id"] and (.instances | length) == 1'
        assert_output true
        ;;
    hyper3848) ;; # legal where hyper-util makes no span any more
    *) assert_coverage ;;
    esac
}

@test "every correct Rust sample is hooked, judged throughout, and silent" {
    for_each_build check_legal_rust legal
}

check_many() {
    local times=1000000 spans
    case $1:${STRAYSPAN_TEST_QUICK-} in
    */debug/*: | *:1) times=50000 ;;
    esac
    STRAYSPAN_TIMEOUT=300 strayspan_run "$1" $times
    assert_success
    spans=${output#spans }
    [ "$spans" -ge $((8 * times)) ]
    assert_no_violations
    assert_hooked
    assert_coverage
    # The children's logs, if they have any, hold three spans each.
    run strayspan_query 'select(.type == "summary" and .spans.created > 3) | .spans | .created, .entered, .exited, .closed'
    assert_output "$spans"$'\n'"$spans"$'\n'"$spans"$'\n'"$spans"
}

@test "eight Rust threads times 1,000,000 spans during fork and dlopen: counts are exact" {
    for_each_build check_many legal legal_many
}

@test "Debian 13's crates were there to be tested" {
    [ -d "$build/samples/trixie" ] || skip "they need a cargo of 1.70 or later"
    [ -x "$build/samples/trixie/release/hyper3848" ]
}
