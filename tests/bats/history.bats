# The flight recorder: with `history` a violation tells what happened to its span, and beside it.

setup_file() {
    local here
    here=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    cat >"$BATS_FILE_TMPDIR/story.c" <<'CODE'
/* `story COUNT`: `job` is made and entered on main, `noise` COUNT times entered and left there, `other` entered
 * and left on a thread that knows nothing of them, and `job` exited on a third thread; the same once more in
 * a forked child, whose `job` is the parent's. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/programs/c/spans.h"

SITE(job, "job");
SITE(noise, "noise");
SITE(other, "other");

static uint64_t id, noises;

static void *leave(void *unused)
{
    strayspan_exit(&first_subscriber, id);
    return unused;
}

static void *elsewhere(void *unused)
{
    uint64_t mine = strayspan_new(&first_subscriber, &other);
    strayspan_enter(&first_subscriber, mine);
    strayspan_exit(&first_subscriber, mine);
    strayspan_close(&first_subscriber, mine);
    return unused;
}

int main(int argc, char **argv)
{
    noises = strayspan_new(&first_subscriber, &noise);
    strayspan_enter(&first_subscriber, noises);
    strayspan_exit(&first_subscriber, noises);
    id = strayspan_new(&first_subscriber, &job);
    strayspan_enter(&first_subscriber, id);
    for (int i = argc > 1 ? atoi(argv[1]) : 0; i--;) {
        strayspan_enter(&first_subscriber, noises);
        strayspan_exit(&first_subscriber, noises);
    }
    run_on_thread(elsewhere, 0);
    pid_t child = argc > 2 ? fork() : -1;
    if (child > 0)
        waitpid(child, 0, 0);
    run_on_thread(leave, 0);
    puts("done");
    return 0;
}
CODE
    gcc -g -I"$here" -o "$BATS_FILE_TMPDIR/story" "$BATS_FILE_TMPDIR/story.c" -pthread -ldl
    # bats waits for whoever has its descriptors.
    exec 3>&-
}

setup() {
    load setup
    story=$BATS_FILE_TMPDIR/story
}

# The events of the violation that assert_violation found, one a line: thread, event, name. Not the parks, which
# are of the machine's making, nor the exit that broke the rule: its moment tells of it.
events() {
    jq -r '. as $all | .history.events[] | select(.event != "park") |
        select([.event, .thread, .site] != ["exit", $all.exited.thread.serial, $all.exited.stack[0]]) |
        "\(.thread) \(.event) \(.name)"' <<<"$violation"
}

@test "without history nothing is told, and nothing is recorded" {
    strayspan_run "$story"
    assert_violation foreign-thread-exit --only
    assert_violation_has 'has("history") | not'
}

@test "a span's story is told in order, with its threads, times and places" {
    strayspan_run --options history=256 "$story" 2
    assert_success
    assert_output done
    assert_violation foreign-thread-exit --span job --only
    run events
    assert_output "1 new job
1 enter job
1 enter noise
1 exit noise
1 enter noise
1 exit noise"
    assert_violation_has '.history.left_out == 0'
    assert_violation_has '[.history.events[].ns] | . == sort and all(. <= 0)'
    assert_violation_has '.span.serial as $serial |
        all(.history.events[] | select(.name == "job"); .span == $serial)'
    assert_violation_has '.history.events[0].site == .created.stack[0]'
    assert_violation_has '.history.events[1].site == .entered.stack[0]'
    assert_coverage
}

@test "the times are those of the moments" {
    strayspan_run --options history=256 "$story"
    assert_violation foreign-thread-exit --only
    # Moments are told with their time, the events by their distance to the violation. The machine may stop
    # a thread between the two at any time, so this asks for no more than that they are of one clock.
    assert_violation_has 'def seconds: .[:19] + "Z" | fromdate;
        def micros: (. | seconds) * 1e6 + (.[20:26] | tonumber);
        ((.created.time | micros) - (.time | micros)) * 1000 - .history.events[0].ns | fabs < 500e6'
}

@test "of too many events the span's own are kept, then the latest, and the rest are counted" {
    strayspan_run --options history=4096 "$story" 500
    assert_violation foreign-thread-exit --only
    assert_violation_has '.history.events | length == 48'
    assert_violation_has '.history.left_out >= 1002 - 48'
    assert_violation_has '[.history.events[] | select(.name == "job") | .event] | .[:2] == ["new", "enter"]'
    assert_violation_has '.history.events[2].name == "noise"'
}

@test "no more is recorded than was asked for" {
    strayspan_run --options history=5 "$story" 10
    assert_violation foreign-thread-exit --only
    assert_violation_has '[.history.events[] | select(.thread == 1)] | length == 5'
    assert_violation_has '[.history.events[] | select(.name == "job" and .thread == 1)] == []'
    assert_violation_has '.history.left_out == 0'
    strayspan_run --options history=4097 "$story"
    assert_regex "$stderr" "option history: bad value .4097., want 0\.\.4096"
}

@test "a thread that has ended is in the story" {
    strayspan_run --options history=64 "$c/home_ended"
    assert_violation foreign-thread-exit --span left_open
    home=$(jq .entered.thread.serial <<<"$violation")
    assert_violation_has '.exited.thread.serial != .entered.thread.serial'
    run events
    assert_output "$home new left_open
$home enter left_open"
}

@test "a forked child tells of itself, and of its parent's thread that it was" {
    strayspan_run --options history=64 "$story" 1 fork
    assert_equal "${#strayspan_logs[@]}" 2
    local log pids=()
    for log in "${strayspan_logs[@]}"; do
        strayspan_use "$log"
        pids+=("$(strayspan_query .pid | head -n 1)")
        # The child's exit may be of a span that is its parent's alone: it reports nothing or the same.
        [ "$(strayspan_query 'select(.type == "violation")')" ] || continue
        assert_violation foreign-thread-exit --span job --only
        run events
        assert_line --index 0 "1 new job"
        refute_output --partial other
    done
    assert_not_equal "${pids[0]}" "${pids[1]}"
}

@test "a look-up inside the span is an event, with host, addresses and how long it took" {
    strayspan_run --options history=64 "$c/wrong_subscriber" lookup
    assert_violation wrong-subscriber --span job --only
    assert_violation_has '[.history.events[] | select(.event == "lookup")] | length == 1'
    assert_violation_has '.lookup as $lookup | .history.events[] | select(.event == "lookup") |
        .host == "localhost" and .addresses == $lookup.addresses and .lookup_ns == $lookup.ns'
    strayspan_run "$c/wrong_subscriber" lookup
    assert_violation wrong-subscriber --only
    assert_violation_has 'has("history") | not'
}

@test "where a line is too long the history goes first" {
    strayspan_run --options history=64 "$c/long_names" letters
    assert_violation exit-without-enter --only
    assert_violation_has '(has("history") | not) or (.history.events | length <= 12)'
    assert_violation_has '.created.stack | length > 1'
    assert_violation_has '.span.name | length == 4096'
}

@test "recording brings no report on legal programs, and loses no event of theirs" {
    local program
    for program in legal_deep legal_handed legal_reentered; do
        strayspan_run --options history=16 "$c/$program"
        assert_success
        assert_no_violations
        assert_coverage
    done
}

@test "so with threads, forks and libraries that come and go" {
    strayspan_run --options history=16 "$c/legal_storm" 20000 "$c/cpp_plugin.so"
    assert_success
    assert_no_violations
    assert_coverage
    run strayspan_query 'select(.type == "summary" and .spans.created == 160000) | .spans.closed'
    assert_output 160000
}

check_hyper() {
    strayspan_run --options history=256 "$1"
    assert_violation wrong-subscriber --span resolve
    assert_violation_has '[.history.events[] | select(.name == "resolve") | .event] |
        .[0] == "new" and (index("enter") < index("lookup")) and (index("lookup") < index("exit"))'
    assert_violation_has '.created.thread.serial == (.history.events[] | select(.name == "resolve" and
        .event == "new") | .thread)'
}

@test "the story of hyper's look-up is told across its threads" {
    for_each_build check_hyper wrong-subscriber hyper3848
}
