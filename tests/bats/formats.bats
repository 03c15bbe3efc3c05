# strayspan report --format sarif|junit|markdown|json and --check: what is read by other programs.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR"
}

report() {
    run --separate-stderr timeout 60 "$STRAYSPAN" report "$@"
}

# Makes DIR with the logs of several errors, a warning and a clean program.
make_logs() {
    local program
    mkdir "$1"
    for program in two_misuses foreign_thread_exit lost_close used_after_close annotated_plain; do
        strayspan_run "$c/$program"
        cp "$strayspan_log" "$1/$program.jsonl"
    done
}

# Holds the SARIF file against the published schema, where STRAYSPAN_SARIF_SCHEMA names it.
assert_sarif() {
    jq -e '.version == "2.1.0" and (.runs | length) == 1
        and (.runs[0].tool.driver.rules | map(.id) | length == (unique | length))
        and ([.runs[0] as $run | $run.results[]
            | $run.tool.driver.rules[.ruleIndex].id == .ruleId
                and (.message.text | length > 0)
                and (.level | IN("error", "warning", "note"))
                and (.locations | length) == 1
                and (.locations[0].physicalLocation.artifactLocation.uri | test("^[A-Za-z0-9._~/%:-]+$"))
                and (.partialFingerprints["strayspanGroup/v1"] | test("^[0-9a-f]{16}$"))] | all)' "$1" >/dev/null ||
        fail "$1 is no such SARIF: $(head -c 2000 "$1")"
    [ -z "${STRAYSPAN_SARIF_SCHEMA-}" ] || python3 -W ignore -c '
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
kind = jsonschema.validators.validator_for(schema)
errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in kind(schema).iter_errors(json.load(open(sys.argv[2])))]
sys.exit("\n".join(errors) if errors else 0)' "$STRAYSPAN_SARIF_SCHEMA" "$1"
}

@test "SARIF: one result per violation, its rule, its line, its group, and the enter beside it" {
    make_logs logs
    report --format sarif --output out.sarif logs
    assert_success
    assert_sarif out.sarif
    report --format json logs
    local violations
    violations=$(jq '.violations | length' <<<"$output")
    assert_equal "$(jq '.runs[0].results | length' out.sarif)" "$violations"
    line=$(grep -n -m1 'strayspan_enter(' "$root/tests/programs/c/foreign_thread_exit.c" | cut -d: -f1)
    run jq -r '.runs[0].results[] | select(.ruleId == "foreign-thread-exit")
        | .locations[0].physicalLocation | "\(.artifactLocation.uri) \(.region.startLine)"' out.sarif
    assert_output --regexp "foreign_thread_exit\\.c $line\$"
    run jq -r '.runs[0].results[] | select(.ruleId == "foreign-thread-exit") | .relatedLocations[].message.text' out.sarif
    assert_output --partial 'entered on thread 1'
    assert_output --partial 'exited on thread 2'
}

@test "SARIF: a log without violations, and an unreadable one" {
    strayspan_run "$c/annotated_plain"
    report --format sarif --output clean.sarif "$strayspan_log"
    assert_success
    assert_sarif clean.sarif
    assert_equal "$(jq -c '.runs[0].results' clean.sarif)" '[]'
    report --format sarif --output half.sarif "$strayspan_log" missing.jsonl
    assert_equal "$status" 2
    assert_sarif half.sarif
    assert_equal "$(jq '.runs[0].invocations[0].executionSuccessful' half.sarif)" false
    assert_regex "$stderr" 'strayspan: missing\.jsonl: cannot be read'
}

# Prints tests, failures, errors, skipped and the failures' types of a JUnit file, as a parser reads it.
junit() {
    python3 -c '
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
cases = root.findall("./testsuite/testcase")
assert root.tag == "testsuites" and len(cases) == int(root.get("tests")), len(cases)
for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
    assert len(root.findall(f"./testsuite/testcase/{tag}")) == int(root.get(name)), name
print(*(root.get(n) for n in ("tests", "failures", "errors", "skipped")),
      *sorted(f.get("type") for f in root.iter("failure")))' "$1"
}

