setup() {
    load setup
}

@test "an exit of a span that nobody has open is reported once" {
    strayspan_run "$c/exit_without_enter"
    assert_success
    assert_output done
    assert_violation exit-without-enter --span job --file exit_without_enter.c --only
    assert_in_violation .severity error
    assert_violation_has 'has("entered") | not'
    assert_violation_has '.exited.stack != [] and .created.stack != []'
}

check_twice() {
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_hooked
    assert_coverage
    assert_violation exit-without-enter --span left_twice --file exit_without_enter.rs --only
}

@test "a Rust span that is exited twice and was entered once" {
    for_each_build check_twice exit-without-enter exit_without_enter
}
