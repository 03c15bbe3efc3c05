# The calls in which threads park keep their whole contract; nothing of strayspan's is below them.
setup() {
    load setup
    cd "$BATS_TEST_TMPDIR"
}

@test "signals, stacks, cancellation, arguments and errno are the same in parks" {
    run_bare "$c/parks"
    assert_success
    bare_output=$output
    for check in auto full off; do
        strayspan_run --options "await_check=$check" "$c/parks"
        assert_success
        assert_equal "$output" "$bare_output"
        assert_equal "$stderr" ""
        assert_no_violations
        assert_coverage
    done
    # Each of the six was interrupted, with a stack that ended well, and was cancelled.
    assert_equal "$(grep -cx '  returned -1, errno 4' <<<"$output")" 6
    assert_equal "$(grep -cx '  0 frames of strayspan, own code 1' <<<"$output")" 6
    assert_equal "$(grep -cx '  cleaned up' <<<"$output")" 6
    assert_equal "$(grep -cx '  cancelled 1' <<<"$output")" 6
    assert_line 'in a child of vfork: 0'
}

@test "a debugger that stops in a park sees the program's frames" {
    command -v gdb >/dev/null || skip "gdb is not there"
    run --separate-stderr timeout 60 gdb -q -nx -batch \
        -ex "set exec-wrapper env LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS=log_path=gdb.jsonl" \
        -ex "set breakpoint pending on" -ex "break ss_park" -ex run -ex backtrace "$c/parks"
    assert_line --regexp '^#0 .*ss_park \('
    assert_line --regexp '^#1 .* epoll_wait \('
    assert_line --regexp '^#2 .* in_epoll_wait \(\)'
    assert_line --regexp '^#3 .* block \('
}

@test "where libc lacks epoll_pwait2 the system call is made" {
    strayspan_run "$c/parks_lacking"
    assert_success
    with_libc=$output
    assert_line 'no descriptor: -1, EBADF 1'
    [ -x "$c/parks_lacking_musl" ] || skip "there is no musl-gcc"
    loader=$(readelf -lW "$c/parks_lacking_musl" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
    [ -x "$loader" ] || skip "there is no musl loader"
    strayspan_run "$c/parks_lacking_musl"
    assert_success
    assert_output "$with_libc"
    assert_equal "$stderr" ""
}
