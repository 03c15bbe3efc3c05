setup() {
    load setup
}

@test "every sample program is reported as its row says, in every build that is there" {
    run -0 "$root/scripts/matrix"
    assert_output --regexp ' right, 0 wrong'
}
