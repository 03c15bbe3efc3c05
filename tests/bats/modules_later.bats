# Modules that come later, and go: plugins of C and C++ hosts, Python extension modules, Node addons.
setup() {
    load setup
    host=$c/plugin_host
    first=$(module c_plugin trixie bookworm)
    [ -e "$first" ] || skip "no build of the sample modules; scripts/samples says why"
}

# The path of a sample module, of the first of the suites that has it.
module() {
    local name=$1 suite
    shift
    for suite in "$@"; do
        if [ -e "$build/samples/$suite/release/$name.so" ]; then
            echo "$build/samples/$suite/release/$name.so"
            return
        fi
    done
}

# A number out of the summary.
summary() {
    strayspan_query "select(.type == \"summary\") | $1"
}

@test "a plugin that strays is reported, with the plugin as its module" {
    run_under "$host" "$first" =stray
    assert_equal "$status" 66
    assert_violation foreign-thread-exit --span stray_job --thread taker --only
    run strayspan_query "select(.type == \"module\" and .subscribers > 0) | .path"
    assert_output "\"$first\""
    id=$(strayspan_query 'select(.type == "module" and .subscribers > 0) | .id')
    assert_in_violation .instances.owner.module "$id"
    assert_regex "$stderr" 'jobs::stray'
    assert_regex "$stderr" "= in the module $first"
    assert_regex "$stderr" 'c_plugin.so: [0-9]+ subscriber tables hooked'
}

@test "one that does not is not" {
    run_under "$host" "$first" =legal
    assert_success
    assert_no_violations
    assert_coverage
    assert_hooked
}

@test "a module is hooked before its own constructors" {
    MODULE_AT_LOAD=1 run_under "$host" "$first"
    assert_equal "$status" 66
    assert_violation exit-without-enter --span at_load --thread main --only
}

@test "the RUNPATH of who loads holds" {
    mkdir "$BATS_TEST_TMPDIR/beside"
    cp "$host" "$BATS_TEST_TMPDIR/host"
    cp "$first" "$BATS_TEST_TMPDIR/beside/plugin.so"
    gcc -shared -fPIC -x c -o "$BATS_TEST_TMPDIR/loader.so" -Wl,-rpath,"\$ORIGIN/beside" - -ldl <<'END'
#include <dlfcn.h>
int run(const char *what)
{
    void *object = dlopen("plugin.so", RTLD_NOW);
    int (*function)(const char *) = object ? dlsym(object, "run") : 0;
    return function && function(what);
}
END
    run_under "$BATS_TEST_TMPDIR/host" "$BATS_TEST_TMPDIR/loader.so" =stray
    assert_equal "$status" 66
    assert_violation foreign-thread-exit --span stray_job --only
}

@test "a module that was unloaded and loaded again, in its old place, is one module" {
    run_under "$host" "$first" =stray - "$first" @ =stray -
    assert_output $'gone\nsame place\ngone'
    assert_violation foreign-thread-exit --span stray_job --only
    run summary '.rules."foreign-thread-exit".violations, .modules, .instances'
    assert_output $'2\n1\n2'
    run strayspan_query 'select(.type == "module" and .subscribers > 0) | .subscribers'
    assert_equal "${#lines[@]}" 1
}

@test "another file in the place of one that was unloaded is told from it" {
    second=$(module c_plugin bookworm)
    [ -e "$second" ] && [ "$second" != "$first" ] || skip "one suite's modules only"
    cp "$first" "$BATS_TEST_TMPDIR/a.so"
    cp "$second" "$BATS_TEST_TMPDIR/b.so"
    run_under "$host" 5 "$BATS_TEST_TMPDIR/a.so" =stray - "$BATS_TEST_TMPDIR/b.so" =stray -
    refute_output --partial stays
    assert_equal "$(strayspan_query 'select(.type == "violation") | .rule' | sort -u)" '"foreign-thread-exit"'
    # Each in its own module, with its own versions.
    run strayspan_query 'select(.type == "module" and .subscribers > 0) |
        "\(.path | split("/") | last) \(.tracing_core)"'
    assert_equal "$(tr -d '"' <<<"$output" | awk '{ print $1 }' | sort -u)" $'a.so\nb.so'
    assert_equal "$(awk '{ print $2 }' <<<"$output" | sort -u | wc -l)" 2
    run summary '.rules."foreign-thread-exit".violations'
    assert_output 10
}

