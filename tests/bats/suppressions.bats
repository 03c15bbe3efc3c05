# Suppressions: what is counted and not reported, in the program and in reports, and nothing else.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR"
}

# Writes the lines to the file `supp`.
suppressions() {
    printf '%s\n' "$@" >supp
}

@test "what is suppressed in the program is counted, and neither said, written nor acted on" {
    suppressions '# known' '' 'foreign-thread-exit:span=jo?' '*:no-such-*'
    strayspan_run --options suppressions=supp:on_violation=abort "$c/foreign_thread_exit"
    assert_success
    assert_equal "$stderr" ''
    assert_no_violations
    assert_equal "$(strayspan_query 'select(.type == "summary") | .rules["foreign-thread-exit"] | [.violations, .suppressed]')" '[0,1]'
    assert_equal "$(strayspan_query 'select(.type == "summary") | .suppressions | map([.count, .line])')" \
        '[[1,"foreign-thread-exit:span=jo?"],[0,"*:no-such-*"]]'
    report --check "$strayspan_log"
    assert_success
    assert_line 'unseen:  1 violation suppressed'
    assert_line 'note:    unused suppression: *:no-such-*'
    refute_output --partial 'jo?'
}

@test "a repeat is suppressed like the first; what is no match is reported as ever" {
    strayspan_run "$c/two_misuses"
    assert_violation exit-without-enter --span second
    suppressions '*:span=second'
    strayspan_run --options suppressions=supp "$c/two_misuses"
    refute_violation exit-without-enter --span second
    assert_violation exit-without-enter
    [ "$(strayspan_query 'select(.type == "summary") | [.rules[].suppressed] | add')" -gt 0 ]
}

@test "a function is named in a suppression as it is in the report" {
    program=$build/samples/trixie/debug/await_current
    [ -x "$program" ] || skip "no Rust samples"
    strayspan_run --options quiet=1 "$program"
    report "$strayspan_log"
    assert_output --partial 'await_current::handle_order (async fn)'
    for name in 'await_current::handle_order' 'await_current::handle_order\ (async\ fn)' 'await_current::handle_*'; do
        suppressions "held-across-await:function=$name"
        report --check --suppressions supp "$strayspan_log"
        assert_equal "$status $name" "0 $name"
    done
    suppressions 'await:span=x'
    report --suppressions supp "$strayspan_log"
    assert_equal "$status" 2
    assert_regex "$stderr" 'supp: line 1: there is no such rule'
}

@test "a log is reported with suppressions, by span, target, file, function, module, or any of them" {
    strayspan_run "$c/foreign_thread_exit"
    local line
    for line in '*:span=job' 'foreign-thread-exit:target=sample' '*:file=foreign_thread_exit.c' '*:file=*/c/foreign_thread_exit.c' \
        '*:function=helper' '*:module=foreign_thread_exit' '*:job' '*:helper' '*:foreign_thread_exit.c' \
        'foreign-thread-exit:span=j* function=main' '  *:j\ob  '; do
        suppressions "$line"
        report --check --suppressions supp "$strayspan_log"
        assert_equal "$status $line" "0 $line"
        assert_line 'unseen:  1 violation suppressed'
        refute_output --partial 'unused'
    done
    for line in 'lost-close:span=job' '*:span=jo' '*:span=ob' '*:span=JOB' '*:file=thread_exit.c' '*:function=job' '*:module=libc*' \
        '*:span=job target=other' '*:span=j\*' '*:span=????' '#*:span=job'; do
        suppressions "$line"
        report --check --suppressions supp "$strayspan_log"
        assert_equal "$status $line" "1 $line"
        assert_output --partial 'error[foreign-thread-exit]'
    done
}

