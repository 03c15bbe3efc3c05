# cargo strayspan: what cargo runs is watched, and nothing else; one report at the end. The workspace is that of
# scripts/workspace; it is built once.
setup_file() {
    load setup
    command -v cargo >/dev/null || skip "cargo is missing"
    export workspace=$build/workspace
    export CARGO_TARGET_DIR=$workspace/target CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
    "$root/scripts/workspace" --make "$workspace"
    cd "$workspace"
    nice cargo test -q --workspace --no-run
    nice cargo build -q --workspace
    mkdir -p "$BATS_FILE_TMPDIR/bin"
    ln -s "$STRAYSPAN" "$BATS_FILE_TMPDIR/bin/cargo-strayspan"
    export PATH=$BATS_FILE_TMPDIR/bin:$PATH:$root/tests/programs/cargo
    host=$(cargo -vV | sed -n 's/^host: //p')
    export host runner_variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$host")_RUNNER
}

setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    logs=$BATS_TEST_TMPDIR/logs
    cd "$workspace"
}

# `cargo strayspan ARG...`, with its logs in a folder of the test's.
under_cargo() {
    run --separate-stderr timeout 300 cargo strayspan --log-dir "$logs" "$@"
    shopt -s nullglob
    strayspan_use "$logs"/*
    shopt -u nullglob
}

# What cargo and the tests print, without times and the order of tests.
normal() {
    sed -E 's/finished in [0-9.]+s//; s/^\.+( [0-9]+\/[0-9]+)?$//' | sort
}

@test "a workspace without a stray span: its output and status, and one line" {
    run_bare cargo test -q --workspace
    bare=$(normal <<<"$output")
    under_cargo test -q --workspace
    assert_equal "$status" 0
    assert_equal "$(normal <<<"$output")" "$bare"
    assert_equal "$(grep -c '^test result: ok' <<<"$output")" 8
    assert_equal "${#stderr_lines[@]}" 1
    assert_regex "$stderr" '^strayspan: nothing strayed: .* in 8 processes \(all made spans\)$'
    assert_equal "${#strayspan_logs[@]}" 8
    assert_no_violations
}

@test "one bad test among 300: all are run, the test's own report, one at the end, and 66" {
    WORKSPACE_BAD=1 under_cargo test -q --workspace
    assert_equal "$status" 66
    assert_equal "$(grep -c '^test result: ok' <<<"$output")" 8
    assert_equal "$(grep -c '^error\[held-across-await\]' <<<"$stderr")" 2
    assert_equal "$(grep -c '^   = in 1 of 8 processes: orders::tests::checks_out_as_it_should$' <<<"$stderr")" 1
    assert_equal "${stderr_lines[-1]}" "exit status 66: 1 error (the program's own was 0)"
    assert_violation held-across-await --span checkout --only
}

@test "what a suppression file names is told neither by a test's process nor at the end; unused lines are" {
    printf '%s\n' 'held-across-await:span=checkout' 'lost-close:span=x' >"$BATS_TEST_TMPDIR/supp"
    WORKSPACE_BAD=1 under_cargo --suppressions "$BATS_TEST_TMPDIR/supp" test -q --workspace
    assert_equal "$status" 0
    refute_regex "$stderr" 'held-across-await'
    assert_regex "$stderr" 'unseen:  1 violation suppressed'
    assert_equal "$(grep -c '^note:    unused suppression: lost-close:span=x$' <<<"$stderr")" 1
    assert_no_violations
    under_cargo --suppressions missing test -q --workspace
    assert_equal "$status" 125
    refute_output
}

@test "what several test programs do wrong in one place is one report" {
    WORKSPACE_BAD=2 under_cargo --output report.txt test -q --workspace
    mv report.txt "$BATS_TEST_TMPDIR"
    assert_equal "$status" 66
    assert_equal "$(grep -c '^error\[held-across-await\]' "$BATS_TEST_TMPDIR/report.txt")" 1
    grep -E "^   = in 2 of 8 processes: orders(_whole)?::.*checks_out_as_it_should, orders(_whole)?::.*checks_out_as_it_should" \
        "$BATS_TEST_TMPDIR/report.txt"
    assert_equal "${stderr_lines[-1]}" "exit status 66: 1 error (the program's own was 0)"
    grep -E '^         8 programs: [0-9]+ subscriber tables hooked by symbols, tracing-core 0.1' "$BATS_TEST_TMPDIR/report.txt"
    # So is what `report` makes of the logs.
    run "$STRAYSPAN" report --format json "$logs"/*
    assert_equal "$(jq -c '[.violations[] | [.rule, .processes, (.tests | length)]]' <<<"$output")" \
        '[["held-across-await",2,2]]'
}

@test "each test in a process of its own: by name, with what was not to be checked and what helps" {
    WORKSPACE_BAD=1 under_cargo nextest run -q -p orders
    assert_equal "$status" 66
    assert_equal "$(grep -c '^PASS' <<<"$output")" 75
    assert_regex "$stderr" "= in 1 of 75 processes: orders::tests::checks_out_as_it_should"
    assert_regex "$stderr" "unseen:  25 of 75 processes have .tracing. and made no span"
    assert_regex "$stderr" "unseen:  25 .*"$'\n'" +orders(_whole)?::[a-z_:]*unlogged_[0-9]+(, orders(_whole)?::[a-z_:]*unlogged_[0-9]+){3}, .."$'\n'".*test-log"
    assert_regex "$stderr" "seen:    75 processes \(50 of them made spans\)"
    # The tests were listed by the programs alone.
    assert_equal "${#strayspan_logs[@]}" 75
    under_cargo nextest run -q -p orders
    assert_equal "$status" 0
    assert_regex "$stderr" '^strayspan: nothing strayed: .* in 75 processes \(50 of them made spans\)'
}

@test "a test that ends its process is named, though it left no counts" {
    doctests 2021
    printf '#[test]\nfn stops() { orders::logged(|| orders::total(3)); std::process::abort() }\n#[test]\nfn ends() {}\n' \
        >"${shop%/*}/src/lib.rs"
    under_cargo nextest run -q --manifest-path "$shop"
    assert_equal "$status" 100
    assert_equal "$(grep -c '^PASS' <<<"$output")" 1
    assert_regex "$stderr" 'unseen:  shop::stops, pid [0-9]+: no counts'
    assert_regex "$stderr" 'unseen:  1 of 2 processes has .tracing. .*'$'\n'' +shop::ends'$'\n'
}

@test "a stripped release profile: the same, with the names of tests that threads have" {
    nice cargo test -q --release -p orders --no-run
    under_cargo test -q --release -p orders
    assert_equal "$status" 0
    WORKSPACE_BAD=1 under_cargo --output report.txt test -q --release -p orders
    mv report.txt "$BATS_TEST_TMPDIR"
    assert_equal "$status" 66
    grep "in 1 of 2 processes: orders::tests::checks_o…" "$BATS_TEST_TMPDIR/report.txt"
    # In a process of its own, a test has its whole name.
    WORKSPACE_BAD=1 under_cargo nextest run -q --release -p orders
    assert_equal "$status" 66
    assert_regex "$stderr" "in 1 of 75 processes: orders::tests::checks_out_as_it_should"
    # Where none made a span, its subscriber may be what was not found.
    under_cargo test -q --release -p orders unlogged
    assert_regex "$stderr" "NOTHING WAS CHECKED.*: none of the 2 processes that cargo ran made a span; or its subscriber is not among those"
    assert_regex "$stderr" "to do: .*strip = false"
}

@test "what is listed is listed by the test programs alone" {
    run_bare cargo test -q --workspace -- --list
    bare=$output
    under_cargo --require-hooked test -q --workspace -- --list
    assert_equal "$status" 0
    assert_equal "$stderr" ""
    assert_equal "$output" "$bare"
    assert_equal "${#strayspan_logs[@]}" 0
}

# A crate of one doctest on what the workspace has, as --manifest-path wants it: doctests EDITION.
doctests() {
    mkdir -p "$BATS_TEST_TMPDIR/shop$1/src"
    cat >"$BATS_TEST_TMPDIR/shop$1/Cargo.toml" <<END
[package]
name = "shop"
version = "0.1.0"
edition = "$1"
[dependencies]
orders = { path = "$workspace/orders" }
[workspace]
END
    printf '//! A shop.\n//! ```\n//! orders::logged(|| orders::wait(orders::checkout(1)));\n//! ```\n' \
        >"$BATS_TEST_TMPDIR/shop$1/src/lib.rs"
    shop=$BATS_TEST_TMPDIR/shop$1/Cargo.toml
}

@test "a doctest's program is gone at the end: its functions are named all the same, and the test" {
    doctests 2021
    WORKSPACE_BAD=1 under_cargo --output report.txt test -q --manifest-path "$shop" --doc
    mv report.txt "$BATS_TEST_TMPDIR"
    assert_equal "$status" 66
    run cat "$BATS_TEST_TMPDIR/report.txt"
    assert_line --regexp '^  --> orders/src/lib.rs:[0-9]+  orders::checkout'
    assert_output --partial 'in src/lib.rs - … (line 2)'
    refute_output --partial 'functions are not named'
    # What is seen in two runs is one test.
    WORKSPACE_BAD=1 under_cargo test -q --manifest-path "$shop" --doc
    report "$logs"/*
    assert_line --regexp 'in 2 of 2 processes: src/lib.rs - … \(line 2\); 2 times'
    # By its function it is known; and what was kept goes with the logs where nothing is left to tell.
    echo 'held-across-await:function=orders::checkout*' >"$BATS_TEST_TMPDIR/supp"
    logs=$logs.2
    WORKSPACE_BAD=1 under_cargo --suppressions "$BATS_TEST_TMPDIR/supp" test -q --manifest-path "$shop" --doc
    assert_equal "$status" 0
    assert_regex "$stderr" 'unseen:  1 violation suppressed'
    rm -rf "$workspace/target/strayspan"
    WORKSPACE_BAD=1 XDG_STATE_HOME=$BATS_TEST_TMPDIR/state CARGO_TARGET_DIR=$workspace/target \
        cargo strayspan --suppressions "$BATS_TEST_TMPDIR/supp" test -q --manifest-path "$shop" --doc
    run ls "$workspace/target/strayspan"
    assert_output ""
}

@test "of doctests that rustdoc made one program of, each is run and told as one of its own" {
    doctests 2024
    run cargo metadata --no-deps --format-version=1 --manifest-path "$shop"
    [ "$status" -eq 0 ] || skip "cargo does not know edition 2024"
    WORKSPACE_BAD=1 under_cargo --output report.txt test -q --manifest-path "$shop" --doc
    mv report.txt "$BATS_TEST_TMPDIR"
    assert_equal "$status" 66
    run cat "$BATS_TEST_TMPDIR/report.txt"
    assert_line --regexp '^  --> orders/src/lib.rs:[0-9]+  orders::checkout'
    assert_output --partial 'in 1 of 2 processes: doctest of shop (number 1 by name)'
    refute_regex "$stderr" 'run in the same process'
    refute_output --partial 'made no span'
}

@test "cargo's own status comes first" {
    WORKSPACE_BAD=1 under_cargo test -q -p orders -- --no-such-option
    assert_equal "$status" 101
    # Where cargo itself fails, what it says is all.
    under_cargo test -q -p nothing
    assert_equal "$status" 101
    refute_regex "$stderr" strayspan
    under_cargo wibble
    assert_equal "$status" 101
    refute_regex "$stderr" strayspan:
    cd "$BATS_TEST_TMPDIR"
    under_cargo --require-hooked test
    assert_equal "$status" 101
    refute_regex "$stderr" strayspan
}

@test "where nothing was to be run, nothing is missed" {
    for what in "test --workspace --no-run" "test --help" "bench --no-run -p orders" "test -p orders -- --help"; do
        # shellcheck disable=SC2086 # words
        under_cargo --require-hooked $what
        assert_equal "$status" 0
        refute_regex "$stderr" strayspan
    done
    under_cargo --require-hooked build -q
    assert_equal "$status" 0
    assert_equal "$stderr" "strayspan: cargo build runs no program, so there was nothing to check: \`cargo strayspan test\`, \`run\`, \`bench\` or \`nextest run\` does"
    # What cannot be told to run none.
    mkdir "$BATS_TEST_TMPDIR/bin"
    printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/bin/cargo-idle"
    chmod +x "$BATS_TEST_TMPDIR/bin/cargo-idle"
    PATH=$PATH:$BATS_TEST_TMPDIR/bin under_cargo --require-hooked idle
    assert_equal "$status" 125
    assert_regex "$stderr" "NOTHING WAS CHECKED.*: cargo ran no program"
}

@test "cargo strayspan run: the program's streams, arguments and status" {
    under_cargo run -q --bin order
    assert_equal "$status" 0
    assert_output 0
    WORKSPACE_BAD=1 under_cargo run -q --bin order
    assert_equal "$status" 66
    assert_output 0
    assert_violation held-across-await --only
    WORKSPACE_BAD=1 under_cargo run -q --bin order -- 3
    assert_equal "$status" 3
    assert_regex "$stderr" 'error\[held-across-await\]'
}

@test "--exitcode, --deny and --require-hooked are for all that was run" {
    WORKSPACE_BAD=1 under_cargo --exitcode=7 test -q -p orders
    assert_equal "$status" 7
    WORKSPACE_BAD=1 under_cargo --exitcode=0 test -q -p orders
    assert_equal "$status" 0
    STRAYSPAN_OPTIONS=rules=held-across-await=warning WORKSPACE_BAD=1 under_cargo test -q -p orders
    assert_equal "$status" 0
    STRAYSPAN_OPTIONS=rules=held-across-await=warning WORKSPACE_BAD=1 under_cargo --deny warnings test -q -p orders
    assert_equal "$status" 66
    under_cargo --require-hooked test -q -p orders unlogged
    assert_equal "$status" 125
    assert_regex "$stderr" "NOTHING WAS CHECKED.*: none of the 2 processes that cargo ran made a span"
    assert_regex "$stderr" "test-log"
    under_cargo test -q -p orders unlogged
    assert_equal "$status" 0
}

@test "logs lie in the target directory, and are the last run's; those of a clean run are removed" {
    rm -rf target/strayspan
    WORKSPACE_BAD=1 run -66 --separate-stderr cargo strayspan test -q -p orders
    logs=$(echo "$workspace"/target/strayspan/*)
    strayspan_use "$logs"
    assert_equal "${#strayspan_logs[@]}" 2
    assert_violation held-across-await --only
    assert_regex "$stderr" "logs:    $logs"
    run "$STRAYSPAN" report
    assert_output --partial "error[held-across-await]"
    rm -rf target/strayspan
    (cd orders && env -u CARGO_TARGET_DIR cargo strayspan run -q --bin order)
    assert_equal "$(ls target/strayspan)" ""
}

@test "a runner in the environment is run by strayspan's" {
    cat >"$BATS_TEST_TMPDIR/runner" <<'END'
#!/bin/sh
echo "$*" >>"$RAN"
shift
exec "$@"
END
    chmod +x "$BATS_TEST_TMPDIR/runner"
    export "$runner_variable=$BATS_TEST_TMPDIR/runner mine" RAN=$BATS_TEST_TMPDIR/ran
    WORKSPACE_BAD=1 under_cargo run -q --bin order
    assert_equal "$status" 66
    assert_regex "$(cat "$RAN")" '^mine .*/debug/order$'
    assert_violation held-across-await --only
}

