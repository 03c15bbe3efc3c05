# Programs without symbols: what finds their subscribers, and that the same is reported.
setup() {
    load setup
    sample=$build/samples/trixie/release/scope_exit
}

# Sets group to that of the one violation of a program, run with the log in a folder of its own.
group_of() {
    strayspan_run --options quiet=1 "$@"
    assert_violation foreign-thread-exit --only
    group=$(jq -r .group <<<"$violation")
}

evidence_of() {
    strayspan_query 'select(.type == "module" and .subscribers > 0) | .evidence' | sort -u
}

# Makes a stripped copy of the sample, and its debug file.
make_copy() {
    [ -x "$sample" ] || skip "no build of scope_exit; scripts/samples says why"
    copy=$BATS_TEST_TMPDIR/program
    debug=$BATS_TEST_TMPDIR/program.debug
    strip -o "$copy" "$sample"
    objcopy --only-keep-debug "$sample" "$debug"
}

@test "the rules tell the same groups of stripped copies as of the samples, in every build that is there" {
    local names=(scope_exit channel_exit leaked_at_thread_end lost_close parent_close use_enter closed_by_hand
        exit_without_enter await_yield legal_box_arc legal_two_subscribers legal_layers silent_close legal_mirror)
    # shellcheck disable=SC2086 # words
    run -0 "$root/scripts/matrix" --stripped ${STRAYSPAN_TEST_QUICK:+--profile release} "${names[@]}"
    assert_output --regexp ' right, 0 wrong'
}

@test "every table that symbols tell of is found without them, and no other" {
    local program programs=()
    for program in "$build"/samples/*/{debug,release,opt-z}/legal_{box_arc,layers,two_subscribers,closes}; do
        [ ! -x "$program" ] || programs+=("$program") # not every one is built in every suite and profile
    done
    [ ${#programs[@]} -gt 0 ] || skip "no samples; scripts/samples says why"
    run -0 "$root/scripts/stripped" "${programs[@]}"
    assert_output --regexp ' 0 missed, 0 wrong$'
}

@test "a guard that leaves with its thread is no guard held across an await, without names either" {
    local suite module file tried
    for suite in bookworm trixie sid; do
        module=$build/samples/$suite/release/c_plugin.so
        [ -e "$module" ] || continue
        strip -o "$BATS_TEST_TMPDIR/plugin.so" "$module"
        for file in "$module" "$BATS_TEST_TMPDIR/plugin.so"; do
            strayspan_run --options quiet=1 "$c/plugin_host" "$file" =stray
            assert_violation foreign-thread-exit --span stray_job --only
        done
        tried=$suite
    done
    [ -n "${tried-}" ] || skip "no build of the sample modules; scripts/samples says why"
}

@test "every kind of subscriber is found with full debug information, and with all that can be optimized" {
    command -v cargo >/dev/null || skip "no cargo"
    # shellcheck disable=SC2086 # a word or none
    run -0 "$root/scripts/stripped" --kinds ${STRAYSPAN_TEST_QUICK:+full}
    assert_output --regexp ' 0 missed, 0 wrong$'
}

@test "no system library has a table" {
    run -0 "$root/scripts/stripped" --scan /usr/bin /usr/lib/x86_64-linux-gnu
    assert_output --regexp ' 0 wrong$'
}

@test "the report says that code was the evidence" {
    make_copy
    run_under "$copy"
    assert_equal "$(evidence_of)" '"signature"'
    assert_regex "$stderr" 'hooked by signature'
    assert_violation foreign-thread-exit --only
}

@test "a debug file beside the program is found by its link, and in .debug" {
    make_copy
    objcopy --remove-section .note.gnu.build-id "$copy"
    objcopy --remove-section .note.gnu.build-id "$debug"
    (cd "$BATS_TEST_TMPDIR" && objcopy --add-gnu-debuglink=program.debug program)
    group_of "$copy"
    assert_equal "$(evidence_of)" '"debug-file"'
    refute_regex "$stderr" 'not used'

    mkdir "$BATS_TEST_TMPDIR/.debug"
    mv "$debug" "$BATS_TEST_TMPDIR/.debug"
    group_of "$copy"
    assert_equal "$(evidence_of)" '"debug-file"'

    # It is another file from now on.
    echo >>"$BATS_TEST_TMPDIR/.debug/program.debug"
    group_of "$copy"
    assert_equal "$(evidence_of)" '"signature"'
}

@test "a debug file is found by its build id" {
    make_copy
    unshare --user --map-root-user --mount true 2>/dev/null || skip "no mount namespace can be made here"
    [ -d /usr/lib/debug ] || skip "there is no /usr/lib/debug"
    local id
    id=$(file "$copy" | sed -n 's/.*BuildID\[sha1\]=\([0-9a-f]*\).*/\1/p')
    [ "$id" ] || skip "the linker makes no build ids"
    cat >"$BATS_TEST_TMPDIR/with_debug" <<END
#!/bin/sh
mount -t tmpfs none /usr/lib/debug
mkdir -p /usr/lib/debug/.build-id/${id:0:2}
cp "$debug" /usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
exec "$copy"
END
    chmod +x "$BATS_TEST_TMPDIR/with_debug"
    group_of unshare --user --map-root-user --mount "$BATS_TEST_TMPDIR/with_debug"
    assert_equal "$(evidence_of)" '"debug-file"'
}

