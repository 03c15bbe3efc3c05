setup() {
    load setup
}

# Sets line to that of the source of a sample that holds this text.
line_of() {
    line=$(grep -nF "$2" "$root/tests/programs/rust/src/${1##*/}.rs" | head -n 1 | cut -d: -f1)
    [ -n "$line" ]
}

check_once() {
    line_of "$1" 'span.enter()'
    strayspan_run "$1"
    assert_success
    assert_output done
    assert_coverage
    assert_violation held-across-await --span handle_order --file "${1##*/}.rs" --only
    assert_in_violation .severity error
    assert_in_violation .thread_changed false
    assert_violation_has '.parks > 0 and .parked_ns > 0 and .spans_under > 0'
    assert_violation_has '[.created, .entered, .exited, .parked] | all(.time != null and .thread.serial == 1)'
    assert_violation_has '.entered.time < .parked.time and .parked.time < .exited.time'
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    assert_output --partial "${1##*/}.rs:$line"
    assert_output --partial 'handle_order (async fn)'
    assert_output --partial 'await-holding-invalid-types'
}

@test "a guard held once is one error: where it was taken, over how many parks, for how long" {
    for_each_build check_once held-across-await await_current
}

check_moved() {
    strayspan_run "$1"
    assert_success
    assert_violation held-across-await --span handle_order --only
    assert_in_violation .severity error
    assert_in_violation .thread_changed true
    assert_violation_has '.entered.thread.serial != .exited.thread.serial'
    run "$STRAYSPAN" report "$strayspan_log"
    assert_output --regexp 'dropped on thread [0-9]+, not on thread [0-9]+'
}

@test "dropped on another worker it is one report still, and not a foreign exit" {
    for_each_build check_moved held-across-await await_moved
}

check_alone() {
    strayspan_run "$1"
    assert_violation held-across-await --span handle_order --only
    assert_in_violation .severity warning
    assert_in_violation .spans_under 0
    strayspan_run --options rules=held-across-await=error "$1"
    assert_violation held-across-await --only
    assert_in_violation .severity error
}

@test "where nothing else came under it, it is a warning, unless the user says otherwise" {
    for_each_build check_alone held-across-await await_one_worker
}

# It cannot be refuted by those that did not look for it.
assert_none() {
    assert_hooked
    [ -z "$(strayspan_query 'select(.type == "suspicion" or .rule? == "held-across-await")')" ] ||
        strayspan_fail "it was looked for"
}

check_off() {
    strayspan_run --options await_check=off "$1"
    assert_none
    assert_coverage
    strayspan_run --options rules=-held-across-await "$1"
    assert_none
}

@test "await_check=off and the rule turned off look for none" {
    for_each_build check_off held-across-await await_current
    for_each_build check_off held-across-await await_moved
}

@test "without the check, what is dropped on another thread is a foreign exit" {
    check_foreign() {
        strayspan_run --options await_check=off "$1"
        assert_violation foreign-thread-exit --span handle_order --only
    }
    for_each_build check_foreign held-across-await await_moved
}

check_full() {
    strayspan_run --options await_check=full "$1"
    assert_violation held-across-await --span handle_order --only
}

@test "await_check=full finds the same" {
    for_each_build check_full held-across-await 'await_@(current|moved|helper|struct|local_set|yield|select)'
}

@test "await_check=full is silent on correct programs, too" {
    check_silent() {
        strayspan_run --options await_check=full "$1"
        assert_equal "$status" "$2"
        assert_no_violations
        assert_coverage
    }
    for_each_build check_silent legal 'legal_@(around_runtime|await_ends|blocking|blocking_tasks|guards_returned|instrumented|local_set|threads|rayon)'
}