@test "what an unloaded module left is let go, and its call sites stay counted" {
    run_under "$host" 3 "$first" =leave -
    assert_success
    assert_no_violations
    assert_equal "$(sort -u <<<"$output")" gone
    run summary '.spans.created, .instances, .call_sites.INFO.live, .call_sites.INFO.unreached'
    assert_output $'3\n3\n1\n4'
}

@test "a hundred loads use no more thunks than one" {
    run_under "$host" 100 "$first" =legal -
    assert_success
    assert_no_violations
    refute_output --partial stays
    # In one place or in two, where another mapping came between.
    run strayspan_query 'select(.type == "module" and .subscribers > 0) | .subscribers'
    [ "${#lines[@]}" -le 4 ]
    run summary '.table_limit, .spans.created'
    assert_output $'0\n10100'
}

@test "two copies of tracing in one process have a registry each" {
    cp "$first" "$BATS_TEST_TMPDIR/copy.so"
    run_under "$host" "$first" =legal "$BATS_TEST_TMPDIR/copy.so" =stray =legal
    assert_violation foreign-thread-exit --only
    assert_in_violation .instances.owner.serial 2
    run summary '.modules, .instances'
    assert_output $'2\n2'
    second=$(module c_plugin bookworm)
    run_under "$host" "$first" =stray "$second" =stray =legal
    run strayspan_query 'select(.type == "violation") | .rule'
    assert_output $'"foreign-thread-exit"\n"foreign-thread-exit"'
}

@test "a program that brings its own __gmon_start__ (-pg) has its plugins seen all the same" {
    cd "$BATS_TEST_TMPDIR" # gmon.out
    run_under "${host}_profiled" "$first" =stray
    assert_equal "$status" 66
    assert_violation foreign-thread-exit --span stray_job --only
}

@test "what dlmopen loads is named, not hooked" {
    run_under "$host" "@$first" =stray
    assert_success
    run summary .apart
    assert_output "[\"$first\"]"
    assert_regex "$stderr" "NOTHING WAS CHECKED: .*dlmopen"
    # Beside one that is hooked.
    run_under "$host" "@$first" =stray "$first" =legal
    assert_success
    assert_no_violations
    assert_regex "$stderr" "unseen:  .*c_plugin.so is in a namespace of its own \\(dlmopen\\)"
}

@test "a plugin is hooked before its constructors, and named rightly, beside other namespaces" {
    for other in libz.so.1 libstdc++.so.6; do
        MODULE_AT_LOAD=1 run_under "$host" "@$other" "$first" =legal
        assert_equal "$status" 66
        assert_violation exit-without-enter --span at_load --thread main --only
        run summary '.apart // []'
        assert_output '[]'
    done
    # Whatever came and went.
    run_under "$host" "@libz.so.1" "$first" =legal - "@libstdc++.so.6" "$first" =stray "@$first"
    assert_violation foreign-thread-exit --only
    run summary .apart
    assert_output "[\"$first\"]"
}

@test "the loader's lock is left alone where natively nobody takes it" {
    run_under "$c/loader_lock" order
    assert_success
    assert_output done
    run_under "$c/loader_lock" children
    assert_success
    assert_output done
}

@test "a plugin comes and goes while another thread lets go of what stays" {
    run_under "$c/plugin_churn" 1500 "$first"
    assert_success
    assert_output 'failed 0'
}

