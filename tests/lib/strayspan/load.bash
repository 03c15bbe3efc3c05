# A bats library that runs programs under strayspan and asserts what it found. In a file's setup():
#
#   bats_load_library strayspan
#
# bats looks for libraries in BATS_LIB_PATH (/usr/lib/bats); `make install` puts this one into PREFIX/lib/bats.
# It needs the command, its shared object and jq, and no other library of bats.
#
# strayspan_run [--options KEY=VALUE:...]... [--] PROGRAM [ARG...]
#     Runs PROGRAM with the shared object preloaded, with these options behind those of STRAYSPAN_OPTIONS. Sets
#     what bats' `run --separate-stderr` sets (status, output, lines, stderr, stderr_lines), strayspan_logs (one
#     per process that was watched) and strayspan_log (the first of them, by name).
# strayspan_use LOG|DIR...
#     Asserts on logs that are there already: those of a service that a test started, say.
# assert_violation RULE [--span NAME] [--file END[:LINE]] [--thread NAME|TID] [--only]
#     At least one such violation; with --only exactly one, and none beside it. END is how the span's file
#     ends, the thread the one on which the rule was broken; of its name the kernel keeps 15 bytes.
#     $violation is then its record (JSON).
# refute_violation RULE [the same]
#     None, in logs that can be read wholly, by processes that looked for it: some rules are off by default.
# assert_no_violations
#     None, in logs that can be read wholly. Beside it, assert_coverage tells whether there was anything to find.
# assert_hooked
#     A `tracing` subscriber was found and hooked.
# assert_coverage
#     Spans were entered, every event was judged, and no subscriber was left unhooked.
# strayspan_query FILTER
#     Prints what the jq filter makes of each record of the logs.
#
# Assertions are on the last strayspan_run or strayspan_use of the test, also where bats' `run` ran it. A failed
# one prints the report. Environment:
#
#   STRAYSPAN           the command (strayspan)
#   STRAYSPAN_SHIM      the shared object (that which is installed with the command)
#   STRAYSPAN_TIMEOUT   seconds that a program may take (120)

bats_require_minimum_version 1.5.0
if ! command -v jq >/dev/null; then
    echo "strayspan's bats library needs jq" >&2
    return 1
fi

strayspan_folder() {
    printf '%s' "${BATS_TEST_TMPDIR:-${BATS_FILE_TMPDIR:-$BATS_SUITE_TMPDIR}}"
}

strayspan_run() {
    local options=${STRAYSPAN_OPTIONS-} command shim=${STRAYSPAN_SHIM-}
    strayspan_use
    while :; do
        case ${1-} in
        --options=*) options+=${options:+:}${1#*=} ;;
        --options) [ $# -ge 2 ] && options+=${options:+:}$2 && shift ;;
        --) shift && break ;;
        -*) echo "strayspan_run: no such option: $1" >&2 && return 2 ;;
        *) break ;;
        esac
        shift
    done
    [ $# -gt 0 ] || { echo "strayspan_run: no program given" >&2 && return 2; }
    if [ ! "$shim" ]; then
        command=$(command -v "${STRAYSPAN:-strayspan}") ||
            { echo "strayspan_run: ${STRAYSPAN:-strayspan}: no such command" >&2 && return 1; }
        shim=$(dirname "$(readlink -f "$command")")/../lib/strayspan/libstrayspan.so
    fi
    if [ ! -r "$shim" ]; then
        echo "strayspan_run: no shared object to preload: $shim" >&2
        return 1
    fi
    strayspan_dir=$(mktemp -d "$(strayspan_folder)/strayspan.XXXXXX") || return
    run --separate-stderr timeout -k 10 "${STRAYSPAN_TIMEOUT:-120}" \
        env LD_PRELOAD="$shim${LD_PRELOAD:+:$LD_PRELOAD}" \
        STRAYSPAN_OPTIONS="${options:+$options:}log_path=\"$strayspan_dir/%e.%p.%t.jsonl\"" "$@"
    strayspan_use "$strayspan_dir"
}

