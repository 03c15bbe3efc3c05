/* What a file is, whether a preload reaches it, and what is in it. */
#ifndef SS_PROBE_H
#define SS_PROBE_H

#include <stdbool.h>
#include <stdio.h>

#include "probe_crates.h"
#include "probe_tables.h"

enum { SS_NEEDED_MAX = 64, SS_PROBE_LIBRARIES_MAX = 16 };

/* How far to look. */
enum ss_probe_depth {
    SS_PROBE_LINKAGE,  /* what the loader needs to know; quick */
    SS_PROBE_CONTENTS, /* and the versions, tables and call sites; reads the file */
    SS_PROBE_SITES     /* and each call site */
};

/* What was found in one ELF file. */
struct ss_probe_contents {
    const char *path;
    bool stripped; /* it has no symbol table */
    bool own;      /* it is strayspan's: it knows the annotations by name, and asks for none */
    struct ss_crates crates;
    struct ss_probe_tables tables;
};

struct ss_probe {
    bool readable;         /* else `verdict` says why not */
    bool elf;              /* it is an ELF file; a script is not */
    bool reached;          /* a preloaded object gets into the process */
    const char *linkage;   /* `dynamic`, `static`, `static-pie`, `shared object`, `script`.. */
    const char *loader;    /* of a dynamic program; the interpreter of a script */
    const char *libc;      /* `glibc` or `musl`, NULL: not known */
    const char *foreign;   /* why strayspan is not for such a file, NULL */
    const char *secure;    /* why the loader would drop LD_PRELOAD, NULL: it would not */
    const char *sanitizer; /* the address sanitizer's library among those it needs, NULL */
    const char *needed[SS_NEEDED_MAX];
    size_t needed_count;
    bool loads_modules; /* it uses dlopen */
    /* Its own and those of the libraries beside it that it needs and that have tracing in them. Not
     * looked for, and empty, at SS_PROBE_LINKAGE. */
    struct ss_probe_contents contents;
    struct ss_probe_contents *libraries[SS_PROBE_LIBRARIES_MAX];
    size_t library_count;
    bool has_tracing;    /* any of them has */
    size_t tables;       /* subscriber tables in all of them */
    bool good;           /* it can be diagnosed; not known at SS_PROBE_LINKAGE */
    const char *verdict; /* one line; NULL where it is not known yet */
    const char *advice;  /* what can be done, NULL */
};

/* Looks at path, which is not run. Everything in probe is kept. A file that is not ordinary (a
 * folder, a fifo, a device) is not opened. */
void ss_probe_file(const char *path, enum ss_probe_depth depth, struct ss_probe *probe);

/* The path of a program as a shell finds it: name itself where it holds a slash, else along PATH.
 * NULL where there is none. */
const char *ss_find_program(const char *name);

/* ---- probe_verdict.c ---- */

/* Judges what can be, by what was found. */
void ss_probe_judge(struct ss_probe *probe, enum ss_probe_depth depth);

/* The help for a program that no preload reaches, whatever its libc. */
extern const char ss_build_dynamic[];

/* ---- probe_render.c ---- */

/* Writes what is known of a file as text; brief: one line where there is nothing to tell of. */
void ss_probe_print(FILE *out, const char *path, const struct ss_probe *probe, bool brief);

/* The known defects of all that was found, a line each; their number goes to *count. Kept. */
const char *const *ss_probe_defects(const struct ss_probe *probe, size_t *count);

/* The same as a JSON object (tests/probe.schema.json). */
void ss_probe_print_json(FILE *out, const char *path, const struct ss_probe *probe);

#endif
