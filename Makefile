# strayspan: the preloaded object (shim/) and the command (tools/).
#
#   make                build/libstrayspan.so, build/strayspan
#   make test           every test (scripts/test installs what it needs first)
#   make install        PREFIX=/usr/local DESTDIR=
#   make format, lint   clang-format in place; clang-tidy, cppcheck, shellcheck, clang-format --dry-run

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

CC ?= cc
CFLAGS ?= -O2 -g
WERROR ?=
warnings = -Wall -Wextra -Wshadow -Wstrict-prototypes $(WERROR)

# The shim needs no library and no symbol version: it loads beside any libc (nothing is NEEDED), and
# everything it takes from the program's libc is weak. Hence no stack protector and no fortified calls.
# Vectors would read in one what was just written in two, and stall on it, at each enter and exit.
shim_cflags = -std=gnu11 -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector \
	-U_FORTIFY_SOURCE -fasynchronous-unwind-tables -fno-strict-aliasing -fno-tree-vectorize \
	-fno-tree-slp-vectorize -fno-builtin-bcmp -D_GNU_SOURCE \
	-Wframe-larger-than=1024 $(warnings)
shim_ldflags = -shared -nostdlib -Wl,-z,undefs -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete \
	-Wl,-z,noexecstack -Wl,-z,initfirst -Wl,--hash-style=gnu -Wl,--build-id -Wl,-soname,libstrayspan.so \
	-Wl,--version-script=shim/exports.map

# Code that knows nothing of the process that it is in, most of which reads a module's memory: the command reads the
# image of a file with it. It is bound to its place, where that of a program may not be (hence -fPIE, -pie).
shared_sources = $(addprefix shim/,module_image.c discover.c symbol_tables.c elf_symbols.c method_names.c closers.c \
	debug_file.c closer_code.c signature.c instructions.c metadata.c suppression_lines.c source_paths.c)
tools_cflags = -std=gnu11 -fPIE -D_GNU_SOURCE $(warnings)
tools_libs = -ldw -lelf -ljansson -liberty -lz

shim_sources = $(wildcard shim/*.c shim/*.S)
shim_objects = $(patsubst shim/%,$(BUILD)/shim/%.o,$(shim_sources))
tools_sources = $(wildcard tools/*.c)
tools_objects = $(patsubst tools/%,$(BUILD)/tools/%.o,$(tools_sources)) \
	$(patsubst shim/%,$(BUILD)/tools/shared/%.o,$(shared_sources))

all: $(BUILD)/libstrayspan.so $(BUILD)/strayspan

$(BUILD)/libstrayspan.so: $(shim_objects) shim/exports.map
	$(CC) $(CFLAGS) $(shim_ldflags) $(LDFLAGS) -o $@ $(shim_objects)

$(BUILD)/strayspan: $(tools_objects)
	$(CC) $(CFLAGS) -pie $(LDFLAGS) -o $@ $(tools_objects) $(tools_libs)

$(BUILD)/shim/%.o: shim/% Makefile | $(BUILD)/shim
	$(CC) $(CFLAGS) $(CPPFLAGS) $(shim_cflags) -MMD -MP -c -o $@ $<

$(BUILD)/tools/%.o: tools/% Makefile | $(BUILD)/tools
	$(CC) $(CFLAGS) $(CPPFLAGS) $(tools_cflags) -MMD -MP -c -o $@ $<

# Pointers in an image are words of another language's.
$(BUILD)/tools/shared/%.o: shim/% Makefile | $(BUILD)/tools/shared
	$(CC) $(CFLAGS) $(CPPFLAGS) $(tools_cflags) -fno-strict-aliasing -MMD -MP -c -o $@ $<

$(BUILD)/shim $(BUILD)/tools $(BUILD)/tools/shared:
	mkdir -p $@

-include $(shim_objects:.o=.d) $(tools_objects:.o=.d)

include tests/tests.mk

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/strayspan $(DESTDIR)$(PREFIX)/include \
		$(DESTDIR)$(PREFIX)/lib/bats/strayspan $(DESTDIR)$(PREFIX)/share/strayspan
	install -m 755 $(BUILD)/strayspan $(DESTDIR)$(PREFIX)/bin/strayspan
	ln -sfn strayspan $(DESTDIR)$(PREFIX)/bin/cargo-strayspan
	install -m 755 $(BUILD)/libstrayspan.so $(DESTDIR)$(PREFIX)/lib/strayspan/libstrayspan.so
	install -m 644 shim/strayspan.h $(DESTDIR)$(PREFIX)/include/strayspan.h
	install -m 644 tests/lib/strayspan/load.bash $(DESTDIR)$(PREFIX)/lib/bats/strayspan/load.bash
	install -m 755 tests/lib/examples/spans.bats tests/lib/examples/spans.sh $(DESTDIR)$(PREFIX)/share/strayspan

c_files = $(wildcard shim/*.[ch] tools/*.[ch] tests/*.c tests/unit/*.[ch] tests/fuzz/*.c tests/programs/c/*.[ch] \
	tests/programs/c/library/*.c)
shell_files = $(wildcard scripts/*) tests/fuzz/seeds .ci/run tests/lib/examples/spans.sh tests/programs/cargo/cargo-nextest

format:
	clang-format -i $(c_files)

lint:
	clang-format --dry-run -Werror $(c_files)
	shellcheck $(shell_files)
	cppcheck --quiet --error-exitcode=1 --inline-suppr --suppressions-list=.cppcheck \
		--enable=warning,performance,portability -D_GNU_SOURCE -D__x86_64__ shim tools
	clang-tidy --quiet $(wildcard shim/*.c) -- -std=gnu11 -D_GNU_SOURCE
	clang-tidy --quiet $(wildcard tools/*.c) -- -std=gnu11 -D_GNU_SOURCE

clean:
	rm -rf $(BUILD)

.PHONY: all install format lint clean
