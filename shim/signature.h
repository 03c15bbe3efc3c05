/* Subscriber tables found in a module without symbols, x86-64. See signature.c. */
#ifndef SS_SIGNATURE_H
#define SS_SIGNATURE_H

#include "types.h"

/* A relocated image to look at: a loaded module, or a file that a tool has mapped and relocated by
 * itself.
 *
 * All addresses are the image's own, as the words in it say them. What is at address A is read at
 * A + memory: 0 in a loaded module. An image that lies elsewhere than it was relocated for gives
 * the difference, as a position-dependent file in a tool does. A position-independent one should be
 * relocated for an address far above what sizes are (1 << 32, say), so that no size looks like an
 * address.
 *
 * Read is only [start, file_end) of segments with PF_R. */
struct ss_image {
    uintptr_t memory;
    uint32_t segment_count;
    struct ss_segment segments[SS_SEGMENTS_MAX];
    uintptr_t relro_start, relro_end;         /* both 0 without PT_GNU_RELRO */
    uintptr_t eh_frame_hdr, eh_frame_hdr_end; /* PT_GNU_EH_FRAME, both 0 without */
    bool position_dependent;                  /* ET_EXEC: tables can be constants */
};

/* One table. */
struct ss_signature_found {
    uintptr_t address; /* of word 0, the drop word; the image's own */
    enum ss_layout layout;
    bool no_subscriber;     /* tracing_core's NoSubscriber */
    bool default_try_close; /* its try_close does nothing but answer false */
    bool doubtful;          /* looks like one, but not enough to touch it: nothing else is told */
};

/* Gets each table, in order of address within a segment. */
typedef void ss_signature_fn(void *context, const struct ss_signature_found *found);

/* Finds the `dyn Subscriber` tables of an image by what their code looks like, and calls `found` for
 * each and for what may be one. Returns how many there were for sure. Takes any image: nothing outside the segments is read, and
 * nothing in them believed. No state, no allocation, no system call; any context; work in proportion
 * to the image's tables of functions. */
SS_HIDDEN uint32_t ss_signature_find(const struct ss_image *image, ss_signature_fn *found,
                                     void *context);

#endif
