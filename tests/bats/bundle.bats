# `strayspan bundle`, and what it puts into a folder, in a container.
setup() {
    load setup
    load bare_root
    cd "$BATS_TEST_TMPDIR"
}

sample() {
    program=$build/samples/trixie/release/channel_exit
    [ -x "$program" ] || program=$build/samples/bookworm/release/channel_exit
    [ -x "$program" ] || skip "no Rust samples"
}

# Asserts that standard error, as a container's log has it, leads to the report.
assert_log_tells() {
    # The program's own lines, and those of whoever collects them, are among ours.
    { echo 'a line'; echo '{"level":"info"}'; sed 's/^/app-1  | /' <<<"$stderr"; } >container.log
    run --separate-stderr "$STRAYSPAN" report --check - <container.log
    assert_equal "$status" 1
    assert_output --partial 'error[foreign-thread-exit]: span `sent_away`'
    assert_output --partial '/program: No such file or directory: its functions are not named'
    refute_output --partial 'could not be read'
    # With the container's files it names the code.
    run --separate-stderr "$STRAYSPAN" report --root "$bare" - <container.log
    assert_success
    assert_output --partial 'channel_exit::main'
    refute_output --partial 'functions are not named'
}

@test "a bundle is three files that anybody can read, whatever the umask" {
    umask 077
    run "$STRAYSPAN" bundle made
    assert_success
    assert_output --partial "docker run -v $PWD/made:/strayspan:ro --env-file $PWD/made/strayspan.env IMAGE"
    run find made -printf '%y %m %P\n'
    assert_equal "$(sort <<<"$output")" 'd 755 
f 644 README
f 644 strayspan.env
f 755 libstrayspan.so'
    cmp made/libstrayspan.so "$STRAYSPAN_SHIM"
    run cat made/strayspan.env
    assert_line LD_PRELOAD=/strayspan/libstrayspan.so
    # Where it will be is up to the user.
    "$STRAYSPAN" bundle --at /opt/s made
    run grep -c /strayspan/ made/README made/strayspan.env
    assert_output $'made/README:0\nmade/strayspan.env:0'
    run grep LD_PRELOAD made/strayspan.env
    assert_output LD_PRELOAD=/opt/s/libstrayspan.so
}

@test "the lines for docker are words of a shell's, wherever the folder is" {
    mkdir "it's a folder"
    run "$STRAYSPAN" bundle "it's a folder/b"
    assert_success
    while read -r line; do
        eval "set -- $line"
        assert_equal "$#" 8
        assert_equal "$4" "$PWD/it's a folder/b:/strayspan:ro"
        assert_equal "$6" "$PWD/it's a folder/b/strayspan.env"
    done < <(sed -n 's/^ *\(docker run.*\) 2>.*/\1 "" 2>run.log/p' "it's a folder/b/README" - <<<"$output")
    [ "$#" = 8 ]
}

@test "what is there is replaced as a whole, and what is not of a bundle is left alone" {
    "$STRAYSPAN" bundle made
    inode=$(stat -c %i made/libstrayspan.so)
    echo cut >made/cut && mv made/cut made/libstrayspan.so
    before=$(md5sum made/*)
    run "$STRAYSPAN" bundle made
    assert_equal "$status" 2
    assert_output --partial 'strayspan: made/libstrayspan.so: will not be overwritten: it is not of a bundle'
    assert_output --partial 'give another folder, or --force'
    assert_equal "$(md5sum made/*)" "$before"
    "$STRAYSPAN" bundle --force made
    cmp made/libstrayspan.so "$STRAYSPAN_SHIM"
    # A process that has it loaded keeps what it has.
    exec 9<made/libstrayspan.so
    "$STRAYSPAN" bundle made
    refute [ /dev/fd/9 -ef made/libstrayspan.so ]
    cmp /dev/fd/9 "$STRAYSPAN_SHIM"
    exec 9<&-
    # Links are not followed, and nothing is left aside.
    echo mine >mine
    ln -sf ../mine made/README
    run "$STRAYSPAN" bundle made
    assert_equal "$status" 2
    "$STRAYSPAN" bundle --force made
    assert_equal "$(cat mine)" mine
    assert [ ! -L made/README ]
    assert_equal "$(ls -A made)" $'README\nlibstrayspan.so\nstrayspan.env'
}

@test "what cannot be is said, and how to do it" {
    run "$STRAYSPAN" bundle
    assert_equal "$status" 2
    assert_output --partial 'no folder given'
    run "$STRAYSPAN" bundle a b
    assert_output --partial 'one folder is wanted'
    for at in here '/a b' '/a:b' / ''; do
        run "$STRAYSPAN" bundle --at "$at" made
        assert_equal "$status" 2
        assert_output --partial 'option `--at`: bad value'
    done
    run "$STRAYSPAN" bundle /proc/none
    assert_equal "$status" 2
    assert_output --partial 'strayspan: /proc/none: cannot be made: '
    echo file >file
    run "$STRAYSPAN" bundle file
    assert_output 'strayspan: file: cannot be opened: Not a directory'
    assert [ ! -e made ]
}

@test "docker's lines: the folder mounted read-only, the environment from the file, the log on stderr" {
    sample
    "$STRAYSPAN" bundle made
    make_root "$program"
    mapfile -t variables < <(grep -v '^#' made/strayspan.env)
    # shellcheck disable=SC2016 # the inner shell's
    in_root "$with_proc mount --bind '$PWD/made' \"\$0/strayspan\" && mount -o remount,ro,bind \"\$0/strayspan\" &&" \
        "${variables[@]}"
    assert_success
    assert_output 'done'
    assert_equal "$(grep -c '"type":"violation"' <<<"$stderr")" 1
    assert_log_tells
}

@test "the lines for Kubernetes: an init container copies, the program's has the volume and the environment" {
    sample
    "$STRAYSPAN" bundle made
    make_root "$program"
    # What the README says, taken at its word.
    read -r copy from to < <(sed -n 's/.*command: \[\(.*\)\]/\1/p' made/README | tr -d ,)
    assert_equal "$copy $to" 'cp /strayspan/'
    mapfile -t variables < <(sed -n 's/.*{name: \([A-Z_]*\), value: "\{0,1\}\([^"}]*\).*/\1=\2/p' made/README)
    assert_equal "${#variables[@]}" 2
    mkdir volume
    "$copy" "made/${from#/bundle/}" "volume/${to#/strayspan/}"
    in_root "$with_proc mount --bind '$PWD/volume' \"\$0/strayspan\" &&" "${variables[@]}"
    assert_success
    assert_output 'done'
    assert_log_tells
}
