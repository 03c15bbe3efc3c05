# The bats library itself: its assertions hold where they should and fail where they should.
setup() {
    load setup
}

assert_fails() {
    run "$@"
    assert_failure
}

@test "assert_violation tells rule, span, file, thread and number" {
    strayspan_run "$c/foreign_thread_exit"
    assert_violation foreign-thread-exit
    assert_violation foreign-thread-exit --span job --file programs/c/foreign_thread_exit.c --thread helper --only
    assert_fails assert_violation lost-close
    assert_fails assert_violation foreign-thread-exit --span other
    assert_fails assert_violation foreign-thread-exit --file other.c
    assert_fails assert_violation foreign-thread-exit --thread main
    assert_fails assert_violation foreign-thread-exit --wibble
    assert_fails refute_violation foreign-thread-exit
    assert_fails assert_no_violations
    refute_violation lost-close
    refute_violation foreign-thread-exit --span other
    strayspan_run "$c/two_misuses"
    assert_fails assert_violation exit-without-enter --span second --only
    assert_violation exit-without-enter --span second
}

@test "assert_no_violations, assert_hooked and assert_coverage fail where nothing was watched" {
    strayspan_run "$c/plain_hello_static"
    assert_fails assert_no_violations
    assert_fails assert_hooked
    assert_fails assert_coverage
    strayspan_run "$c/legal_handed"
    assert_no_violations
    assert_coverage
    assert_fails assert_hooked
    strayspan_run "$c/exit_without_enter"
    assert_fails assert_coverage
}

@test "the shared object is that which is installed with the command; without one a run fails" {
    local installed=$BATS_TEST_TMPDIR/installed
    mkdir -p "$installed/bin" "$installed/lib/strayspan"
    cp "$STRAYSPAN" "$installed/bin"
    cp "$STRAYSPAN_SHIM" "$installed/lib/strayspan"
    unset STRAYSPAN STRAYSPAN_SHIM
    PATH=$installed/bin:$PATH strayspan_run "$c/foreign_thread_exit"
    assert_violation foreign-thread-exit
    mkdir "$BATS_TEST_TMPDIR/links"
    ln -s "$installed/bin/strayspan" "$BATS_TEST_TMPDIR/links/"
    PATH=$BATS_TEST_TMPDIR/links:$PATH strayspan_run "$c/foreign_thread_exit"
    assert_violation foreign-thread-exit
    PATH=/usr/bin:/bin assert_fails strayspan_run "$c/foreign_thread_exit"
    assert_output --partial "strayspan: no such command"
    rm "$installed/lib/strayspan/libstrayspan.so"
    PATH=$installed/bin:$PATH assert_fails strayspan_run "$c/foreign_thread_exit"
}

@test "the thread of a rule without an exit or a close is found too" {
    strayspan_run "$c/used_after_close"
    assert_violation use-after-close
    thread=$(jq -r .used.thread.name <<<"$violation")
    assert_violation use-after-close --thread "$thread"
    assert_fails assert_violation use-after-close --thread "no $thread"
}

@test "a rule that does not exist, an option without a value: a failure, not an answer" {
    strayspan_run "$c/legal_handed"
    refute_violation lost-close
    assert_fails refute_violation lost-closed
    assert_output --partial "no such rule: lost-closed"
    assert_fails refute_violation lost-close --span
    assert_output --partial "--span takes a value"
    assert_fails refute_violation --help
    assert_fails refute_violation lost-close --span ''
    assert_output --partial "--span takes a value"
    assert_fails refute_violation lost-close --file '*.c'
    assert_output --partial "no pattern"
    assert_fails strayspan_run --wibble "$c/legal_handed"
    assert_fails strayspan_run
    assert_fails strayspan_use "$BATS_TEST_TMPDIR/missing"
    assert_output --partial "missing: no such log"
    assert_fails refute_violation lost-close
    assert_output --partial "nothing was watched"
}

