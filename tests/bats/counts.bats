# The summary's counts, beside those of a debugger, on samples and on real programs: each enter and exit
# reaches the Registry's function once.
setup() {
    load setup
    export RUSTUP_AUTO_INSTALL=0 CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
    cd "$BATS_TEST_TMPDIR"
}

# The Registry's functions in an ELF file, both manglings. $2: enter or exit.
registry_symbols() {
    nm "$1" | awk -v method="$2" '
        $2 ~ /[tT]/ && $3 ~ /8Registry/ && $3 ~ "10Subscriber" length(method) method "$" { print $3 }
        $2 ~ /[tT]/ && $3 ~ /Registry/ && $3 ~ "Subscriber\\$GT\\$" length(method) method "17h" { print $3 }'
}

# Runs the command under strayspan and gdb at once; gdb's counts of calls of the Registry's enter and exit in
# MODULE (the program's own file, or a library's) are those of the summary.
assert_counts_as_gdb() {
    local module=$1 number=0 enters=0 method symbol
    shift
    strayspan_dir=$(mktemp -d "$BATS_TEST_TMPDIR/strayspan.XXXXXX")
    {
        echo 'set breakpoint pending on'
        echo 'handle SIGUSR1 SIGCHLD SIGPIPE nostop noprint pass'
        echo "set exec-wrapper env LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS=log_path=$strayspan_dir/%e.%p.jsonl"
        for method in enter exit; do
            for symbol in $(registry_symbols "$module" $method); do
                number=$((number + 1))
                [ $method != enter ] || enters=$number
                printf "break '%s'\nignore %d 1000000000\n" "$symbol" $number
            done
        done
        echo run
        echo info breakpoints
    } >gdb.commands
    { [ "$enters" -gt 0 ] && [ "$number" -gt "$enters" ]; } || fail "no symbols of the Registry in $module"
    run --separate-stderr timeout 300 gdb -q -batch -x gdb.commands --args "$@"
    assert_output --partial 'exited normally'
    counted=$(awk -v enters="$enters" '
        $2 == "breakpoint" { number = $1 }
        /already hit/ { if (number <= enters) entered += $4; else exited += $4 }
        END { print entered + 0, exited + 0 }' <<<"$output")
    assert_not_equal "${counted%% *}" 0
    strayspan_use "$strayspan_dir"
    assert_no_violations
    assert_hooked
    assert_coverage
    # Of all its processes gdb follows the first alone.
    pid=$(sed -n 's/^\[Inferior 1 (process \([0-9]*\)) exited normally\]$/\1/p' <<<"$output")
    run strayspan_query "select(.type == \"summary\" and .pid == $pid) | .spans | \"\(.entered) \(.exited)\""
    assert_output "\"$counted\""
}

check_counts() {
    assert_counts_as_gdb "$1" "$1"
}

@test "samples: as many enters and exits as gdb counts" {
    for_each_build check_counts legal legal_handed
    for_each_build check_counts legal legal_export_layer
}

# The real program behind rustup's proxy; with its symbols, as those of Debian are stripped.
tool() {
    local path
    path=$(rustup which "$1" 2>/dev/null || command -v "$1") || skip "there is no $1"
    echo "$path"
}

make_package() {
    mkdir -p package/src
    printf '[package]\nname = "tiny"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' >package/Cargo.toml
    echo 'fn main() { println!("tiny"); }' >package/src/main.rs
    cd package
}

@test "cargo, with CARGO_LOG=trace: the same result, counted as gdb does" {
    cargo=$(tool cargo)
    make_package
    export CARGO_LOG=trace
    run_bare "$cargo" build --offline
    assert_success
    plain=$(sha256sum target/debug/tiny)
    rm -rf target
    [ -n "$(registry_symbols "$cargo" enter 2>/dev/null)" ] || skip "$cargo has no symbols"
    assert_counts_as_gdb "$cargo" "$cargo" build --offline
    assert_equal "$(sha256sum target/debug/tiny)" "$plain"
}

@test "rustc, with RUSTC_LOG=info: the same result, counted as gdb does" {
    rustc=$(tool rustc)
    driver=$(echo "$(dirname "$rustc")"/../lib/librustc_driver*.so)
    [ -f "$driver" ] && [ -n "$(registry_symbols "$driver" enter 2>/dev/null)" ] ||
        skip "the library of $rustc has no symbols"
    make_package
    export RUSTC_LOG=info
    run_bare "$rustc" -o tiny src/main.rs
    assert_success
    plain=$(sha256sum tiny)
    assert_counts_as_gdb "$driver" "$rustc" -o tiny src/main.rs
    assert_equal "$(sha256sum tiny)" "$plain"
}
