# strayspan explain: the list of rules, and a page for each.
setup() {
    load setup
}

# CODE and SEVERITY of each row of the rule table.
rules() {
    sed -n 's/.*X([A-Z_]*, "\([a-z-]*\)", \([A-Z]*\),.*/\1 \2/p' "$root/shim/rule_table.h"
}

explain() {
    run --separate-stderr "$STRAYSPAN" explain "$@"
}

# The lines of a section of the page in $output, without their indentation.
section() {
    awk -v heading="$1" '!/^ / { inside = $0 == heading; next } inside { sub(/^    /, ""); print }' <<<"$output"
}

assert_narrow() {
    local wide
    wide=$(awk 'length > 80' <<<"$output")
    [ -z "$wide" ] || strayspan_fail "wider than 80 columns: $wide"
}

@test "without a code: every rule, in the table's order, with its severity and one line" {
    explain
    assert_success
    assert_equal "${#lines[@]}" "$(rules | wc -l)"
    assert_narrow
    assert_equal "$(awk '{ print $1, toupper($2) }' <<<"$output")" "$(rules)"
    [ -z "$(awk 'NF < 6' <<<"$output")" ]
}

@test "every rule that is listed has a page with all sections" {
    local code
    while read -r code _; do
        explain "$code"
        assert_success
        assert_equal "$stderr" ''
        assert_narrow
        [[ ${lines[0]} == "$code: "* && ${lines[1]} == 'severity: '* ]] || strayspan_fail "$code: no head"
        for heading in 'what it means' 'the smallest code that does it' \
            'what you see in your traces because of it' 'how to fix it' 'legal, and never reported' more; do
            [ -n "$(section "$heading")" ] || strayspan_fail "$code: nothing under '$heading'"
        done
        # Nothing else stands at the margin.
        assert_equal "$(grep -c '^[^ ]' <<<"$output")" 8
    done <<<"$("$STRAYSPAN" explain)"
}

@test "the code of each page makes a span or does what its rule is about, and is balanced" {
    local code snippet
    while read -r code _; do
        explain "$code"
        snippet=$(section 'the smallest code that does it')
        assert_regex "$snippet" 'info_span!|TcpStream::connect'
        for pair in '{}' '()'; do
            assert_equal "$(tr -cd "${pair:0:1}" <<<"$snippet" | wc -c)" "$(tr -cd "${pair:1:1}" <<<"$snippet" | wc -c)"
        done
    done <<<"$(rules)"
}

@test "pages tell releases, and link to what they say" {
    local code link
    while read -r code _; do
        explain "$code"
        assert_regex "$(section 'what you see in your traces because of it')" 'tracing-subscriber (up to )?0\.|every release'
        while read -r link; do
            assert_regex "$link" '^https://[^ ]+$'
        done <<<"$(section more)"
    done <<<"$(rules)"
}

@test "held-across-await: tracing's own words, and clippy's lint with its configuration" {
    explain held-across-await
    assert_output --partial 'struct.Span.html#in-asynchronous-code'
    assert_output --partial '#await_holding_invalid_type'
    assert_output --partial 'await-holding-invalid-types = ['
    assert_output --partial '"tracing::span::Entered", "tracing::span::EnteredSpan"]'
}

@test "several codes: a page each" {
    explain lost-close out-of-order-exit
    assert_success
    assert_equal "$(grep -c '^what it means$' <<<"$output")" 2
    assert_line --regexp '^lost-close: '
    assert_line --regexp '^out-of-order-exit: '
}

@test "an unknown code is an error that names the nearest rule, and all of them" {
    explain held-acros-await
    assert_equal "$status" 2
    assert_equal "$output" ''
    assert_equal "${stderr_lines[0]}" 'strayspan: no rule `held-acros-await`; did you mean `held-across-await`?'
    assert_equal "$(tail -n +3 <<<"$stderr")" "$("$STRAYSPAN" explain)"

    explain lookup
    assert_regex "${stderr_lines[0]}" 'did you mean `blocking-lookup`'
    explain foreign_thread_exit
    assert_regex "${stderr_lines[0]}" 'did you mean `foreign-thread-exit`'

    explain borrow-checker
    assert_equal "$status" 2
    assert_equal "${stderr_lines[0]}" 'strayspan: no rule `borrow-checker`'
    explain ''
    assert_equal "$status" 2
    assert_equal "${stderr_lines[0]}" 'strayspan: no rule ``'
}
