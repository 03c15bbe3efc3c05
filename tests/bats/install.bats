# What is built and installed: where it can be loaded, and what it exports.
setup() {
    load setup
}

@test "make install puts its files where PREFIX and DESTDIR say" {
    run make -C "$root" install PREFIX=/opt/x DESTDIR="$BATS_TEST_TMPDIR/root"
    assert_success
    run find "$BATS_TEST_TMPDIR/root" -type f -printf '%P %m\n' -o -type l -printf '%P -> %l\n'
    assert_equal "$(LC_ALL=C sort <<<"$output")" "opt/x/bin/cargo-strayspan -> strayspan
opt/x/bin/strayspan 755
opt/x/include/strayspan.h 644
opt/x/lib/bats/strayspan/load.bash 644
opt/x/lib/strayspan/libstrayspan.so 755
opt/x/share/strayspan/spans.bats 755
opt/x/share/strayspan/spans.sh 755"
}

@test "the installed command finds its shared object, from any folder" {
    make -C "$root" install PREFIX=/opt/x DESTDIR="$BATS_TEST_TMPDIR/root"
    cd /
    STRAYSPAN=$BATS_TEST_TMPDIR/root/opt/x/bin/strayspan run_under "$c/exit_without_enter"
    assert_equal "$status" 66
    assert_violation exit-without-enter --only
}

@test "it exports what exports.map names, and nothing else" {
    run sh -c "nm -D --defined-only '$STRAYSPAN_SHIM' | awk '{ print \$3 }' | sort"
    assert_output "$(sed -n '/global:/,/local:/s/^\t\([a-z0-9_]*\);$/\1/p' "$root/shim/exports.map" | sort)"
    assert_line pthread_create
}

@test "it needs no library and no symbol version" {
    run readelf -d "$STRAYSPAN_SHIM"
    assert_success
    refute_output --partial NEEDED
    refute_output --partial VERNEED
    run readelf -V "$STRAYSPAN_SHIM"
    refute_output --partial 'Name: GLIBC'
    refute_output --partial 'Version needs'
}

@test "what it takes from the program's libc is weak, but for what every libc has" {
    run sh -c "nm -D --undefined-only '$STRAYSPAN_SHIM' | awk '\$1 != \"w\" { print \$2 }'"
    assert_success
    for symbol in "${lines[@]}"; do
        assert_regex "$symbol" '^(mem(chr|cmp|cpy|mem|move|set)|str(chr|cmp|len|ncmp|nlen|rchr|str))$'
    done
}

@test "it is never writable and executable, and its stack is not executable" {
    run readelf -lW "$STRAYSPAN_SHIM"
    refute_output --partial RWE
    assert_output --regexp 'GNU_STACK.* RW '
    assert_output --partial GNU_RELRO
}

@test "its thread-local storage is small and initial-exec" {
    run readelf -lW "$STRAYSPAN_SHIM"
    size=$(awk '$1 == "TLS" { print $6 }' <<<"$output")
    [ $((size)) -le 1024 ]
    run readelf -d "$STRAYSPAN_SHIM"
    assert_output --partial STATIC_TLS
    run nm -D "$STRAYSPAN_SHIM"
    refute_output --partial __tls_get_addr
}

@test "the messages of the loader are none, for a program without anything to see" {
    run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" LD_BIND_NOW=1 /bin/true
    assert_success
    assert_output ""
    assert_equal "$stderr" ""
}

@test "a second copy in the process switches itself off" {
    cp "$STRAYSPAN_SHIM" "$BATS_TEST_TMPDIR/copy.so"
    LD_PRELOAD=$BATS_TEST_TMPDIR/copy.so strayspan_run "$c/foreign_thread_exit"
    assert_success
    assert_output done
    assert_violation foreign-thread-exit --only
    assert_equal "${#strayspan_logs[@]}" 1
}

@test "in a program without Rust it leaves no descriptor behind" {
    run bash -c 'echo /proc/self/fd/*'
    bare=$output
    run env LD_PRELOAD="$STRAYSPAN_SHIM" bash -c 'echo /proc/self/fd/*'
    assert_output "$bare"
}

@test "installed below a path with blanks and colons, which LD_PRELOAD splits at" {
    make -C "$root" install PREFIX=/opt DESTDIR="$BATS_TEST_TMPDIR"
    mv "$BATS_TEST_TMPDIR/opt" "$BATS_TEST_TMPDIR/my opt:x"
    STRAYSPAN="$BATS_TEST_TMPDIR/my opt:x/bin/strayspan"
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    for _ in 1 2; do
        run_under "$c/exit_without_enter"
        assert_equal "$status" 66
        assert_violation exit-without-enter --only
    done
    run_under --options follow_children=0 sh -c "'$c/exit_without_enter'; :"
    assert_equal "$status" 0
    # Without a place for a link it cannot be.
    XDG_STATE_HOME="$BATS_TEST_TMPDIR/my state" run_under "$c/exit_without_enter"
    assert_equal "$status" 125
    assert_regex "$stderr" "LD_PRELOAD cannot hold"
}
