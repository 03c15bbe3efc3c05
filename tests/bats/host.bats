# What strayspan does to the program it sits in: nothing.
setup() {
    load setup
    mkdir "$BATS_TEST_TMPDIR/here"
    cd "$BATS_TEST_TMPDIR/here"
}

@test "C++ exceptions pass: thrown by a late plugin, through C frames and on threads" {
    strayspan_run "$c/cpp_host" "$c/cpp_plugin.so"
    assert_success
    assert_output 'caught 3000'
    assert_violation exit-without-enter --only
}

@test "a misuse below a frame without unwind data touches no file of the program's" {
    run --separate-stderr without_descriptors env LD_PRELOAD="$STRAYSPAN_SHIM" \
        STRAYSPAN_OPTIONS=log_path=log.jsonl "$c/no_fde" "$PWD/file"
    assert_success
    assert_output 'done'
    strayspan_use log.jsonl
    assert_violation exit-without-enter --span job
    # The walk ends where the data end.
    assert_violation_has '.exited.stack | length >= 1 and length <= 3'
}

@test "programs without anything to see print the same and end the same" {
    for command in "ls /usr" "python3 -c 'import threading; threading.Thread(target=print).start()'" \
        "gcc -x c -S -o - /dev/null" "perl -e 'exit 3'" "make --version"; do
        run --separate-stderr bash -c "exec $command"
        want_status=$status want=$output
        run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" bash -c "exec $command"
        assert_equal "$status" "$want_status"
        assert_equal "$output" "$want"
        assert_equal "$stderr" ""
    done
    assert_equal "$(ls)" ""
}

@test "it is silent in programs that are built with sanitizers, where it can be loaded after them" {
    echo 'int main(void) { return 0; }' >empty.c
    gcc -fsanitize=address -o empty empty.c || skip "no address sanitizer here"
    run --separate-stderr timeout 60 "$STRAYSPAN" run --output /dev/null ./empty
    assert_success
    assert_equal "$stderr" ""
}

check_same() {
    case ${1##*/} in
    legal_many | cost | await_innocents) ;; # print what differs from run to run
    *) assert_same_output "$1" ;;
    esac
}

@test "every Rust sample prints the same and ends the same" {
    for_each_build check_same ""
}

@test "fork handlers of the program's libraries may make threads and spans" {
    strayspan_run "$c/fork_handlers"
    assert_success
    assert_output done
    assert_no_violations
    assert_coverage
}
