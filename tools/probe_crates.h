/* Which releases of which crates, and of the compiler, a file is made of. See probe_crates.c. */
#ifndef SS_PROBE_CRATES_H
#define SS_PROBE_CRATES_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SS_CRATES_MAX = 64, SS_COMPILERS_MAX = 8 };

/* A release of a crate, by one evidence. A crate can be there in several. */
struct ss_crate {
    const char *name;
    const char *version; /* NULL: the crate is there, in a release that is not told */
    const char *source;  /* `path`, `auditable`, `vendored`, or `git REVISION` */
};

struct ss_crates {
    struct ss_crate crates[SS_CRATES_MAX]; /* by name as in ss_crate_names, then by version */
    size_t count;
    const char *compilers[SS_COMPILERS_MAX]; /* `1.95.0 (59807616e 2026-04-14)`, or `commit ..` */
    size_t compiler_count;
    bool has_tracing; /* it names tracing-core somewhere, in a path or a symbol */
    bool annotated;   /* it has strayspan's annotations */
    bool cut_off;     /* the file is larger than what was looked at */
};

/* The crates that decide whether and how well a program can be diagnosed: up to a NULL. Those of
 * the known defects are looked for as well. */
extern const char *const ss_crate_names[];

/* Reads the file open as fd through; elf is the same file, its sections whole. */
void ss_probe_find_crates(int fd, uint64_t file_size, Elf *elf, struct ss_crates *out);

#endif
