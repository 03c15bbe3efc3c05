# strayspan diff OLD NEW, and what it goes by: groups that are the same wherever and however often a program
# is built and run.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR" || return
}

compare() {
    run --separate-stderr timeout 60 "$STRAYSPAN" diff "$@"
}

# Runs PROGRAM; its logs are then the folder NAME.
log_of() {
    local name=$1
    shift
    strayspan_run "$@"
    mv "$strayspan_dir" "$name"
}

# Prints `RULE GROUP` of what is in a folder of logs, sorted.
groups() {
    jq -r 'select(.type == "violation") | "\(.rule) \(.group)"' "$1"/*.jsonl | sort -u
}

@test "new, gone and unchanged, by group; 1 where a violation is new" {
    log_of one "$c/foreign_thread_exit"
    log_of both "$c/foreign_thread_exit"
    strayspan_run "$c/lost_close"
    cp "$strayspan_log" both/
    compare one both
    assert_equal "$status" 1
    assert_line --regexp '^new +warning +lost-close of span `job` \(.*lost_close\.c:[0-9]+\)$'
    assert_line --regexp '^unchanged +error +foreign-thread-exit of span `job`'
    assert_line '1 new, 0 gone, 1 unchanged'
    compare both one
    assert_success
    assert_line --regexp '^gone +warning +lost-close'
    assert_line '0 new, 1 gone, 1 unchanged'
    compare --format json one both
    assert_equal "$status" 1
    assert_equal "$(jq -c '[(.new, .gone, .unchanged) | length], .new[0].rule, .new[0].worse' <<<"$output" | paste -sd' ')" \
        '[1,0,1] "lost-close" true'
}

@test "a report in JSON is a baseline: that which it tells of is not new" {
    log_of logs "$c/two_misuses"
    "$STRAYSPAN" report --format json --output baseline.json logs
    log_of later "$c/two_misuses"
    compare baseline.json later
    assert_success
    assert_line '0 new, 0 gone, 2 unchanged'
    compare baseline.json baseline.json
    assert_success
    log_of other "$c/foreign_thread_exit"
    compare baseline.json other
    assert_equal "$status" 1
    assert_line '1 new, 2 gone, 0 unchanged'
    printf 'foreign-thread-exit:span=job\n' >supp
    compare --suppressions supp baseline.json other
    assert_success
    assert_line '0 new, 2 gone, 0 unchanged'
    assert_line 'note: 1 time suppressed'
}

@test "suppressions hold back the same in logs and in reports in JSON, and tell which of them did" {
    log_of logs "$c/foreign_thread_exit"
    "$STRAYSPAN" report --format json --output baseline.json logs
    log_of none "$c/legal_handed"
    local key
    for key in module=foreign_thread_exit 'module=*/c/foreign_thread_exit' function=helper span=job file=foreign_thread_exit.c; do
        printf '*:%s\n*:span=unlike\n' "$key" >supp
        for side in logs baseline.json; do
            compare --suppressions supp none "$side"
            assert_success
            assert_line '0 new, 0 gone, 0 unchanged'
            assert_line 'note: 1 time suppressed'
            assert_line 'note: unused suppression: *:span=unlike'
            refute_line --partial "unused suppression: *:$key"
        done
    done
}

