/* The table of known defects, for those that have versions and no violation. See defects.c. */
#ifndef SS_DEFECTS_H
#define SS_DEFECTS_H

#include "probe_crates.h"

enum { SS_KNOWN_DEFECTS_MAX = 32 };

/* A defect that releases have, alone or (with is not NULL) where two are together. */
struct ss_known_defect {
    const char *crate, *version;
    const char *fixed; /* the first release without it; NULL: there is none */
    const char *what;  /* what the crate does wrong */
    const char *with, *with_version, *with_fixed; /* either fix ends it, unless with_what is set */
    const char *with_what; /* what that crate has to do with it, where it is more than a trigger */
    unsigned rules;        /* what it is reported as: bits 1 << SS_RULE_* */
    const char *links[3];
};

/* A crate of the table, by number; NULL beyond the last. One crate can come several times. */
const char *ss_defect_crate(size_t number);

/* The defects that these releases have; at most max of them go to out. Returns how many did.
 * Releases that are not known have none. */
size_t ss_known_defects(const struct ss_crates *found, struct ss_known_defect *out, size_t max);

/* -1, 0 or 1 as version a is older than, the same as, or newer than b, by its three numbers. */
int ss_compare_versions(const char *a, const char *b);

#endif
