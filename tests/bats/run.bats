# strayspan run: statuses, signals, what it prints and what it leaves alone.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR"
}

# `strayspan run ARG...`, with logs in the usual place; with -N first, its status is N.
run_command() {
    local want=()
    case ${1-} in
    -[0-9]*)
        want=("$1")
        shift
        ;;
    esac
    run "${want[@]}" --separate-stderr timeout 60 "$STRAYSPAN" run "$@"
}

@test "a violation of severity error: the report, and 66 instead of the program's 0" {
    run_under "$c/foreign_thread_exit"
    assert_equal "$status" 66
    assert_output done
    assert_regex "$stderr" 'error\[foreign-thread-exit\]'
    assert_equal "${stderr_lines[-1]}" "exit status 66: 1 error (the program's own was 0)"
    assert_violation foreign-thread-exit --only
}

@test "--exitcode chooses another status, 0 leaves the program's alone" {
    run_under --exitcode=9 "$c/foreign_thread_exit"
    assert_equal "$status" 9
    run_under --exitcode=0 "$c/foreign_thread_exit"
    assert_equal "$status" 0
}

@test "a warning alone changes no status, unless it is denied" {
    run_under "$c/lost_close"
    assert_equal "$status" 0
    assert_regex "$stderr" 'warning\[lost-close\]'
    run_under --deny lost-close "$c/lost_close"
    assert_equal "$status" 66
    run_under --deny warnings "$c/lost_close"
    assert_equal "$status" 66
}

@test "a rule that is denied is looked for, and where it is not, that is no success" {
    run_under --deny out-of-order-exit "$c/legal_out_of_order"
    assert_equal "$status" 66
    assert_regex "$stderr" 'warning\[out-of-order-exit\]'
    run_under --deny out-of-order-exit --options rules=-out-of-order-exit "$c/legal_out_of_order"
    assert_equal "$status" 125
    assert_regex "$stderr" '--deny out-of-order-exit: 1 process did not look for it: `run --options rules=\+out-of-order-exit` does'
    run_under "$c/legal_out_of_order"
    assert_success
    run "$STRAYSPAN" report --deny out-of-order-exit "$strayspan_dir"
    assert_equal "$status" 2
    assert_output --partial 'did not look for it'
}

@test "the program's own status and signal come through, whatever was found" {
    run_under "$c/ends" exit
    assert_equal "$status" 5
    run_under "$c/ends" _exit
    assert_equal "$status" 3
    run_under "$c/ends" kill
    assert_equal "$status" 137
    assert_violation exit-without-enter --only
    assert_regex "$stderr" 'error\[exit-without-enter\]'
    run_under "$c/ends" abort
    assert_equal "$status" 134
    run_under sh -c 'kill -TERM $$'
    assert_equal "$status" 143
}

@test "a clean program: its status, its output, and what was seen" {
    run_under "$c/legal_handed"
    assert_success
    assert_output done
    assert_no_violations
    refute_regex "$stderr" 'NOTHING WAS CHECKED'
    assert_regex "$stderr" '1 span'
}

@test "a violation in a child process counts too" {
    run_under sh -c "'$c/foreign_thread_exit'; exit 0"
    assert_equal "$status" 66
    assert_regex "$stderr" 'error\[foreign-thread-exit\]'
}

@test "several processes: each violation is reported" {
    run_under "$c/fork_both"
    assert_equal "$status" 66
    assert_regex "$stderr" in_child
    assert_regex "$stderr" in_parent
    run_under "$c/chain" 3
    assert_equal "$status" 66
    assert_equal "$(strayspan_query 'select(.type == "violation")' | wc -l)" 3
    # Its images are known as one process's by when that began.
    assert_regex "$stderr" '2 process images have no counts: replaced by exec'
    run jq -s -c 'map(select(.type == "process") | .pid_start) | [length, (unique | length), .[0] > 0]' \
        "${strayspan_logs[@]}"
    assert_output '[3,1,true]'
}