@test "a debug file of another build is said, and not used" {
    make_copy
    objcopy --only-keep-debug "$build/samples/trixie/release/channel_exit" "$debug"
    (cd "$BATS_TEST_TMPDIR" && objcopy --add-gnu-debuglink=program.debug program)
    strayspan_run "$copy"
    assert_violation foreign-thread-exit --only
    assert_equal "$(evidence_of)" '"signature"'
    assert_regex "$stderr" 'program.debug: not used: it is no debug file of .*/program'
}

@test "symbols that do not agree with the code are followed, and warned of" {
    make_copy
    # What tells the tables apart has other names; the functions are named all the same.
    objcopy --wildcard --strip-symbol '*Subscriber*8new_span*' --strip-symbol '*Subscriber*9try_close*' \
        --strip-symbol '*Subscriber*17register_callsite*' "$sample" "$copy"
    strayspan_run "$copy"
    assert_regex "$stderr" 'its symbols and its code do not agree'
    assert_no_violation_at_all

    # The other way round: what symbols tell of is hooked, whatever its code looks like.
    strayspan_run "$c/page_layouts"
    assert_regex "$stderr" 'its symbols and its code do not agree'
    assert_violation foreign-thread-exit --only
    run strayspan_query 'select(.disputed == 1) | .evidence'
    assert_output '"symbols"'
}

# No record of a violation, be there a log or none.
assert_no_violation_at_all() {
    [ -z "$(strayspan_query 'select(.type == "violation")')" ] || strayspan_fail "a violation"
}

@test "a table that only its code speaks for is judged" {
    strayspan_run "$c/code_table_stripped" sound
    assert_success
    assert_equal "$(evidence_of)" '"signature"'
    run strayspan_query 'select(.type == "violation") | .span.name'
    assert_output '"work"'
    # Another one that may be a subscriber's is left alone, and counted.
    run strayspan_query 'select(.doubtful == 1) | .subscribers'
    assert_output 1
    run "$STRAYSPAN" report "${strayspan_logs[@]}"
    assert_output --partial "1 more table may be a subscriber's"
}

@test "one that is called with ids it never gave is switched off and named before anything is reported" {
    strayspan_run "$c/code_table_stripped" strange
    assert_success
    assert_no_violation_at_all
    assert_regex "$stderr" 'code_table_stripped: a subscriber table .* switched off: .* ids that it never gave'
    run strayspan_query 'select(.type == "module" and .off > 0) | .off'
    assert_output 1
    run strayspan_query 'select(.type == "summary") | .not_judged.by["table-off"] > 0'
    assert_output true
    run "$STRAYSPAN" report "${strayspan_logs[@]}"
    assert_output --partial '1 table switched off'
    assert_output --partial 'nothing strayed in what was judged'
}

@test "one of another trait is switched off, and nothing that it is called with is read" {
    strayspan_run "$c/code_table_stripped" junk
    assert_success
    assert_output 'done 1'
    assert_no_violation_at_all
    assert_regex "$stderr" 'switched off: it is called with what is no call site'
}
