/* The image of one loaded ELF object. See module_image.c. */
#ifndef SS_MODULE_IMAGE_H
#define SS_MODULE_IMAGE_H

#include <link.h>

#include "internal.h"
#include "signature.h"

/* A libc may lack it; then no module is ever found. */
extern int dl_iterate_phdr(int (*)(struct dl_phdr_info *, size_t, void *), void *)
    __attribute__((weak));

/* Fills in everything of m that its program headers say, and clears the rest. */
SS_HIDDEN void ss_image_read(const struct dl_phdr_info *info, struct ss_module *m);

/* The segment of m that holds address, or NULL. */
SS_HIDDEN const struct ss_segment *ss_image_segment(const struct ss_module *m, uintptr_t address);

/* What signature.c sees of m. */
SS_HIDDEN void ss_image_of(const struct ss_module *m, struct ss_image *image);

/* Whether m is relocated: one that another thread is loading may not be yet. */
SS_HIDDEN bool ss_image_is_relocated(const struct ss_module *m);

#endif
