# strayspan report --format sarif|junit|markdown|json and --check: what is read by other programs.
setup() {
    load setup
    export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    cd "$BATS_TEST_TMPDIR"
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

# Holds the SARIF file against the published schema, where it is in the cache of tests/validate_sarif, and against what
# consumers want of it.
assert_sarif() {
    jq -e '.version == "2.1.0" and (.runs | length) == 1
        and (.runs[0].tool.driver.rules | map(.id) | length == (unique | length))
        and ([.runs[0] as $run | $run.results[]
            | $run.tool.driver.rules[.ruleIndex].id == .ruleId
                and (.message.text | length > 0)
                and ($run.tool.driver.rules[.ruleIndex].help | (.text | length > 0) and (.markdown | length > 0))
                and (.level | IN("error", "warning", "note"))
                and (.locations | length) == 1
                and (.locations[0].physicalLocation.artifactLocation.uri | test("^[A-Za-z0-9._~/%:-]+$"))
                and (.partialFingerprints["strayspanGroup/v1"] | test("^[0-9a-f]{16}$"))] | all)
        and ([.runs[0].results[].partialFingerprints.primaryLocationLineHash] | length == (unique | length))' "$1" >/dev/null ||
        fail "$1 is no such SARIF: $(head -c 2000 "$1")"
    run "$root/tests/validate_sarif" --offline "$1"
    [ "$status" = 77 ] || assert_success
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

# Holds JSON reports against the schema.
assert_json() {
    run python3 - "$root/tests/report.schema.json" "$@" <<'END'
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
errors = [f"{name}: {list(e.absolute_path)}: {e.message[:200]}" for name in sys.argv[2:]
          for e in jsonschema.Draft7Validator(schema).iter_errors(json.load(open(name)))]
sys.exit("\n".join(errors) or 0)
END
    assert_success
}

check_json() {
    run timeout 120 "$STRAYSPAN" run --format json --with-values --options fields=values:lookups=1 --output sample.json "$1"
    "$STRAYSPAN" run --format json --output names.json "$1" >/dev/null 2>&1 || true
    assert_json sample.json names.json
    [ "$(jq '[.violations, .suspicions] | flatten | length' sample.json)" -gt 0 ] || fail "nothing was found in $1"
}

@test "JSON: as its schema says, of runs and of logs, with values, look-ups, suspicions and consequences" {
    make_logs logs
    report --format json --with-values --output all.json logs missing.jsonl
    report --format json --output names.json logs missing.jsonl
    printf '*:*\n' >supp
    "$STRAYSPAN" report --format json --suppressions supp --output suppressed.json logs
    "$STRAYSPAN" run --format json --output nothing.json true
    assert_json all.json names.json suppressed.json nothing.json
    assert_equal "$(jq -c '[(.violations | length), (.seen.suppressions | length)]' suppressed.json)" '[0,1]'
    # The schema says something.
    jq '.violations[0].severity = "bad"' all.json >bad.json
    run assert_json bad.json
    assert_failure
}

@test "JSON of the Rust samples: as its schema says" {
    for_each_build check_json wrong-subscriber hyper3848
    for_each_build check_json held-across-await 'await_[ns][et][va][el]*'
    for_each_build check_json use-after-close use_parent
}

# Prints tests, failures, errors, skipped and the failures' types of a JUnit file, as readers of it see them.
junit() {
    xmllint --noout "$1"
    /usr/bin/python3 -c '
import sys, junitparser
root = junitparser.JUnitXml.fromfile(sys.argv[1])
assert isinstance(root, junitparser.JUnitXml)
told = [root.tests, root.failures, root.errors, root.skipped]
results = [result for suite in root for case in suite for result in case.result]
root.update_statistics()
assert told == [root.tests, root.failures, root.errors, root.skipped], told
assert all(case.name and case.classname for suite in root for case in suite)
print(*told, *sorted(r.type for r in results if isinstance(r, junitparser.Failure)))' "$1"
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
    assert_equal "$status" 1
    assert_equal "$(junit denied.xml)" '2 1 0 0 foreign-thread-exit'
    # Names with what XML has no room for.
    strayspan_run "$c/long_names"
    cp "$strayspan_log" logs/long_names.jsonl
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
    # As GitHub renders it: all rows and blocks, and nothing ends them early.
    local violations
    violations=$("$STRAYSPAN" report --format json logs | jq '.violations | length')
    printf '%s\n' "$output" | cmark-gfm -e table -e tagfilter -e autolink --unsafe >out.html
    assert_equal "$(grep -c '^<td>' out.html)" "$((violations * 5))"
    assert_equal "$(grep -c '^<details>' out.html)" "$violations"
    assert_equal "$(grep -c '<pre' out.html)" "$((violations + 1))"
    { echo '<html>' && cat out.html && echo '</html>'; } | xmllint --noout -
    jq -c '(.. | strings | select(. == "job")) |= "a|b`<img src=x>``` @you a@b.com www.e.com [x](http://e)\n# h\uffff"' \
        logs/foreign_thread_exit.jsonl >forged.log
    report --format sarif --output forged.sarif forged.log
    assert_sarif forged.sarif
    assert_equal "$(jq '[.. | .text? | strings | select(contains("]("))] | length' forged.sarif)" 0
    report --format markdown forged.log
    assert_success
    # Outside the blocks none of it is left as it is.
    printf '%s\n' "$output" | cmark-gfm -e table -e tagfilter -e autolink --unsafe >forged.html
    refute grep -E '<(img|a|h1|code>b)' forged.html
    assert_equal "$(grep -c '<pre' forged.html)" 2
    # Trackers look for mentions in what comes of it, but for code.
    /usr/bin/python3 - forged.html <<'END'
import re, sys
text = open(sys.argv[1]).read()
assert "<code>a|b`&lt;img src=x&gt;``` @<!-- -->you a@<!-- -->b.com www.e.com [x](http://e)\\n# h\\u{ffff}</code>" in text, text
assert "@" not in re.sub("<code.*?</code>", "", text, flags=re.S), text
END
    run awk '/^```/ { inside = !inside; next } !inside' <<<"$output"
    refute_output --partial '<img'
    refute_output --partial '@you'
    refute_output --partial '](http'
    refute_line --regexp '^# h'
}

@test "of what many programs do wrong at several lines, each line is in every format, with its tests" {
    strayspan_run "$c/unrolled_exits"
    mkdir batch
    touch batch/processes
    jq -nc '[inputs] | [.[] | select(.type == "violation") | .fingerprint] as $prints
        | .[], (.[] | .run = "00000000000000ff" | .pid += 1)
        | (if .run == "00000000000000ff" then ["two", $prints[-1]] else ["one", $prints[0]] end) as [$name, $print]
        | if .type == "process" then .options.label = $name else . end
        | if .type == "violation" then .group = "00000000000000aa" else . end
        | select(.type != "summary" and (.type != "violation" or .fingerprint == $print))' "$strayspan_log" >batch/log.jsonl
    line=$(($(grep -n '^        EXITS;' "$root/tests/programs/c/unrolled_exits.c" | cut -d: -f1) + 1))
    for format in json sarif markdown junit; do
        report --format "$format" --output "out.$format" batch
        assert_success
    done
    assert_json out.json
    assert_equal "$(jq -c '.violations[] | [.tests, [.also_at[] | [.line, .function, .tests]]]' out.json)" \
        "[[\"one\",\"two\"],[[$line,\"main\",[\"two\"]]]]"
    assert_sarif out.sarif
    run jq -r '.runs[0].results[] | .message.text, (.relatedLocations
        | (map(.id) | length == (unique | length)), (.[-1] | .physicalLocation.region.startLine, .message.text))' out.sarif
    assert_line --regexp "^Also at .*unrolled_exits\\.c:$line  main, in two\\.\$"
    assert_line true
    assert_line "$line"
    assert_line --regexp "^also at .*unrolled_exits\\.c:$line  main, in two\$"
    run cat out.markdown
    assert_line --regexp '^\| error \| exit-without-enter \|.* and 1 more place \|'
    assert_line --regexp "^   = also at .*unrolled_exits\\.c:$line  main, in two\$"
    junit out.junit
    grep "^   = also at .*unrolled_exits\\.c:$line  main, in two\$" out.junit
}

@test "markdown of very many violations: as long as a step summary may be, and what is left out is said" {
    strayspan_run "$c/many_misuses" 1
    python3 - "$strayspan_log" >many.log <<'END'
import json, sys
for record in map(json.loads, open(sys.argv[1])):
    if record["type"] == "summary":
        continue
    for i in range(3000 if record["type"] == "violation" else 1):
        if record["type"] == "violation":
            record.update(fingerprint="%016x" % (i * 7919), group="%016x" % i)
            record["span"]["name"] = "<&>" * 25 + str(i)
            record["exited"]["stack"][0][1] += 1
        print(json.dumps(record, separators=(",", ":")))
END
    "$STRAYSPAN" report --format markdown --output many.md many.log
    [ "$(wc -c <many.md)" -lt 1000000 ] || fail "$(wc -c <many.md) bytes"
    run tail -n 40 many.md
    assert_line --regexp '^[0-9]+ more are not told here, [0-9]+ of them not in the table'
    "$STRAYSPAN" report --format sarif --output many.sarif many.log
    assert_sarif many.sarif
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
    # --deny alone is a gate too.
    report --deny lost-close clean.jsonl
    assert_success
    report --deny lost-close error.jsonl
    assert_equal "$status" 1
    report --deny warnings warning.jsonl
    assert_equal "$status" 1
}

@test "an unknown format is named, with those that there are" {
    report --format yaml x
    assert_equal "$status" 2
    assert_regex "$stderr" 'unknown format `yaml`; there are text, json, sarif, junit, markdown'
}

# Prints the commands of a block of the README, which is YAML: all that stands under `run` and `script`, in order.
commands_of() {
    /usr/bin/python3 -c '
import sys, textwrap, yaml
text = open(sys.argv[1]).read().split("    # " + sys.argv[2])[1].split("\n\n")[0].split("\n", 1)[1]
block = yaml.safe_load(textwrap.dedent(text))
for step in block["steps"] if "steps" in block else []:
    print(step.get("run", ""))
for job in block.values():
    if isinstance(job, dict):
        print(*job["script"], *job["after_script"], sep="\n")' "$root/README.md" "$1"
}

@test "the lines of the README for GitHub and GitLab do what they are there for" {
    mkdir -p target/debug bin
    cp "$c/foreign_thread_exit" target/debug/app
    ln -s "$STRAYSPAN" bin/strayspan
    ln -s "$STRAYSPAN_SHIM" bin/
    local place command
    export PATH=$PWD/bin:$PATH GITHUB_STEP_SUMMARY=$PWD/summary.md
    for place in GitHub GitLab; do
        rm -rf logs
        commands_of "$place" >commands
        assert [ -s commands ]
        while IFS= read -r command; do
            [ -n "$command" ] || continue
            run bash -c "$command"
            case $command in
            'strayspan run '*) assert_equal "$status" 66 ;;
            'strayspan report '*) assert_success ;;
            *) fail "what is this? $command" ;;
            esac
        done <commands
    done
    assert_sarif strayspan.sarif
    assert_equal "$(jq '.runs[0].results | length' strayspan.sarif)" 1
    assert_equal "$(junit strayspan.xml)" '2 1 0 0 foreign-thread-exit'
    grep -q '^| error | foreign-thread-exit |' summary.md
}