# What is used is kept in a file, as bats' `run` is a process of its own.
strayspan_use() {
    local place places=()
    for place in "$@"; do
        if [ ! -e "$place" ]; then
            echo "strayspan_use: $place: no such log" >&2
            : >"$(strayspan_folder)/.strayspan.used"
            return 1
        fi
        [ "${place#/}" != "$place" ] || place=$PWD/$place
        places+=("$place")
    done
    [ $# -eq 0 ] || printf '%s\0' "${places[@]}" >"$(strayspan_folder)/.strayspan.used"
    [ $# -gt 0 ] || : >"$(strayspan_folder)/.strayspan.used"
    strayspan_list
}

strayspan_places=() strayspan_logs=() strayspan_empty=

# Sets strayspan_places, strayspan_logs, and strayspan_empty to a directory that has none.
strayspan_list() {
    local place found
    strayspan_places=() strayspan_logs=() strayspan_empty=
    [ ! -e "$(strayspan_folder)/.strayspan.used" ] ||
        mapfile -d '' strayspan_places <"$(strayspan_folder)/.strayspan.used"
    for place in ${strayspan_places[@]+"${strayspan_places[@]}"}; do
        found=("$place")
        [ ! -d "$place" ] || found=("$place"/*.jsonl)
        [ -e "${found[0]}" ] || { strayspan_empty=$place && continue; }
        strayspan_logs+=("${found[@]}")
    done
    # shellcheck disable=SC2034 # for the tests
    strayspan_log=${strayspan_logs[0]-}
}

# A log may end in a line that was cut, which is no JSON.
strayspan_query() {
    strayspan_list
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
    local rule=${1-} span='' file='' thread=''
    # A name that is wrong would never be found. Without the command, names are not known.
    case $rule in
    '' | *[!a-z-]* | -*) false ;;
    *) "${STRAYSPAN:-strayspan}" explain "$rule" >/dev/null 2>&1 || [ $? -ge 126 ] ;;
    esac || strayspan_fail "no such rule: $rule" || return
    shift
    strayspan_only=
    while [ $# -gt 0 ]; do
        case $1 in
        --span | --file | --thread) [ "${2-}" ] || strayspan_fail "$1 takes a value" || return ;;
        esac
        case $1 in
        --span) span=$2 && shift 2 ;;
        --file) file=$2 && shift 2 ;;
        --thread) thread=$2 && shift 2 ;;
        --only) strayspan_only=1 && shift ;;
        *) strayspan_fail "no such argument: $1" || return ;;
        esac
    done
    case $file in
    *'*'*) strayspan_fail "--file takes how a path ends, no pattern: $file" || return ;;
    esac
    strayspan_found=$(
        # shellcheck disable=SC2016 # jq's variables
        strayspan_query 'select(.type == "violation")' | jq -c --arg rule "$rule" --arg span "$span" \
            --arg file "$file" --arg thread "$thread" '
            select(.rule == $rule)
            | select($span == "" or .span.name == $span)
            | (.span.file // "?") as $path
            | select($file == "" or any($path, "\($path):\(.span.line)";
                . as $place | endswith($file) or ($file | endswith("/" + $place))))
            | (.used // .closed // .exited // .parked // .entered // {thread: {}}).thread as $on
            | select($thread == "" or $on.name == ($thread | explode | .[:15] | implode) or $on.name == $thread
                or ($on.tid | tostring) == $thread)'
    )
}

assert_violation() {
    local all
    strayspan_match "$@" || return
    [ -n "$strayspan_found" ] || strayspan_fail "no violation: $*" || return
    # shellcheck disable=SC2034 # for the tests
    violation=${strayspan_found%%$'\n'*}
    if [ "$strayspan_only" ]; then
        strayspan_whole || return
        all=$(strayspan_query 'select(.type == "violation") | .rule' | grep -c .) || true
        [ "$all" -eq 1 ] || strayspan_fail "$all violations, where there should be one: $*"
    fi
}

# Whether something was watched, and all of what was logged can be read: what was lost may have been a violation.
strayspan_whole() {
    local log document problems
    strayspan_list
    [ "${#strayspan_logs[@]}" -gt 0 ] || strayspan_fail "nothing was watched" || return
    [ ! "$strayspan_empty" ] || strayspan_fail "$strayspan_empty: no log is in it" || return
    for log in "${strayspan_logs[@]}"; do
        jq -R -n -e 'any(inputs | fromjson?; .type? == "process" and .v == 1)' <"$log" >/dev/null 2>&1 ||
            strayspan_fail "$log: no log, or not all of it can be read" || return
    done
    document=$(strayspan_folder)/.strayspan.json
    problems=$("${STRAYSPAN:-strayspan}" report --format json --output "$document" "${strayspan_places[@]}" 2>&1) &&
        problems=$(jq -r '.errors | map(.message) | join("; ")' "$document" 2>&1) ||
        problems=${problems:-strayspan report failed}
    [ ! "$problems" ] || strayspan_fail "not all of the logs can be read: $problems"
}

refute_violation() {
    strayspan_whole || return
    strayspan_match "$@" || return
    [ -z "$strayspan_found" ] || strayspan_fail "a violation that should not be: $*" || return
    # shellcheck disable=SC2016 # jq's variable
    strayspan_query . | jq -e -s --arg rule "$1" '
        any(.[]; .type == "summary") and (any(.[]; .rules?[$rule].severity == "off"
            or ($rule == "held-across-await" and .options?.await_check == "off")) | not)' >/dev/null ||
        strayspan_fail "$1 was not looked for, by the options or by default (see rules=+$1), or no process left" \
            "its counts, which tell that"
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
    local gaps
    strayspan_whole || return
    # A process that ends by a signal has no summary, nor has the program that execs another; one without a
    # subscriber had nothing to count.
    gaps=$(strayspan_query . | jq -s -r '
        map(select(.type == "summary")) as $summaries | ($summaries | map(.pid)) as $counted
        | if $summaries == [] then "no log has a summary" else empty end,
        (map(select(.type == "module" and .subscribers > 0 and (.pid | IN($counted[]) | not)))
            | unique_by(.pid)[] | "pid \(.pid) left no counts of its spans"),
        (map(select(.type == "module" and .unhooked > 0))[] | "\(.path): a subscriber could not be hooked"),
        ($summaries | map(.apart // [] | .[])[] | "\(.path? // .): it was not looked at"),
        ($summaries | if map(.table_limit // 0) | add > 0 then "there were too many subscribers" else empty end),
        ($summaries | if . != [] and (map(.spans.entered) | add) == 0 then "no span was entered" else empty end),
        ($summaries | map(.not_judged.total) | add | select(. > 0) | "\(.) events were not judged")') ||
        gaps="the logs cannot be read"
    [ ! "$gaps" ] || strayspan_fail "${gaps%%$'\n'*}"
}