@test "nothing is refuted by what is no log, is not all of one, or was not looked for" {
    cd "$BATS_TEST_TMPDIR"
    strayspan_run "$c/legal_handed"
    local good=$strayspan_log
    assert_no_violations
    # A rule that is off, by default or by options.
    assert_fails refute_violation out-of-order-exit
    assert_output --partial "out-of-order-exit was not looked for"
    refute_violation lost-close
    strayspan_run --options rules=-lost-close --options=await_check=off -- "$c/legal_handed"
    assert_fails refute_violation lost-close
    assert_fails refute_violation held-across-await
    STRAYSPAN_OPTIONS=rules=-lost-close strayspan_run --options rules=+out-of-order-exit "$c/legal_handed"
    refute_violation out-of-order-exit
    assert_fails refute_violation lost-close
    # Another text, another version, a log inside another one.
    echo 'no log' >text.log
    sed 's/^{"v":1/{"v":2/' "$good" >newer.log
    sed 's/^/app-1  | /' "$good" >composed.log
    # Violations that the summary counts, and that are not there.
    strayspan_run "$c/exit_without_enter"
    jq -c 'select(.type != "violation")' "$strayspan_log" >lost.log
    mkdir empty
    local log
    for log in text.log newer.log composed.log lost.log empty; do
        strayspan_use "$good" "$log"
        assert_fails assert_no_violations
        assert_fails refute_violation lost-close
    done
    # One that had no room for all of its lines, or beside which there was none.
    strayspan_run "$c/exit_without_enter"
    { cat "$strayspan_log" && head -n 1 "$strayspan_log" | jq -c '{v, type: "lost", time, pid, run, why: "no space left on device"}'; } >lost.log
    strayspan_use lost.log
    assert_violation exit-without-enter
    assert_fails assert_violation exit-without-enter --only
    assert_fails assert_coverage
    mkdir folder
    cp "$good" folder
    strayspan_use folder
    assert_no_violations
    assert_coverage
    : >folder/incomplete
    assert_fails assert_no_violations
    assert_fails assert_coverage
    STRAYSPAN=false assert_fails assert_no_violations
    # Without its counts nobody knows what it looked for.
    jq -c 'select(.type != "summary")' "$good" >killed.log
    strayspan_use killed.log
    assert_no_violations
    assert_fails refute_violation out-of-order-exit
    # No place that is wrong leaves an earlier one in use.
    strayspan_use "$good"
    assert_fails strayspan_use "$good" nowhere.log
    assert_fails assert_no_violations
}

@test "a run by bats' run is the one that is asserted on; one that fails leaves no earlier one" {
    strayspan_run "$c/legal_handed"
    run strayspan_run "$c/exit_without_enter"
    assert_violation exit-without-enter
    assert_fails assert_no_violations
    strayspan_run "$c/legal_handed"
    STRAYSPAN_SHIM=/nonexistent assert_fails strayspan_run "$c/exit_without_enter"
    assert_fails assert_no_violations
    assert_output --partial "nothing was watched"
}

@test "the file may have a line, or be the whole path; of a thread's name the kernel's 15 bytes count" {
    strayspan_run "$c/foreign_thread_exit"
    local line
    line=$(strayspan_query 'select(.type == "violation") | .span.line')
    assert_violation foreign-thread-exit --file "foreign_thread_exit.c:$line" --thread helper
    assert_violation foreign-thread-exit --file "/anywhere/tests/programs/c/foreign_thread_exit.c:$line"
    refute_violation foreign-thread-exit --file "foreign_thread_exit.c:$((line + 1))"
    refute_violation foreign-thread-exit --thread helper-of-somebody
}

@test "coverage is not complete where a hooked process left no counts" {
    strayspan_run "$c/legal_handed"
    assert_coverage
    jq -c 'if .type == "module" then .subscribers = 1 else select(.type != "summary") end' "$strayspan_log" >"$BATS_TEST_TMPDIR/killed.log"
    strayspan_use "$strayspan_log" "$BATS_TEST_TMPDIR/killed.log"
    assert_coverage
    sed -i 's/"pid":[0-9]*,"run":"[0-9a-f]*"/"pid":99999999,"run":"00000000deadbeef"/' "$BATS_TEST_TMPDIR/killed.log"
    assert_fails assert_coverage
    assert_output --partial "left no counts of its spans"
}

