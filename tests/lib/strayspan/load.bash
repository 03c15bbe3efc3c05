# A bats library that runs programs under strayspan and asserts what it found. In a file's setup():
#
#   bats_load_library strayspan
#
# bats looks for libraries in BATS_LIB_PATH (/usr/lib/bats); `make install` puts this one into PREFIX/lib/bats.
# It needs the command, its shared object and jq, and no other library of bats.
#
# strayspan_run [--options KEY=VALUE:...] PROGRAM [ARG...]
#     Runs PROGRAM with the shared object preloaded. Sets what bats' `run --separate-stderr` sets (status,
#     output, lines, stderr, stderr_lines), strayspan_logs (one per process that was watched) and
#     strayspan_log (the first of them, by name).
# strayspan_use LOG|DIR...
#     Asserts on logs that are there already: those of a service that a test started, say.
# assert_violation RULE [--span NAME] [--file END] [--thread NAME|TID] [--only]
#     At least one such violation; with --only exactly one, and none beside it. END is how the span's file
#     ends, the thread the one on which the rule was broken, its name as the kernel has it (15 bytes).
#     $violation is then its record (JSON).
# refute_violation RULE [the same]
# assert_no_violations
#     None, in processes that were watched. Beside it, assert_coverage tells whether there was anything to find.
# assert_hooked
#     A `tracing` subscriber was found and hooked.
# assert_coverage
#     Spans were entered, and every event was judged.
# strayspan_query FILTER
#     Prints what the jq filter makes of each record of the logs.
#
# A failed assertion prints the report. Environment:
#
#   STRAYSPAN           the command (strayspan)
#   STRAYSPAN_SHIM      the shared object (that which is installed with the command)
#   STRAYSPAN_TIMEOUT   seconds that a program may take (120)

bats_require_minimum_version 1.5.0

strayspan_run() {
    local options=
    if [ "$1" = --options ]; then
        options=:$2
        shift 2
    fi
    local shim=${STRAYSPAN_SHIM-}
    [ "$shim" ] || shim=$(dirname "$(command -v "${STRAYSPAN:-strayspan}")")/../lib/strayspan/libstrayspan.so
    if [ ! -r "$shim" ]; then
        echo "strayspan_run: no shared object to preload: $shim" >&2
        return 1
    fi
    strayspan_dir=$(mktemp -d "$BATS_TEST_TMPDIR/strayspan.XXXXXX")
    run --separate-stderr timeout "${STRAYSPAN_TIMEOUT:-120}" \
        env LD_PRELOAD="$shim${LD_PRELOAD:+:$LD_PRELOAD}" \
        STRAYSPAN_OPTIONS="log_path=\"$strayspan_dir/%e.%p.%t.jsonl\"$options" "$@"
    strayspan_use "$strayspan_dir"
}

strayspan_use() {
    local place found
    strayspan_logs=()
    for place in "$@"; do
        found=("$place")
        [ ! -d "$place" ] || found=("$place"/*.jsonl)
        [ ! -e "${found[0]}" ] || strayspan_logs+=("${found[@]}")
    done
    # shellcheck disable=SC2034 # for the tests
    strayspan_log=${strayspan_logs[0]-}
}

# A log may end in a line that was cut, which is no JSON.
strayspan_query() {
    [ "${#strayspan_logs[@]}" -eq 0 ] || cat "${strayspan_logs[@]}" | jq -R -c "fromjson? | $1"
}

strayspan_report() {
    if [ "${#strayspan_logs[@]}" -eq 0 ]; then
        echo "there is no log"
    else
        "${STRAYSPAN:-strayspan}" report "${strayspan_logs[@]}" 2>&1 || cat "${strayspan_logs[@]}"
    fi
}

strayspan_fail() {
    {
        printf -- '\n-- strayspan: %s --\n' "$*"
        printf 'status %s, stderr:\n%s\nreport:\n' "${status-}" "${stderr-}"
        strayspan_report
        printf -- '--\n\n'
    } >&2
    return 1
}

# Sets strayspan_found to the matching records, one a line, and strayspan_only to whether --only was given.
strayspan_match() {
    local rule=${1:?a rule} span='' file='' thread=''
    # A name that is wrong would never be found. Without the command, names are not known.
    "${STRAYSPAN:-strayspan}" explain "$rule" >/dev/null 2>&1 || [ $? -ge 126 ] ||
        strayspan_fail "no such rule: $rule" || return
    shift
    strayspan_only=
    while [ $# -gt 0 ]; do
        case $1 in
        --span | --file | --thread) [ $# -ge 2 ] || strayspan_fail "$1 takes a value" || return ;;
        esac
        case $1 in
        --span) span=$2 && shift 2 ;;
        --file) file=$2 && shift 2 ;;
        --thread) thread=$2 && shift 2 ;;
        --only) strayspan_only=1 && shift ;;
        *) strayspan_fail "no such argument: $1" || return ;;
        esac
    done
    strayspan_found=$(
        # shellcheck disable=SC2016 # jq's variables
        strayspan_query 'select(.type == "violation")' | jq -c --arg rule "$rule" --arg span "$span" \
            --arg file "$file" --arg thread "$thread" '
            select(.rule == $rule)
            | select($span == "" or .span.name == $span)
            | select($file == "" or ((.span.file // "") | endswith($file)))
            | (.used // .closed // .exited // .parked // .entered // {thread: {}}).thread as $on
            | select($thread == "" or $on.name == $thread or ($on.tid | tostring) == $thread)'
    )
}

assert_violation() {
    local all
    strayspan_match "$@" || return
    [ -n "$strayspan_found" ] || strayspan_fail "no violation: $*" || return
    # shellcheck disable=SC2034 # for the tests
    violation=${strayspan_found%%$'\n'*}
    if [ "$strayspan_only" ]; then
        all=$(strayspan_query 'select(.type == "violation") | .rule' | grep -c .) || true
        [ "$all" -eq 1 ] || strayspan_fail "$all violations, where there should be one: $*"
    fi
}

# Whether something was watched, and all of what was logged can be read: what was lost may have been a violation.
strayspan_whole() {
    local log
    [ "${#strayspan_logs[@]}" -gt 0 ] || strayspan_fail "nothing was watched" || return
    for log in "${strayspan_logs[@]}"; do
        [ -s "$log" ] && grep -a '^{"v":' "$log" | jq empty 2>/dev/null ||
            strayspan_fail "$log: not all of it can be read" || return
    done
}

refute_violation() {
    strayspan_whole || return
    strayspan_match "$@" || return
    [ -z "$strayspan_found" ] || strayspan_fail "a violation that should not be: $*"
}

assert_no_violations() {
    strayspan_whole || return
    [ -z "$(strayspan_query 'select(.type == "violation")')" ] || strayspan_fail "a violation"
}

assert_hooked() {
    [ -n "$(strayspan_query 'select(.type == "module" and .subscribers > 0)')" ] ||
        strayspan_fail "no subscriber was hooked"
}

assert_coverage() {
    local totals
    # A process image that ends by exec or a signal has no summary.
    totals=$(strayspan_query 'select(.type == "summary")' |
        jq -s -r 'if . == [] then "no summary" else
            "\(map(.spans.entered) | add) \(map(.not_judged.total) | add)" end')
    case $totals in
    "no summary") strayspan_fail "no log has a summary" ;;
    0\ *) strayspan_fail "no span was entered" ;;
    *\ 0) ;;
    *) strayspan_fail "${totals#* } events were not judged" ;;
    esac
}
