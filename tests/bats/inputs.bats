# What each command that reads logs says of those that it cannot read, or not wholly: their names, what is wrong
# and status 2, with nothing lost of the others.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR" || return
    strayspan_run "$c/foreign_thread_exit"
    cp "$strayspan_log" good.jsonl
}

# Runs each command with FILE... in its place, and calls CHECK with the command's words.
commands=('report' 'report --check' 'report --format json' 'report --format sarif' 'report --format junit'
    'report --format markdown' 'suppress' 'report --follow' 'diff good.jsonl')

run_command() {
    # shellcheck disable=SC2086 # words
    run --separate-stderr timeout -s INT 3 "$STRAYSPAN" $1 "${@:2}"
}

@test "every command names a log that is missing, empty, foreign, newer or not a file" {
    : >empty.log
    head -c 3000 /dev/urandom >foreign.log
    sed 's/"v":1/"v":2/' good.jsonl >newer.log
    mkdir none
    local command file want
    for command in "${commands[@]}"; do
        while read -r file want; do
            # What is followed may come yet.
            [[ $command != *--follow || ! $file =~ ^(empty|none) ]] || continue
            run_command "$command" "$file"
            assert_equal "$status $command $file" "2 $command $file"
            assert_regex "$stderr" "strayspan: $file: $want"
        done <<'END'
missing.log cannot be read: No such file
empty.log empty
foreign.log not a strayspan log
newer.log line 1: a log of version 2, and this strayspan \([0-9.]+\) reads version 1
none no log in it
/dev/null not a strayspan log: not a file
END
    done
}

@test "standard input that does not block is read to its end" {
    { head -n 2 good.jsonl && sleep 0.5 && tail -n +3 good.jsonl; } | {
        run timeout 20 python3 -c 'import os, sys
os.set_blocking(0, False)
os.execv(sys.argv[1], sys.argv[1:])' "$STRAYSPAN" report --check -
        declare -p status output >result
    }
    source result
    assert_equal "$status" 1
    assert_output --partial 'foreign-thread-exit'
}

@test "every command names what may not be read, and tells the rest" {
    [ "$(id -u)" = 0 ] || skip 'not root'
    local command name
    chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
    cp "$STRAYSPAN" strayspan
    mkdir -m 700 locked
    mkdir some
    cp good.jsonl some/a.jsonl
    cp good.jsonl some/b.jsonl
    chmod 600 some/a.jsonl
    chmod 644 some/b.jsonl good.jsonl
    for command in "${commands[@]}"; do
        for name in some/a.jsonl locked; do
            # shellcheck disable=SC2086 # words
            run --separate-stderr timeout -s INT 3 setpriv --reuid 65534 --regid 65534 --clear-groups ./strayspan $command $name
            assert_equal "$status $command" "2 $command"
            assert_equal "$stderr" "strayspan: $name: cannot be read: Permission denied"
        done
        [[ $command != *--follow ]] || continue
        # shellcheck disable=SC2086 # words
        run setpriv --reuid 65534 --regid 65534 --clear-groups ./strayspan $command some
        assert_equal "$status $command" "2 $command"
        assert_output --partial 'some/a.jsonl: cannot be read: Permission denied'
        [[ $command = diff* ]] || assert_output --partial 'foreign-thread-exit'
    done
}

@test "a good log beside a bad one: all that is in the good one is told, and the status is 2" {
    echo foreign >foreign.log
    local command
    for command in "${commands[@]}"; do
        [[ $command != diff* ]] || continue
        run_command "$command" foreign.log good.jsonl
        # Followed, it is interrupted in the end.
        assert_equal "$status $command" "2 $command" || [[ $command == *--follow && $status = 124 ]]
        assert_regex "$stderr" 'strayspan: foreign\.log: not a strayspan log'
        assert_output --partial 'foreign-thread-exit'
    done
}

@test "where the runs of cargo have folders of their own, the newest is named" {
    mkdir -p runs/20260101T000000Z-1 runs/20261231T000000Z-2 runs/notes
    run --separate-stderr "$STRAYSPAN" report runs
    assert_equal "$status" 2
    assert_regex "$stderr" 'no log in it .*the newest run below it is runs/20261231T000000Z-2$'
}