@test "a runner in cargo's configuration is not replaced: refused, with its place" {
    mkdir -p "$BATS_TEST_TMPDIR/below/.cargo"
    cd "$BATS_TEST_TMPDIR/below"
    source=$(cat "$workspace/.cargo/config.toml")
    for section in "target.$host" "target.'cfg(unix)'"; do
        printf '# runner = "no"\n[%s]\nrunner = "mine"\n' "$section" >.cargo/config.toml
        under_cargo test -q --manifest-path "$workspace/Cargo.toml"
        assert_equal "$status" 125
        assert_regex "$stderr" "below/.cargo/config.toml:3: sets a runner"
        assert_regex "$stderr" "$runner_variable="
    done
    printf 'target.%s.runner = "mine"\n' "$host" >.cargo/config.toml
    under_cargo test -q --manifest-path "$workspace/Cargo.toml"
    assert_equal "$status" 125
    printf "target.'cfg(target_os = \"linux\")'.runner = 'mine'\n" >.cargo/config.toml
    under_cargo test -q --manifest-path "$workspace/Cargo.toml"
    assert_equal "$status" 125
    printf 'target.%s = { linker = "cc", runner = "mine" }\n' "$host" >.cargo/config.toml
    under_cargo test -q --manifest-path "$workspace/Cargo.toml"
    assert_equal "$status" 125
    printf '%s\n[target.%s]\nlinker = "cc"\nrustdocflags = ["--cfg", "runner"]\n[target.wasm32-wasip1]\nrunner = "wasmtime"\n' "$source" "$host" >.cargo/config.toml
    under_cargo run -q --manifest-path "$workspace/Cargo.toml" --bin order
    assert_equal "$status" 0
    # Those of other targets are not meant.
    cat >.cargo/config.toml <<END
$source
[target.'cfg(windows)']
runner = 'wine'
[target."cfg(all(target_arch = \\"arm\\", target_os = \\"none\\"))"]
runner = 'probe'
END
    under_cargo run -q --manifest-path "$workspace/Cargo.toml" --bin order
    assert_equal "$status" 0
    printf '[target.%s]\nrunner = "mine"\n' "$host" >given.toml
    under_cargo run -q --config 'build.jobs=1' --config given.toml --manifest-path "$workspace/Cargo.toml" --bin order
    assert_equal "$status" 125
    assert_regex "$stderr" "given.toml:2: sets a runner"
    printf 'include = ["../given.toml"]\n%s\n' "$source" >.cargo/config.toml
    under_cargo run -q --manifest-path "$workspace/Cargo.toml" --bin order
    assert_equal "$status" 125
    assert_regex "$stderr" "given.toml:2: sets a runner"
    rm .cargo/config.toml
    under_cargo run -q --config "target.$host.runner='mine'" --manifest-path "$workspace/Cargo.toml" --bin order
    assert_equal "$status" 125
    assert_regex "$stderr" "\-\-config .*: sets a runner"
}

