# What the report makes of each rule, of suspicions, consequences and the history: from logs that are put
# together here, about a program whose functions say that they are lines of src/orders.rs.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_FILE_TMPDIR"
}

# One function for each place that the logs tell of: NAME FILE LINE.
places='make_order src/orders.rs 40
handle_order src/orders.rs 41
drop_order src/orders.rs 45
charge src/billing.rs 17
refund src/billing.rs 30
main src/main.rs 9'

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    mkdir src
    for file in src/orders.rs src/billing.rs src/main.rs; do
        yes '' | head -n 60 >"$file"
    done
    sed -i -e '40s/.*/    let span = info_span!("handle_order", id);/' \
        -e '41s/.*/    let _guard = span.enter();/' -e '45s/.*/    drop(_guard);/' src/orders.rs
    sed -i -e '17s/.*/    let span = Span::current();/' src/billing.rs
    local name file line
    while read -r name file line; do
        printf '#line %s "%s"\nint %s(void) { return %s; }\n' "$line" "$PWD/$file" "$name" "$line"
    done <<<"$places" >program.c
    gcc -g -O0 -Wl,--build-id -o app program.c
    # A return address is one byte on; the functions are symbolized at their first.
    nm app | sed -n 's/^\([0-9a-f]*\) T \([a-z_]*\)$/\2 \1/p' | while read -r name line; do
        printf '{"%s": [1, %s]}\n' "$name" $((0x$line + 1))
    done | jq -s add >addresses.json
    readelf -n app | sed -n 's/.*Build ID: //p' >build_id
    # They are older than what the logs tell of.
    touch -d 2020-01-01 src/*
}

# What the filters of the tests are made of.
lib='
def record($type): {v: 1, type: $type, time: "2026-01-02T03:04:05.000100Z", pid: 70, run: "00000000000000aa"};
def at($place): $addresses[0][$place];
def thread($serial): {serial: $serial, tid: (69 + $serial), name: "tokio-runtime-w", created_by: null, span: null, stack: []};
def site($thread; $place): {thread: thread($thread), time: null, stack: [at($place)], typical: false};
def process($exe): record("process") + {exe: $exe, host: "h", ppid: 1, build_id: $build_id, strayspan: "0.1.0",
    start: "2026-01-02T03:04:05.000000Z", options: {fields: "names", await_check: "auto", history: 256}};
def loaded($exe; $subscriber): record("module") + {id: 1, path: $exe, build_id: $build_id, load_address: 0, subscribers: 1, unhooked: 0,
    evidence: "symbols", call_sites: 3, tracing_core: "0.1.32", tracing_subscriber: $subscriber};
def span($serial; $name): {serial: $serial, id: "1", instance: 1, name: $name, target: "app", level: "INFO",
    file: "src/orders.rs", line: 40, provider: "rust-tracing", fields: {id: null}};
def registry: "_ZN4core3ptr68drop_in_place$LT$tracing_subscriber..registry..sharded..Registry$GT$17h0123456789abcdefE";
def breach($rule): {rule: $rule, severity: "error", fingerprint: "aaaaaaaaaaaaaaaa", group: "cccccccccccccccc", count: 1,
    span: span(7; "handle_order"), created: site(3; "make_order"), instances: {owner: {serial: 1, type: registry, module: 1, table: 64}}};
def held: breach("held-across-await") + {entered: site(3; "handle_order"), parked: site(3; "main"), exited: site(5; "drop_order"),
    parks: 3, parked_ns: 18000000, spans_under: 57, thread_changed: true};
def violation: record("violation") + .;
def suspicion: record("suspicion") + . | del(.exited);
def consequence($what; $place): record("consequence") + {of: "aaaaaaaaaaaaaaaa", group: "cccccccccccccccc", what: $what, count: 1,
    span: span(7; "handle_order"), at: site(6; $place)};
def made($name): {name: $name, target: "app", file: "src/billing.rs", line: 17};
def event($ns; $thread; $event; $span): {ns: $ns, thread: $thread, event: $event, span: $span,
    name: (if $span == 7 then "handle_order" elif $span then "other" else null end), site: at("main")};
def summary($rule; $times; $suspicions; $consequences): record("summary") + {rules: {($rule): {violations: $times, fingerprints: (if $times > 0 then 1 else 0 end), suppressed: 0}},
    suspicions: $suspicions, consequences: $consequences, spans: {created: 90, entered: 91, exited: 91, closed: 90},
    threads: 6, instances: 1, modules: 1, lookups: 0,
    call_sites: ([("TRACE", "DEBUG", "INFO", "WARN", "ERROR") | {(.): {live: 1, filtered: 0, unreached: 0}}] | add),
    not_judged: {total: 0, by: {}, instances: []}, table_limit: 0};
'

# Writes log.jsonl with the records of a jq filter, after those of a process with this tracing-subscriber.
make_log() {
    jq -n -c --slurpfile addresses addresses.json --arg build_id "$(<build_id)" --arg exe "$PWD/app" \
        "$lib process(\$exe), loaded(\$exe; \"$1\"), ($2)" >"$BATS_TEST_TMPDIR/log.jsonl"
}

report_log() {
    run --separate-stderr timeout 60 "$STRAYSPAN" report "$@" "$BATS_TEST_TMPDIR/log.jsonl"
}

# Asserts on the sentences after `what you saw:`, as one line.
assert_saw() {
    local saw
    saw=$(sed -n '/^what you saw:/,/^[a-z]*:/p' <<<"$output" | sed '1s/^[^:]*: //; $d' | tr -s '\n ' ' ')
    assert_regex "$saw" "$1"
}

@test "held across an await: the guard, how long, and where it was dropped" {
    make_log 0.3.18 'held | violation, summary("held-across-await"; 50; 0; [])'
    report_log
    assert_success
    assert_line --index 0 'error[held-across-await]: the guard of span `handle_order` stays open while its task sleeps'
    assert_line --index 1 '  --> src/orders.rs:41  handle_order'
    assert_line --index 2 '41 |     let _guard = span.enter();'
    assert_line --index 3 --regexp '\| +\^+ open on thread 3 over 3 parks, 18 ms; 57 spans were made under it$'
    assert_line '   = dropped on thread 5, not on thread 3 that entered it (both tokio threads), at src/orders.rs:45 drop_order'
    assert_line '   = 50 times, this is the first'
    assert_output --partial 'blame: your code, src/orders.rs:41'
    assert_output --partial 'await-holding-invalid-types'
    assert_line 'found:   1 error'
}

@test "held across an await, dropped where it was entered: nothing is said of two threads" {
    make_log 0.3.18 'held | .exited.thread = thread(3) | .thread_changed = false | violation'
    report_log
    assert_line '   = dropped on the same thread, at src/orders.rs:45 drop_order'
    refute_output --partial 'not on thread'
}

@test "where the source is gone, what it would have shown is said" {
    make_log 0.3.18 'held | violation'
    mv src away
    report_log
    mv away src
    assert_line '   = open on thread 3 over 3 parks, 18 ms; 57 spans were made under it'
}

@test "the innocent clones: how many, where, the words of the panic, and who is not to blame" {
    make_log 0.3.23 'held | violation, consequence("clone-of-closed"; "charge"), consequence("clone-of-closed"; "refund"),
        summary("held-across-await"; 1; 0; [{of: "aaaaaaaaaaaaaaaa", what: "clone-of-closed", count: 41}])'
    report_log
    assert_saw '^41 clones of the closed span in \*other\* tasks, first src/billing.rs:17 charge \(and 1 other place\), which then panicked: "tried to clone a span \(Id\(\.\.\)\) that already closed"\. These tasks did nothing wrong\.'
    assert_line 'found:   1 error'
    run jq -c '.violations[0].consequences[] | [.what, .count, .at_least, (.places | map(.at.frames[0].short))]' \
        <<<"$("$STRAYSPAN" report --format json "$BATS_TEST_TMPDIR/log.jsonl")"
    assert_output '["clone-of-closed",41,false,["charge","refund"]]'
}

@test "a subscriber that is no Registry: no panic is claimed" {
    make_log 0.3.23 'held | .instances.owner.type = "_RNvNtCs1234_3app4MineE" | violation, consequence("clone-of-closed"; "charge")'
    report_log
    assert_output --partial 'at least 1 clone of the closed span in *another* task, at src/billing.rs:17'
    refute_output --partial panicked
}

@test "stale parents: a wrong parent until 0.3.20, roots from 0.3.22" {
    records='held | violation, (consequence("stale-parent"; "charge") + {made: made("charge")}),
        summary("held-across-await"; 1; 0; [{of: "aaaaaaaaaaaaaaaa", what: "stale-parent", count: 12}])'
    make_log 0.3.20 "$records"
    report_log
    assert_saw '^12 new spans got the wrong parent: this span; first `charge` at src/billing.rs:17 charge\.'
    make_log 0.3.22 "$records"
    report_log
    assert_saw '^12 new spans got the wrong parent: this span, or none once it had closed \(they became roots\); first `charge` at '
}

@test "a close in passing: whose span it was" {
    make_log 0.3.18 'breach("foreign-thread-exit") | .entered = site(3; "handle_order") | .exited = site(5; "drop_order") | violation,
        (consequence("foreign-close"; "refund") | .span.name = "payment"), summary("foreign-thread-exit"; 1; 0; [])'
    report_log
    assert_saw '^1 use of span `payment` \(src/orders.rs:40\), which this breach closed in passing, at src/billing.rs:30 refund\. '
}

@test "without consequences, the spans made under it are the harm" {
    make_log 0.3.18 'held | violation'
    report_log
    assert_saw '^57 spans were made or entered on thread 3 '
}

@test "the story: the span's events and parks, the rest folded, two threads side by side" {
    make_log 0.3.18 'held | .parked.time = "2026-01-02T03:04:04.982100Z" | .history = {left_out: 12, events: [
        event(-30000000; 3; "park"; null),
        event(-20000000; 3; "new"; 7), event(-19999000; 3; "enter"; 7),
        event(-18000000; 3; "park"; null), event(-17000000; 3; "new"; 8), event(-16999000; 3; "enter"; 8), event(-16000000; 3; "exit"; 8),
        event(-15000000; 3; "park"; null), event(-14000000; 3; "park"; null),
        (event(-2000000; 5; "lookup"; null) + {host: "localhost", addresses: 2, lookup_ns: 1900000}),
        event(-1000; 5; "clone"; 7), event(0; 5; "exit"; 7)]} | violation'
    report_log
    story=$(sed -n '/^    time/,/^$/p' <<<"$output" | sed 's/ *$//')
    assert_equal "$story" "$(sed 's/^|//' <<'END'
|    time       thread 3, tokio thread, tid 72          thread 5, tokio thread, tid 74
|    -20 ms     creates `handle_order`   orders.rs:40
|    -20 ms     enters it                orders.rs:41
|    -18 ms     parks 3 times; it stays open
|               .. 3 other events
|    -2.0 ms                                            getaddrinfo("localhost"): 2 addresses, 1.9 ms
|    -1.0 us                                            clones it   main.rs:9
|     0                                                 exits it    orders.rs:45  <-- here
|    (12 more events of these threads left out)
END
    )"
}

@test "the story: what the log tells as a moment and in its history is told once" {
    times='.created.time = "2026-01-02T03:04:04.900100Z" | .entered.time = "2026-01-02T03:04:05.000000Z"'
    make_log 0.3.18 "held | .exited.thread = thread(3) | .thread_changed = false | $times"' | .history = {left_out: 0, events: [
        event(-100000000; 3; "new"; 7), event(-90000000; 3; "enter"; 7), event(-80000000; 3; "exit"; 7),
        event(-100000; 3; "enter"; 7), event(-40000; 3; "exit"; 7)]} | violation'
    report_log
    story=$(sed -n '/^    time/,/^$/p' <<<"$output")
    assert_equal "$(grep -c 'enters it' <<<"$story")" 2
    assert_equal "$(grep -c 'exits it' <<<"$story")" 2
    assert_equal "$(grep -c 'creates' <<<"$story")" 1
    # An earlier exit on a thread that never entered it again is another one than that which is the violation.
    make_log 0.3.18 'held | .history = {left_out: 0, events: [event(-90000000; 5; "enter"; 7), event(-80000000; 5; "exit"; 7),
        event(-5000; 5; "exit"; 7)]} | violation'
    report_log
    assert_equal "$(grep -c 'exits it' <<<"$output")" 2
}

@test "the story of a span with a thousand events stays a small table" {
    make_log 0.3.18 'held | .history = {left_out: 952, events: [range(48) | event(-48000000 + . * 1000000; 3; (if . % 2 == 0 then "enter" else "exit" end); 7)]} | violation'
    report_log
    story=$(sed -n '/^    time/,/^$/p' <<<"$output")
    [ "$(wc -l <<<"$story")" -le 28 ]
    assert_regex "$story" '<-- here'
    assert_regex "$story" '\.\. [0-9]+ other events'
}

@test "hosts of the history stay out of JSON without --with-values" {
    make_log 0.3.18 'held | .history = {left_out: 0, events: [
        (event(-2000000; 5; "lookup"; null) + {host: "secret.example", addresses: 2, lookup_ns: 1900000})]} | violation'
    report_log --format json
    refute_output --partial secret
    assert_equal "$(jq -c '.violations[0].history.events[0] | [.event, .lookup_ns, .addresses]' <<<"$output")" '["lookup",1900000,null]'
    report_log --format json --with-values
    assert_output --partial secret.example
}

@test "a suspicion: told, said to be one, never counted" {
    make_log 0.3.18 'held | .thread_changed = false | suspicion, summary("held-across-await"; 0; 1; [])'
    report_log --check --deny warnings --deny held-across-await
    assert_success
    assert_line --index 0 'suspicion[held-across-await]: the guard of span `handle_order` stays open while its task sleeps'
    assert_output --partial 'still has it open'
    assert_output --partial 'a suspicion, which counts for nothing'
    assert_line 'found:   1 suspicion'
    refute_output --partial 'nothing strayed'
    refute_output --partial 'error['
    run jq -c '[(.violations | length), (.suspicions | map(.rule)), .nothing_checked]' \
        <<<"$("$STRAYSPAN" report --format json "$BATS_TEST_TMPDIR/log.jsonl")"
    assert_output '[0,["held-across-await"],null]'
}

@test "a suspicion in the log of a program that was killed is told" {
    make_log 0.3.18 'held | suspicion'
    report_log
    assert_success
    assert_output --partial 'suspicion[held-across-await]'
    assert_line 'found:   1 suspicion'
}

@test "a suspicion that became a violation is told as that alone, with what came of it before" {
    make_log 0.3.23 'held | (.fingerprint = "bbbbbbbbbbbbbbbb" | suspicion),
        (consequence("clone-of-closed"; "charge") | .of = "bbbbbbbbbbbbbbbb"), violation,
        consequence("clone-of-closed"; "refund"), summary("held-across-await"; 1; 1; [])'
    report_log
    assert_output --partial 'error[held-across-await]'
    refute_output --partial 'suspicion['
    assert_line 'found:   1 error'
    assert_output --partial '2 clones of the closed span'
    # Another span's, of another place, stays.
    make_log 0.3.23 'held | (.fingerprint = "bbbbbbbbbbbbbbbb" | .span.serial = 8 | .entered = site(3; "charge") | suspicion), violation,
        summary("held-across-await"; 1; 1; [])'
    report_log
    assert_line 'found:   1 error, 1 suspicion'
    # The same place again is the same misuse.
    make_log 0.3.23 'held | (.fingerprint = "bbbbbbbbbbbbbbbb" | .span.serial = 8 | suspicion), violation,
        summary("held-across-await"; 1; 1; [])'
    report_log
    assert_line 'found:   1 error'
}

@test "closed while open: who has it open, and who closed it" {
    make_log 0.3.23 'breach("closed-while-open") | .entered = site(3; "handle_order") | .closed = site(5; "drop_order") | violation'
    report_log
    assert_line --index 0 'error[closed-while-open]: span `handle_order` is closed while it is open'
    assert_line --index 1 '  --> src/orders.rs:45  drop_order'
    assert_line '   = thread 3 has it open, entered at src/orders.rs:41 handle_order'
    assert_output --partial 'closes it'
}

@test "use after close: where it was closed, and how it is used" {
    make_log 0.3.23 'breach("use-after-close") | .closed = site(3; "drop_order") | .used = site(5; "charge") | .use = "parent" | .made = made("charge") | violation'
    report_log
    assert_line --index 1 '  --> src/billing.rs:17  charge'
    assert_line '   = it was to be the parent of span `charge` (src/billing.rs:17)'
    assert_line '   = closed on thread 3, at src/orders.rs:45 drop_order'
    assert_output --partial 'names it as a parent'
    make_log 0.3.23 'breach("use-after-close") | .entered = site(5; "charge") | .used = site(5; "charge") | .use = "enter" | violation'
    report_log
    assert_line '   = where it was closed is not known'
    assert_equal "$(grep -c 'enters it' <<<"$output")" 1
}

@test "open at a thread's end: which thread, and where it entered" {
    make_log 0.3.23 'breach("leaked-at-thread-end") | .severity = "warning" | .entered = site(3; "handle_order") | violation'
    report_log
    assert_line --index 0 'warning[leaked-at-thread-end]: span `handle_order` is still open when its thread ends'
    assert_line --index 1 '  --> src/orders.rs:41  handle_order'
    assert_output --partial '   = thread 3 ends'
    assert_output --partial 'ends; it is still open  <-- here'
    assert_line 'found:   1 warning'
}

@test "out of order: the span above, by name and line" {
    make_log 0.3.23 'breach("out-of-order-exit") | .entered = site(3; "handle_order") | .exited = site(3; "drop_order") |
        .above = {serial: 8, name: "inner", file: "src/billing.rs", line: 17} | violation'
    report_log
    assert_line --index 1 '  --> src/orders.rs:45  drop_order'
    assert_line '   = span `inner` (src/billing.rs:17) was entered after it and is still open'
}

@test "open on two threads: both enters" {
    make_log 0.3.23 'breach("concurrent-enter") | .entered = site(3; "handle_order") | .used = site(5; "charge") | .use = "enter" | violation'
    report_log
    assert_line --index 1 '  --> src/billing.rs:17  charge'
    assert_line '   = thread 3 has it open, entered at src/orders.rs:41 handle_order'
}

@test "a blocking look-up: where, how long; also outside any span" {
    lookup='.used = site(3; "charge") | .use = "lookup" | .lookup = {host: "db.example", service: null, result: 0, error: null, ns: 2100000000, addresses: 2}'
    make_log 0.3.23 "breach(\"blocking-lookup\") | $lookup | violation"
    report_log
    assert_line --index 0 'error[blocking-lookup]: a look-up (in span `handle_order`) blocks a thread that runs an event loop'
    assert_line --index 1 '  --> src/billing.rs:17  charge'
    assert_line '   = getaddrinfo("db.example"): 2 addresses, 2.1 s; for that long nothing else ran on thread 3, tokio thread'
    make_log 0.3.23 "breach(\"blocking-lookup\") | $lookup | .span = null | .instances.owner = null | del(.created) | violation"
    report_log
    assert_line --index 0 'error[blocking-lookup]: a look-up blocks a thread that runs an event loop'
    report_log --format json
    run jq -c '.violations[0] | [.span, .instances.owner, .use]' <<<"$output"
    assert_output '[null,null,"lookup"]'
}

@test "every rule: no line of its report is empty of words, none ends in blanks" {
    for rule in $(sed -n 's/.*X([A-Z_]*, "\([a-z-]*\)",.*/\1/p' "$root/shim/rule_table.h"); do
        # All keys at once are more than any rule has: the log is no valid one.
        make_log 0.3.23 "held | .rule = \"$rule\" | .closed = site(4; \"refund\") | .used = site(5; \"charge\") | .use = \"record\" | violation"
        mv "$BATS_TEST_TMPDIR/log.jsonl" "$BATS_TEST_TMPDIR/all.log"
        run --separate-stderr "$STRAYSPAN" report --all-frames "$BATS_TEST_TMPDIR/all.log"
        assert_success
        refute_output --partial '(null)'
        refute_output --regexp $' (\n|$)'
        assert_output --partial 'blame:'
        assert_output --partial 'help:'
        # The least that any rule has: none of its moments.
        jq -c 'if .type == "violation" then del(.created, .entered, .parked, .exited, .closed, .used, .use, .parks, .instances) else . end' \
            "$BATS_TEST_TMPDIR/all.log" >"$BATS_TEST_TMPDIR/least.log"
        run --separate-stderr "$STRAYSPAN" report "$BATS_TEST_TMPDIR/least.log"
        assert_success
        assert_output --partial "[$rule]"
        refute_output --partial '(null)'
    done
}

