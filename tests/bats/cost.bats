# What watching costs, counted in instructions: the same on every machine and under any load.
setup() {
    load setup
    command -v valgrind >/dev/null || skip "valgrind is not there"
    cd "$BATS_TEST_TMPDIR"
}

# The instructions of page_layouts with this many pairs of enter and exit, with this preload.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --trace-children=yes env LD_PRELOAD="$2" \
        STRAYSPAN_OPTIONS=quiet=1:log_path=cost.%p.%t.jsonl "$c/page_layouts" "$1" 2>&1 >/dev/null |
        sed -n 's/.*Collected : //p'
}

# Of one more pair, ever so many times.
per_pair() {
    echo $((($(instructions 51000 "$1") - $(instructions 1000 "$1")) / 50000))
}

@test "enter and exit together cost at most 200 instructions" {
    bare=$(per_pair "")
    watched=$(per_pair "$STRAYSPAN_SHIM")
    [ "$bare" -gt 0 ]
    echo "# enter and exit: $((watched - bare)) instructions, bound 200" >&3
    [ $((watched - bare)) -le 200 ]
    # It was watched: the pairs are in the summary.
    strayspan_use .
    run strayspan_query 'select(.type == "summary" and .spans.entered == 51001) | .spans.exited'
    assert_output 51001
}