@test "blanks in the paths of logs and suppressions, and in options" {
    logs="$BATS_TEST_TMPDIR/two words"
    mkdir "$logs"
    WORKSPACE_BAD=1 under_cargo test -q -p orders
    assert_equal "$status" 66
    assert_violation held-across-await --only
    echo 'held-across-await:span=checkout' >"$BATS_TEST_TMPDIR/my suppressions"
    WORKSPACE_BAD=1 under_cargo --suppressions "$BATS_TEST_TMPDIR/my suppressions" --options 'label=a b:history=0' \
        test -q -p orders
    assert_equal "$status" 0
    assert_regex "$stderr" 'unseen:  1 violation suppressed'
    assert_equal "$(jq -r 'select(.type == "process").options.label' "${strayspan_logs[-1]}")" "a b"
    # A blank of Unicode's is one for cargo too.
    logs=$BATS_TEST_TMPDIR/$(printf 'my\u3000own')
    mkdir "$logs"
    WORKSPACE_BAD=1 under_cargo test -q -p orders
    assert_equal "$status" 66
    assert_violation held-across-await --only
    under_cargo --log-dir "$BATS_TEST_TMPDIR/"$'two\nlines' test -q -p orders
    assert_equal "$status" 125
    assert_regex "$stderr" 'two.nlines.*: no line can end'
}

