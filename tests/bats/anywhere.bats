# The shared object loads wherever it is put: beside another libc, in a root that holds nothing else, without
# a library of its own. A preload that cannot load ends every process of a container. scripts/roots tries it
# in whole Debian roots.
setup() {
    load setup
    load bare_root
}

sample() {
    program=$build/samples/trixie/release/channel_exit
    [ -x "$program" ] || program=$build/samples/bookworm/release/channel_exit
    [ -x "$program" ] || skip "no Rust samples"
}

@test "its dynamic tables ask for nothing: no library, no version, no text relocation, no executable stack" {
    run readelf -dW "$STRAYSPAN_SHIM"
    assert_success
    for tag in NEEDED VERNEED TEXTREL RPATH RUNPATH; do
        refute_output --partial "($tag)"
    done
    assert_output --partial NODELETE
    run readelf -VW "$STRAYSPAN_SHIM"
    refute_output --partial GLIBC
    run readelf -lW "$STRAYSPAN_SHIM"
    assert_output --regexp 'GNU_STACK .* RW '
    refute_output --partial INTERP
    # It has none of the sections and flags that only newer loaders know.
    run readelf -dSW "$STRAYSPAN_SHIM"
    refute_output --partial RELR
    refute_output --partial GNU_UNIQUE
}

@test "in a root that holds libc alone a Rust program is hooked" {
    sample
    make_root "$program"
    in_root "$with_proc" "${by_hand[@]}"
    assert_success
    assert_output 'done'
    strayspan_use "$bare/tmp/log.jsonl"
    assert_violation foreign-thread-exit --span sent_away --only
    # With stacks down to the thread's start: the walk needs no library.
    assert_violation_has '.exited.stack | length >= 5'
    run strayspan_query 'select(.type == "module" and .subscribers > 0) | .path'
    assert_output '"/program"'
}

@test "without /proc a program runs unharmed, and is hooked by what its RELRO says of its pages" {
    sample
    make_root "$program"
    in_root '' "${by_hand[@]}"
    assert_success
    assert_output 'done'
    strayspan_use "$bare/tmp/log.jsonl"
    assert_violation foreign-thread-exit --span sent_away --only
    run strayspan_query 'select(.type == "module" and .subscribers > 0) | .path'
    assert_output '"/program"'
}

@test "it opens no library of its own, libunwind's neither" {
    sample
    run strace -f -e trace=open,openat -o "$BATS_TEST_TMPDIR/opened" env LD_PRELOAD="$STRAYSPAN_SHIM" \
        STRAYSPAN_OPTIONS="quiet=1:log_path=\"$BATS_TEST_TMPDIR/log.jsonl\"" "$program"
    [ "$status" -ne 1 ] || skip "strace cannot trace here"
    strayspan_use "$BATS_TEST_TMPDIR/log.jsonl"
    assert_violation foreign-thread-exit --only
    run grep -o '[^/"]*\.so[^"]*' "$BATS_TEST_TMPDIR/opened"
    assert_equal "$(printf '%s\n' "${lines[@]}" | sed 's/\..*//' | sort -u)" $'ld\nlibc\nlibgcc_s\nlibstrayspan'
}

musl_program() {
    program=$c/$1
    [ -x "$program" ] || skip "there is no musl-gcc"
    local loader
    loader=$(readelf -lW "$program" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
    [ -x "$loader" ] || skip "there is no musl loader"
}

@test "beside musl a program runs unharmed" {
    musl_program plain_hello_musl
    run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" "$program"
    assert_success
    assert_output hello
    assert_equal "$stderr" ""
}

@test "beside musl all that is interposed does what it did, and a misuse is found" {
    musl_program musl_all_musl
    echo 'int here;' | musl-gcc -shared -fPIC -x c -o "$BATS_TEST_TMPDIR/object.so" -
    run_bare "$program" "$BATS_TEST_TMPDIR/object.so"
    bare_output=$output
    assert_equal "$status" 3
    assert_line 'object 1 0'
    assert_line 'child 7'
    strayspan_run --options quiet=1 "$program" "$BATS_TEST_TMPDIR/object.so"
    assert_equal "$status" 3
    assert_equal "$output" "$bare_output"
    assert_equal "$stderr" ""
    assert_violation foreign-thread-exit --span job --only
}
