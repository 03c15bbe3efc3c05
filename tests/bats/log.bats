# Where the log goes, and that nothing else is written to.
setup() {
    load setup
    mkdir "$BATS_TEST_TMPDIR/here"
    cd "$BATS_TEST_TMPDIR/here"
}

# Runs with the shim and STRAYSPAN_OPTIONS=$1, in the present folder.
by_hand() {
    local options=$1
    shift
    run --separate-stderr timeout 60 env LD_PRELOAD="$STRAYSPAN_SHIM" STRAYSPAN_OPTIONS="$options" "$@"
}

# The violation is on stderr, as JSON.
assert_violation_on_stderr() {
    grep '^{' <<<"$stderr" >"$BATS_TEST_TMPDIR/from_stderr.jsonl"
    strayspan_use "$BATS_TEST_TMPDIR/from_stderr.jsonl"
    assert_violation "$@"
}

@test "without log_path a log is made in the current folder, with the first violation, for its owner alone" {
    by_hand "" "$c/exit_without_enter"
    assert_success
    strayspan_use .
    assert_equal "${#strayspan_logs[@]}" 1
    assert_regex "$strayspan_log" '/\./strayspan\.exit_without_enter\.[0-9]+\.[^/]+\.jsonl$'
    assert_equal "$(stat -c %a "$strayspan_log")" 600
    assert_violation exit-without-enter --only
}

@test "without log_path a clean program leaves nothing" {
    by_hand "" "$c/annotated_plain"
    assert_success
    assert_equal "$(ls)" ""
    assert_equal "$stderr" ""
}

@test "with log_path it is made at once" {
    by_hand log_path=my.jsonl "$c/annotated_plain"
    strayspan_use my.jsonl
    assert_no_violations
    assert_coverage
    assert_equal "$(stat -c %a my.jsonl)" 600
}

@test "the mode does not depend on the umask" {
    (umask 0 && LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS=log_path=my.jsonl "$c/annotated_plain")
    assert_equal "$(stat -c %a my.jsonl)" 600
}

@test "%p, %e, %h, %t and %n in the name" {
    by_hand 'log_path=a_%p_%e_%h_%t_%n.jsonl' "$c/annotated_plain"
    strayspan_use .
    assert_equal "${#strayspan_logs[@]}" 1
    pid=$(jq -r 'select(.type == "process") | .pid' "$strayspan_log")
    assert_regex "$strayspan_log" "/\./a_${pid}_annotated_plain_$(uname -n)_[^_%]+_[0-9]+\.jsonl$"
}

@test "a file that is there already is left as it was, and the log is beside it" {
    echo mine >my.jsonl
    by_hand log_path=my.jsonl "$c/exit_without_enter"
    assert_success
    assert_output done
    assert_equal "$(cat my.jsonl)" mine
    rm my.jsonl
    assert_regex "$stderr" 'my\.jsonl\.1$'
    mv my.jsonl.1 my.1.jsonl
    strayspan_use my.1.jsonl
    assert_violation exit-without-enter --only
}

@test "no log is written through a symbolic link: the lines go to stderr" {
    echo mine >target
    ln -s target link
    ln -s nowhere dangling
    for link in link dangling; do
        by_hand log_path=$link "$c/exit_without_enter"
        assert_success
        assert_output done
        assert_regex "$stderr" "strayspan: [^ ]*$link"
        assert_violation_on_stderr exit-without-enter --only
        assert_equal "$(cat target)" mine
    done
    assert_equal "$(ls)" $'dangling\nlink\ntarget'
}

@test "no log is written to a pipe, a folder or a device: the lines go to stderr" {
    mkfifo pipe
    mkdir folder
    for path in pipe folder /dev/null; do
        by_hand "log_path=$path" "$c/exit_without_enter"
        assert_success
        assert_output done
        assert_regex "$stderr" "strayspan: [^ ]*$path"
        assert_violation_on_stderr exit-without-enter --only
    done
    assert_equal "$(find . | sort)" $'.\n./folder\n./pipe'
    [ ! -e /dev/null.1 ]
}

@test "a missing folder is named, and the lines go to stderr" {
    by_hand log_path=no/such/folder/log.jsonl "$c/exit_without_enter"
    assert_success
    assert_output done
    assert_regex "$stderr" 'no/such/folder/log\.jsonl'
    assert_violation_on_stderr exit-without-enter --only
}

@test "without log_path: where the current folder takes no file, TMPDIR does, else stderr" {
    mkdir gone tmp
    tmp=$PWD/tmp
    cd gone
    rmdir ../gone
    TMPDIR=$tmp by_hand "" "$c/exit_without_enter"
    assert_success
    strayspan_use "$tmp"
    assert_violation exit-without-enter --only
    TMPDIR=/no/such/folder by_hand "" "$c/exit_without_enter"
    assert_success
    assert_violation_on_stderr exit-without-enter --only
}