@test "JUnit: what counts is a failure; --deny makes it count" {
    make_logs logs
    strayspan_run "$c/foreign_thread_exit"
    report --format junit --output one.xml "$strayspan_log"
    assert_success
    assert_equal "$(junit one.xml)" '2 1 0 0 foreign-thread-exit'
    STRAYSPAN_OPTIONS='' strayspan_run --options rules=foreign-thread-exit=warning "$c/foreign_thread_exit"
    report --format junit --output warned.xml "$strayspan_log"
    assert_equal "$(junit warned.xml)" '2 0 0 0'
    report --format junit --deny warnings --output denied.xml "$strayspan_log"
    assert_equal "$(junit denied.xml)" '2 1 0 0 foreign-thread-exit'
    # Names with what XML has no room for.
    report --format junit --output all.xml logs
    assert_success
    junit all.xml
}

@test "JUnit: where nothing was checked a case is skipped, what could not be read is an error" {
    strayspan_run "$c/ends" kill
    printf 'no log\n' >foreign.log
    report --format junit --output out.xml "$strayspan_log" foreign.log
    assert_equal "$status" 2
    run junit out.xml
    assert_success
    assert_output --regexp '^3 1 1 0'
}

@test "markdown: a table and a block per violation, and no name of theirs is markup" {
    make_logs logs
    report --format markdown logs
    assert_success
    assert_line --index 0 --partial '## strayspan: '
    assert_line --partial "| error | foreign-thread-exit |"
    jq -c '(.. | strings | select(. == "job")) |= "a|b`<img src=x>``` @you [x](http://e)\n# h"' logs/foreign_thread_exit.jsonl >forged.log
    report --format markdown forged.log
    assert_success
    # Outside the blocks none of it is left as it is.
    run awk '/^```/ { inside = !inside; next } !inside' <<<"$output"
    refute_output --partial '<img'
    refute_output --partial '@you'
    refute_output --partial '](http'
    refute_line --regexp '^# h'
}

@test "no host, value or argument is in what leaves the machine, unless it is asked for" {
    local format
    make_logs logs
    # As fields=values and a look-up would have logged it.
    jq -c 'if .type == "process" then .argv = ["app", "s3cret-argument"] else . end
        | if .type == "violation" then .span.fields = {"token": "s3cret-value"}
            | .lookup = {"host": "s3cret-host", "service": "80", "result": 0, "error": null, "ns": 5, "addresses": 4711}
            | .history = {"left_out": 0, "events": [{"ns": -5, "thread": 1, "event": "lookup", "span": null, "name": null,
                "host": "s3cret-host", "addresses": 4711, "lookup_ns": 4}]} else . end' \
        logs/foreign_thread_exit.jsonl >values.log
    for format in sarif junit markdown json; do
        report --format "$format" values.log
        assert_success
        refute_output --partial s3cret
        refute_output --partial 4711
    done
    for format in junit markdown json; do
        report --format "$format" --with-values values.log
        assert_output --partial s3cret-value
        assert_output --partial s3cret-host
        refute_output --partial s3cret-argument
    done
}

@test "--check: 1 for an error, or what --deny names; 0 for none; 2 for what cannot be read" {
    strayspan_run "$c/foreign_thread_exit"
    cp "$strayspan_log" error.jsonl
    strayspan_run --options rules=foreign-thread-exit=warning "$c/foreign_thread_exit"
    cp "$strayspan_log" warning.jsonl
    strayspan_run "$c/annotated_plain"
    cp "$strayspan_log" clean.jsonl
    : >empty.log
    sed 's/"v":1/"v":2/' clean.jsonl >newer.log
    local want log flags
    while read -r want log flags; do
        # shellcheck disable=SC2086 # words
        report --check $flags "$log"
        assert_equal "$status $log $flags" "$want $log $flags"
    done <<'END'
1 error.jsonl
0 warning.jsonl
1 warning.jsonl --deny warnings
1 warning.jsonl --deny foreign-thread-exit
0 warning.jsonl --deny lost-close
0 clean.jsonl --deny warnings
2 empty.log
2 newer.log
2 missing.jsonl
END
    report error.jsonl
    assert_success
}

@test "an unknown format is named, with those that there are" {
    report --format yaml x
    assert_equal "$status" 2
    assert_regex "$stderr" 'unknown format `yaml`; there are text, json, sarif, junit, markdown'
}
