setup() {
    load setup
}

@test "an exit on another thread is reported once, with both threads and their stacks" {
    strayspan_run "$c/foreign_thread_exit"
    assert_success
    assert_output done
    assert_violation foreign-thread-exit --span job --file foreign_thread_exit.c --thread helper --only
    assert_in_violation .severity error
    assert_in_violation .span.provider annotation
    assert_in_violation .span.target sample
    assert_in_violation .span.level INFO
    assert_in_violation .created.thread.name main
    assert_in_violation .entered.thread.name main
    assert_violation_has '.entered.thread.tid == .pid and .exited.thread.tid != .pid'
    assert_violation_has '.exited.thread.created_by == .entered.thread.serial'
    assert_violation_has '[.created, .entered, .exited] | all(.stack != [])'
    assert_violation_has '.exited.thread.stack != []'
    assert_violation_has 'has("closed") | not'
    assert_coverage
}

@test "the line on stderr names rule, span and both threads" {
    strayspan_run "$c/foreign_thread_exit"
    run grep -c foreign-thread-exit <<<"$stderr"
    assert_output 1
    assert_regex "$stderr" 'job'
}

check_moved_guard() {
    local name=$1 path=$2 line
    line=$(grep -n "info_span!(\"$name\")" "$root/tests/programs/rust/src/${path##*/}.rs" | cut -d: -f1)
    strayspan_run "$path"
    assert_success
    assert_output done
    assert_hooked
    assert_coverage
    assert_violation foreign-thread-exit --span "$name" --file "${path##*/}.rs" --thread taker --only
    assert_in_violation .span.line "$line"
    assert_in_violation .span.provider rust-tracing
    assert_violation_has '.entered.thread.tid == .pid and .exited.thread.tid != .pid'
    assert_violation_has '.exited.thread.created_by == .entered.thread.serial'
    assert_violation_has '[.created, .entered, .exited] | all(.stack != [] and .time != null)'
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    assert_output --partial "${path##*/}.rs:$line"
    assert_output --partial taker
}

check_scope() {
    check_moved_guard handed_over "$1"
}

check_channel() {
    check_moved_guard sent_away "$1"
}

@test "a guard dropped in a scoped thread is reported once, with both threads" {
    for_each_build check_scope foreign-thread-exit scope_exit
}

@test "a guard sent through a channel is reported once, with both threads" {
    for_each_build check_channel foreign-thread-exit channel_exit
}

@test "an exit of a span that an ended thread had left open names that thread" {
    strayspan_run "$c/home_ended"
    assert_success
    assert_violation foreign-thread-exit --span left_open --only
    assert_violation_has '.entered.thread.serial == .created.thread.serial'
    assert_violation_has '.entered.thread.tid != .pid and .exited.thread.tid == .pid'
    assert_violation_has '.entered.stack != []'
}
