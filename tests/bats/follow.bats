# strayspan report --follow: what strays is told once, as the logs grow, whatever becomes of their files.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR" || return
    # A log in pieces: what comes before the violation, the violation, and the rest.
    strayspan_run "$c/foreign_thread_exit"
    grep -n '"type":"violation"' "$strayspan_log" >found
    IFS=: read -r number _ <found
    head -n "$((number - 1))" "$strayspan_log" >begin.part
    sed -n "${number}p" "$strayspan_log" >violation.part
    tail -n "+$((number + 1))" "$strayspan_log" >end.part
}

teardown() {
    [ -z "${follower-}" ] || kill -KILL "$follower" 2>/dev/null || true
}

follow() {
    "$STRAYSPAN" report --follow "$@" >told 2>errors 3>&- &
    follower=$!
}

# Waits until `told` has the text so often.
wait_for() {
    local turn
    for turn in {1..150}; do
        [ "$(grep -c -- "$1" told)" -lt "${2-1}" ] || return 0
        sleep 0.1
    done
    fail "not told ${2-1} times: $1; but: $(cat told errors)"
}

# Ends the follower as a user would; sets status and output.
finish() {
    sleep 0.5
    kill -INT "$follower"
    status=0
    wait "$follower" || status=$?
    follower=
    output=$(cat told)
    mapfile -t lines <told
}

error='^error\[foreign-thread-exit\]'

@test "a growing log: told at once, in whole lines, once; the end when interrupted" {
    cp begin.part log
    follow --check log
    sleep 0.5
    head -c 200 violation.part >>log
    sleep 0.5
    refute [ -s told ]
    tail -c +201 violation.part >>log
    wait_for "$error"
    refute grep -q '^seen:' told
    sed 's/"count":1,/"count":2,/' violation.part >>log
    cat end.part >>log
    finish
    assert_equal "$status" 1
    assert_equal "$(grep -c "$error" told)" 1
    assert_line 'found:   1 error'
    assert_line --regexp '^seen: +1 process, 1 span, 1 enter on 2 threads'
    assert_equal "$(cat errors)" ''
    # As a report of the whole log.
    run grep -c 'is made at' told
    assert_output 1
}

@test "renamed while it grows: what is still written to the old file, and what comes to the new one" {
    cp begin.part log
    exec 7>>log
    follow log
    sleep 0.5
    mv log log.1
    sed 's/"run":"[^"]*"/"run":"0123456789abcdef"/' begin.part >log
    sleep 0.5
    cat violation.part >&7
    wait_for "$error"
    # The same fingerprint is one violation; another one is told too.
    sed 's/"run":"[^"]*"/"run":"0123456789abcdef"/; s/"fingerprint":"[^"]*"/"fingerprint":"00000000000000aa"/; s/"group":"[^"]*"/"group":"00000000000000bb"/; s/"name":"job"/"name":"other"/' violation.part >>log
    wait_for 'span `other`'
    exec 7>&-
    # Again, and away: a record of the first process, whose modules were told of two files ago.
    mv log log.2
    { sed 's/"fingerprint":"[^"]*"/"fingerprint":"00000000000000cc"/; s/"group":"[^"]*"/"group":"00000000000000dd"/; s/"name":"job"/"name":"third"/' violation.part && cat end.part; } >log
    wait_for 'span `third`'
    rm log
    finish
    assert_success
    assert_line 'found:   3 errors'
    # Its frames have names, as the modules are known still.
    assert_equal "$(grep -A2 'span `third`' told | grep -c 'foreign_thread_exit\.c:')" 1
    assert_equal "$(cat errors)" ''
}

@test "cut to nothing while it grows, as by copytruncate: it is read from its start" {
    cp begin.part log
    follow log
    sleep 0.5
    : >log
    cat violation.part >>log
    wait_for "$error"
    cat end.part >>log
    finish
    assert_success
    assert_line 'found:   1 error'
}

