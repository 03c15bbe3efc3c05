/* What the shim would find in a file: subscriber tables and call sites. See probe_tables.c. */
#ifndef SS_PROBE_TABLES_H
#define SS_PROBE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SS_PROBE_LEVELS = 5, SS_PROBE_NOTES = 8 };

/* A `dyn Subscriber` table. */
struct ss_probe_table {
    struct ss_probe_table *next;
    const char *type;     /* mangled, of its drop function or a method; NULL where not known */
    const char *evidence; /* `symbols`.. */
    uint64_t offset;      /* from the start of the module */
    int methods;          /* how many the trait had: 14 to 16 */
    bool no_subscriber;   /* tracing-core's no-op; it counts for no subscriber */
};

/* A place that makes spans or events. The texts are kept. */
struct ss_probe_site {
    const char *name, *target, *file; /* file: NULL where none is told */
    uint32_t line, level;             /* line 0: not told; level: TRACE 0 to ERROR 4 */
    bool is_event;                    /* only where kinds_tell */
};

struct ss_probe_tables {
    const char *problem; /* why the image could not be made, NULL; then nothing was looked for */
    struct ss_probe_table *tables; /* in the order found */
    size_t count, no_subscribers;  /* count: without these */
    bool kinds_tell;               /* spans and events are told apart; else all count as spans */
    bool sites_unread;             /* there are call sites in an order of words that is not known */
    size_t span_count[SS_PROBE_LEVELS], event_count[SS_PROBE_LEVELS];
    struct ss_probe_site *sites; /* site_count of them, where they were asked for */
    size_t site_count;
    const char *notes[SS_PROBE_NOTES]; /* what the search warned of, and why no symbols were read */
};

/* Makes the image of the x86-64 ELF file open as fd, and looks through it as the shim does through a
 * module. with_sites: keeps each call site, else their numbers alone. marks_events: its tracing-core is known to mark
 * events, also where no span is there to show it. One thread. */
void ss_probe_find_tables(int fd, uint64_t file_size, const char *path, bool with_sites,
                          bool marks_events, struct ss_probe_tables *out);

/* Adds a note that is not there yet; NULL adds none. text is not copied. */
void ss_probe_note(struct ss_probe_tables *tables, const char *text);

#endif
