/* Call sites: what the program's spans are called and where they are made, copied once. */
#ifndef SS_SITES_H
#define SS_SITES_H

#include "internal.h"
#include "strayspan.h"

/* The site of a Metadata, copied at its first use; NULL where it cannot be read. Lock-free for
 * those known. Slow context. */
SS_HIDDEN struct ss_site *ss_site_of_metadata(uintptr_t metadata);

/* What the Attributes say that a new span of the calling thread is made of, and its site; NULL
 * where it cannot be told. */
SS_HIDDEN struct ss_site *ss_site_of_attributes(const struct ss_thread *thread,
                                                uintptr_t attributes, struct ss_attributes *out);

/* The site of an annotation. */
SS_HIDDEN struct ss_site *ss_site_of_annotation(const struct strayspan_site *annotation);

#endif
