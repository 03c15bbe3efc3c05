# The case that strayspan was born from: hyper#3848, and its shape with hyper 0.14.
setup() {
    load setup
}

source_of() {
    echo "$root/tests/programs/rust/src/$1.rs"
}

line_of() {
    grep -n -m1 -F "$2" "$(source_of "$1")" | cut -d: -f1
}

check_violation() {
    assert_violation wrong-subscriber --span resolve --only
    assert_in_violation .severity error
    assert_in_violation .span.level DEBUG
    assert_violation_has '.span.fields | has("host")'
    assert_violation_has '.created.thread.tid == .pid'
    assert_violation_has '.pid as $pid | [.entered, .exited, .closed] | all(.thread.tid != $pid)'
    assert_violation_has '[.created, .entered, .exited, .closed] | all(.stack != [])'
    assert_violation_has '.closed.thread.created_by != null and .closed.thread.stack != []'
    assert_in_violation .lookup.host localhost
    assert_in_violation .lookup.result 0
    assert_in_violation .closing.relation span
    assert_violation_has '.instances.owner.serial != .instances.called.serial'
    assert_violation_has '.instances.owner.type == .instances.called.type'
    assert_hooked
    assert_coverage
}

check_hyper3848() {
    strayspan_run "$1"
    assert_equal "$status" 101
    check_violation
    assert_in_violation .span.target hyper_util::client::legacy::connect::dns
    # The very line of the crate that makes the span.
    run sed -n "$(jq .span.line <<<"$violation")p" "$(jq -r .span.file <<<"$violation")"
    assert_output --partial 'debug_span!("resolve"'
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    assert_output --regexp 'hyper-util-0\.1\.10/src/client/legacy/connect/dns\.rs:[0-9]+'
    assert_output --partial "hyper3848.rs:$(line_of hyper3848 '.send().await')"
    assert_output --partial 'hyper3848::fetch'
    check_advice
    assert_output --partial 'cargo update -p hyper-util'
    assert_output --partial 'hyperium/hyper/issues/3848'
}

check_hyper14() {
    strayspan_run "$1"
    assert_success
    check_violation
    assert_in_violation .span.target hyper14_resolver
    assert_in_violation .span.line "$(line_of hyper14_resolver 'debug_span!("resolve"')"
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    assert_output --partial "hyper14_resolver.rs:$(line_of hyper14_resolver 'debug_span!("resolve"')"
    check_advice
}

check_advice() {
    assert_line --index 0 --partial 'error[wrong-subscriber]'
    assert_output --partial 'getaddrinfo("localhost")'
    assert_output --regexp 'blame: +tracing-subscriber 0\.3\.1[0-9]'
    assert_output --partial 'cargo update -p tracing-subscriber'
    assert_output --partial '0.3.22'
    assert_output --partial 'strayspan explain wrong-subscriber'
}

@test "hyper#3848: one violation, with span, threads, subscribers, look-up, blame and the user's line" {
    for_each_build check_hyper3848 wrong-subscriber hyper3848
}

@test "hyper 0.14 with a resolver of that shape: the same" {
    for_each_build check_hyper14 wrong-subscriber hyper14_resolver
}

check_output() {
    assert_same_output "$1"
    assert_regex "$stderr" 'tried to drop a ref to Id\([0-9]+\), but no such span exists!'
}

@test "what the programs print, and their panic, stay as they are" {
    for_each_build check_output wrong-subscriber 'hyper*'
}

check_abort() {
    strayspan_run --options on_violation=abort "$1"
    assert_equal "$status" 134
    refute_regex "$stderr" 'no such span exists'
    assert_violation wrong-subscriber --span resolve --only
}

@test "the violation is written before the program panics" {
    for_each_build check_abort wrong-subscriber 'hyper*'
}

check_more() {
    strayspan_run "$1" --more 1000
    assert_success
    assert_output --partial '1000 more look-ups: done'
    assert_violation wrong-subscriber --span resolve --only
    assert_coverage
    run strayspan_query 'select(.type == "summary") | .rules["wrong-subscriber"].violations, .lookups >= 1001'
    assert_output $'1\ntrue'
}

@test "1000 right look-ups on the same blocking thread after the panic add no violation" {
    for_each_build check_more wrong-subscriber 'hyper*'
}

check_run() {
    local want=$2
    [ "$want" != 0 ] || want=66
    run_under "$1"
    assert_equal "$status" "$want"
    assert_violation wrong-subscriber --span resolve --only
    assert_regex "$stderr" 'error\[wrong-subscriber\]'
}

@test "strayspan run reports, and ends with the program's own failure, or 66" {
    for_each_build check_run wrong-subscriber 'hyper*'
}