@test "log_path=stderr writes the lines there" {
    by_hand log_path=stderr "$c/exit_without_enter"
    assert_success
    assert_output done
    assert_equal "$(ls)" ""
    assert_violation_on_stderr exit-without-enter --only
    run strayspan_query 'select(.type == "summary") | .v'
    assert_output 1
}

@test "a full disk loses no violation and harms nothing" {
    mkdir full
    if mount -t tmpfs -o size=8k none full 2>/dev/null; then
        dd if=/dev/zero of=full/filler bs=4k count=1 2>/dev/null
        run --separate-stderr timeout 60 env LD_PRELOAD="$STRAYSPAN_SHIM" \
            STRAYSPAN_OPTIONS=log_path=full/log.jsonl "$c/many_misuses" 20
        cp full/log.jsonl log.cut
        umount full
    elif unshare -rm true 2>/dev/null; then
        # shellcheck disable=SC2016 # for the inner shell
        run --separate-stderr timeout 60 unshare -rm sh -c 'mount -t tmpfs -o size=8k none full &&
            dd if=/dev/zero of=full/filler bs=4k count=1 2>/dev/null
            LD_PRELOAD=$1 STRAYSPAN_OPTIONS=log_path=full/log.jsonl "$2" 20
            status=$?; cp full/log.jsonl log.cut; exit $status' sh "$STRAYSPAN_SHIM" "$c/many_misuses"
    else
        skip "no file system can be mounted here"
    fi
    assert_success
    assert_output done
    assert_no_lost_lines
    # A shorter line may still have had room behind it.
    assert_equal "$(jq -c 'select(.type == "lost").why' log.cut)" '"no space left on device"'
}

# The lines of log.cut and those on stderr make up the 20 violations, each once.
assert_no_lost_lines() {
    {
        jq -R 'fromjson? | select(.type == "violation") | .span.line' log.cut
        grep '^{' <<<"$stderr" | jq -R 'fromjson? | select(.type == "violation") | .span.line'
    } | sort -n >lines
    run diff lines <(seq 20)
    assert_success
}

@test "a log at the limit of file sizes raises no signal and loses nothing" {
    # A pipe for stderr, as the limit holds for files. It is not written to when full: few lines.
    # shellcheck disable=SC2016 # for the inner shell
    by_hand log_path=log.cut bash -o pipefail -c \
        '{ "$1" 20 fsize 4096 2>&1 >&3 | cat >errors; } 3>&1' bash "$c/many_misuses"
    assert_success
    assert_output done
    stderr=$(cat errors)
    assert_equal "$(($(stat -c %s log.cut) <= 4096))" 1
    assert_no_lost_lines
}

@test "a stderr whose reader is gone raises no signal" {
    by_hand log_path=log.%e.jsonl "$c/broken_stderr" closed "$c/many_misuses" 5
    assert_success
    assert_output done
    run jq -s 'map(select(.type == "violation")) | length' log.many_misuses.jsonl
    assert_output 5
    by_hand log_path=stderr "$c/broken_stderr" closed "$c/many_misuses" 5
    assert_success
    assert_output done
}

@test "a full stderr blocks nothing" {
    by_hand log_path=log.%e.jsonl "$c/broken_stderr" full "$c/many_misuses" 5
    assert_success
    assert_output done
    run jq -s 'map(select(.type == "violation")) | length' log.many_misuses.jsonl
    assert_output 5
    by_hand log_path=stderr "$c/broken_stderr" full "$c/many_misuses" 5
    assert_success
    assert_output done
}

@test "a program started without descriptors 0 to 2" {
    LD_PRELOAD=$STRAYSPAN_SHIM STRAYSPAN_OPTIONS=log_path=log.jsonl timeout 60 \
        "$c/exit_without_enter" <&- >&- 2>&-
    strayspan_use log.jsonl
    assert_violation exit-without-enter --only
}

@test "files that a daemon holds as descriptors 0 to 2 stay as they are" {
    by_hand log_path=log.jsonl "$c/daemon_files" database
    assert_success
    strayspan_use log.jsonl
    assert_violation exit-without-enter --only
    assert_equal "$(tr -d '\0' <database)" 'my database'
}

@test "so do they where the log would go to stderr" {
    by_hand log_path=stderr "$c/daemon_files" database
    assert_success
    assert_equal "$(tr -d '\0' <database)" 'my database'
    by_hand log_path=no/such/folder "$c/daemon_files" database
    assert_success
}

