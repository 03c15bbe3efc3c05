setup() {
    load setup
}

@test "annotated spans: closed while open, used after their close, left open by an ended thread" {
    strayspan_run "$c/used_after_close"
    assert_success
    run strayspan_query 'select(.type == "violation") | [.rule, .span.name, .severity]'
    assert_equal "${#lines[@]}" 3
    assert_line '["closed-while-open","closed","error"]'
    assert_line '["use-after-close","used","error"]'
    assert_line '["leaked-at-thread-end","forgotten","warning"]'
}

check_closed() {
    strayspan_run "$1"
    assert_violation closed-while-open --only
    assert_in_violation .severity error
    assert_violation_has '.entered.stack != [] and .closed.stack != []'
}

@test "a span that closes while it is open is told with its enter and its close" {
    for_each_build check_closed closed-while-open
}

check_used() {
    local wanted
    case $1 in
    */use_record*) wanted=record ;;
    */use_parent*) wanted=parent ;;
    */use_enter*) wanted=enter ;;
    *) wanted= ;;
    esac
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_violation use-after-close --only
    assert_in_violation .severity error
    [ -z "$wanted" ] || assert_in_violation .use "$wanted"
    assert_violation_has '.used.stack != [] and .used.time != null'
    [ "$wanted" != parent ] || assert_violation_has '.made.name != null'
}

@test "a closed span that is entered, recorded or named as a parent is told before anything panics" {
    for_each_build check_used use-after-close
}

check_leak() {
    strayspan_run "$1"
    assert_success
    assert_violation leaked-at-thread-end --only
    assert_in_violation .severity warning
    assert_violation_has '.entered.stack != [] and (has("exited") | not)'
}

@test "a span that a thread leaves open when it ends is a warning" {
    for_each_build check_leak leaked-at-thread-end
}

@test "a leak that somebody still comes for is a foreign exit, not two reports" {
    strayspan_run "$c/home_ended"
    assert_success
    assert_violation foreign-thread-exit --only
}

check_bystander() {
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_violation wrong-subscriber --only
    run strayspan_query 'select(.type == "consequence") | .what'
    assert_line '"foreign-close"'
}

@test "a span that another's breach closed is its consequence when it is used" {
    for_each_build check_bystander wrong-subscriber silent_close_used
}