@test "--require-hooked: 2 where no span was seen in NEW, or nobody knows" {
    log_of old "$c/foreign_thread_exit"
    log_of clean "$c/legal_handed"
    compare --require-hooked old clean
    assert_success
    jq -c 'if .spans then .spans |= map_values(0) else . end' clean/*.jsonl >idle.log
    jq -c 'select(.type != "summary")' clean/*.jsonl >killed.log
    "$STRAYSPAN" report --format json --output idle.json idle.log
    "$STRAYSPAN" report --format json --output killed.json killed.log
    for side in idle killed; do
        for kind in log json; do
            compare old $side.$kind
            assert_success
            assert_line --regexp "^note: nothing was checked in $side.$kind: no "
            compare --format json old $side.$kind
            assert_equal "$(jq -r '.notes[0]' <<<"$output" | cut -d: -f1)" "nothing was checked in $side.$kind"
            compare --require-hooked old $side.$kind
            assert_equal "$status" 2
        done
        report --require-hooked $side.log
        assert_equal "$status" 2
        report --check $side.log
        assert_success
    done
    report --require-hooked clean
    assert_success
    report --require-hooked old
    assert_equal "$status" 1
}

@test "a warning that has become an error is worse, one that was an error is not" {
    log_of error "$c/foreign_thread_exit"
    jq -c '(.. | objects | select(.severity == "error" and .type == "violation")).severity |= "warning"' error/*.jsonl >warned.log
    compare warned.log error
    assert_equal "$status" 1
    assert_line --partial '; it was a warning'
    assert_line '0 new, 0 gone, 1 unchanged (1 of them worse)'
    compare error warned.log
    assert_success
    assert_line --partial '; it was an error'
}

@test "what was not looked for is said, as gone may be unseen" {
    log_of old "$c/foreign_thread_exit"
    strayspan_run --options rules=-foreign-thread-exit "$c/foreign_thread_exit"
    compare old "$strayspan_log"
    assert_success
    assert_line --partial 'note: foreign-thread-exit was not looked for in '
    "$STRAYSPAN" report --format json "$strayspan_log" >off.json
    compare old off.json
    assert_line --partial 'note: foreign-thread-exit was not looked for in off.json'
    # Hooked, and no span.
    log_of idle "$c/foreign_thread_exit"
    jq -c 'select(.type != "violation") | if .spans then .spans |= map_values(0) else . end |
        if .rules then .rules |= map_values(.violations = 0 | .fingerprints = 0) else . end' idle/*.jsonl >idle.log
    compare old idle.log
    assert_success
    assert_line --partial 'note: nothing was checked in idle.log'
}

@test "what cannot be read is named, and is no difference: 2" {
    log_of good "$c/foreign_thread_exit"
    : >empty.log
    printf 'no log\n' >foreign.log
    printf '{"violations": [], "seen": {}}\n' >foreign.json
    sed 's/"v":1/"v":2/' good/*.jsonl >newer.log
    "$STRAYSPAN" report --format json good | sed 's/^  "v": 1/  "v": 2/' >newer.json
    mkdir none
    local name
    for name in missing empty.log foreign.log foreign.json newer.log newer.json none; do
        compare good "$name"
        assert_equal "$status $name" "2 $name"
        assert_regex "$stderr" "strayspan: $name: "
        refute_output
        compare "$name" good
        assert_equal "$status $name" "2 $name"
    done
    compare good
    assert_equal "$status" 2
    assert_regex "$stderr" 'two are wanted, OLD and NEW'
    # A log that is being written is read as far as it goes, and what is missing in it may be new.
    head -c -20 good/*.jsonl >cut.log
    compare good cut.log
    assert_equal "$status" 2
    assert_regex "$stderr" 'cut\.log: its last line.* is cut'
    assert_line '0 new, 0 gone, 1 unchanged'
}

@test "what is neither a log nor a baseline is called what it is, with what is wanted" {
    log_of good "$c/foreign_thread_exit"
    local format name want wanted='wanted is a log, a directory of logs, or what `strayspan report --format json` wrote'
    for format in json sarif junit markdown; do
        "$STRAYSPAN" report --format "$format" --output "a.$format" good
    done
    head -c 700 a.json >cut.json
    jq -c . a.json | head -c 300 >cut_within.json
    jq '.seen = 1' a.json >odd.json
    "$STRAYSPAN" diff --format json good good >diff.json
    "$STRAYSPAN" probe --format json "$c/foreign_thread_exit" >probe.json
    iconv -t UTF-16 a.json >wide.json
    echo '{"name": "x"}' >foreign.json
    gzip -c good/*.jsonl >log.gz
    : >empty.json
    while IFS=: read -r name want; do
        compare good "$name"
        assert_equal "$status $name" "2 $name"
        assert_equal "$stderr" "strayspan: $name: $want; $wanted"
        refute_output
        compare "$name" good
        assert_equal "$status $stderr" "2 strayspan: $name: $want; $wanted"
        # As a log, it is no other thing.
        run --separate-stderr "$STRAYSPAN" report "$name"
        assert_equal "$status $name" "2 $name"
        assert_regex "$stderr" "^strayspan: $name: $want"
    done <<'END'
a.sarif:not a strayspan log: it is a report in SARIF
a.junit:not a strayspan log: it is a report for JUnit
a.markdown:not a strayspan log: it is a report in markdown
diff.json:not a strayspan log: it is what `strayspan diff` wrote
probe.json:not a strayspan log: it is what `strayspan probe` wrote
wide.json:not a strayspan log: it is text in UTF-16
foreign.json:not a strayspan log: it is JSON, and none of strayspan's
log.gz:not a strayspan log: it is compressed
empty.json:empty
END
    for name in cut odd cut_within; do
        compare "$name.json" good
        assert_equal "$status" 2
        assert_regex "$stderr" "^strayspan: $name\\.json: a report in JSON that is cut or broken, line [0-9]+: .*; write it again: strayspan report --format json"
    done
    run --separate-stderr "$STRAYSPAN" report a.json
    assert_equal "$stderr" 'strayspan: a.json: not a strayspan log: it is a report in JSON; `strayspan diff` compares it with logs'
}

@test "groups are the same at other addresses, in another place, and on another host" {
    local path file
    file=$root/tests/programs/c/foreign_thread_exit.c
    for path in home/a/.cargo/registry/src/index.crates.io-6f17d22bba15001f/app-1.0.0 \
        root/.cargo/registry/src/github.com-1ecc6299db9ec823/app-1.2.3-rc.1 vendor/app-2.0.0; do
        mkdir -p "$path/src"
        # Other lines, too.
        { seq -f '/* %g */' "$(find . -name f.c | wc -l)" && cat "$file"; } >"$path/src/f.c"
        cc -g -O1 -fexceptions -I"$root/tests/programs/c" -o "$path/app" "$PWD/$path/src/f.c" -pthread -ldl
    done
    log_of old home/a/.cargo/registry/src/*/app-1.0.0/app
    for path in */.cargo/registry/src/*/app-1.2.3-rc.1/app vendor/app-2.0.0/app home/a/.cargo/registry/src/*/app-1.0.0/app; do
        rm -rf new
        log_of new "$path"
        compare old new
        assert_success
        assert_line '0 new, 0 gone, 1 unchanged'
    done
    # Not by the file's name alone.
    mkdir -p home/a/other-1.0.0/src
    cp vendor/app-2.0.0/src/f.c home/a/other-1.0.0/src/f.c
    cc -g -O1 -fexceptions -I"$root/tests/programs/c" -o other "$PWD/home/a/other-1.0.0/src/f.c" -pthread -ldl
    log_of other_log ./other
    compare old other_log
    assert_equal "$status" 1
}

