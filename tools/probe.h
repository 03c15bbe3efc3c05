/* What a file is, as far as a preload is concerned. */
#ifndef SS_PROBE_H
#define SS_PROBE_H

#include <stdbool.h>

struct ss_probe {
    bool readable;       /* else `verdict` says why not */
    bool reached;        /* a preloaded object gets into the process */
    bool has_tracing;    /* it, or a library that it needs and that lies beside it, holds tracing */
    bool stripped;       /* it holds tracing, and no symbols to find it by */
    bool annotated;      /* it holds strayspan's annotations */
    const char *linkage; /* `dynamic`, `static`, `static-pie`, `shared object`, `script`.. */
    const char *loader;  /* of a dynamic program; the interpreter of a script */
    const char *sanitizer; /* the address sanitizer's library among those it needs, NULL */
    const char *verdict;   /* one line */
    const char *advice;    /* what can be done, NULL */
};

void ss_probe_file(const char *path, struct ss_probe *probe);

/* The path of a program as a shell finds it: name itself where it holds a slash, else along PATH.
 * NULL where there is none. */
const char *ss_find_program(const char *name);

#endif
