# `strayspan probe`: whether a file can be diagnosed and what is in it, and that no file breaks it.

# shellcheck disable=SC2154 # root, build and c are set by setup.bash, and what `run` sets by it
load setup.bash

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# Probes as JSON, which has to be valid whatever the files are; `.files` is left in files.json.
probe() {
    run --separate-stderr timeout 300 "$STRAYSPAN" probe --format json "$@"
    printf '%s\n' "$output" >probe.json
    jq .files probe.json >files.json
    python3 - "$root/tests/probe.schema.json" <<'END'
import json, sys
import jsonschema
jsonschema.Draft7Validator(json.load(open(sys.argv[1]))).validate(json.load(open("probe.json")))
END
}

# Asserts that jq's filter, of the first file, prints the text.
assert_file() {
    assert_equal "$(jq -r ".[0] | $1" files.json)" "$2"
}

sample() {
    program=$build/samples/$1
    [ -x "$program" ] || skip "the samples are not built"
}

# The release of a crate that the samples of a suite are built with: several may be there.
crate_releases() {
    local registry
    registry=$("$root/scripts/crates" "$1" 2>/dev/null) || skip "no crates of $1"
    find "$registry" -mindepth 1 -maxdepth 1 -name "$2-[0-9]*" -printf '%f\n' | sed "s/^$2-//"
}

# C source whose strings are the paths that crates leave in a program.
paths_program() {
    printf 'const char *const texts[] = {\n' >paths.c
    printf '    "%s",\n' "$@" >>paths.c
    printf '};\nint main(void) { return texts[0] == 0; }\n' >>paths.c
    gcc -o paths paths.c
}

# ---- what it says ---------------------------------------------------------------------------------------

@test "every Rust sample can be diagnosed: by its symbols, with its call sites, in every build and suite" {
    local suite kind
    for suite in bookworm trixie sid; do
        for kind in debug release opt-z; do
            [ -d "$build/samples/$suite/$kind" ] || continue
            echo "# $suite $kind"
            probe "$build/samples/$suite/$kind/"
            assert_equal "$status" 0
            assert_equal "$(jq 'map(select(.tables.count == 0)) | length' files.json)" 0
            assert_equal "$(jq 'map(select(.call_sites.readable and .call_sites.told_apart
                and (.call_sites.spans | add) > 0 | not)) | map(.path)' -c files.json)" '[]'
        done
    done
    [ -e files.json ] || skip "the samples are not built"
}