@test "run --suppressions: in the program and in the report, which alone knows functions; unused ones are listed" {
    suppressions '*:function=helper' 'lost-close:span=x'
    run_under --suppressions supp "$c/foreign_thread_exit"
    assert_success
    assert_regex "$stderr" 'nothing strayed'
    assert_regex "$stderr" '1 violation suppressed'
    assert_regex "$stderr" 'unused suppression: lost-close:span=x'
    refute_regex "$stderr" 'unused suppression: \*:function'
    # The program alone cannot know, and what it was told holds nothing back of what others logged.
    suppressions '*:function=helper' '*:span=job'
    STRAYSPAN_OPTIONS=suppressions=$PWD/supp run_under "$c/foreign_thread_exit"
    assert_success
    local told=$strayspan_log
    suppressions '*:function=helper'
    STRAYSPAN_OPTIONS=suppressions=$PWD/supp run_under "$c/foreign_thread_exit"
    assert_equal "$status" 66
    assert_regex "$stderr" 'note:    not in force here is the run.s suppression: \*:function=helper \(--suppressions FILE\)'
    report --check "$told" "$strayspan_log"
    assert_equal "$status" 1
    assert_line 'found:   1 error'
    assert_line 'unseen:  1 violation suppressed'
}

@test "several suppression files: all of them are in force, in the program, in reports and in diffs" {
    printf '*:span=second\n' >'a "b.supp'
    printf 'lost-close:x\n*:span=evil*\n' >c.supp
    strayspan_run "$c/two_misuses"
    local log=$strayspan_log files=(--suppressions 'a "b.supp' --suppressions c.supp)
    report --check "${files[@]}" "$log"
    assert_success
    assert_line 'note:    unused suppression: lost-close:x'
    strayspan_run "$c/annotated_plain"
    run --separate-stderr "$STRAYSPAN" diff "${files[@]}" "$strayspan_log" "$log"
    assert_success
    run_under "${files[@]}" "$c/two_misuses"
    assert_success
    assert_regex "$stderr" '2 violations suppressed'
    # In the program itself, as an option of the library's that is given again; a missing one is said.
    assert_equal "$(strayspan_query 'select(.type == "violation")')" ''
    strayspan_run --options "suppressions='a \"b.supp':suppressions=missing:suppressions=c.supp" "$c/two_misuses"
    assert_no_violations
    assert_equal "$(grep -c 'suppressions: ' <<<"$stderr")" 1
    assert_regex "$stderr" 'suppressions: missing: it cannot be opened'
    # One that the user's environment names is in force beside that of the command.
    STRAYSPAN_OPTIONS=suppressions=c.supp run_under --suppressions 'a "b.supp' "$c/two_misuses"
    assert_success
    assert_regex "$stderr" '2 violations suppressed'
}

@test "a misspelt key is an error with its line, and no pattern; a pattern may hold a \\=" {
    strayspan_run "$c/foreign_thread_exit"
    local log=$strayspan_log line
    for line in '*:spam=*' '*:span=job Target=*' '*:=*'; do
        suppressions '# one' "$line"
        report --check --suppressions supp "$log"
        assert_equal "$status $line" "2 $line"
        assert_regex "$stderr" 'suppressions supp: line 2: the word before a `=` is none of span, target, file, function and module; a `=` that a pattern holds is `.=`'
        strayspan_run --options suppressions=supp "$c/foreign_thread_exit"
        assert_violation foreign-thread-exit
        assert_equal "$(grep -c 'suppressions: supp: line 2: the word before' <<<"$stderr")" 1
    done
    jq -c '(.. | strings | select(. == "job")) |= "a=b"' "$log" >odd.log
    for line in '*:a\=b' '*:span=a=b' '*:*=b'; do
        suppressions "$line"
        report --check --suppressions supp odd.log
        assert_equal "$status $line" "0 $line"
    done
}

@test "strayspan suppress: its lines hold back what the log tells of, and nothing else" {
    local program found
    for program in two_misuses foreign_thread_exit lost_close used_after_close long_names many_misuses; do
        strayspan_run "$c/$program"
        run --separate-stderr "$STRAYSPAN" suppress "$strayspan_log"
        assert_success
        printf '%s\n' "$output" >"$program.supp"
        report --check --deny warnings --suppressions "$program.supp" "$strayspan_log"
        assert_success
        refute_output --partial 'unused suppression'
        # In the program, too.
        strayspan_run --options "suppressions=$program.supp" "$c/$program"
        assert_no_violations
    done
    strayspan_run "$c/lost_close"
    report --check --deny warnings --suppressions foreign_thread_exit.supp "$strayspan_log"
    assert_equal "$status" 1
}