# Builds the program from the source file $1, and logs it to the folder $2.
place_and_log() {
    mkdir -p "${1%/*}"
    cp "$root/tests/programs/c/foreign_thread_exit.c" "$1"
    cc -g -O1 -fexceptions -I"$root/tests/programs/c" -o app "$PWD/$1" -pthread -ldl
    log_of "$2" ./app
}

@test "groups and suppressions hold where a dependency, a checkout or a doctest lies elsewhere" {
    local one other n=0
    while read -r one other; do
        rm -rf old new
        place_and_log "$one" old
        place_and_log "$other" new
        compare old new
        assert_equal "$status $other" "0 $other"
        assert_line '0 new, 0 gone, 1 unchanged'
        "$STRAYSPAN" suppress old >supp
        refute_regex "$(grep -v '^#' supp)" "$PWD|/tmp|a1b2c3d|0123456789abcdef"
        report --check --suppressions supp new
        assert_success
        assert_line 'unseen:  1 violation suppressed'
        strayspan_run --options suppressions=supp ./app
        assert_no_violations
        n=$((n + 1))
    done <<'END'
one/rustdoctestT0zZqw/doctest_bundle_2024.c tmp/rustdoctestWGs8P2/doctest_bundle_2024.c
.cargo/git/checkouts/held-0123456789abcdef/a1b2c3d/src/f.c cargo/git/checkouts/held-0123456789abcdef/d4e5f60/src/f.c
.cargo/git/checkouts/all-0123456789abcdef/a1b2c3d/held/src/f.c all/held/src/f.c
one/app/vendor/held/src/f.c two/app-1.2.3/vendor/held/src/f.c
one/src/app/vendor/held/src/net/f.c held/src/net/f.c
one/target/debug/build/app-0123456789abcdef/out/f.c two/target/release/build/app-fedcba9876543210/out/f.c
END
    assert_equal "$n" 6
    # Not by the file's name alone.
    rm -rf new
    place_and_log two/other/src/f.c new
    compare old new
    assert_equal "$status" 1
}