@test "a directory: logs that come while it is followed, in the order in which they come" {
    mkdir logs
    follow logs logs/
    sleep 0.3
    strayspan_run "$c/foreign_thread_exit"
    cp "$strayspan_log" logs/1.jsonl
    wait_for "$error"
    echo 'no log' >logs/2.txt
    local program
    for program in lost_close two_misuses annotated_plain; do
        STRAYSPAN_OPTIONS="log_path=$PWD/logs/%e.%p.jsonl" LD_PRELOAD=$STRAYSPAN_SHIM "$c/$program" >/dev/null 2>&1
    done
    wait_for '^warning\[lost-close\]'
    wait_for '^error\[exit-without-enter\]' 2
    : >logs/empty.jsonl
    finish
    assert_success
    assert_line 'found:   3 errors, 1 warning'
    assert_line --regexp '^seen: +4 processes'
    assert_equal "$(cat errors)" ''
}

@test "the folders of cargo's runs below a directory, also those that come while it is followed" {
    mkdir -p runs/20260101T000000Z-1
    cat begin.part violation.part end.part >runs/20260101T000000Z-1/a.jsonl
    follow runs
    wait_for 'foreign-thread-exit'
    mkdir runs/20260101T000001Z-2
    strayspan_run "$c/exit_without_enter"
    cp "$strayspan_log" runs/20260101T000001Z-2/b.jsonl
    wait_for 'error\[exit-without-enter'
    kill -INT "$follower"
    wait "$follower" || true
    grep -q '^seen: *2 processes' told
}

@test "a batch's directory that does not hold all opens no gate when it is followed" {
    mkdir logs
    jq -c 'select(.type != "violation") | if .rules then .rules |= map_values(.violations = 0 | .fingerprints = 0) else . end' \
        "$strayspan_log" >logs/a.jsonl
    for want in 0 2; do
        follow --check logs
        sleep 0.5
        kill -INT "$follower"
        wait "$follower" && status=0 || status=$?
        assert_equal "$status" "$want"
        : >logs/incomplete
    done
}

@test "more logs than there may be open files" {
    mkdir logs
    local i
    for i in {1..80}; do
        cat begin.part violation.part end.part | sed "s/\"run\":\"[^\"]*\"/\"run\":\"00000000000000$i\"/" >"logs/$i.jsonl"
    done
    (ulimit -n 40 && exec "$STRAYSPAN" report --follow logs >told 2>errors 3>&-) &
    follower=$!
    wait_for "$error"
    sleep 1
    finish
    assert_success
    assert_equal "$(grep -c "$error" told)" 1
    assert_line --regexp '^seen: +80 processes'
}

# The log's pieces $2.. as another process, 16 digits that end in $1, writes them.
as_process() {
    local name=$1
    shift
    cat "$@" | sed "s/\"run\":\"[^\"]*\"/\"run\":\"00000000000000$name\"/; s/\"fingerprint\":\"[^\"]*\"/\"fingerprint\":\"00000000000000$name\"/
        s/\"group\":\"[^\"]*\"/\"group\":\"00000000000000$name\"/; s/\"name\":\"job\"/\"name\":\"span_$name\"/; s/\"time\":\"2/\"time\":\"3/"
}

@test "more logs that are being written than there may be open files: all are told of, and that some come late" {
    mkdir logs
    local i
    for i in {10..89}; do
        as_process "$i" begin.part violation.part >"logs/$i.jsonl"
    done
    (ulimit -n 60 && exec "$STRAYSPAN" report --follow logs >told 2>errors 3>&-) &
    follower=$!
    wait_for 'span_10'
    finish
    assert_success
    assert_equal "$(grep -c "$error" told)" 80
    assert_line 'found:   80 errors'
    assert_equal "$(grep -c 'more logs are written at once than files may be open' errors)" 1
    refute_output --partial 'not named'
}

@test "cut, and grown again beyond its length before it is looked at: read from its start, whatever it was" {
    as_process 10 begin.part violation.part >log
    follow log
    wait_for span_10
    { as_process 11 begin.part violation.part end.part && as_process 12 begin.part violation.part end.part; } >more
    cat more >log
    wait_for span_12
    as_process 13 begin.part violation.part >>log
    wait_for span_13
    # To a part, with the same beginning.
    as_process 11 begin.part violation.part >log
    sleep 0.5
    as_process 14 begin.part violation.part >>log
    wait_for span_14
    finish
    assert_success
    assert_line 'found:   5 errors'
    assert_equal "$(grep -c "$error" told)" 5
    assert_equal "$(cat errors)" ''
}