@test "the images of a process are known where /proc is another namespace's" {
    unshare -rp true 2>/dev/null || skip "no pid namespace can be made here"
    run --separate-stderr timeout 60 unshare -rpf "$STRAYSPAN" run --log-dir logs "$c/chain" 3
    assert_equal "$status" 66
    assert_regex "$stderr" '2 process images have no counts: replaced by exec'
}

@test "nothing to be seen: says so, and why" {
    for program in ls python3; do
        run_command "$program" --version
        assert_success
        refute_output ""
        assert_regex "$stderr" 'NOTHING WAS CHECKED'
        assert_regex "$stderr" 'tracing'
    done
}

@test "--require-hooked makes that a failure" {
    run_command --require-hooked ls
    assert_equal "$status" 125
    run_command --require-hooked "$c/legal_handed"
    assert_success
}

@test "a static program runs, and is said to be out of reach" {
    run_command "$c/plain_hello_static"
    assert_success
    assert_output hello
    assert_regex "$stderr" 'NOTHING WAS CHECKED'
    assert_regex "$stderr" 'static'
}

@test "a setuid program runs, and is said to be out of reach" {
    [ "$(id -u)" = 0 ] || skip "needs root, to make a program of another user's"
    cp "$c/annotated_plain" setuid
    chown 65534 setuid
    chmod u+s,go+rx setuid
    chmod 755 . .. 2>/dev/null || true
    run_command ./setuid
    assert_regex "$stderr" 'NOTHING WAS CHECKED'
    assert_regex "$stderr" 'set-?uid|secure'
}

@test "a missing program: 127, and named" {
    run_command -127 ./no-such-program
    assert_output ""
    assert_regex "$stderr" '^strayspan: .*\./no-such-program'
    run_command -127 no-such-program-in-path
    assert_regex "$stderr" 'no-such-program-in-path'
}

@test "a folder, a file that may not be executed, an unknown format: 126, and named" {
    mkdir folder
    echo text >text
    printf '\177ELF nonsense' >broken
    chmod +x broken
    for program in ./folder ./text ./broken; do
        run_command -126 "$program"
        assert_output ""
        assert_regex "$stderr" "^strayspan: .*$program"
    done
}

@test "no program, an unknown option, a bad value: 125, and named" {
    run_command
    assert_equal "$status" 125
    assert_not_equal "$stderr" ""
    run_command --wibble ls
    assert_equal "$status" 125
    assert_regex "$stderr" wibble
    run_command --exitcode=many ls
    assert_equal "$status" 125
    assert_regex "$stderr" many
    # It would swallow where the log is to be.
    run_command --options "quiet=1:label='x" ls
    assert_equal "$status" 125
    assert_regex "$stderr" 'label: its quote is not closed'
}

@test "a log folder that cannot be used: 125, named, and the program is not run" {
    touch file
    run_command --log-dir file/x touch ran
    assert_equal "$status" 125
    assert_regex "$stderr" 'file/x'
    [ ! -e ran ]
}

@test "a log folder that cannot be listed: 125, named, and the program is not run" {
    [ "$(id -u)" = 0 ] || skip 'not root'
    folder=$(mktemp -d)
    chmod 755 "$folder"
    cp "$STRAYSPAN" "$STRAYSPAN_SHIM" "$folder"
    install -d -m 300 -o 65534 "$folder/logs"
    run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$folder/strayspan" run --log-dir "$folder/logs" echo ran
    rm -r "$folder"
    assert_equal "$status" 125
    assert_output ''
    assert_equal "$stderr" "strayspan: log directory $folder/logs: cannot be used: Permission denied"
}