@test "a workspace below a path with blanks" {
    mkdir "$BATS_TEST_TMPDIR/my work"
    cp -r "$workspace"/{Cargo.toml,Cargo.lock,.cargo,orders,billing,stock,mail} "$BATS_TEST_TMPDIR/my work"
    cd "$BATS_TEST_TMPDIR/my work"
    unset CARGO_TARGET_DIR
    WORKSPACE_BAD=1 run --separate-stderr nice cargo strayspan run -q --bin order
    assert_equal "$status" 66
    assert_regex "$stderr" "logs:    $BATS_TEST_TMPDIR/my work/target/strayspan/"
    # So it may be with strayspan itself.
    cp "$STRAYSPAN" "$STRAYSPAN_SHIM" .
    WORKSPACE_BAD=1 run --separate-stderr ./strayspan cargo run -q --bin order
    assert_equal "$status" 66
    rm -rf target
}

# Mounts a file system of that many bytes for the logs, or skips.
small_logs() {
    mkdir "$logs"
    mount -t tmpfs -o "size=$1,$2" none "$logs" 2>/dev/null || skip "no file system can be mounted here"
    mounted=$logs
}

teardown() {
    [ ! "${mounted-}" ] || umount "$mounted"
}

@test "where the logs have no room, every test has its own result, and the gate stays shut" {
    small_logs 16k nr_inodes=0
    under_cargo nextest run -q -p orders
    assert_equal "$status" 125
    assert_equal "$(grep -c '^PASS' <<<"$output")" 75
    assert_equal "$(grep -c '^problem: ' <<<"$stderr")" 9
    assert_regex "$stderr" "problem: and [0-9]+ more problems"
    assert_equal "${stderr_lines[-1]}" "exit status 125: a log has a problem, see above (the program's own was 0)"
    run -2 "$STRAYSPAN" report --check "$logs"/*
    # That stays known where there is room again, and nothing else tells.
    mkdir "$BATS_TEST_TMPDIR/later"
    cp "$(find "$logs" -name '*.jsonl' -size +3k | head -n 1)" "$logs"/*/incomplete "$BATS_TEST_TMPDIR/later"
    run -2 "$STRAYSPAN" report --check "$BATS_TEST_TMPDIR/later"
    assert_output --partial "not all could be logged there"
    rm "$BATS_TEST_TMPDIR/later/incomplete"
    run -0 "$STRAYSPAN" report --check "$BATS_TEST_TMPDIR/later"
}