@test "a name that comes to stand for nothing, a directory, a pipe, a link, and a log again: nothing lost, nothing twice" {
    mkdir logs
    as_process 10 begin.part violation.part >logs/a.jsonl
    cat begin.part >log
    follow logs log
    wait_for span_10
    rm -r logs log
    mkdir log
    sleep 0.5
    rmdir log
    ln -s nowhere log
    mkdir logs
    as_process 11 begin.part violation.part end.part >logs/a.jsonl
    wait_for span_11
    rm log
    mkfifo log
    as_process 12 begin.part violation.part end.part >log
    wait_for span_12
    as_process 13 begin.part violation.part end.part >target
    ln -sf target log
    wait_for span_13
    # It waits, and does not spin.
    assert [ "$(awk '{ print $14 + $15 }' "/proc/$follower/stat")" -lt 50 ]
    finish
    assert_success
    assert_line 'found:   4 errors'
    assert_equal "$(cat errors)" ''
}

@test "a log in a directory that had come to its end, and is replaced, appended to, or written anew: that is told too" {
    mkdir logs
    as_process 10 begin.part violation.part end.part >logs/a.jsonl
    follow logs
    wait_for span_10
    mv logs/a.jsonl logs/a.old
    as_process 11 begin.part violation.part end.part >logs/a.jsonl
    wait_for span_11
    as_process 12 begin.part violation.part end.part >>logs/a.jsonl
    wait_for span_12
    as_process 13 begin.part violation.part end.part >logs/a.jsonl
    wait_for span_13
    finish
    assert_success
    assert_line 'found:   4 errors'
    assert_line --regexp '^seen: +4 processes'
    assert_equal "$(cat errors)" ''
}

@test "a log in a directory whose process went on as another program by exec is closed" {
    mkdir logs
    as_process 10 begin.part violation.part >logs/a.jsonl
    follow logs
    wait_for span_10
    [ "$(find "/proc/$follower/fd" -lname '*a.jsonl' | wc -l)" -eq 1 ]
    as_process 11 begin.part violation.part end.part | sed 's/"time":"30/"time":"31/' >logs/b.jsonl
    wait_for span_11
    for _ in {1..100}; do
        [ "$(find "/proc/$follower/fd" -lname '*.jsonl' | wc -l)" -gt 0 ] || break
        sleep 0.1
    done
    [ "$(find "/proc/$follower/fd" -lname '*.jsonl' | wc -l)" -eq 0 ]
    finish
    assert_success
    assert_line --regexp '^seen: +2 processes'
}

@test "parts of one process's log that are followed side by side: told once, and one ends before the other" {
    mkdir logs
    # Memory that was given back is not what it was.
    export MALLOC_PERTURB_=165
    as_process 10 begin.part >logs/a.jsonl
    follow logs
    sleep 0.5
    as_process 10 violation.part end.part >logs/b.jsonl
    wait_for span_10
    as_process 11 begin.part violation.part end.part >>logs/a.jsonl
    wait_for span_11
    as_process 10 violation.part end.part >logs/c.jsonl
    finish
    assert_success
    assert_line 'found:   2 errors'
    assert_line --regexp '^seen: +2 processes'
    assert_equal "$(cat errors)" ''
}

@test "nobody reads what is told any more: it ends, as at a write" {
    cat begin.part violation.part >log
    run timeout 20 bash -c '"$STRAYSPAN" report --follow log | head -n 1; exit "${PIPESTATUS[0]}"'
    assert_equal "$status" 141
    run timeout 20 bash -c 'trap "" PIPE; "$STRAYSPAN" report --follow log 2>&1 >&3 | cat; exit "${PIPESTATUS[0]}"' 3> >(head -n 1 >/dev/null)
    assert_equal "$status" 2
    run timeout 20 "$STRAYSPAN" report --follow --output /dev/full log
    assert_equal "$status" 2
    assert_output 'strayspan: /dev/full: could not be written: No space left on device'
}