@test "records with wrong types harm nothing" {
    make_log 0.3.23 'held | .history = {left_out: 0, events: [event(-5; 3; "park"; null)]} |
        (.fingerprint = "bbbbbbbbbbbbbbbb" | .span.serial = 9 | .group = "dddddddddddddddd" | suspicion), violation,
        (consequence("stale-parent"; "charge") + {made: made("charge")}),
        summary("held-across-await"; 1; 1; [{of: "aaaaaaaaaaaaaaaa", what: "stale-parent", count: 3}])'
    for filter in '.parks = "x"' '.parks = -1' '.parked_ns = -5' '.history = []' '.history.events = 7' '.history.events[0] = 3' \
        '.history.events[0].event = "dance"' '.history.events[0].ns = 99' '.history.events[0].ns = "x"' '.history.events[0].site = 1' \
        '.history.events[0].thread = -1' '.history.events = [range(500) as $i | {ns: -$i, thread: $i, event: "enter", span: 7}]' \
        '.use = "dance"' '.made = 1' '.made = null' '.of = 7' '.of = "ffffffffffffffff"' '.what = "dance"' '.at = null' '.count = -1' \
        '.span = null' '.consequences = {}' '.consequences = [1, {}, {of: 1}]' '.suspicions = "x"' 'del(.entered)' 'del(.exited)' \
        '.spans_under = -3' '.group = null' '.fingerprint = null'; do
        jq -c "try ($filter) catch ." "$BATS_TEST_TMPDIR/log.jsonl" >"$BATS_TEST_TMPDIR/odd.log"
        for format in text json; do
            run --separate-stderr "$STRAYSPAN" report --format "$format" "$BATS_TEST_TMPDIR/odd.log"
            [ "$status" -le 2 ] || fail "status $status with $filter: $stderr"
        done
    done
}
