# strayspan report: what it makes of logs, good and bad.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR"
}

# Makes log.jsonl, of a foreign-thread-exit.
make_log() {
    strayspan_run "$c/foreign_thread_exit"
    cp "$strayspan_log" log.jsonl
}

line_of() {
    grep -n -m1 -F "$2" "$root/tests/programs/c/$1.c" | cut -d: -f1
}

@test "names rule, span, threads, and function and line of the user's frames" {
    make_log
    report log.jsonl
    assert_success
    assert_line --index 0 --partial 'error[foreign-thread-exit]'
    assert_line --index 0 --partial '`job`'
    assert_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_exit(')"
    assert_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_enter(')"
    assert_output --partial helper
    assert_output --partial 'strayspan explain foreign-thread-exit'
}

@test "no frame of strayspan's is among the stacks" {
    make_log
    report log.jsonl
    refute_output --partial libstrayspan.so
    refute_output --partial strayspan_annotate
}

@test "no escape goes to what is no terminal, none with NO_COLOR to a terminal" {
    make_log
    report log.jsonl
    refute_output --partial $'\033'
    command -v script >/dev/null || skip "script is not there to make a terminal"
    run script -qec "'$STRAYSPAN' report log.jsonl" /dev/null </dev/null
    assert_output --partial $'\033['
    NO_COLOR=1 run script -qec "'$STRAYSPAN' report log.jsonl" /dev/null </dev/null
    refute_output --partial $'\033['
}

@test "control characters of names reach no terminal" {
    strayspan_run "$c/two_misuses"
    report "$strayspan_log"
    assert_success
    refute_output --partial $'\033'
    assert_output --partial evil
    # None but the newline, in names, hosts and paths alike.
    jq -c '(.. | strings | select(. == "sample" or . == "two_misuses")) |= "\u001b[2J\u0007\u009b\u202e\r" + .' \
        "$strayspan_log" >forged.log
    "$STRAYSPAN" report forged.log >out 2>&1 || true
    run grep -c -aP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' out
    assert_output 0
}

@test "a log that was cut in mid-line: what is whole is reported, the rest is said" {
    make_log
    size=$(stat -c %s log.jsonl)
    head -c $((size - 10)) log.jsonl >cut.log
    report cut.log
    assert_success
    assert_output --partial 'error[foreign-thread-exit]'
    assert_regex "$stderr$output" 'cut\.log'
}

@test "a log without its summary is valid" {
    strayspan_run "$c/ends" kill
    report "$strayspan_log"
    assert_success
    assert_output --partial 'error[exit-without-enter]'
}

@test "a log of another version is refused, by name" {
    make_log
    sed 's/"v":1/"v":2/' log.jsonl >other.log
    report other.log
    assert_equal "$status" 2
    assert_regex "$stderr" '^strayspan: .*other\.log'
    assert_regex "$stderr" version
}

@test "what cannot be read is named: 2" {
    echo 'no log at all' >text.log
    head -c 100000 /dev/urandom >noise.log
    : >empty.log
    for path in no/such.log text.log noise.log empty.log; do
        report "$path"
        assert_equal "$status" 2
        assert_regex "$stderr" "^strayspan: .*$path"
    done
}

@test "a log that may not be read is named: 2" {
    local as_other=() folder
    # Root may read everything; and nobody may look into the test's folder.
    [ "$(id -u)" != 0 ] || as_other=(setpriv --reuid=65534 --clear-groups)
    folder=$(mktemp -d)
    make_log
    cp "$STRAYSPAN" log.jsonl "$folder"
    chmod 0 "$folder/log.jsonl"
    chmod 755 "$folder"
    run --separate-stderr "${as_other[@]}" "$folder/strayspan" report "$folder/log.jsonl"
    rm -r "$folder"
    assert_equal "$status" 2
    assert_regex "$stderr" "^strayspan: .*log\\.jsonl.*(denied|permission)"
}

@test "one bad log beside a good one: the good one is reported, and the status is 2" {
    make_log
    report log.jsonl no-such.log
    assert_equal "$status" 2
    assert_output --partial 'error[foreign-thread-exit]'
    assert_regex "$stderr" 'no-such\.log'
}

@test "records with wrong types and unknown keys harm nothing" {
    make_log
    # shellcheck disable=SC2016 # jq's variables
    for filter in '.span = 7' '.created = []' '.exited.stack = [[1]]' '.exited.stack = [["a","b"], 3, null]' \
        '.exited.stack = [[99, 4096], [-1, -1], [1e300, 2]]' '.span.name = {"a": 1}' 'del(.exited)' \
        'del(.instances)' '.rule = "no-such-rule"' '.rule = null' '.severity = "fatal"' '.exited.thread = null' \
        '.span.fields = [1]' '.lookup = "x"' '.path = 3' '.id = "one"' '.load_address = "x"' \
        '.path = "/dev/zero"' '.path = "relative"' '.unknown = {"deep": [1, 2]}' '.rules = []' '.spans = null'; do
        jq -c "try ($filter) catch ." log.jsonl >odd.log
        report odd.log
        [ "$status" -le 2 ] || fail "status $status with $filter: $stderr"
    done
}

@test "a folder stands for the logs in it" {
    mkdir logs
    run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" STRAYSPAN_OPTIONS='log_path=logs/%e.%p.%t.jsonl' \
        "$c/chain" 3
    report logs
    assert_success
    assert_output --partial 'error[exit-without-enter]'
}

@test "without arguments it is the last run" {
    run "$STRAYSPAN" run "$c/foreign_thread_exit"
    assert_equal "$status" 66
    report
    assert_success
    assert_output --partial 'error[foreign-thread-exit]'
}

@test "without a last run it says so" {
    report
    assert_equal "$status" 2
    assert_not_equal "$stderr" ""
}

@test "--check is 1 when there is something" {
    make_log
    report --check log.jsonl
    assert_equal "$status" 1
    strayspan_run "$c/legal_handed"
    report --check "$strayspan_log"
    assert_equal "$status" 0
}

@test "--format json is JSON, and holds no values, argv or hosts" {
    strayspan_run --options fields=values "$c/wrong_subscriber" lookup
    report --format json "$strayspan_log"
    assert_success
    jq -e . <<<"$output" >/dev/null
    assert_output --partial wrong-subscriber
    refute_output --partial localhost
    refute_output --partial '"argv"'
    report --format json --with-values "$strayspan_log"
    assert_output --partial localhost
}

check_outgoing() {
    local secrets='4711147114711|owned-secret|argument-secret|271828182845'
    strayspan_run --options fields=values "$1" argument-secret
    report --format json "$strayspan_log"
    assert_success
    assert_output --partial all_kinds
    refute_output --regexp "$secrets"
    report --format json --with-values "$strayspan_log"
    assert_success
    assert_output --partial owned-secret
}

@test "nor the values of a span's fields" {
    for_each_build check_outgoing foreign-thread-exit field_values
}

@test "an unknown format is named" {
    make_log
    report --format wibble log.jsonl
    assert_equal "$status" 2
    assert_regex "$stderr" wibble
}

@test "a binary that changed is not symbolized, but named" {
    cp "$c/foreign_thread_exit" program
    strayspan_run "$PWD/program"
    cp "$c/exit_without_enter" program
    report "$strayspan_log"
    assert_success
    assert_output --partial 'error[foreign-thread-exit]'
    refute_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_exit(')"
    assert_regex "$output$stderr" "$PWD/program|\./program"
}

@test "a binary that is gone is named, and the report is there" {
    cp "$c/foreign_thread_exit" program
    strayspan_run "$PWD/program"
    rm program
    report "$strayspan_log"
    assert_success
    assert_output --partial 'error[foreign-thread-exit]'
    assert_regex "$output$stderr" 'program'
}

@test "symbols in a separate debug file are found by its link" {
    cp "$c/foreign_thread_exit" program
    objcopy --only-keep-debug program program.debug
    objcopy --strip-debug --add-gnu-debuglink=program.debug program
    strayspan_run "$PWD/program"
    report "$strayspan_log"
    assert_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_exit(')"
}

# Reports the log; that must not take long.
report_soon() {
    run --separate-stderr timeout -k 1 20 "$STRAYSPAN" report "$@"
    assert_success
}

@test "a debug file that is no file, cut, or of another build is named, and nobody waits for it" {
    cp "$c/foreign_thread_exit" program
    objcopy --only-keep-debug program program.debug
    objcopy --strip-debug --add-gnu-debuglink=program.debug program
    cp program.debug whole
    strayspan_run "$PWD/program"
    head -c 9000 whole >program.debug
    report_soon "$strayspan_log"
    assert_output --partial "$PWD/program.debug: not used: it is cut"
    objcopy --only-keep-debug "$c/lost_close" other
    cp other program.debug
    report_soon "$strayspan_log"
    assert_output --partial "$PWD/program.debug: not used: it is of another build"
    rm program.debug
    mkfifo program.debug
    report_soon "$strayspan_log"
    assert_output --partial "$PWD/program.debug: not used: it is not an ordinary file"
    assert_output --partial 'error[foreign-thread-exit]'
    # Wherever it is looked for, and behind a link.
    mkdir .debug
    mkfifo .debug/program.debug
    ln -sf /dev/zero program.debug
    report_soon "$strayspan_log"
    assert_output --partial "$PWD/program.debug: not used: it is not an ordinary file"
    rm -r program.debug .debug
    mv whole program.debug
    report_soon "$strayspan_log"
    refute_output --partial 'not used'
    assert_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_exit(')"
}

@test "split debug information that leads to a fifo: nobody waits for it" {
    cc -g -gsplit-dwarf -O0 -I"$root/tests/programs/c" -I"$root/shim" -I"$root" -o split \
        "$root/tests/programs/c/foreign_thread_exit.c" -pthread
    strayspan_run "$PWD/split"
    report_soon "$strayspan_log"
    assert_output --partial "foreign_thread_exit.c:$(line_of foreign_thread_exit 'strayspan_exit(')"
    for file in *.dwo; do
        rm "$file"
        mkfifo "$file"
    done
    report_soon "$strayspan_log"
    assert_output --partial 'error[foreign-thread-exit]'
}

@test "standard input may be what docker's json-file driver keeps, long lines in pieces" {
    strayspan_run "$c/foreign_thread_exit"
    python3 - "$strayspan_log" >docker.log <<'END'
import json, sys
def put(text, stream):
    print(json.dumps({"log": text, "stream": stream, "time": "2026-01-02T03:04:05.000000006Z"},
                     separators=(",", ":")))
for line in open(sys.argv[1]):
    for at in range(0, len(line), 400):
        put(line[at:at + 400], "stderr")
        put("a line of the program's\n", "stdout")
put('{"log":"its own JSON"}\n', "stdout")
print('{"log":"not of docker"}')
END
    run --separate-stderr "$STRAYSPAN" report --format json - <docker.log
    assert_success
    got=$(jq -c '[.violations[] | .fingerprint, .count]' <<<"$output")
    [ -n "$got" ]
    assert_equal "$got" "$("$STRAYSPAN" report --format json "$strayspan_log" |
        jq -c '[.violations[] | .fingerprint, .count]')"
    assert_equal "$(jq '.errors | length' <<<"$output")" 0
}

@test "explain: each rule has a page, an unknown one is named" {
    run "$STRAYSPAN" explain
    assert_success
    list=$output
    for rule in $(sed -n 's/.*X([A-Z_]*, "\([a-z-]*\)",.*/\1/p' "$root/shim/rule_table.h"); do
        grep -q -- "$rule" <<<"$list"
        run "$STRAYSPAN" explain "$rule"
        assert_success
        [ "${#lines[@]}" -ge 8 ]
    done
    run --separate-stderr "$STRAYSPAN" explain no-such-rule
    assert_equal "$status" 2
    assert_regex "$stderr" no-such-rule
}

@test "violations that were counted and not written are a problem, not a clean run" {
    make_log
    jq -c 'select(.type != "violation")' log.jsonl >full.log
    report full.log
    assert_equal "$status" 2
    refute_output --partial 'nothing strayed'
    assert_output --partial '1 violation of pid'
    assert_output --partial 'was not written'
}

@test "a line that is no record forbids: nothing strayed" {
    strayspan_run "$c/legal_handed"
    sed '1a broken' "$strayspan_log" >broken.log
    report broken.log
    refute_output --partial 'nothing strayed'
    assert_output --partial 'the first is line 2'
}

@test "without a summary the counts are unknown, not zero" {
    strayspan_run "$c/legal_handed"
    jq -c 'select(.type != "summary")' "$strayspan_log" >killed.log
    report killed.log
    assert_success
    refute_output --partial 'nothing strayed'
    refute_output --partial '0 spans'
    assert_output --partial 'no violation was logged'
    assert_output --partial 'is not known'
}

@test "a log that is given twice counts once" {
    make_log
    report log.jsonl
    once=$output
    report log.jsonl ./log.jsonl
    assert_output "$once"
}

@test "call sites are taken once per program, and unreached is what no process reached" {
    make_log
    jq -c 'if .type == "summary" then .call_sites.INFO.unreached = 5 else . end' log.jsonl >one.log
    jq -c '.run = "00000000000000ff" | .pid += 1 |
        if .type == "summary" then .call_sites.INFO.unreached = 3 else . end' log.jsonl >other.log
    report one.log other.log
    assert_output --partial '3 never reached (3 INFO)'
}

@test "a process image without counts, replaced by exec, is told" {
    strayspan_run "$c/legal_handed"
    jq -c 'select(.type != "summary") | .run = "00000000000000ff" | .time = "2020-01-01T00:00:00.000000Z"' \
        "$strayspan_log" >before.log
    report before.log "$strayspan_log"
    assert_output --partial 'nothing strayed'
    assert_output --partial '1 process image has no counts: replaced by exec'
    # A container's first process has pid 1 each time: another process by its host or its beginning.
    local change
    for change in '.pid_start += 1' '.host = "another"' '.pid_start = 0' 'del(.pid_start)'; do
        jq -c "if .type == \"process\" then $change else . end" before.log >other.log
        report other.log "$strayspan_log"
        refute_output --partial 'replaced by exec'
        assert_output --regexp 'legal_handed, pid [0-9]+: no counts: ended by a signal'
    done
}

@test "a log that was rotated is read as one, in whatever order its parts are given, and however often" {
    local program count part whole order
    for program in "many_misuses 3" "ends kill"; do
        # shellcheck disable=SC2086 # words
        strayspan_run --options repeat=0 "$c/"$program
        cp "$strayspan_log" whole.log
        report whole.log
        whole=$output
        count=$(wc -l <whole.log)
        [ "$count" -gt 2 ]
        for ((part = 1; part < count; part++)); do
            head -n "$part" whole.log >first.log
            tail -n +$((part + 1)) whole.log >then.log
            for order in 'first.log then.log' 'then.log first.log' 'then.log first.log ./first.log ./then.log'; do
                # shellcheck disable=SC2086 # words
                report $order
                assert_equal "$output" "$whole"
                assert_equal "$stderr" ''
            done
        done
    done
}

@test "a source that was written since is not quoted, though the program was built of it again" {
    cd "$BATS_TEST_TMPDIR"
    cp "$root"/tests/programs/c/{exit_without_enter.c,spans.h} .
    sed -i "s|\"../../../shim/|\"$root/shim/|" spans.h
    local compile=("${CC:-cc}" -g -I"$root" -I"$root/shim" -o app exit_without_enter.c -pthread)
    "${compile[@]}"
    strayspan_run ./app
    report "$strayspan_log"
    assert_line --regexp '^[0-9]+ \|     strayspan_exit\(&first_subscriber, span\);'
    sed -i '1i /* One line more. */' exit_without_enter.c
    "${compile[@]}"
    report "$strayspan_log"
    assert_output --partial 'error[exit-without-enter]'
    refute_line --regexp '^[0-9]+ \|'
}

@test "a run that left no log has left word why: its report says so, in each format" {
    run_bare "$STRAYSPAN" run --log-dir "$BATS_TEST_TMPDIR/logs" true
    said=$stderr
    cd "$BATS_TEST_TMPDIR"
    assert_equal "$(ls logs)" nothing
    report --check logs
    assert_success
    assert_output "$said"
    assert_equal "$stderr" ''
    report --require-hooked logs
    assert_equal "$status" 2
    local format
    for format in json sarif junit markdown; do
        report --format "$format" --output "as.$format" logs
        assert_success
        run -0 grep -i 'nothing was checked\|no `tracing` in it' "as.$format"
    done
    # Beside another one's it is of no matter.
    make_log
    report --check logs log.jsonl
    assert_equal "$status" 1
    refute_output --partial 'NOTHING WAS CHECKED'
}

@test "a full disk under --output is named as that" {
    make_log
    report --output /dev/full log.jsonl
    assert_equal "$status" 2
    assert_regex "$stderr" 'No space left on device'
}

@test "no line ends in blanks" {
    make_log
    for flag in --with-values --all-frames; do
        report "$flag" log.jsonl
        refute_output --regexp $' (\n|$)'
    done
}

@test "the reader's crate is the reader's, whatever it is called, where no path tells that" {
    cd "$BATS_TEST_TMPDIR"
    local crate
    for crate in rust_shop tokio_shop async_shop; do
        # In the program's own crate, and in another one of the workspace, that makes the span.
        for name in "${crate/_/-}" app; do
            cat >program.c <<CODE
#include "shim/strayspan.h"
static const struct strayspan_site site = {"job", "$crate::jobs", "src/jobs.rs", 1, 2};
__attribute__((noinline)) void first(void) __asm__("_ZN${#crate}${crate}5first17h0123456789abcdefE");
void first(void)
{
    strayspan_exit(&site, strayspan_new(&site, &site));
    __asm__("");
}
void std_start(void) __asm__("_ZN3std2rt10lang_start17h0123456789abcdefE");
__attribute__((noinline)) void std_start(void)
{
    first();
    __asm__("");
}
int main(void)
{
    std_start();
    __asm__("");
}
CODE
            "${CC:-cc}" -I"$root" -O1 -o "$name" program.c
            strayspan_run "./$name"
            report "$strayspan_log"
            assert_output --regexp "--> src/jobs.rs:1  $crate::first"
            assert_output --partial 'blame: your code'
        done
    done
}

@test "a binary that was built anew since is named, and not symbolized" {
    cd "$BATS_TEST_TMPDIR"
    local function
    for function in the_first_one another_one; do
        cat >program.c <<CODE
#include "shim/strayspan.h"
static const struct strayspan_site site = {"job", "t", 0, 1, 2};
__attribute__((noinline)) void $function(void)
{
    strayspan_exit(&site, strayspan_new(&site, &site));
    __asm__("");
}
int main(void)
{
    $function();
    return 0;
}
CODE
        gcc -g -O0 -Wl,--build-id -I"$root" -o program program.c -ldl
        [ -n "${log-}" ] || {
            strayspan_run ./program
            log=$strayspan_log
            run "$STRAYSPAN" report "$log"
            assert_output --partial the_first_one
        }
    done
    run --separate-stderr "$STRAYSPAN" report "$log"
    refute_regex "$output$stderr" 'the_first_one|another_one'
    assert_regex "$output$stderr" 'program.*build id'
}

@test "one misuse at several addresses of one line is one report" {
    strayspan_run "$c/unrolled_exits"
    assert_equal "$(strayspan_query 'select(.type == "violation")' | grep -c .)" 5
    report --format json "$strayspan_log"
    assert_success
    assert_equal "$(jq -c '[.violations[] | [.rule, .times]]' <<<"$output")" \
        '[["exit-without-enter",4],["exit-without-enter",1]]'
}

# Makes the folder batch with the logs of four processes, as `cargo strayspan` has them, of one group at two lines:
# two tests, one for each line, a program without a test's name at the first of them, and a clean one.
make_batch() {
    local name index=0
    strayspan_run "$c/unrolled_exits"
    mkdir batch
    touch batch/processes
    line=$(grep -n '^        EXITS;' "$root/tests/programs/c/unrolled_exits.c" | cut -d: -f1)
    for name in one two '' clean; do
        index=$((index + 1))
        jq -nc --arg name "$name" --argjson index "$index" '[inputs]
            | [.[] | select(.type == "violation") | .fingerprint] as $prints
            | .[] | .run = "00000000000000f\($index)" | .pid = 7000 + $index
            | if .type == "process" then .options.label = $name | .pid_start = $index else . end
            | if .type == "violation" then .group = "00000000000000aa" else . end
            | select(.type != "summary" and (.type != "violation" or
                {one: $prints[0], two: $prints[-1], "": $prints[0]}[$name] == .fingerprint))' \
            "$strayspan_log" >"batch/$index.jsonl"
    done
}

@test "what many programs do wrong is told once, with each line that it is on, and whose it is" {
    make_batch
    report batch
    assert_line 'found:   1 error'
    assert_line --regexp "^  --> .*unrolled_exits\\.c:$line  main\$"
    assert_line '   = in 3 of 4 processes at 2 places, here in one, unrolled_exits; 3 times, this is the first'
    assert_line --regexp "^   = also at .*unrolled_exits\\.c:$((line + 1))  main, in two\$"
    # On one line, whoever did it is named: as many as are counted.
    rm batch/2.jsonl
    report batch
    assert_line '   = in 2 of 3 processes: one, unrolled_exits; 2 times, this is the first'
    refute_output --partial 'also at'
    # The process is named first that all the rest is told of, however many tests there are.
    jq -c 'if .type == "violation" then .severity = "warning" else . end' batch/1.jsonl >warned
    mv warned batch/1.jsonl
    report batch
    assert_line '   = in 2 of 3 processes: unrolled_exits, one; 2 times, this is the first'
    # Not by group each is told.
    rm -r batch
    make_batch
    rm batch/processes
    report batch
    assert_line 'found:   2 errors'
    refute_output --partial ' at 2 places'
    refute_output --partial 'also at'
}

@test "many lines of one group: the first of them, and how many more there are" {
    strayspan_run "$c/many_misuses" 12
    mkdir batch
    touch batch/processes
    # Without a stack it is known where the spans are made.
    jq -c 'if .type == "violation" then .group = "00000000000000aa" | .exited.stack = [] else . end' \
        "$strayspan_log" >batch/log.jsonl
    report batch
    assert_line '   = at 12 places; 12 times, this is the first'
    assert_equal "$(grep -c '^   = also at .*many_misuses\.c:[2-9]$' <<<"$output")" 8
    assert_line '   = and at 3 more places'
    report --format json batch
    assert_equal "$(jq -c '[.violations[0].also_at[].line]' <<<"$output")" '[2,3,4,5,6,7,8,9,10,11,12]'
    # Where one program has the code's own line, and another only those of the spans, it is told once.
    jq -c 'if .type == "violation" then .group = "00000000000000aa" else . end
        | .run = "00000000000000ff" | .pid += 1' "$strayspan_log" >batch/lines.jsonl
    report batch
    assert_line --regexp '^   = in many_misuses, pid [0-9]+ and another process; 24 times, this is the first$'
    refute_output --partial 'also at'
}

@test "many distinct fingerprints are read in a time that grows with their number alone" {
    make_log
    # shellcheck disable=SC2016 # python's own
    python3 -c '
import json, sys
records = [json.loads(line) for line in open("log.jsonl")]
breach = next(r for r in records if r["type"] == "violation")
for record in records:
    if record["type"] != "violation":
        continue
    for i in range(20000):
        breach.update(fingerprint="%016x" % (i * 7919), group="%016x" % i)
        breach["span"]["serial"] = i + 1
        breach["exited"]["stack"] = [[1, 4096 + i]]
        print(json.dumps(breach, separators=(",", ":")))
        print(json.dumps({**breach, "type": "suspicion", "fingerprint": "%016x" % (i * 7919 + 1)}))
' >broken_out.log
    { grep -v '"type":"summary"' log.jsonl && cat broken_out.log; } >many.log
    run --separate-stderr timeout 60 "$STRAYSPAN" report --format json --output many.json many.log
    assert_success
    assert_equal "$(jq '[(.violations | length), (.suspicions | length)] | @csv' -r many.json)" 20001,0
}
