/* The part of a source file's path that stays: wherever its crate lies, and in whichever release, a crate's file has
 * the same. Groups, and what `strayspan suppress` prints, go by it.
 *
 *     path, as the compiler was given it                             what stays of it
 *     src/lib.rs, crates/a/src/lib.rs                                src/lib.rs, crates/a/src/lib.rs
 *     ~/.cargo/registry/src/INDEX-HASH/hyper-1.2.3/src/a.rs          hyper/src/a.rs
 *     ~/.cargo/git/checkouts/hyper-HASH/REVISION/src/a.rs            hyper/src/a.rs
 *     /home/me/app/vendor/hyper/src/a.rs                             hyper/src/a.rs
 *     /home/me/app/target/debug/build/app-HASH/out/a.rs              app/out/a.rs
 *     /rustc/HASH/library/std/src/a.rs                               std/src/a.rs
 *     /home/me/a/b.c                                                 a/b.c
 *     /tmp/rustdoctestRANDOM/doctest_bundle_2024.rs                  doctest_bundle_2024.rs
 *
 * Shared by the shim and the tools. No state, no memory is allocated; any context. */
#ifndef SS_SOURCE_PATHS_H
#define SS_SOURCE_PATHS_H

#include <stddef.h>

/* Two pieces of the path, one behind the other. What is between them is left out; it begins with a `-`. */
struct ss_stable_path {
    const char *crate; /* the name of the crate's folder, or nothing of it */
    size_t crate_length;
    const char *rest; /* to the path's end */
};

/* path: not NULL; the result points into it. In steps of the path's length. */
__attribute__((visibility("hidden"))) struct ss_stable_path ss_stable_path_of(const char *path);

#endif