@test "where no directory for logs can be made, the same" {
    small_logs 64k nr_inodes=1
    under_cargo test -q -p orders
    assert_equal "$status" 125
    assert_equal "$(grep -c '^test result: ok' <<<"$output")" 2
    assert_regex "$stderr" "NOTHING WAS CHECKED.*: what cargo ran could not all be logged"
    umount "$logs"
    mounted=
    rmdir "$logs"
    # A program that is run by hand is not run then.
    run --separate-stderr "$STRAYSPAN" run --batch --log-dir /proc/none "$c/legal_handed"
    assert_equal "$status" 125
}

@test "a test that builds with cargo: the compiler is not watched, the program that was built is" {
    doctests 2021
    cat >"${shop%/*}/src/lib.rs" <<END
#[test]
fn builds() {
    let done = std::process::Command::new("cargo")
        .args(["run", "-q", "--manifest-path", "$workspace/Cargo.toml", "--bin", "order"])
        .current_dir("$workspace")
        .env("CARGO_TARGET_DIR", "$BATS_TEST_TMPDIR/built")
        .status();
    assert!(done.unwrap().success());
}
END
    under_cargo test -q --manifest-path "$shop" --lib
    assert_equal "$status" 0
    # The runner in there says nothing of a clean program.
    refute_regex "$stderr" log_path
    run strayspan_query 'select(.type == "process").exe | sub(".*/"; "") | sub("-[0-9a-f]*$"; "")'
    assert_output '"order"'
}