@test "a stripped copy has the tables and call sites that its symbols name, and so has one with a debug file" {
    local program where
    for program in "$build"/samples/*/{release,debug,opt-z}/{legal_layers,legal_constant_id,scope_exit}; do
        [ -x "$program" ] || continue
        probe "$program"
        where=$(jq -c '.[0] | [.call_sites, (.tables.list | map(select(.no_subscriber | not).offset) | sort)]' files.json)
        strip -o stripped "$program"
        probe stripped
        assert_equal "$status" 0
        assert_file '.tables.list | map(.evidence) | unique | join(" ")' signature
        assert_equal "$(jq -c '.[0] | [.call_sites, (.tables.list | map(select(.no_subscriber | not).offset) | sort)]' \
            files.json)" "$where"
    done
    [ -n "$where" ] || skip "the samples are not built"
    sample trixie/release/legal_layers
    probe "$program"
    where=$(jq -r '.[0].tables.list[0].full_type' files.json)
    objcopy --only-keep-debug "$program" program.debug
    strip -o program "$program"
    objcopy --add-gnu-debuglink=program.debug program
    probe program
    assert_file '.tables.list[0] | "\(.evidence) \(.full_type)"' "debug-file $where"
    assert_file .stripped true
}

@test "a stripped program with tracing and no subscriber is said to be that" {
    paths_program /x/registry/tracing-core-0.1.32/src/a.rs
    strip paths
    probe paths
    assert_equal "$status" 1
    assert_file '.verdict | test("no symbols to find one by")' true
}

@test "tables are found wherever a build puts them, and however they are relocated" {
    local program
    gcc -g -O1 -Wl,-z,pack-relative-relocs -o page_layouts_relr "$root/tests/programs/c/page_layouts.c" -pthread
    for program in "$c/page_layouts" "$c/page_layouts_writable" "$c/page_layouts_constant" \
        "$c/page_layouts_executable" page_layouts_relr; do
        probe "$program"
        assert_equal "$status" 0
        assert_file '.tables.list | map("\(.type) \(.evidence) \(.methods)") | join(" ")' "Fake symbols 16"
    done
}

@test "the crates' releases are those that the samples were built with" {
    local suite name version
    for suite in bookworm trixie sid; do
        [ -d "$build/samples/$suite/release" ] || continue
        probe "$build/samples/$suite/release/"
        while read -r name version; do
            crate_releases "$suite" "$name" | grep -qxF "$version" ||
                strayspan_fail "$suite: $name $version was never fetched"
        done < <(jq -r 'map(.crates[]) | unique | .[] | "\(.name) \(.version)"' files.json)
        assert_equal "$(jq 'map(select([.crates[].name] | index("tracing-core") | not)) | length' files.json)" 0
        for name in tracing-subscriber tokio hyper; do
            assert_equal "$(jq -r --arg name $name 'map(.crates[].name) | index($name) != null' files.json)" true
        done
    done
    [ -e files.json ] || skip "the samples are not built"
}

@test "the compiler is named" {
    sample trixie/release/scope_exit
    command -v rustc >/dev/null || skip "no rustc"
    probe "$program"
    [[ "$(jq -r '.[0].compilers | join("\n")' files.json)" =~ ^[0-9]+\.[0-9]+\.[0-9]+.*\([0-9a-f]{9}\  ]]
    # Without .comment the paths of its library still tell the commit, or the version of a distribution's.
    objcopy -R .comment "$program" bare
    probe bare
    assert_file '.compilers | map(test("^(commit [0-9a-f]{40}|[0-9]+\\.[0-9]+\\.[0-9]+)$")) | all' true
    assert_file '.compilers | length' 1
}

@test "a call site's name, target, file and line are those of the source" {
    sample trixie/release/scope_exit
    probe --sites "$program"
    assert_file '.call_sites.list | length' 1
    assert_file '.call_sites.list[0] | "\(.name) \(.target) \(.level) \(.event)"' "handed_over scope_exit INFO false"
    assert_file '.call_sites.list[0] | "\(.file):\(.line)"' \
        "src/scope_exit.rs:$(grep -n 'handed_over' "$root/tests/programs/rust/src/scope_exit.rs" | head -n 1 | cut -d: -f1)"
    run "$STRAYSPAN" probe --sites "$program"
    assert_output --partial "span  handed_over"
    run "$STRAYSPAN" probe "$program"
    refute_output --partial "span  handed_over"
}

@test "defects are found by release, alone and together, with what ends each" {
    sample trixie/release/hyper3848
    probe "$program"
    assert_file '.defects[] | select(.with.crate == "hyper-util") |
        "\(.crate) \(.fixed_in) \(.with.version) \(.with.fixed_in) \(.rules[0])"' \
        "tracing-subscriber 0.3.22 0.1.10 0.1.12 wrong-subscriber"
    assert_file '[.defects[] | select(.with == null)] | map(.fixed_in) | unique | map(tostring) | join(" ")' \
        "null 0.3.22"
    run "$STRAYSPAN" probe "$program"
    assert_output --partial 'tracing-subscriber 0.3.22 ends it, or hyper-util 0.1.12 does'
}

@test "a release that has a defect fixed is not said to have it" {
    sample sid/release/scope_exit
    probe "$program"
    assert_file '.defects | map(.fixed_in) | unique | map(tostring) | join(" ")' null
}

@test "run names the known defects of a program in which it saw nothing" {
    paths_program /x/registry/tracing-core-0.1.32/src/a.rs /x/registry/tracing-subscriber-0.3.18/src/a.rs
    gcc -static -o static_paths paths.c
    run_under ./static_paths
    assert_success
    assert_regex "$stderr" 'NOTHING WAS CHECKED: ./static_paths: it is statically linked'
    assert_regex "$stderr" 'to do: build the same source for a gnu target once'
    assert_regex "$stderr" 'known defect in it: tracing-subscriber 0.3.18: .*; tracing-subscriber 0.3.22 ends it'
}

@test "what a file does not tell is not guessed" {
    probe "$c/annotated_plain"
    assert_equal "$status" 0
    assert_file '.annotated' true
    assert_file '.crates | length' 0
    assert_file '.crates_not_told | join(" ")' "tracing tracing-core tracing-subscriber tokio hyper hyper-util"
    assert_file '.compilers | length' 0
    assert_file '.defects | length' 0
}

@test "crates are known in registries, git checkouts, vendored folders and those of other build systems" {
    paths_program /home/me/.cargo/registry/src/index.crates.io-6f17d22bba15001f/tracing-core-0.1.32/src/a.rs \
        /home/me/.cargo/registry/src/index.crates.io-6f17d22bba15001f/tracing-core-0.1.28/src/a.rs \
        /work/vendor/hyper/src/lib.rs vendor/tracing-subscriber-0.3.19/src/b.rs \
        /home/me/.cargo/git/checkouts/tokio-0123456789abcdef/1a2b3c4/tokio/src/x.rs \
        /home/me/.cargo/git/checkouts/hyper-util-0123456789abcdef/9f8e7d6/src/x.rs \
        external/crates__tracing-0.1.41-alpha.1/src/lib.rs
    probe paths
    assert_file '.crates | map("\(.name) \(.version) \(.source)") | join("; ")' \
        "tracing 0.1.41-alpha.1 path; tracing-core 0.1.28 path; tracing-core 0.1.32 path; \
tracing-subscriber 0.3.19 path; tokio null git 1a2b3c4; hyper null vendored; hyper-util null git 9f8e7d6"
}

@test "what looks like a crate's folder and is none is no release" {
    paths_program /x/opentracing-core-0.1.32/src/a.rs /x/tracing-core-0.1/src/a.rs /x/tracing-core-0.1.32/lib/a.rs \
        /x/tracing-core-0.1.32x/src/a.rs /home/me/hyper/src/main.rs /x/checkouts/tokio-0123/1a2b3c4/src/a.rs \
        /x/tracing-core-v0.1.32/src/a.rs
    probe paths
    assert_file '.crates | length' 0
}

@test "Cargo's list of what a program was built from is read" {
    python3 - <<'END'
import json, zlib
packages = [{"name": "tracing-core", "version": "0.1.30", "source": "crates.io"},
            {"name": "tokio", "version": "1.2.3", "source": "crates.io", "kind": "build"},
            {"name": "hyper", "version": "bad", "source": "crates.io"}]
open("list", "wb").write(zlib.compress(json.dumps({"packages": packages}).encode()))
open("broken", "wb").write(b"\x78\x9c" + bytes(range(256)))
END
    objcopy --add-section .dep-v0=list "$c/plain_hello" listed
    probe listed
    assert_file '.crates | map("\(.name) \(.version) \(.source)") | join("; ")' "tracing-core 0.1.30 auditable"
    objcopy --add-section .dep-v0=broken "$c/plain_hello" broken_list
    probe broken_list
    assert_file '.crates | length' 0
}

@test "each linkage is told, and what helps where no preload gets in" {
    probe "$c/plain_hello_static"
    assert_equal "$status" 1
    assert_file '"\(.linkage.kind) \(.linkage.preload)"' "static false"
    assert_file '.verdict | test("statically linked.*there is no `tracing` in it")' true
    paths_program /x/registry/tracing-core-0.1.32/src/a.rs
    gcc -static -o static_paths paths.c
    probe static_paths
    assert_equal "$status" 1
    assert_file '.advice | test("gnu target")' true

    echo 'int main(void) { return 0; }' >main.c
    gcc -static-pie -o static_pie main.c
    probe static_pie
    assert_equal "$status" 1
    assert_file .linkage.kind static-pie

    echo 'void puts(const char *); void f(void) { puts(""); }' >shared.c
    gcc -fno-builtin -shared -fPIC -o shared.so shared.c
    probe shared.so
    assert_file '"\(.linkage.kind) \(.linkage.libc)"' "shared object glibc"

    probe "$c/annotated_plain"
    assert_equal "$status" 0
    assert_file '"\(.linkage.kind) \(.linkage.libc) \(.linkage.preload) \(.linkage.needed | index("libc.so.6") != null)"' \
        "dynamic glibc true true"

    # Without its table of sections, which no loader looks at.
    cp "$c/annotated_plain" headless
    python3 - <<'END'
data = bytearray(open("headless", "rb").read())
data[0x28:0x30] = bytes(8)
data[0x3c:0x40] = bytes(4)
open("headless", "wb").write(data)
END
    probe headless
    assert_file '"\(.linkage.libc) \(.linkage.needed | index("libc.so.6") != null)"' "glibc true"
}

@test "musl: a static program is out of reach, a dynamic one is not" {
    [ -x "$c/plain_hello_musl" ] || skip "no musl"
    probe "$c/plain_hello_musl"
    assert_file .linkage.libc musl
    echo 'int main(void) { return 0; }' >main.c
    musl-gcc -static -o static_musl main.c
    probe static_musl
    assert_equal "$status" 1
    assert_file .linkage.kind static
}

@test "a program for another machine, of 32 bits, and what is no program" {
    python3 - "$c/annotated_plain" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[18:20] = (183).to_bytes(2, "little")
open("arm", "wb").write(data)
END
    probe arm
    assert_equal "$status" 1
    assert_file '.verdict | test("another machine \\(aarch64\\)")' true
    echo 'int f(void) { return 0; }' >object.c
    gcc -c object.c
    probe object.o
    assert_equal "$status" 1
    assert_file '.verdict | test("neither a program nor a shared object")' true
    echo text >text
    probe text
    assert_equal "$status" 1
    assert_file '.verdict | test("neither an ELF program nor a script")' true
}

@test "a script is its interpreter" {
    cp "$c/annotated_plain" interpreter
    printf '#! %s -x\n' "$PWD/interpreter" >script
    probe script
    assert_equal "$status" 0
    assert_file '"\(.linkage.kind) \(.linkage.loader)"' "script $PWD/interpreter"
    printf '#!/usr/bin/env sh\n' >script
    probe script
    assert_equal "$status" 1
    printf '#!/no/such/program\n' >script
    probe script
    assert_equal "$status" 1
    assert_file '.verdict | test("its interpreter cannot be looked at")' true
    printf '#!%s\n' "$PWD/self" >self
    probe self
    assert_equal "$status" 1
}

@test "a setuid program is one whose loader drops the preload" {
    [ "$(id -u)" = 0 ] || skip "needs root, to make a program of another user's"
    cp "$c/annotated_plain" setuid
    chown 65534 setuid
    chmod u+s setuid
    findmnt -no OPTIONS --target . | grep -q nosuid && skip "the file system has no setuid"
    probe setuid
    assert_equal "$status" 1
    assert_file .linkage.secure "it is setuid to another user"
}

@test "a program whose library holds tracing, and one that loads modules later" {
    command -v rustc >/dev/null || skip "no rustc"
    rustc=$(rustup which rustc 2>/dev/null || command -v rustc)
    probe "$rustc"
    [ "$(jq '.[0].libraries | length' files.json)" = 1 ] || skip "this rustc has no libraries beside it"
    assert_equal "$status" 0
    assert_file '.tables.count' 0
    [ "$(jq '.[0].libraries[0].tables.count' files.json)" -gt 0 ]
    probe "$(command -v python3)"
    assert_equal "$status" 1
    assert_file .linkage.loads_modules true
    assert_file '.verdict | test("loads modules")' true
}

@test "real programs with symbols: cargo" {
    command -v cargo >/dev/null || skip "no cargo"
    cargo=$(rustup which cargo 2>/dev/null || command -v cargo)
    probe "$cargo"
    assert_equal "$status" 0
    [ "$(jq '.[0].tables.count' files.json)" -gt 0 ]
    [ "$(jq '.[0].call_sites.spans | add' files.json)" -gt 10 ]
}

# ---- files and folders ----------------------------------------------------------------------------------

@test "of a folder all programs and shared objects are looked at, each once, links not followed" {
    mkdir -p tree/below
    cp "$c/annotated_plain" tree/first
    ln tree/first tree/below/same
    ln -s first tree/link
    ln -s .. tree/below/around
    echo text >tree/text
    : >tree/empty
    mkfifo tree/fifo
    echo 'int f(void) { return 0; }' | gcc -x c -c -o tree/object.o -
    cp "$c/annotated_plain" tree/below/second
    probe tree
    assert_equal "$status" 0
    assert_equal "$(jq -c 'map(.path)' files.json)" '["tree/below/same","tree/below/second"]'
    probe tree/first tree
    assert_equal "$(jq -c 'map(.path)' files.json)" '["tree/first","tree/below/second"]'
    mkdir none
    probe none
    assert_equal "$status" 2
    assert_regex "$stderr" 'none: there is no program or shared object'
}

@test "names that are no text are told, and leave the JSON valid" {
    cp "$c/annotated_plain" "$(printf 'a\nb\033[1m"\\\377')"
    probe "$(printf 'a\nb\033[1m"\\\377')"
    assert_equal "$status" 0
    run "$STRAYSPAN" probe "$(printf 'a\nb\033[1m"\\\377')"
    assert_equal "${lines[0]}" 'a\nb\x1b[1m"\\xff: can be diagnosed: it has annotations'
}

@test "the status is that of the worst file, and every file is told" {
    probe "$c/annotated_plain" "$c/plain_hello" no-such-file
    assert_equal "$status" 2
    assert_equal "$(jq -c 'map(.can_be_diagnosed)' files.json)" '[true,false,null]'
    assert_regex "$stderr" 'strayspan: no-such-file: it cannot be read: No such file or directory'
    probe "$c/annotated_plain" "$c/plain_hello"
    assert_equal "$status" 1
    run --separate-stderr "$STRAYSPAN" probe
    assert_equal "$status" 2
    run --separate-stderr "$STRAYSPAN" probe --format xml "$c/annotated_plain"
    assert_equal "$status" 2
    assert_regex "$stderr" 'xml'
}

# ---- files that are not what they seem ------------------------------------------------------------------

@test "what cannot be read is said to be that: empty, a fifo, a device, no permission" {
    : >empty
    mkfifo fifo
    for file in empty fifo /dev/null /dev/zero; do
        probe "$file"
        assert_equal "$status" 2
        assert_regex "$stderr" "^strayspan: $file: it is "
    done
    cp "$c/annotated_plain" secret
    chmod 0 secret
    [ "$(id -u)" = 0 ] && unprivileged=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
    chmod 755 . .. 2>/dev/null || true
    cp "$STRAYSPAN" strayspan
    "${unprivileged[@]}" ./strayspan --version >/dev/null 2>&1 || skip "this folder is root's alone"
    run --separate-stderr "${unprivileged[@]}" ./strayspan probe secret
    assert_equal "$status" 2
    assert_regex "$stderr" 'secret: it cannot be read: Permission denied'
}

# Probes the file; it may be found whole, broken or nothing, but that within a second or so.
survives() {
    run --separate-stderr timeout 20 "$STRAYSPAN" probe --sites "$1"
    [ "$status" -le 2 ] || strayspan_fail "$2: status $status: $stderr"
    [[ "$stderr" != *"that ended by signal"* ]] || strayspan_fail "$2: $stderr"
    [ "$status" -lt 2 ] || [ -n "$stderr" ] || strayspan_fail "$2: not a word"
}

# Where the last segment of a file ends.
loaded_end() {
    local _ kind offset size
    while read -r kind offset _ _ size _; do
        [ "$kind" != LOAD ] || echo $((offset + size))
    done < <(readelf -lW "$1") | sort -n | tail -n 1
}

@test "a file that is cut anywhere is an error where that is loaded, and nothing worse" {
    local size end length want
    size=$(stat -c %s "$c/annotated_plain")
    end=$(loaded_end "$c/annotated_plain")
    [ "$end" -lt "$size" ]
    for ((length = 0; length < size; length += 100)); do
        head -c "$length" "$c/annotated_plain" >cut
        survives cut "$length bytes"
        want=2
        [ "$length" -ge 4 ] || want=$status
        [ "$length" -lt "$end" ] || want=0
        assert_equal "$status" "$want"
    done
}

@test "sections beyond the end keep nobody from running a program: it is diagnosed, and the symbols are missed" {
    sample trixie/release/scope_exit
    cp "$program" wild
    # e_shoff, in the ELF header.
    printf '\377\377\377\377\377\377\0\0' | dd of=wild bs=1 seek=40 conv=notrunc status=none
    probe wild
    assert_equal "$status" 0
    assert_file '.tables.list | map(.evidence) | unique | join(" ")' signature
    assert_file '.tables.notes | map(select(test("sections beyond its end"))) | length' 1
    run_under ./wild
    assert_regex "$stderr" 'hooked by signature'
}

@test "a file of another order of bytes is for another machine, whole or not" {
    python3 - <<'END'
import struct
# EM_S390, with a segment that lies beyond the end.
header = b"\x7fELF\x02\x02\x01" + bytes(9) + struct.pack(">HHIQQQIHHHHHH", 2, 22, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
open("big", "wb").write(header + struct.pack(">IIQQQQQQ", 1, 5, 4096, 0, 0, 4096, 4096, 4096))
END
    probe big
    assert_equal "$status" 1
    assert_file .verdict 'it is built for another machine (s390), strayspan is for x86-64'
}

@test "a debug file that is not used is named, with the reason" {
    sample trixie/release/scope_exit
    strip -o program "$program"
    objcopy --only-keep-debug "$program" whole
    cp whole program.debug
    objcopy --add-gnu-debuglink=program.debug program
    probe program
    assert_file '.tables.notes | map(select(test("not used"))) | length' 0
    head -c 20000 whole >program.debug
    probe program
    assert_file '.tables.notes | map(select(test("/program.debug: not used: it is cut"))) | length' 1
    rm program.debug
    mkfifo program.debug
    probe program
    assert_file '.tables.notes | map(select(test("/program.debug: not used: it is not an ordinary file"))) | length' 1
    rm program.debug
    objcopy --only-keep-debug "$c/annotated_plain" program.debug
    probe program
    assert_file '.tables.notes | map(select(test("/program.debug: not used: .* of another build"))) | length' 1
}

@test "strayspan itself is no program to diagnose; what looks its annotations up by other names is" {
    for file in "$STRAYSPAN" "$STRAYSPAN_SHIM"; do
        probe "$file"
        assert_equal "$status" 1
        assert_file .verdict 'it is strayspan itself: no program, but what reads and hooks them'
    done
    echo 'extern unsigned long strayspan_annotate_new(const void *, const void *) __attribute__((weak));
        int main(void) { return strayspan_annotate_new && strayspan_annotate_new(0, 0); }' |
        gcc -fPIE -pie -x c -o weak -
    probe weak
    assert_equal "$status" 0
    assert_file .verdict 'it has annotations'
}

@test "probe counts the tables that a run hooks" {
    local tables
    sample trixie/release/legal_layers
    strip -o stripped "$program"
    for file in "$program" ./stripped; do
        run "$STRAYSPAN" probe "$file"
        tables=$(sed -En '1s/.*: ([0-9]+ subscriber tables?) .*/\1/p' <<<"$output")
        [ -n "$tables" ]
        run_under "$file"
        assert_equal "$(strayspan_query 'select(.type == "module" and .subscribers > 0) | .subscribers')" "${tables%% *}"
    done
}