# What is left of a program that its builder stripped, but for the names by which subscribers are found.
check_nameless() {
    local stripped=$BATS_TEST_TMPDIR/${1##*/}
    objcopy -w --strip-all -K '*tracing_core*Subscriber*' -K '*Subscriber*' "$1" "$stripped"
    strayspan_run "$stripped"
    assert_hooked
    assert_violation held-across-await --span handle_order --only
}

@test "the functions' names are not needed" {
    for_each_build check_nameless held-across-await 'await_@(current|moved|helper|struct|local_set|yield|select|join)'
}

check_suspicion() {
    line_of "$1" '.enter'
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_no_violations
    run strayspan_query 'select(.type == "suspicion") | [.rule, .span.name, .parks >= 3 or .parked_ns > 1000000000, has("exited")]'
    assert_output '["held-across-await","serve",true,false]'
    run "$STRAYSPAN" report --check "$strayspan_log"
    assert_success
    assert_output --partial 'suspicion[held-across-await]'
    assert_output --partial "${1##*/}.rs:$line"
}

@test "a guard that never drops is a suspicion, also where a signal ends the program" {
    for_each_build check_suspicion held-across-await 'await_never*'
}

check_cancelled() {
    strayspan_run "$1"
    assert_success
    assert_violation held-across-await --span handle_order --only
}

@test "a guard that is dropped with its cancelled task is told, by the names of drop glue" {
    for_each_build check_cancelled held-across-await 'await_@(aborted|timed_out)'
}

# tracing#3514: who panics is innocent.
check_innocents() {
    local attempt line_said line_panic
    case $1 in
    */sid/release/*) ;;
    *) return ;;
    esac
    line_of "$1" 'info_span!("guilty")'
    # shellcheck disable=SC2034 # a count
    for attempt in {1..20}; do
        strayspan_run "$1"
        assert_violation held-across-await --span guilty
        run strayspan_query 'select(.type == "violation") | [.span.name, .span.line]'
        [ "$(sort -u <<<"$output")" = "[\"guilty\",$line]" ] || strayspan_fail "an innocent is accused"
        line_said=$(grep -n 'strayspan: ' <<<"$stderr" | head -n 1 | cut -d: -f1)
        line_panic=$(grep -n 'panicked at' <<<"$stderr" | head -n 1 | cut -d: -f1)
        [ -z "$line_panic" ] || [ "$line_said" -lt "$line_panic" ] || strayspan_fail "said after the panic"
    done
}

@test "the innocent tasks' panics: the culprit is named before the first of them, nobody else is" {
    for_each_build check_innocents held-across-await await_innocents
}

check_explained() {
    case $1 in
    */sid/release/*) ;;
    *) return ;;
    esac
    local attempt explained=
    # shellcheck disable=SC2034 # a count
    for attempt in {1..20}; do
        [ -z "$explained" ] || break
        strayspan_run "$1"
        grep -q 'tried to clone' <<<"$stderr" || continue
        [ -n "$(strayspan_query 'select(.type == "consequence" and .what == "clone-of-closed")')" ] || continue
        explained=yes
    done
    [ "$explained" ] || strayspan_fail "no panic in 20 runs"
    run strayspan_query 'select(.type == "violation") | .fingerprint'
    local fingerprints=$output
    run strayspan_query 'select(.type == "consequence") | .of'
    while read -r of; do
        grep -qF "$of" <<<"$fingerprints" || strayspan_fail "a consequence of nothing: $of"
    done <<<"$output"
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    # Where lines break depends on the paths in them.
    output=$(tr -s ' \n' ' ' <<<"$output")
    assert_output --partial 'what you saw'
    assert_output --partial 'tried to clone a span'
    assert_output --partial 'did nothing wrong'
}

@test "the report explains the innocent tasks' panics" {
    for_each_build check_explained held-across-await await_innocents
}

check_stale() {
    strayspan_run "$1"
    assert_success
    assert_violation held-across-await --span handle_order --only
    run strayspan_query 'select(.type == "consequence") | [.what, .span.name]'
    assert_line '["stale-parent","handle_order"]'
    run "$STRAYSPAN" report "$strayspan_log"
    assert_output --partial 'what you saw'
}

@test "spans that get the one that stayed behind as their parent are told as a consequence" {
    for_each_build check_stale held-across-await await_stale_parent
}
