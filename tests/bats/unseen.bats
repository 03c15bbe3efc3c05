# What could not be seen is told: in the last lines, in the JSON document and by the exit status.
setup() {
    load setup
    cd "$BATS_TEST_TMPDIR"
}

# The sample, of the first suite that has it.
sample() {
    program=$build/samples/trixie/release/$1
    [ -e "$program" ] || program=$build/samples/bookworm/release/$1
    [ -e "$program" ] || skip "no build of $1; scripts/samples says why"
}

json_of_last() {
    "$STRAYSPAN" report --format json "$strayspan_dir" | jq -c "$1"
}

@test "rules that options turned off are named" {
    run_under --options rules=-exit-without-enter:await_check=off "$c/exit_without_enter"
    assert_success
    assert_regex "$stderr" 'nothing strayed'
    assert_regex "$stderr" 'unseen:  not looked for, by options: held-across-await, exit-without-enter'
    run json_of_last .seen.rules_off
    assert_output '["held-across-await","exit-without-enter"]'
    # What is off by default, or was only regraded, is not.
    run_under --options rules=-out-of-order-exit,exit-without-enter=warning "$c/legal_handed"
    refute [ "$(grep 'not looked for' <<<"$stderr")" ]
    run json_of_last .seen.rules_off
    assert_output '[]'
}

@test "call sites are told by level, with what would check more" {
    sample legal_reload_filters
    run_under "$program"
    assert_success
    assert_regex "$stderr" 'call sites of spans: .*filtered out \(.*1 DEBUG, 1 TRACE\).*: RUST_LOG=trace would check more'
    run json_of_last '.seen.call_sites.TRACE.filtered'
    assert_output 1
    sample lookup_inside
    run_under "$program"
    refute [ "$(grep 'RUST_LOG' <<<"$stderr")" ]
}

@test "instances and threads that are not judged are told" {
    sample legal_constant_id
    run_under "$program"
    assert_success
    assert_regex "$stderr" 'unseen:  [0-9]+ events on 2 threads not judged \(constant-id [0-9]+\)'
    assert_regex "$stderr" 'a subscriber that gives one id to several spans is not judged: Constant'
    run json_of_last '.seen.not_judged | .threads, (.instances | length)'
    assert_output $'2\n1'
}

@test "a module that was hooked and of which no subscriber was called is named" {
    sample c_plugin.so
    cp "$program" silent.so
    run_under "$c/plugin_host" "$program" =legal "$PWD/silent.so"
    assert_success
    assert_regex "$stderr" 'unseen:  .*/silent.so was hooked, but no span was made there: no subscriber was installed'
    run json_of_last "[.seen.modules[] | select(.subscribers > 0) | .called] | sort"
    assert_output '[false,true]'
    # That is all there is: nothing was checked.
    run_under "$c/plugin_host" "$PWD/silent.so"
    assert_regex "$stderr" 'NOTHING WAS CHECKED: silent.so in .*plugin_host has `tracing` in it and was hooked, but no span was made: no subscriber was installed'
}

@test "where subscribers are known by their code alone, no span may mean that one was not found" {
    local found='; or its subscriber is not among those that were found: without symbols'
    sample c_plugin.so
    strip -o silent.so "$program"
    run_under "$c/plugin_host" "$PWD/silent.so"
    assert_regex "$stderr" "NOTHING WAS CHECKED: silent.so in .* no span was seen: no subscriber was installed[^;]*$found"
    assert_regex "$stderr" 'to do: .*debug file .*/usr/lib/debug/.build-id, or build it with strip = false'
    run_under "$c/plugin_host" "$program" =legal "$PWD/silent.so"
    assert_regex "$stderr" "unseen:  .*/silent.so was hooked, [^;]*$found"
    # With its debug file they are all known.
    objcopy --only-keep-debug "$program" silent.debug
    objcopy --add-gnu-debuglink=silent.debug silent.so
    run_under "$c/plugin_host" "$PWD/silent.so"
    refute_regex "$stderr" 'not among those'
}

@test "NOTHING WAS CHECKED names the program that a command means, not the one that starts it" {
    cp "$c/plain_hello_static" none
    sample scope_exit
    # A path that the preload does not take: what starts it clears the environment.
    ln -s "$program" strays
    printf '#!/bin/sh\nA=1 exec env -i ./strays\n' >start.sh
    chmod +x start.sh
    for command in "env -i ./strays" "sh -c 'cd .; exec env -i ./strays'" "timeout 9 env -i ./strays" ./start.sh; do
        eval "run_under $command"
        assert_regex "$stderr" 'NOTHING WAS CHECKED: [^ ]*strays \(in the command of '
        assert_regex "$stderr" 'something took LD_PRELOAD away'
    done
    run_under sh -c ./none
    assert_regex "$stderr" 'NOTHING WAS CHECKED: sh: '
}

@test "--require-hooked is 125 wherever no span was seen, and the program's own status before that" {
    cp "$c/plain_hello_static" static
    sample c_plugin.so
    for command in ls ./static "sh -c true" "$c/plain_hello" "$c/plugin_host $program" "$c/plugin_host @$program =legal"; do
        run_under --require-hooked $command
        assert_equal "$status" 125
        assert_regex "$stderr" 'exit status 125: no span was seen, and --require-hooked was given'
    done
    run_under --require-hooked sh -c 'exit 3'
    assert_equal "$status" 3
    run_under --require-hooked "$c/plugin_host" "$program" =legal
    assert_success
}

@test "by hand the line on stderr says which place is which" {
    strayspan_run "$c/foreign_thread_exit"
    assert_regex "$stderr" 'span `job` \(made at [^ ]*foreign_thread_exit.c:[0-9]+\)'
    assert_regex "$stderr" 'entered on thread 1 `main` at foreign_thread_exit\+0x[0-9a-f]+'
    # The offset leads to the line.
    offset=$(sed -n 's/.* entered on [^+]*+\(0x[0-9a-f]*\).*/\1/p' <<<"$stderr")
    line=$(grep -n strayspan_enter "$root/tests/programs/c/foreign_thread_exit.c" | cut -d: -f1)
    run addr2line -e "$c/foreign_thread_exit" -i "$offset"
    assert_output --partial "foreign_thread_exit.c:$line"
}

@test "a rule that is none is named, and where the rules are" {
    run "$STRAYSPAN" run --options rules=+no-such-rule true
    assert_equal "$status" 125
    assert_output --partial 'rules: no rule `no-such-rule`; `strayspan explain` lists them'
    run "$STRAYSPAN" run --options rules=lost-close true
    assert_output --partial '`lost-close` wants + or - before it, or =off|warning|error behind it'
    strayspan_run --options rules=+no-such-rule "$c/annotated_plain"
    assert_regex "$stderr" '`\+no-such-rule` names no rule: strayspan explain lists them'
}