@test "a program that closes the log and takes its number gets no line in its files; the log goes on" {
    by_hand log_path=log.jsonl "$c/closes_all" file
    assert_success
    assert_output done
    assert_equal "$(stat -c %s file)" 0
    strayspan_use log.jsonl
    assert_violation exit-without-enter --span before
    assert_violation exit-without-enter --span after
}

@test "the log's descriptor closes at exec" {
    by_hand log_path=log.jsonl "$c/ends" list
    assert_success
    assert_output --partial ' 1 -> '
    refute_output --partial log.jsonl
    strayspan_use log.jsonl
    assert_violation exit-without-enter --only
}

@test "each process image that is executed has a log of its own, though the pid stays" {
    by_hand "" "$c/chain" 5
    assert_success
    strayspan_use .
    assert_equal "${#strayspan_logs[@]}" 5
    assert_equal "$(strayspan_query 'select(.type == "violation")' | wc -l)" 5
}

@test "a forked child has a log of its own" {
    by_hand "" "$c/fork_both"
    assert_success
    strayspan_use .
    assert_equal "${#strayspan_logs[@]}" 2
    assert_violation exit-without-enter --span in_child
    child=$(jq .pid <<<"$violation")
    assert_violation exit-without-enter --span in_parent
    assert_not_equal "$child" "$(jq .pid <<<"$violation")"
    refute_violation exit-without-enter --span shared
    refute_violation foreign-thread-exit
}

@test "nothing is written between vfork and exec" {
    by_hand log_path=log.%p.jsonl "$c/vfork_exec" 20
    assert_success
    assert_output done
    strayspan_use .
    assert_violation exit-without-enter --span before
    assert_violation exit-without-enter --span after
    assert_equal "$(strayspan_query 'select(.type == "violation")' | wc -l)" 2
}

@test "a violation is in the log however the program ends" {
    local want
    for end in _exit:3 kill:137 abort:134 quick_exit:4 exec:0 exit:5; do
        want=${end#*:}
        by_hand "log_path=${end%:*}.jsonl" "$c/ends" "${end%:*}"
        assert_equal "$status" "$want"
        strayspan_use "${end%:*}.jsonl"
        assert_violation exit-without-enter --only
    done
}

@test "names with quotes, control characters and broken UTF-8 make valid JSON" {
    by_hand log_path=log.jsonl "$c/two_misuses"
    assert_success
    # The validator reads the log after the tests; the name comes through as it was, but for the byte
    # that is no UTF-8.
    run jq -r 'select(.type == "violation") | .span.name' log.jsonl
    assert_output --partial $'evil \033[31m"name"\\\nä'
    refute_regex "$stderr" $'\033'
}

@test "a violation with names too long for a line is there, cut; stderr's line is whole" {
    local argument
    for argument in "" letters; do
        # shellcheck disable=SC2086 # none, or one
        strayspan_run "$c/long_names" $argument
        assert_success
        assert_violation exit-without-enter --only
        assert_violation_has '.span.name | length >= 100'
        assert_equal "${stderr_lines[-1]}" "the program's own line"
    done
}

@test "options too long for a line leave the log readable" {
    strayspan_run --options "rules=$(printf '%70000s' '' | tr ' ' ,)" "$c/exit_without_enter"
    assert_success
    assert_violation exit-without-enter --only
    run strayspan_query 'select(.type == "process") | .options.on_violation'
    assert_output '"log"'
}

@test "a line longer than the room in a full pipe does not block" {
    strayspan_run --options log_path=stderr "$c/full_stderr"
    assert_success
    assert_output done
}

@test "what turns text around does not reach a terminal" {
    cat >turned.c <<'CODE'
#include "shim/strayspan.h"
int main(void)
{
    static const struct strayspan_site site = {"a\xe2\x80\xae" "b\xc2\x9b" "c\n", "t", 0, 1, 2};
    strayspan_exit(&site, strayspan_new(&site, &site));
    return 0;
}
CODE
    gcc -I"$root" -o turned turned.c -ldl
    by_hand log_path=log.%e.jsonl ./turned
    assert_success
    assert_regex "$stderr" 'a\\xe2\\x80\\xaeb\\xc2\\x9bc\\x0a'
}

@test "the summary names every rule, and counts suspicions and what came of breaches" {
    by_hand log_path=log.jsonl "$c/exit_without_enter"
    strayspan_use log.jsonl
    run strayspan_query 'select(.type == "summary") | .suspicions, .consequences'
    assert_output $'0\n[]'
    run strayspan_query 'select(.type == "summary") | .rules | map_values(.violations) | del(.["exit-without-enter"]) |
        length, add'
    assert_output $'10\n0'
    run strayspan_query 'select(.type == "process") | .options | .await_check, .history'
    assert_output $'"auto"\n0'
}
