setup() {
    load setup
}

@test "a close through another subscriber is reported once, with both subscribers" {
    strayspan_run "$c/wrong_subscriber"
    assert_success
    assert_output done
    assert_violation wrong-subscriber --span job --file wrong_subscriber.c --only
    assert_in_violation .closing.relation span
    assert_violation_has '.closing.id == .span.id'
    assert_violation_has '.instances.owner.serial == .span.instance'
    assert_violation_has '.instances.called.serial != .instances.owner.serial'
    assert_violation_has 'has("lookup") | not'
    assert_coverage
}

@test "the look-up inside the span is in the report" {
    strayspan_run "$c/wrong_subscriber" lookup
    assert_success
    assert_violation wrong-subscriber --span job --only
    assert_in_violation .lookup.host localhost
    assert_in_violation .lookup.service 80
    assert_in_violation .lookup.result 0
    assert_violation_has '.lookup.addresses > 0 and .lookup.ns > 0'
}

@test "a close that goes to no subscriber is a warning" {
    strayspan_run "$c/lost_close"
    assert_success
    assert_violation lost-close --span job --only
    assert_in_violation .severity warning
    assert_in_violation .instances.called null
}

check_parent() {
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_hooked
    assert_violation wrong-subscriber --only
    assert_in_violation .closing.relation parent
    assert_violation_has '.instances.called.serial != .instances.owner.serial'
}

@test "the close of a parent that goes to another subscriber" {
    for_each_build check_parent wrong-subscriber parent_close
}

check_silent() {
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_hooked
    assert_violation wrong-subscriber --span mine --only
    assert_in_violation .closing.relation span
}

@test "a close that hits a span of the same id at another subscriber, where nothing panics" {
    for_each_build check_silent wrong-subscriber silent_close
}

check_lost() {
    strayspan_run "$1"
    assert_equal "$status" "$2"
    assert_hooked
    assert_coverage
    assert_violation lost-close --span never_closed --thread taker --only
    assert_in_violation .instances.called null
}

@test "a Rust span whose close goes to no subscriber" {
    for_each_build check_lost lost-close lost_close
}
