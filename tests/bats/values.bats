# What of a span's fields, and of the command line, is in the log: names only, or values too.
setup() {
    load setup
}

# What only a value of the sample's fields, or an argument, can bring into a log.
values=(secret 4711147114711 18446744073709551615 170141183460469231731687303715884105728
    340282366920938463463374607431768211455 1e300 0.3333 271828182845 NaN bell € '"yes":true')

all_names='"int":null,"max":null,"big":null,"wide":null,"yes":null,"no":null,"tenth":null,"huge":null,'
all_names+='"minus_zero":null,"third":null,"whole":null,"nan":null,"inf":null,"text":null,"owned":null,'
all_names+='"some":null,"none":null,"shown":null,"debugged":null,"later":null'

all_values='"int":-4711147114711,"max":"18446744073709551615","big":"-170141183460469231731687303715884105728",'
all_values+='"wide":"340282366920938463463374607431768211455","yes":true,"no":false,"tenth":0.1,"huge":1e300,'
all_values+='"minus_zero":-0.0,"third":0.3333333333333333,"whole":3.0,"nan":"NaN","inf":"inf",'
all_values+='"text":"quo\"te back\\slash tab\u0009 line\u000a bell\u0007 nul\u0000 del\u007f ä€🦀",'
all_values+='"owned":"owned-secret","some":271828182845,"none":null,"shown":null,"debugged":null,"later":null'

# Asserts that the span of one violation has these fields in the log, to the letter.
assert_fields() {
    run grep -F "\"type\":\"violation\"" "$strayspan_log"
    run grep -F "\"name\":\"$1\"" <<<"$output"
    assert_equal "${#lines[@]}" 1
    grep -q -F "\"fields\":{$2}" <<<"$output" ||
        strayspan_fail "$1 has not the fields {$2}" "$(cat "$strayspan_log")"
}

check_names() {
    local options value
    for options in '' --options\ fields=names; do
        # shellcheck disable=SC2086 # none, or an option and its value
        strayspan_run $options "$1" --password=argument-secret
        assert_success
        assert_violation foreign-thread-exit --span all_kinds --thread taker
        assert_fields all_kinds "$all_names"
        assert_fields too_long '"first":null,"long":null,"longer":null,"last":null'
        for value in "${values[@]}"; do
            ! grep -F -e "$value" "$strayspan_log" || strayspan_fail "'$value' is in the log"
            refute_regex "$stderr" "$value"
        done
        run strayspan_query 'select(.type == "process") | has("argv")'
        assert_output false
    done
}

@test "with fields=names, the default, no value is in the log and no argument" {
    for_each_build check_names foreign-thread-exit field_values
}

check_values() {
    strayspan_run --options fields=values "$1" --password=argument-secret
    assert_success
    assert_output done
    assert_violation foreign-thread-exit --span all_kinds --thread taker
    assert_coverage
    assert_fields all_kinds "$all_values"
    refute_regex "$stderr" secret
    run strayspan_query 'select(.type == "process") | .argv'
    assert_output "[\"$1\",\"--password=argument-secret\"]"
    run "$STRAYSPAN" report "$strayspan_log"
    assert_success
    assert_output --partial all_kinds
}

@test "with fields=values, a span's values are in the log exactly" {
    for_each_build check_values foreign-thread-exit field_values
}

check_long() {
    strayspan_run --options fields=values "$1"
    assert_violation foreign-thread-exit --span too_long
    assert_fields too_long "\"first\":1,\"long\":\"$(printf '€%.0s' {1..66})…\",\"longer\":null,\"last\":\"end\""
}

@test "a long string is cut between characters, and what does not fit is null" {
    for_each_build check_long foreign-thread-exit field_values
}

check_same() {
    local bare
    run_bare "$1"
    bare=$output
    strayspan_run --options fields=values:quiet=1 "$1"
    assert_success
    assert_output "$bare"
    assert_equal "$stderr" ""
    assert_violation foreign-thread-exit --thread taker
}

@test "reading values changes nothing for the program" {
    for_each_build check_same foreign-thread-exit 'field_*'
}

check_recorded() {
    strayspan_run --options fields=values "$1"
    assert_success
    assert_output done
    assert_violation foreign-thread-exit --span recorded --thread taker
    assert_coverage
    assert_fields recorded '"first":1,"text":"recorded-\"secret\"","later":"later-secret",'\
'"number":"18446744073709551615","ratio":0.25,"yes":true,"never":null,"shown":null'
    assert_fields raced '"a":10000,"b":10000,"text":"end"'
    refute_regex "$stderr" secret
    strayspan_run "$1"
    assert_violation foreign-thread-exit --span recorded
    assert_fields recorded '"first":null,"text":null,"later":null,"number":null,"ratio":null,"yes":null,"never":null,"shown":null'
    ! grep -F secret "$strayspan_log" || strayspan_fail "a value is in the log"
}

@test "with fields=values, what is recorded after the creation is in the log, by many threads at once too" {
    for_each_build check_recorded foreign-thread-exit field_recorded
}

@test "arguments are logged as they are, empty and broken ones too" {
    strayspan_run --options fields=values "$c/annotated_plain" 'two words' '' 'quo"te' $'new\nline' $'\xff!'
    assert_success
    run strayspan_query 'select(.type == "process") | .argv[1:]'
    assert_output '["two words","","quo\"te","new\nline","�!"]'
}

@test "64 arguments are logged, and that there were more" {
    strayspan_run --options fields=values "$c/annotated_plain" {1..63}
    run strayspan_query 'select(.type == "process") | .argv | length, last'
    assert_output $'64\n"63"'
    strayspan_run --options fields=values "$c/annotated_plain" {1..64}
    run strayspan_query 'select(.type == "process") | .argv | length, .[63], last'
    assert_output $'65\n"63"\n"…"'
}

@test "arguments that are too long are left out" {
    strayspan_run --options fields=values "$c/annotated_plain" first "$(printf 'x%.0s' {1..17000})" last
    assert_success
    run strayspan_query 'select(.type == "process") | .argv[1:]'
    assert_output '["first","…"]'
    # Six bytes in the log for each, more than a record may have.
    strayspan_run --options fields=values "$c/annotated_plain" first "$(printf '\001%.0s' {1..16000})"
    run strayspan_query 'select(.type == "process") | .argv[1:]'
    assert_output '["first","…"]'
}
