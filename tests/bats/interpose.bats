# getaddrinfo and pthread_create keep their whole contract.
setup() {
    load setup
}

# The program prints the same with strayspan and without.
assert_same() {
    local bare_status bare_output
    run_bare "$@"
    bare_status=$status bare_output=$output
    assert_success
    strayspan_run "$@"
    assert_equal "$status" "$bare_status"
    assert_equal "$output" "$bare_output"
    assert_equal "$stderr" ""
    assert_no_violations
    assert_coverage
}

@test "getaddrinfo: results, addresses and errno are the same, EAI_SYSTEM's too" {
    assert_same "$c/getaddrinfo_results"
    assert_output --partial '-> -11, errno 24'
    run strayspan_query 'select(.type == "summary") | .lookups'
    assert_output 10
}

@test "pthread_create: results, exits, cancellation, attributes, masks and failures are the same" {
    assert_same "$c/thread_contract"
    assert_line 'failures 1000'
    assert_line 'cleaned up'
    run strayspan_query 'select(.type == "summary") | .threads >= 5005'
    assert_output true
}

@test "threads with the smallest stack make threads, look up and misuse" {
    strayspan_run "$c/small_stacks"
    assert_success
    assert_output 'done'
    assert_violation exit-without-enter --only
    assert_in_violation .span.name job
}

@test "a failed look-up is in the log with its error" {
    strayspan_run --options lookups=1 "$c/wrong_subscriber" lookup no-such-service
    run strayspan_query 'select(.type == "lookup") | .host, .service, .result, .addresses, (.error | type)'
    assert_output $'"localhost"\n"no-such-service"\n-8\n0\n"string"'
}

@test "with lookups=1 a look-up is logged with the span that it ran in" {
    local program=$build/samples/trixie/release/lookup_inside
    [ -x "$program" ] || program=$build/samples/bookworm/release/lookup_inside
    [ -x "$program" ] || skip "no Rust samples"
    strayspan_run --options lookups=1 "$program"
    assert_success
    run strayspan_query 'select(.type == "lookup") | "\(.host) \(.result) \(.span.name) \(.thread.name)"'
    assert_output '"localhost 0 look_up main"'
}