@test "names with blanks, stars and what else a line could mean come through suppress" {
    strayspan_run "$c/foreign_thread_exit"
    jq -c '(.. | strings | select(. == "job")) |= "a b*?\\c:d=e #f"' "$strayspan_log" >odd.log
    run --separate-stderr "$STRAYSPAN" suppress odd.log
    assert_success
    printf '%s\n' "$output" >supp
    report --check --suppressions supp odd.log
    assert_success
    assert_line 'unseen:  1 violation suppressed'
    report --check --suppressions supp "$strayspan_log"
    assert_equal "$status" 1
}

@test "a suppression file that cannot be used: an error of the command, one warning of the library, nothing hidden" {
    suppressions 'foreign-thread-exit:span=other' 'foreign-thread-exit' 'no-such-rule:*'
    local want name
    mkdir folder
    head -c 4096 /dev/zero >zeroes
    while read -r name want; do
        run_under --suppressions "$name" "$c/foreign_thread_exit"
        assert_equal "$status $name" "125 $name"
        assert_regex "$stderr" "suppressions $name: $want"
        [ -z "$output" ] || fail "the program was run"
        report --suppressions "$name" .
        assert_equal "$status $name" "2 $name"
        strayspan_run --options "suppressions=$name" "$c/foreign_thread_exit"
        assert_violation foreign-thread-exit
        assert_equal "$(grep -c "suppressions: $name: " <<<"$stderr")" 1
    done <<'END'
supp line 2: it does not begin with `RULE:`
missing cannot be read
folder cannot be read
zeroes line 1: it is longer than 512 bytes
END
    strayspan_run --options suppressions=supp "$c/foreign_thread_exit"
    assert_regex "$stderr" '2 lines suppress nothing'
    # The lines that can be used are in force.
    suppressions 'nonsense' 'foreign-thread-exit:span=job'
    strayspan_run --options suppressions=supp "$c/foreign_thread_exit"
    assert_no_violations
}

@test "very many and very long lines: all are in force, up to 4096; the summary tells of those that were used" {
    local long
    long=$(printf 'x%.0s' {1..200})
    { for i in {1..4095}; do echo "lost-close:span=$long$i"; done && echo '*:span=job' && echo '*:span=one-too-many'; } >supp
    strayspan_run --options suppressions=supp "$c/foreign_thread_exit"
    assert_no_violations
    assert_regex "$stderr" 'suppressions: supp: line 4097: there are more than 4096; 1 line suppresses nothing'
    assert_equal "$(strayspan_query 'select(.type == "summary") | .suppressions[0]')" '{"line":"*:span=job","count":1}'
    [ "$(strayspan_query 'select(.type == "summary") | .suppressions | length')" -gt 50 ]
    report --check --suppressions supp "$strayspan_log"
    assert_success
    assert_line --regexp '^note:    and [0-9]+ more unused suppressions$'
}

@test "a child of fork counts its suppressions anew" {
    suppressions '*:*'
    strayspan_run --options suppressions=supp "$c/fork_both"
    assert_no_violations
    strayspan_run "$c/fork_both"
    local counts
    counts=$(strayspan_query 'select(.type == "summary") | [.rules[].violations] | add' | paste -sd' ')
    strayspan_run --options suppressions=supp "$c/fork_both"
    assert_equal "$(strayspan_query 'select(.type == "summary") | [.rules[].suppressed] | add' | paste -sd' ')" "$counts"
}

check_sample() {
    local span
    strayspan_run "$1"
    suppressions 'held-across-await:file=*'
    strayspan_run --options suppressions=supp "$1"
    assert_equal "$status" "$2"
    assert_equal "$(strayspan_query 'select(.type | IN("violation", "suspicion", "consequence")) | .type')" ''
    "$STRAYSPAN" suppress "$strayspan_log" >none
    assert_equal "$(cat none)" ''
}

@test "a guard held across an await, its suspicions and what comes of it are suppressed together" {
    for_each_build check_sample held-across-await 'await_[mt]*'
}