@test "a gate does not open by what could not be read" {
    strayspan_use good.jsonl
    local at
    at=$(grep -n '"type":"violation"' good.jsonl | cut -d: -f1)
    { head -n $((at - 1)) good.jsonl && sed -n "${at}p" good.jsonl | head -c 300; } >torn.log
    { cat torn.log && echo && tail -n +$((at + 1)) good.jsonl; } >torn_within.log
    : >empty.log
    for log in torn.log torn_within.log empty.log; do
        run "$STRAYSPAN" report --check "$log"
        assert_equal "$status $log" "2 $log"
        strayspan_use "$log"
        for assertion in assert_no_violations 'refute_violation held-across-await'; do
            run $assertion
            assert_equal "$status $log" "1 $log"
        done
    done
}

@test "a log that had no room for all of its lines says so, and no gate opens by it" {
    # Nothing strayed as far as the log tells; how it ended is what is missing.
    (ulimit -f 3 && LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS=log_path=room.log "$c/annotated_plain" 2>&1 | cat >said)
    assert_equal "$(jq -r .type room.log | sort -u | paste -sd' ')" 'lost module process'
    report --check room.log
    assert_equal "$status" 2
    assert_line --regexp '^problem: room\.log: lines of pid [0-9]+ could not be written to it: file too large; they went to the program.s stderr'
    run --separate-stderr "$STRAYSPAN" diff good.jsonl room.log
    assert_equal "$status" 2
    strayspan_use room.log
    for assertion in assert_no_violations 'refute_violation held-across-await' assert_coverage; do
        run $assertion
        assert_equal "$status $assertion" "1 $assertion"
    done
    # What went to stderr can be read.
    report --check - <said
    assert_success
    run --separate-stderr bash -c 'ulimit -f 3; "$STRAYSPAN" run --log-dir logs "$1" 2>&1 | cat; exit "${PIPESTATUS[0]}"' - "$c/annotated_plain"
    assert_equal "$status" 125
    assert_output --partial 'could not be written to it: file too large'
}

@test "a log whose first line is broken is read on; what has other lines first is called so, and how to read it" {
    { head -c 100 good.jsonl && echo && tail -n +2 good.jsonl; } >first.log
    { echo 'the program says' && cat good.jsonl; } >mixed.log
    run_command 'report --check' first.log
    assert_equal "$status" 1
    assert_output --partial 'error[foreign-thread-exit]'
    assert_output --partial '1 of its lines could not be read, the first is line 1'
    { cat good.jsonl && echo 'the program says'; } >last.log
    run_command 'report --check' last.log
    assert_output --partial 'the first is line '
    assert_output --partial 'where it is what a program wrote to standard error, among other lines: report - <last.log'
    grep -v '"violation"' first.log >nothing.log
    run_command 'report --check' nothing.log
    assert_equal "$status" 2
    run_command report mixed.log
    assert_equal "$status" 2
    assert_equal "$stderr" 'strayspan: mixed.log: not a strayspan log: it is text with records in it; try: strayspan report - <FILE'
    run_command report - <mixed.log
    assert_success
    assert_output --partial 'error[foreign-thread-exit]'
}

@test "a log that is being written: all its whole lines are told, and that it was cut" {
    local command lines
    lines=$(wc -l <good.jsonl)
    { head -n $((lines - 1)) good.jsonl && tail -n 1 good.jsonl | head -c 100; } >cut.log
    for command in "${commands[@]}"; do
        run_command "$command" cut.log
        case $command in
        'report --check') assert_equal "$status" 1 ;;
        diff*) assert_equal "$status" 2 ;;
        *--follow) ;;
        *) assert_success ;;
        esac
        assert_output --partial foreign-thread-exit
        assert_regex "$output$stderr" 'its last line, line [0-9]+, is cut'
    done
}

@test "suppress: nothing to suppress is said, and that output could not be written" {
    strayspan_run "$c/annotated_plain"
    run --separate-stderr "$STRAYSPAN" suppress "$strayspan_log"
    assert_success
    refute_output
    assert_equal "$stderr" 'strayspan: nothing strayed: there is nothing to suppress'
    local command
    for command in 'suppress good.jsonl' 'diff good.jsonl good.jsonl' 'report good.jsonl' 'report --format sarif good.jsonl'; do
        # shellcheck disable=SC2086 # words
        run sh -c "\"\$STRAYSPAN\" $command >/dev/full"
        assert_equal "$status $command" "2 $command"
        assert_output --partial 'could not be written'
    done
}