@test "whoever starts it ignores the end of children: nothing is lost, and the program inherits that" {
    ignoring=(python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$STRAYSPAN")
    run --separate-stderr timeout 60 "${ignoring[@]}" run sh -c 'exit 7'
    assert_equal "$status" 7
    # Signal 17 is bit 16.
    run --separate-stderr timeout 60 "${ignoring[@]}" run grep SigIgn /proc/self/status
    assert_equal $((0x${output##*[[:space:]]} >> 16 & 1)) 1
    run --separate-stderr timeout 60 "${ignoring[@]}" run --log-dir logs "$c/foreign_thread_exit"
    assert_equal "$status" 66
    run timeout 60 "${ignoring[@]}" probe "$c/plain_hello"
    assert_equal "$status" 1
    run timeout 60 "${ignoring[@]}" probe no-such-file
    assert_equal "$status" 2
}

@test "a process cannot be made: 125, and named; a batch whose status counts elsewhere runs the program" {
    [ "$(id -u)" = 0 ] || skip 'not root'
    folder=$(mktemp -d)
    chmod 777 "$folder"
    cp "$STRAYSPAN" "$STRAYSPAN_SHIM" "$folder"
    # Of a user who has no other process.
    alone=(setpriv --reuid 61234 --regid 61234 --clear-groups prlimit --nproc=0)
    "${alone[@]}" sh -c 'true & wait' 2>/dev/null && rm -r "$folder" && skip 'no such limit here'
    run --separate-stderr "${alone[@]}" "$folder/strayspan" run --log-dir "$folder/logs" echo ran
    first=$status:$output:$stderr
    run --separate-stderr "${alone[@]}" "$folder/strayspan" run --batch --exitcode=0 --log-dir "$folder/logs" echo ran
    ls "$folder/logs" >listed
    rm -r "$folder"
    assert_equal "$first" '125::strayspan: cannot start a process: Resource temporarily unavailable'
    assert_success
    assert_output ran
    run cat listed
    assert_line incomplete
}

@test "options after the program are the program's" {
    run_command echo --exitcode=3 -- --help
    assert_success
    assert_output -- '--exitcode=3 -- --help'
    run_command -- echo one
    assert_output one
}

@test "the report goes where --output says, and stdout stays the program's" {
    run_under --output report.txt "$c/foreign_thread_exit"
    assert_equal "$status" 66
    assert_output done
    refute_regex "$stderr" 'error\['
    run cat report.txt
    assert_output --partial 'error[foreign-thread-exit]'
    refute_output --partial $'\033'
}

@test "input and output pass through byte by byte" {
    head -c 300000 /dev/urandom >bytes
    "$STRAYSPAN" run cat <bytes >copy 2>/dev/null
    cmp bytes copy
}

@test "descriptors 0 to 2 that are closed stay closed for the program" {
    # shellcheck disable=SC2016 # for the inner shell
    "$STRAYSPAN" run sh -c 'for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && echo $fd; done >found; :' \
        <&- >&- 2>&- || true
    # The shell opens `found` as its 1.
    run cat found
    assert_output 1
}

@test "closed descriptors: the violation still counts" {
    run bash -c "'$STRAYSPAN' run --log-dir logs '$c/exit_without_enter' <&- >&- 2>&-"
    assert_equal "$status" 66
    strayspan_use logs
    assert_violation exit-without-enter --only
}

@test "a signal sent to run reaches the program, once" {
    local pid i
    # shellcheck disable=SC2016 # for the inner shell
    "$STRAYSPAN" run bash -c 'n=0; trap "n=\$((n + 1))" TERM USR1 HUP INT; touch ready
        for ((i = 0; i < 100 && n < 1; i++)); do sleep 0.05; done; sleep 0.3; exit $((40 + n))' 3>&- &
    pid=$!
    for ((i = 0; i < 100; i++)); do
        [ ! -e ready ] || break
        sleep 0.05
    done
    kill -TERM "$pid"
    run wait "$pid"
    wait "$pid" && status=0 || status=$?
    assert_equal "$status" 41
}

@test "as the first process of a container it reaps what is left behind" {
    unshare -rpf --mount-proc true 2>/dev/null || skip "no pid namespace can be made here"
    # shellcheck disable=SC2016 # for the inner shell
    run --separate-stderr timeout 60 unshare -rpf --mount-proc "$STRAYSPAN" run --log-dir "$PWD/logs" sh -c \
        '(sleep 0.1 & exec true) & sleep 0.6; cat /proc/[0-9]*/stat | grep -c " Z "; exit 7'
    assert_equal "$status" 7
    assert_output 0
}

@test "what was left behind and still runs is told of, and its logs stay; what has ended is in the report" {
    # shellcheck disable=SC2016 # for the inner shell
    run_command sh -c '(sleep 2; exec "$1") >/dev/null 2>&1 3>&- & exit 0' - "$c/exit_without_enter"
    assert_success
    assert_regex "$stderr" 'NOTHING WAS CHECKED: process [0-9]+ was left behind and still runs'
    local logs
    logs=$(sed -n 's/.*when it has ended: strayspan report //p' <<<"$stderr")
    for ((i = 0; i < 100; i++)); do
        ! grep -qs '"summary"' "$logs"/*exit_without_enter* || break
        sleep 0.1
    done
    report --check "$logs"
    assert_equal "$status" 1
    # However much there is in its environment.
    LARGE=$(head -c 100000 /dev/zero | tr '\0' x) \
        run_command --log-dir logs sh -c 'sleep 2 3>&- & exec "$1"' - "$c/legal_handed"
    assert_success
    assert_regex "$stderr" 'process [0-9]+ was left behind and still runs: its logs are in .*/logs'
}

@test "the logs of a clean run are removed, those of another are kept and named" {
    run_command "$c/legal_handed"
    assert_success
    run find "$XDG_STATE_HOME" -name '*.jsonl'
    assert_output ""
    report --check
    assert_success
    assert_regex "$stderr" 'nothing strayed in the last run'
    run_command "$c/exit_without_enter"
    assert_equal "$status" 66
    run find "$XDG_STATE_HOME/strayspan" -name '*.jsonl'
    assert_equal "${#lines[@]}" 1
    # Logs that somebody else removed are no clean run's.
    local folder=${lines[0]%/*}
    mv "$folder" aside
    report --check
    assert_equal "$status" 2
    mv aside "$folder"
    assert_equal "$(stat -c %a "$folder")" 700
}

@test "the user's options hold beside run's own" {
    STRAYSPAN_OPTIONS=rules=-exit-without-enter:max_frames=5 run_under "$c/exit_without_enter"
    assert_success
    assert_no_violations
    run strayspan_query 'select(.type == "process") | .options.max_frames'
    assert_output 5
}

history_of() {
    strayspan_query 'select(.type == "process") | .options.history'
}

@test "a history is kept, unless the user says otherwise" {
    run_under "$c/exit_without_enter"
    assert_equal "$(history_of)" 256
    STRAYSPAN_OPTIONS=history=0 run_under "$c/exit_without_enter"
    assert_equal "$(history_of)" 0
    STRAYSPAN_OPTIONS=history=0 run_under --options history=16 "$c/exit_without_enter"
    assert_equal "$(history_of)" 16
}

check_suspicion() {
    run_under "$1"
    assert_equal "$status" "$2"
    assert_regex "$stderr" 'suspicion\[held-across-await\]'
    assert_regex "$stderr" $'\nfound:   1 suspicion\n'
    assert_regex "${stderr_lines[-1]}" "^exit status $2: .*; 1 suspicion\$"
    # It counts for nothing, and its logs are kept.
    run "$STRAYSPAN" report --check --deny warnings "$strayspan_dir"
    assert_success
}

@test "a suspicion is told at the end, also after a signal, and changes no status" {
    for_each_build check_suspicion held-across-await 'await_never*'
}

@test "every process that is run has its process record and its summary" {
    run_under "$c/fork_both"
    assert_equal "$(strayspan_query 'select(.type == "process")' | wc -l)" 2
    assert_equal "$(strayspan_query 'select(.type == "summary")' | wc -l)" 2
}

@test "a preload of the user's stays in force" {
    cat >other.c <<'END'
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) { puts("other"); fflush(stdout); }
END
    cc -shared -fPIC -o other.so other.c
    run --separate-stderr env LD_PRELOAD="$PWD/other.so" "$STRAYSPAN" run --output /dev/null "$c/exit_without_enter"
    assert_equal "$status" 66
    assert_output --partial other
    assert_output --partial 'done'
}

@test "--format json: one document, with both statuses, and nothing after it" {
    run_command --format json "$c/foreign_thread_exit"
    assert_equal "$status" 66
    run jq -c '[.status, .program_status, .nothing_checked]' <<<"$stderr"
    assert_output '[66,0,null]'
    run_command --format json ls
    assert_success
    run jq -e '.nothing_checked.why | contains("tracing")' <<<"$stderr"
    assert_success
}

@test "an annotated program that makes no span is said to be that" {
    printf '%s\n' '#include "spans.h"' 'SITE(job, "job");' 'int main(int argc, char **argv) {' \
        '(void)argv; return argc > 1 ? (int)strayspan_new(&first_subscriber, &job) : 0; }' >none.c
    cc -I"$root/tests/programs/c" -I"$root/shim" -I"$root" -o none none.c
    run_command ./none
    assert_success
    assert_regex "$stderr" 'NOTHING WAS CHECKED: ./none is annotated, no span was made'
}

@test "a script whose interpreter is missing: it is named" {
    printf '#!/no/such/interpreter -x\n' >script
    chmod +x script
    run_command -127 ./script
    assert_regex "$stderr" 'script: cannot be executed: its interpreter /no/such/interpreter'
}

@test "a stripped program in which no subscriber was found: that is the reason" {
    echo 'const char path[] = "/x/tracing-core-0.1.32/src/a.rs"; int main(void) { return path[0] != 47; }' |
        gcc -s -x c -o stripped -
    run_command --require-hooked ./stripped
    assert_equal "$status" 125
    assert_regex "$stderr" 'NOTHING WAS CHECKED: ./stripped: .* no subscriber was found, and it has no symbols'
}

@test "a quote that the user's options do not close swallows nothing of run's" {
    STRAYSPAN_OPTIONS='rules="unterminated' run_command -66 "$c/foreign_thread_exit"
    [[ $stderr == *'names no rule'* ]]
    [[ $stderr == *'error[foreign-thread-exit]'* ]]
}

@test "a log that had no room left is told as a problem" {
    unshare -rm true 2>/dev/null || skip "no mount namespace can be made here"
    mkdir full
    # shellcheck disable=SC2016 # its own
    run --separate-stderr timeout 60 unshare -rm sh -c 'mount -t tmpfs -o size=16k none full &&
        head -c 12288 /dev/zero >full/filler && "$@"' sh \
        "$STRAYSPAN" run --log-dir full "$c/foreign_thread_exit"
    [ "$status" -eq 66 ] || [ "$status" -eq 125 ]
    [[ $stderr == *'problem: '*'no room is left there'* ]]
    # Not even for the log's name.
    # shellcheck disable=SC2016 # its own
    run --separate-stderr timeout 60 unshare -rm sh -c 'mount -t tmpfs -o nr_inodes=1 none full && "$@"' sh \
        "$STRAYSPAN" run --log-dir full "$c/foreign_thread_exit"
    [ "$status" -eq 125 ]
    [[ $stderr == *'problem: '*'no room is left there'* ]]
}

@test "run can be ended while it reports, but not by a signal that came with the program's end" {
    mkfifo pipe
    exec 8<>pipe
    # A pipe that is full, which nobody reads: the report waits.
    python3 -c 'import os
os.set_blocking(8, False)
try:
    while os.write(8, b"x" * 4096): pass
except BlockingIOError: os.set_blocking(8, True)'
    "$STRAYSPAN" run --log-dir logs --options quiet=1 "$c/foreign_thread_exit" >/dev/null 2>pipe 3>&- 8>&- &
    pid=$!
    until grep -qs '"type":"summary"' logs/*.jsonl && [ -z "$(cat "/proc/$pid/task/$pid/children")" ]; do sleep 0.02; done
    kill -TERM "$pid"
    sleep 3
    kill -0 "$pid"
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    exec 8>&-
    assert_equal "$status" 143
}