@test "flipped bytes end in an answer" {
    sample trixie/release/scope_exit
    strip -o small "$program"
    mkdir flipped
    python3 - <<'END'
import random
random.seed(4)
for source, count in (("small", 150),):
    data = open(source, "rb").read()
    for number in range(count):
        copy = bytearray(data)
        # The headers, the dynamic section and relocations, or anywhere.
        area = (0x40 + 14 * 56, 0x8000, len(copy))[number % 3]
        for _ in range(random.choice((1, 4, 64))):
            copy[random.randrange(4, area)] = random.randrange(256)
        open(f"flipped/{number}", "wb").write(copy)
END
    for file in flipped/*; do
        survives "$file" "$file"
    done
}

@test "a file of many gigabytes that is a hole, and headers that ask for as much" {
    truncate -s 100G hole
    probe hole
    assert_equal "$status" 1
    cp "$c/annotated_plain" long
    truncate -s 100G long
    survives long "100 GB after it"
    assert_equal "$status" 0
    python3 - "$c/annotated_plain" <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
offset, = struct.unpack_from("<Q", data, 32)
count, = struct.unpack_from("<H", data, 56)
loads = [offset + 56 * i for i in range(count) if struct.unpack_from("<I", data, offset + 56 * i)[0] == 1]
def variant(name, changes, kind=None):
    copy = bytearray(data)
    for place, value in changes:
        struct.pack_into("<Q", copy, place, value)
    if kind is not None:
        struct.pack_into("<H", copy, 16, kind)
    open(name, "wb").write(copy)
last = loads[-1]
variant("memory", [(last + 40, 1 << 40)])
variant("memory_below", [(last + 40, 0xE0000000)])
variant("far", [(last + 16, (1 << 64) - 4096)])
variant("file_size", [(last + 32, 1 << 33), (last + 40, 1 << 33)])
variant("null", [(loads[0] + 16, 0)], kind=2)
variant("ours", [(place + 16, 0x7fff00000000 + 4096 * i) for i, place in enumerate(loads)], kind=2)
END
    for file in memory memory_below far file_size null ours; do
        survives "$file" "$file"
    done
}