@test "no command of cargo's, an unknown option: 125, and named" {
    run --separate-stderr cargo strayspan
    assert_equal "$status" 125
    run --separate-stderr cargo strayspan --wibble test
    assert_equal "$status" 125
    assert_regex "$stderr" wibble
    run --separate-stderr "$STRAYSPAN" cargo --help
    assert_equal "$status" 0
    assert_output --partial --require-hooked
}

@test "run --batch: nothing of a clean program, the report of another, and its status" {
    run_under --batch "$c/legal_handed"
    assert_equal "$status" 0
    assert_equal "$stderr" ""
    run_under --batch "$c/plain_hello_static"
    assert_equal "$stderr" ""
    run_under --batch "$c/foreign_thread_exit"
    assert_equal "$status" 66
    assert_regex "$stderr" '^error\[foreign-thread-exit\]'
    # A program that a signal ended: who started us is to see that.
    run timeout 60 python3 -c "import subprocess, sys; print(subprocess.call(sys.argv[1:]))" \
        "$STRAYSPAN" run --batch -- sh -c 'kill -ABRT $$'
    assert_output -- -6
    run_under --batch --require-hooked "$c/plain_hello_static"
    assert_equal "$status" 125
    assert_regex "$stderr" "NOTHING WAS CHECKED"
}