# What `make install` installs, with the library's own folder alone in BATS_LIB_PATH.
install_all() {
    make -s -C "$root" install PREFIX=/usr DESTDIR="$BATS_TEST_TMPDIR/root"
    installed=$BATS_TEST_TMPDIR/root/usr
    unset STRAYSPAN STRAYSPAN_SHIM
    export PATH=$installed/bin:$PATH BATS_LIB_PATH=$installed/lib/bats
    cd "$BATS_TEST_TMPDIR"
}

@test "the installed suite passes for a program that is right, and fails with the report for others" {
    install_all
    PROGRAM=$c/legal_handed run -0 bats --tap --filter 'no span' "$installed/share/strayspan/spans.bats"
    assert_line "1..2"
    PROGRAM=$c/foreign_thread_exit run -1 bats --tap "$installed/share/strayspan/spans.bats"
    assert_output --partial 'error[foreign-thread-exit]'
    PROGRAM=$c/plain_hello_static run -1 bats --tap "$installed/share/strayspan/spans.bats"
    refute_line --regexp '^ok'
}

passes_the_suite() {
    PROGRAM=$1 run -0 bats --tap "$installed/share/strayspan/spans.bats"
    assert_line "1..3"
}

@test "the installed suite passes for a Rust program that is right" {
    install_all
    for_each_build passes_the_suite legal legal_arc_both
}

@test "the installed script tells by status what was found, in a plain sh" {
    install_all
    PROGRAM=$c/legal_handed run -0 "$installed/share/strayspan/spans.sh"
    assert_line "spans: none strayed"
    PROGRAM=$c/lost_close run -1 sh -eu "$installed/share/strayspan/spans.sh"
    assert_line "spans: some strayed"
    assert_output --partial 'warning[lost-close]'
    PROGRAM=$c/plain_hello_static run -1 "$installed/share/strayspan/spans.sh"
    assert_line "spans: nothing was checked"
    PROGRAM=/missing run -1 "$installed/share/strayspan/spans.sh"
    assert_line "spans: /missing cannot be run"
    PROGRAM=false run -1 "$installed/share/strayspan/spans.sh"
    assert_line "spans: false failed with status 1"
}

@test "a failed assertion prints the report" {
    strayspan_run "$c/foreign_thread_exit"
    run assert_no_violations
    assert_output --partial 'error[foreign-thread-exit]'
}

@test "the validator accepts a real log" {
    strayspan_run "$c/wrong_subscriber" lookup
    run "$root/tests/validate" "$strayspan_log"
    assert_success
    assert_output ""
}

@test "the validator finds what is wrong, with file and line" {
    strayspan_run "$c/wrong_subscriber" lookup
    mkdir "$BATS_TEST_TMPDIR/broken"
    cd "$BATS_TEST_TMPDIR/broken"
    for filter in '.v = 2' 'del(.run)' '.pid = "1"' '.time = "now"' '.type = "other"' \
        'select(.type == "violation").rule = "No Rule"' 'select(.type == "violation").span.id = 1' \
        'select(.type == "violation").fingerprint = "abc"' 'select(.type == "violation").span.wibble = 1' \
        'select(.type == "violation").created.stack = [[1]]' 'select(.type == "violation").closing = null' \
        'del(select(.type == "violation").closed)' 'select(.type == "violation").exited.stack = [[77, 1]]' \
        'select(.type == "violation").instances.called = null' 'select(.type == "module").id = 77' \
        'select(.type == "summary").threads = -1' 'select(.type == "summary").not_judged = 0' \
        'select(.type == "process").argv = ["secret"]' 'select(.type == "process").options.fields = 3'; do
        jq -c "$filter" "$strayspan_log" >log
        run "$root/tests/validate" log
        assert_failure
        assert_line --regexp '^log:[0-9]+: '
    done
    head -c -5 "$strayspan_log" >log
    run "$root/tests/validate" log
    assert_failure
    tail -n +2 "$strayspan_log" >log
    run "$root/tests/validate" log
    assert_failure
}
