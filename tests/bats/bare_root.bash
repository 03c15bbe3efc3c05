# A root that holds nothing but what one program needs, as a container's of the smallest kind does.
# shellcheck disable=SC2034 # for the suites

# A folder with the loader, libc, libgcc_s, env, the shared object and a program, and with an empty /proc.
make_root() {
    local file
    bare=$BATS_TEST_TMPDIR/root
    mkdir -p "$bare/proc" "$bare/tmp" "$bare/shim" "$bare/strayspan"
    cp "$STRAYSPAN_SHIM" "$bare/shim/"
    cp "$1" "$bare/program"
    for file in $(ldd "$1" /usr/bin/env | grep -o '/[^ ]*' | grep -v ':$' | sort -u) /usr/bin/env; do
        mkdir -p "$bare${file%/*}"
        cp -L "$file" "$bare$file"
    done
    run find "$bare" -name '*unwind*'
    assert_output ''
}

# Commands that can come before the program, in its namespace.
# shellcheck disable=SC2016 # the inner shell's
with_proc='mount -t proc proc "$0/proc" &&'
by_hand=(LD_PRELOAD=/shim/libstrayspan.so STRAYSPAN_OPTIONS=log_path=/tmp/log.jsonl)

# Runs the program in the root: `in_root COMMANDS VARIABLE=VALUE...`, with a shell's commands that come before.
in_root() {
    local before=$1
    shift
    unshare --map-root-user --mount --pid --fork true 2>/dev/null || skip "no namespaces for this user"
    # shellcheck disable=SC2016 # the inner shell's
    run --separate-stderr timeout 60 unshare --map-root-user --mount --pid --fork sh -c "$before"'
        exec chroot "$0" /usr/bin/env -i "$@" /program' "$bare" "$@"
}
