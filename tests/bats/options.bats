# STRAYSPAN_OPTIONS.
setup() {
    load setup
}

# The options that the table of the sources has.
option_names() {
    sed -n 's/^ *X(\([a-z_]*\), [A-Z]*, ".*/\1/p' "$root/shim/option_table.h"
}

@test "help=1 prints every option" {
    strayspan_run --options help=1 "$c/annotated_plain"
    assert_success
    assert_output watched
    [ "$(option_names | wc -l)" -ge 12 ]
    for name in $(option_names); do
        assert_regex "$stderr" "$name"
    done
}

@test "the log holds every option in force" {
    strayspan_run --options max_frames=7:quiet=1:stacks=all "$c/annotated_plain"
    run strayspan_query 'select(.type == "process") | .options'
    for name in $(option_names | grep -v help); do
        assert_output --partial "\"$name\":"
    done
    assert_output --partial '"max_frames":7'
    assert_output --partial '"quiet":true'
    assert_output --partial '"stacks":"all"'
}

@test "an unknown option is named, and the rest holds" {
    strayspan_run --options wibble=1:max_frames=3 "$c/exit_without_enter"
    assert_success
    assert_output done
    assert_regex "$stderr" wibble
    assert_violation exit-without-enter --only
    run strayspan_query 'select(.type == "process") | .options.max_frames'
    assert_output 3
}

@test "a bad value is named with its option, and the default holds" {
    for bad in max_frames=0 max_frames=65 max_frames=many max_frames= quiet=2 on_violation=explode \
        stacks=some repeat=-1 repeat=99999999999999999999; do
        strayspan_run --options "$bad" "$c/annotated_plain"
        assert_success
        assert_output watched
        assert_regex "$stderr" "${bad%%=*}"
        assert_equal "$(grep -c strayspan: <<<"$stderr")" 1
    done
    run strayspan_query 'select(.type == "process") | .options.repeat'
    assert_output 1
}

@test "a key without a value, empty parts and an open quote end nothing" {
    for odd in max_frames :: '=' '=1' 'rules="' 'quiet=1:' '"' 'max_frames="7' "$(printf 'x%.0s' {1..70000})"; do
        strayspan_run --options "$odd" "$c/annotated_plain"
        assert_success
        assert_output watched
    done
}

@test "a value in quotes may hold colons" {
    mkdir "$BATS_TEST_TMPDIR/a:b"
    run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" \
        STRAYSPAN_OPTIONS="log_path=\"$BATS_TEST_TMPDIR/a:b/log.jsonl\":max_frames=5" "$c/exit_without_enter"
    assert_success
    strayspan_use "$BATS_TEST_TMPDIR/a:b/log.jsonl"
    assert_violation exit-without-enter --only
    run strayspan_query 'select(.type == "process") | .options.max_frames'
    assert_output 5
}

@test "a rule can be turned off and on" {
    strayspan_run --options rules=-exit-without-enter "$c/exit_without_enter"
    assert_success
    assert_no_violations
    strayspan_run --options rules=-exit-without-enter,+exit-without-enter "$c/exit_without_enter"
    assert_violation exit-without-enter --only
    assert_in_violation .severity error
}

@test "a rule can be regraded" {
    strayspan_run --options rules=exit-without-enter=warning "$c/exit_without_enter"
    assert_violation exit-without-enter --only
    assert_in_violation .severity warning
    strayspan_run --options rules=exit-without-enter=off "$c/exit_without_enter"
    assert_no_violations
}

@test "an unknown rule is named" {
    strayspan_run --options rules=+no-such-rule,-exit-without-enter "$c/exit_without_enter"
    assert_regex "$stderr" no-such-rule
    assert_no_violations
}

@test "on_violation=abort gives SIGABRT at the call, and the log line is there" {
    strayspan_run --options on_violation=abort "$c/exit_without_enter"
    assert_equal "$status" 134
    assert_output ""
    assert_violation exit-without-enter --only
}

@test "on_violation=trap gives SIGTRAP at the call, and the log line is there" {
    strayspan_run --options on_violation=trap "$c/exit_without_enter"
    assert_equal "$status" 133
    assert_output ""
    assert_violation exit-without-enter --only
}