check_builds() {
    local name=${1##*/}
    log_of "logs.$((++number))" "$1"
    if [ -e "first.$name" ]; then
        assert_equal "$(groups "logs.$number")" "$(cat "first.$name")"
    else
        groups "logs.$number" >"first.$name"
        assert [ -s "first.$name" ]
    fi
}

@test "groups are the same with other compilers' settings and other releases of tracing" {
    number=0
    for_each_build check_builds foreign-thread-exit scope_exit
    for_each_build check_builds held-across-await await_moved
    for_each_build check_builds leaked-at-thread-end leaked_at_thread_end
    [ "$number" -gt 9 ] || skip 'few builds'
}

# Builds the program whose sources are in the folder $1, and logs it to the folder $2.
build_and_log() {
    (cd "$1" && CARGO_TARGET_DIR=$BATS_TEST_TMPDIR/target nice cargo build --offline --quiet)
    log_of "$2" "$BATS_TEST_TMPDIR/target/debug/app"
}

@test "a Rust program that was rebuilt with other code around it: all is unchanged, and only that which was added is new" {
    command -v cargo >/dev/null || skip 'no cargo'
    local registry
    registry=$("$root/scripts/crates" trixie 2>/dev/null) || skip 'no crates of Debian 13'
    mkdir -p here/src here/.cargo
    printf '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "%s"\n' "$registry" >here/.cargo/config.toml
    cat >here/Cargo.toml <<'END'
[package]
name = "app"
version = "1.0.0"
edition = "2021"
[dependencies]
tracing = { version = "0.1", default-features = false, features = ["std"] }
tracing-subscriber = { version = "0.3", default-features = false, features = ["fmt"] }
END
    cat >here/src/orders.rs <<'END'
pub fn pass_on() {
    let span = tracing::info_span!("order");
    let entered = span.enter();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(entered));
    });
}
END
    cat >here/src/main.rs <<'END'
mod orders;
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    orders::pass_on();
    println!("done");
}
END
    build_and_log here old
    assert_success
    [ -n "$(groups old)" ] || fail 'nothing strayed'

    # Elsewhere: another release of it, other lines, another function and span before and between.
    cp -r here there
    sed -i 's/1\.0\.0/1.1.0/' there/Cargo.toml
    sed -i '1i // a\n// b\npub fn before() { let _e = tracing::info_span!("before", n = 1).entered(); }\n' there/src/orders.rs
    sed -i 's/    let entered/    tracing::info!("ready");\n    let entered/' there/src/orders.rs
    sed -i 's/    orders::pass_on/    orders::before();\n    orders::pass_on/' there/src/main.rs
    build_and_log there rebuilt
    compare old rebuilt
    assert_success
    assert_line --regexp '^unchanged +error +foreign-thread-exit of span `order` \(.*src/orders\.rs:6\)$'
    assert_line '0 new, 0 gone, 1 unchanged'
    # What the same build alone would know has changed.
    refute [ "$(jq -r 'select(.type == "violation") | .fingerprint' old/*.jsonl)" = \
        "$(jq -r 'select(.type == "violation") | .fingerprint' rebuilt/*.jsonl)" ]

    sed 's/"order"/"parcel"/; s/pass_on/pass_parcel/' here/src/orders.rs >>there/src/orders.rs
    sed -i 's/    orders::pass_on();/    orders::pass_on();\n    orders::pass_parcel();/' there/src/main.rs
    build_and_log there added
    compare old added
    assert_equal "$status" 1
    assert_line --regexp '^new +error +foreign-thread-exit of span `parcel`'
    assert_line '1 new, 0 gone, 1 unchanged'
}