@test "standard input, among other lines, until it ends" {
    { echo 'the program says' && cat begin.part && sed 's/^/app-1 | /' violation.part && echo 'and ends' && cat end.part; } |
        { run --separate-stderr timeout 20 "$STRAYSPAN" report --follow --check - && declare -p status output >result; }
    source result
    assert_equal "$status" 1
    assert_output --partial 'error[foreign-thread-exit]'
    assert_output --partial 'found:   1 error'
    run timeout 20 "$STRAYSPAN" report --follow - </dev/null
    assert_equal "$status" 2
    assert_output --partial 'standard input: no record in it'
}

@test "a suppressed violation is not told, one that became worse is told again" {
    printf '*:span=job\n' >supp
    cp begin.part log
    cat violation.part >>log
    follow --suppressions supp log
    sleep 0.5
    cat end.part >>log
    finish
    assert_success
    refute_output --partial 'error['
    assert_line 'unseen:  1 violation suppressed'

    { cat begin.part && sed 's/"severity":"error"/"severity":"warning"/' violation.part; } >log
    follow log
    wait_for '^warning\[foreign'
    sed 's/"count":1,/"count":2,/' violation.part >>log
    wait_for "$error"
    cat end.part >>log
    finish
    assert_line 'found:   1 error'
}

@test "what cannot be followed is named: 2" {
    run --separate-stderr timeout 20 "$STRAYSPAN" report --follow missing.log
    assert_equal "$status" 2
    assert_regex "$stderr" 'strayspan: missing\.log: cannot be read: No such file'
    run --separate-stderr timeout 20 "$STRAYSPAN" report --follow
    assert_equal "$status" 2
    assert_regex "$stderr" 'no log given, and no run is known'
    run --separate-stderr timeout 20 "$STRAYSPAN" report --follow --format json begin.part
    assert_equal "$status" 2
    assert_regex "$stderr" 'the format can only be text'
    # A log of another version, or of something else, is over; the others are not.
    sed 's/"v":1/"v":2/' begin.part >newer.log
    echo foreign >foreign.log
    run --separate-stderr timeout 20 "$STRAYSPAN" report --follow newer.log foreign.log
    assert_equal "$status" 2
    assert_regex "$stderr" 'newer\.log: line 1: a log of version 2'
    assert_regex "$stderr" 'foreign\.log: not a strayspan log'
    cp begin.part log
    follow newer.log log
    sleep 0.5
    cat violation.part end.part >>log
    wait_for "$error"
    finish
    assert_equal "$status" 2
    assert_line 'found:   1 error'
}

@test "what may not be read is named, when it is asked for and when it comes: 2" {
    [ "$(id -u)" = 0 ] || skip 'not root'
    local as=(setpriv --reuid 65534 --regid 65534 --clear-groups ./strayspan report --follow)
    chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
    cp "$STRAYSPAN" strayspan
    mkdir -m 700 locked
    mkdir logs
    run --separate-stderr timeout 20 "${as[@]}" locked
    assert_equal "$status" 2
    assert_equal "$stderr" 'strayspan: locked: cannot be read: Permission denied'
    "${as[@]}" logs >told 2>errors 3>&- &
    follower=$!
    sleep 0.3
    (umask 077 && cat begin.part violation.part end.part >logs/a.jsonl)
    cat begin.part violation.part end.part >logs/b.jsonl
    wait_for "$error"
    finish
    assert_equal "$status" 2
    assert_line 'found:   1 error'
    assert_equal "$(cat errors)" 'strayspan: logs/a.jsonl: cannot be read: Permission denied'
}

@test "a log whose process was killed while it wrote: what is whole is told, the rest is said" {
    { cat begin.part violation.part && head -c 50 end.part; } >log
    follow log
    wait_for "$error"
    finish
    assert_success
    assert_output --regexp 'its last line.* is cut'
}