@test "a plugin without a build id that comes back is the same, and another where its file was replaced" {
    cd "$BATS_TEST_TMPDIR"
    objcopy --remove-section .note.gnu.build-id "$first" plugin.so
    for case in 'true 1' 'cp plugin.so copy && mv copy plugin.so 2'; do
        run_under "$host" ./plugin.so =legal - "!${case% *}" ./plugin.so @ =stray
        assert_equal "$status" 66
        assert_output --partial gone
        assert_violation foreign-thread-exit --span stray_job --only
        run strayspan_query 'select(.type == "module" and .subscribers > 0) | .id'
        assert_equal "${#lines[@]}" "${case##* }"
    done
}

@test "a Python extension module, and one through ctypes" {
    extension=$(module python_module trixie bookworm)
    cd "$BATS_TEST_TMPDIR"
    ln -s "$extension" python_module.so
    for case in 'stray 66' 'legal 0'; do
        read -r what want <<<"$case"
        run_under /usr/bin/python3 -c "import python_module; print(python_module.run('$what'))"
        assert_output True
        assert_equal "$status" "$want"
        run_under /usr/bin/python3 -c "import ctypes; print(ctypes.CDLL('$first').run(b'$what'))"
        assert_output 1
        assert_equal "$status" "$want"
    done
    # Both in one process, and what strays is told apart.
    run_under /usr/bin/python3 -c "import ctypes, python_module
ctypes.CDLL('$first').run(b'stray'), python_module.run('legal')"
    assert_violation foreign-thread-exit --only
    id=$(strayspan_query "select(.type == \"module\" and .path == \"$first\") | .id")
    assert_in_violation .instances.owner.module "$id"
}

@test "Node addons, two in one process and in a worker" {
    command -v node >/dev/null || skip "there is no node"
    cd "$BATS_TEST_TMPDIR"
    cp "$(module node_addon trixie bookworm)" first.node
    cp "$(module node_addon bookworm trixie)" second.node
    run_under node -e "console.log(require('./first.node').run('legal'), require('./second.node').run('legal'))"
    assert_success
    assert_output 'true true'
    assert_no_violations
    assert_coverage
    run summary .modules
    assert_output 2
    run_under node -e "
        const { Worker } = require('worker_threads');
        console.log(require('./first.node').run('legal'));
        new Worker('require(\"$PWD/second.node\").run(\"stray\")', { eval: true });"
    assert_equal "$status" 66
    assert_violation foreign-thread-exit --span stray_job --only
}

@test "by hand, for a test suite in Python: a line on stderr and a log, and the suite passes" {
    cd "$BATS_TEST_TMPDIR"
    ln -s "$(module python_module trixie bookworm)" python_module.so
    cat >test_it.py <<'END'
import unittest, python_module

class Test(unittest.TestCase):
    def test_stray(self):
        self.assertTrue(python_module.run('stray'))
END
    run --separate-stderr env LD_PRELOAD="$STRAYSPAN_SHIM" /usr/bin/python3 -m unittest test_it
    assert_success
    assert_regex "$stderr" 'strayspan: error\[foreign-thread-exit\].*python_module.so\+0x'
    strayspan_use .
    assert_violation foreign-thread-exit --span stray_job --only
}

@test "plugins come and go on four threads while others fork and start" {
    local files=() i
    for i in 0 1 2 3; do
        cp "$(module c_plugin "$([ "$i" = 3 ] && echo bookworm || echo trixie)" trixie bookworm)" "$BATS_TEST_TMPDIR/$i.so"
        files+=("$BATS_TEST_TMPDIR/$i.so")
    done
    cd "$BATS_TEST_TMPDIR" # gmon.out
    for storm in "$c/plugin_storm" "$c/plugin_storm_profiled"; do
        run_under "$storm" 30 "${files[@]}"
        assert_success
        assert_output 'failed 0, forked 1'
        assert_no_violations
        run summary '.spans.created, .not_judged.total'
        assert_output $'12120\n0'
    done
}
