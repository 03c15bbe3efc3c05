# What reads files and memory that may hold anything, under made-up ones: a short run of each target of
# tests/fuzz. `make fuzz FUZZ_SECONDS=600` is the long one.
setup() {
    load setup
}

@test "no input of a short run breaks a fuzz target" {
    echo 'int LLVMFuzzerTestOneInput(const char *data, long size) { return !data && size; }' |
        clang -fsanitize=fuzzer,address -x c -o "$BATS_TEST_TMPDIR/none" - 2>/dev/null ||
        skip "no clang with libFuzzer; scripts/packages lint installs it"
    make -s -C "$root" BUILD="$build" FUZZ_SECONDS=15 fuzz >"$BATS_TEST_TMPDIR/said" 2>&1 ||
        { tail -n 40 "$BATS_TEST_TMPDIR/said" && false; }
}
