# Subscriber tables are patched in pages of every protection, and these keep it.
setup() {
    load setup
}

# A program, and the protection of its table's page.
check_layout() {
    run_bare "$c/$1"
    assert_success
    assert_output "$2"$'\n'"$2"
    strayspan_run "$c/$1"
    assert_success
    assert_output "$2"$'\n'"$2"
}

@test "a table in read-only memory after relocation" {
    check_layout page_layouts r--p
    assert_hooked
    assert_violation foreign-thread-exit --only
}

@test "a table in writable memory, which stays writable" {
    check_layout page_layouts_writable rw-p
    assert_hooked
    assert_violation foreign-thread-exit --only
}

@test "a table among constants at a fixed address" {
    check_layout page_layouts_constant r--p
    assert_hooked
    assert_violation foreign-thread-exit --only
}

@test "a table in an executable page is left alone, counted and named" {
    check_layout page_layouts_executable r-xp
    assert_no_violations
    run strayspan_query 'select(.type == "module" and .unhooked == 1) | .subscribers, .path'
    assert_output "0"$'\n'"\"$c/page_layouts_executable\""
    assert_regex "$stderr" 'page_layouts_executable'
}
