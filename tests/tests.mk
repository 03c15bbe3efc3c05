# What the tests need built, and the target `test`. The Rust samples are built by scripts/samples.

tests = $(BUILD)/tests
tests_cflags = -std=gnu11 $(warnings)

test:
	scripts/test

test-programs: c-programs unit-tests $(tests)/find_tables

# ---- C programs: one per file of tests/programs/c, and those that are built in a way of their own -----

c_programs = $(filter-out $(tests)/c/fork_handlers,$(patsubst tests/programs/c/%.c,$(tests)/c/%,\
	$(wildcard tests/programs/c/*.c)))
c_variants = $(tests)/c/fork_handlers $(tests)/c/code_table_stripped $(tests)/c/cpp_plugin.so $(addprefix $(tests)/c/plugin_,host_profiled storm_profiled) $(tests)/c/plain_hello_static $(tests)/c/annotated_plain_nopie \
	$(addprefix $(tests)/c/,plain_hello_musl parks_lacking_musl musl_all_musl) $(addprefix $(tests)/c/page_layouts_,writable constant executable)

c-programs: $(c_programs) $(c_variants)

$(c_programs): $(tests)/c/%: tests/programs/c/%.c tests/programs/c/spans.h shim/strayspan.h | $(tests)/c
	$(CC) -g -O1 -fexceptions $(tests_cflags) -o $@ $< -pthread -ldl

# A library of the program's, whose constructor runs before that of a preload that is not first.
$(tests)/c/libfork_library.so: tests/programs/c/library/fork_library.c tests/programs/c/spans.h | $(tests)/c
	$(CC) -g -O1 $(tests_cflags) -fPIC -shared -o $@ $< -pthread -ldl

$(tests)/c/fork_handlers: tests/programs/c/fork_handlers.c $(tests)/c/libfork_library.so
	$(CC) -g -O1 $(tests_cflags) -o $@ $< -L$(tests)/c -lfork_library -Wl,-rpath,'$$ORIGIN' -pthread -ldl

$(tests)/c/annotated_plain_nopie: tests/programs/c/annotated_plain.c tests/programs/c/spans.h | $(tests)/c
	$(CC) -g -O1 $(tests_cflags) -fno-pie -no-pie -o $@ $< -pthread -ldl

# With -pg a program brings a __gmon_start__ of its own.
$(tests)/c/%_profiled: tests/programs/c/%.c | $(tests)/c
	$(CC) -g -O1 -pg -rdynamic $(tests_cflags) -o $@ $< -pthread -ldl

$(tests)/c/plain_hello_static: tests/programs/c/plain_hello.c | $(tests)/c
	$(CC) -g -O1 $(tests_cflags) -static -o $@ $<

# The subscriber table lies in RELRO (page_layouts itself), in writable data, in constants, beside code.
layout_writable = -Wl,-z,norelro
layout_constant = -fno-pie -no-pie
layout_executable = -fno-pie -no-pie -Wl,-z,noseparate-code
$(tests)/c/page_layouts_%: tests/programs/c/page_layouts.c | $(tests)/c
	$(CC) -g -O1 $(tests_cflags) $(layout_$*) -o $@ $< -pthread

# The names of its functions say nothing; without its symbols not even that.
$(tests)/c/code_table_stripped: tests/programs/c/code_table.c | $(tests)/c
	$(CC) -O1 $(tests_cflags) -s -o $@ $< -pthread

# Where there is no musl, these programs are not built and their tests are skipped.
$(tests)/c/%_musl: tests/programs/c/%.c tests/programs/c/spans.h shim/strayspan.h | $(tests)/c
	! command -v musl-gcc >/dev/null || musl-gcc -g -O1 -o $@ $<

$(tests)/c/%.so: tests/programs/c/%.cpp | $(tests)/c
	$(CXX) -g -O1 -fPIC -shared -Wall -Wextra $(WERROR) -o $@ $< -pthread

# ---- unit tests: one program per file of tests/unit, with the rows of this table beside it -----------

unit_tests = $(patsubst tests/unit/%.c,$(tests)/unit/%,$(wildcard tests/unit/test_*.c))

# unit_NAME: what is compiled into test_NAME. unit_flags_NAME: flags and libraries it wants.
discovery = $(addprefix shim/,discover.c symbol_tables.c elf_symbols.c method_names.c closers.c signature.c \
	instructions.c debug_file.c closer_code.c)
unit_callsites = $(addprefix shim/,callsites.c callsite_counts.c metadata.c)
unit_discover = $(unit_modules)
unit_modules = $(addprefix shim/,modules.c module_names.c module_image.c maps.c file_id.c callsites.c metadata.c arena.c) $(discovery)
unit_values = $(addprefix shim/,values.c numbers.c output.c)
unit_flags_values = -ljansson -lm
unit_values_tsan = $(unit_values)
unit_flags_values_tsan = $(unit_flags_values) -fsanitize=thread -Wno-tsan
unit_history = $(addprefix shim/,history.c records.c summary_record.c said.c json.c output.c options.c suppressions.c suppression_lines.c)
unit_flags_history = -ljansson -fno-strict-aliasing
unit_cfi = shim/cfi.c shim/cfi_expression.c shim/cfi_program.c
unit_flags_cfi = -lunwind -Wl,-z,lazy
unit_suppressions = shim/suppression_lines.c
unit_flags_suppressions = -fsanitize=address,undefined
unit_source_paths = shim/source_paths.c
unit_flags_source_paths = -fsanitize=address,undefined
unit_names = shim/name_kinds.c
unit_flags_names = -fsanitize=address
unit_signature = shim/signature.c shim/instructions.c
unit_flags_signature = -fsanitize=address,undefined
unit_parks = shim/parks.c shim/parks.S
unit_thunks = $(wildcard shim/*.c shim/*.S)
unit_flags_thunks = -fno-strict-aliasing -ftls-model=initial-exec
unit_state = $(wildcard shim/*.c shim/*.S)
unit_flags_state = -fno-strict-aliasing -ftls-model=initial-exec
unit_state_tsan = $(unit_state)
unit_flags_state_tsan = $(unit_flags_state) -fsanitize=thread -Wno-tsan

unit_tools_cargo_task = tools/cargo_task.c
unit_tools_cargo_cfg = tools/cargo_cfg.c tools/text.c
unit_tools_names = $(addprefix tools/,demangle.c text.c)
unit_flags_tools_names = -liberty
unit_tools_report = $(addprefix tools/,model.c merge.c log_read.c log_glance.c log_place.c log_records.c log_summary.c log_values.c sightings.c suppressions.c command_line.c file_kind.c \
	symbolize.c demangle.c frames.c defects.c text.c) shim/suppression_lines.c
unit_flags_tools_report = -ldw -lelf -ljansson -liberty
unit_tools_tests = tools/tests.c $(unit_tools_report)
unit_flags_tools_tests = $(unit_flags_tools_report)
unit_tools_defects = $(filter-out tools/defects.c,$(unit_tools_report))
unit_flags_tools_defects = $(unit_flags_tools_report)
unit_tools_report += $(addprefix tools/,container_log.c debug_places.c kept_frames.c ordinary_file.c)
unit_flags_tools_report += -lz

unit-tests: $(unit_tests)

.SECONDEXPANSION:
$(unit_tests): $(tests)/unit/test_%: tests/unit/test_%.c $$(unit_$$*) $(wildcard shim/*.h tools/*.h tests/unit/*.h) \
		| $(tests)/unit
	$(CC) -g -O1 $(tests_cflags) -D_GNU_SOURCE -Ishim -Itools -Itests/unit -o $@ $< $(filter %.c %.S,$(unit_$*)) $(unit_flags_$*) -pthread

# The test includes the file, for its table.
$(tests)/unit/test_tools_defects: tools/defects.c

# ---- what the shim would find in a file: for scripts/stripped ------------------------------------------

find_tables = tests/find_tables.c tools/file_image.c $(discovery) shim/module_image.c shim/arena.c

$(tests)/find_tables: $(find_tables) $(wildcard shim/*.h) tools/file_image.h | $(tests)
	$(CC) -g -O2 $(tests_cflags) -D_GNU_SOURCE -fno-strict-aliasing -fPIE -pie -Ishim -Itools -o $@ $(find_tables)

# ---- fuzzing: `make fuzz` runs each target of tests/fuzz for FUZZ_SECONDS; wants clang and its runtime ----

FUZZ_SECONDS ?= 60
fuzz_cfi = shim/cfi.c shim/cfi_expression.c shim/cfi_program.c
probe_fuzz = tools/probe_tables.c tools/file_image.c shim/module_image.c shim/metadata.c $(discovery)
fuzz_discover = tools/file_image.c shim/module_image.c shim/arena.c $(discovery)
fuzz_targets = $(patsubst tests/fuzz/%.c,$(tests)/fuzz/%,$(wildcard tests/fuzz/*.c))

$(fuzz_targets): $(tests)/fuzz/%: tests/fuzz/%.c $$($$*) | $(tests)/fuzz
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $@ $< $($*)

# The files that a target begins with, and the longest: those of fuzz_discover are programs.
$(tests)/fuzz/fuzz_discover.seeds: tests/fuzz/seeds c-programs | $(tests)/fuzz
	BUILD=$(abspath $(BUILD)) tests/fuzz/seeds $@

fuzz: $(fuzz_targets) $(tests)/fuzz/fuzz_discover.seeds
	set -e; for target in $(fuzz_targets); do seeds=$$target.seeds; [ -d $$seeds ] || seeds=; \
		$$target -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -artifact_prefix=$(tests)/fuzz/ $$seeds; done

$(tests) $(tests)/c $(tests)/unit $(tests)/fuzz:
	mkdir -p $@

.PHONY: fuzz test test-programs c-programs unit-tests
