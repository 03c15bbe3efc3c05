#!/usr/bin/env bats
# No span of the program strays: a suite to copy. Put your program's commands in place of these.

setup() {
    bats_load_library strayspan
    program=${PROGRAM:-target/release/app}
    # What a filter turns off is not there to be checked.
    export RUST_LOG=${RUST_LOG:-trace}
}

@test "strayspan can watch the program" {
    strayspan_run "$program"
    assert_hooked
}

@test "no span strays" {
    strayspan_run "$program"
    [ "$status" -eq 0 ]
    assert_no_violations
    assert_coverage
}

@test "the guard of no span is held across an await" {
    strayspan_run "$program"
    refute_violation held-across-await
}