@test "on_violation=stop stops the program, which then goes on" {
    local pid state i
    LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS="on_violation=stop:log_path=$BATS_TEST_TMPDIR/log.jsonl" \
        "$c/exit_without_enter" >"$BATS_TEST_TMPDIR/out" 2>/dev/null 3>&- &
    pid=$!
    for ((i = 0; i < 200; i++)); do
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat")
        [ "$state" != T ] || break
        sleep 0.05
    done
    assert_equal "$state" T
    assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" ""
    kill -CONT "$pid"
    wait "$pid"
    assert_equal "$(cat "$BATS_TEST_TMPDIR/out")" done
    strayspan_use "$BATS_TEST_TMPDIR/log.jsonl"
    assert_violation exit-without-enter --only
}

@test "a violation is one line on stderr, and quiet=1 silences it" {
    strayspan_run "$c/two_misuses" 10
    assert_equal "${#stderr_lines[@]}" 2
    assert_regex "${stderr_lines[1]}" '^strayspan: .*second'
    strayspan_run --options quiet=1 "$c/two_misuses" 10
    assert_equal "$stderr" ""
    assert_violation exit-without-enter --span second
}

@test "stacks=off keeps one address, max_frames bounds them" {
    strayspan_run --options stacks=off "$c/foreign_thread_exit"
    assert_violation foreign-thread-exit --only
    assert_violation_has '[.created, .entered] | all(.stack | length == 1)'
    strayspan_run --options max_frames=1 "$c/foreign_thread_exit"
    assert_violation foreign-thread-exit --only
    assert_violation_has '[.created, .entered, .exited] | all(.stack | length == 1)'
}

@test "repeat=N writes a violation N times, and all are counted" {
    strayspan_run "$c/two_misuses" 1000
    run strayspan_query 'select(.type == "violation") | .count'
    assert_output $'1\n1'
    strayspan_run --options repeat=3 "$c/two_misuses" 1000
    run strayspan_query 'select(.type == "violation" and .span.name != "second") | .count'
    assert_output $'1\n2\n3'
    run strayspan_query 'select(.type == "summary") | .rules["exit-without-enter"] | .violations, .fingerprints'
    assert_output $'1001\n2'
}

@test "lookups=1 logs every look-up" {
    strayspan_run --options lookups=1 "$c/wrong_subscriber" lookup
    run strayspan_query 'select(.type == "lookup") | .host, .service, .result, .addresses > 0, .span.name, .thread.serial'
    assert_output $'"localhost"\n"80"\n0\ntrue\n"job"\n1'
    strayspan_run "$c/wrong_subscriber" lookup
    run strayspan_query 'select(.type == "lookup")'
    assert_output ""
}

@test "follow_children=0 leaves the processes alone that the program starts" {
    strayspan_run sh -c "'$c/exit_without_enter'; :"
    assert_violation exit-without-enter --only
    strayspan_run --options follow_children=0 sh -c "'$c/exit_without_enter'; :"
    assert_success
    assert_output done
    assert_equal "$(strayspan_query 'select(.type == "violation")')" ""
}

@test "except= leaves children alone by their files' names, not what they start, nor what is run itself" {
    for names in 'exit_without_enter' 'a,exit_*' ',*'; do
        strayspan_run --options "except=$names" "$c/exit_without_enter"
        assert_violation exit-without-enter --only
        strayspan_run --options "except=$names" sh -c "'$c/exit_without_enter'; :"
        assert_success
        assert_output done
        assert_equal "$(strayspan_query 'select(.type == "violation")')" ""
    done
    for names in exit_without exit_without_enter_ xexit_without_enter 'sh,dash,bash' 'f*,'; do
        strayspan_run --options "except=$names" sh -c "'$c/exit_without_enter'; :"
        assert_violation exit-without-enter --only
    done
}

@test "wherever memory ends when it starts, the program runs as it does without" {
    local limit
    for ((limit = 3000; limit < 5200; limit += 25)); do
        run bash -c 'ulimit -v "$1"; exec /bin/true' - "$limit"
        [ "$status" -eq 0 ] || continue
        run bash -c 'ulimit -v "$1"; LD_PRELOAD=$2 exec /bin/true 2>/dev/null' - "$limit" "$STRAYSPAN_SHIM"
        # 127: the loader had no room for it.
        [ "$status" -eq 0 ] || [ "$status" -eq 127 ] || fail "status $status with $limit KiB"
    done
}

@test "argv is logged only with fields=values" {
    strayspan_run "$c/two_misuses" 7
    run strayspan_query 'select(.type == "process") | .argv'
    assert_output null
    strayspan_run --options fields=values "$c/two_misuses" 7
    run strayspan_query 'select(.type == "process") | .argv[1]'
    assert_output '"7"'
}
