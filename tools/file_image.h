/* A file as the loader would map it, in this process, with nothing of it run. See file_image.c. */
#ifndef SS_FILE_IMAGE_H
#define SS_FILE_IMAGE_H

#include "../shim/types.h"

struct ss_file_image {
    struct ss_module module; /* as the shim would see it; addresses are those of the mapping */
    void *base;              /* the reservation that holds it; NULL: none */
    size_t size;
};

/* Maps the x86-64 ELF file open as fd, of file_size bytes, and relocates it. path becomes the
 * module's, and is not copied. Returns NULL, or why it cannot be, in a few words: then nothing is
 * mapped. Takes any file: at most IMAGE_MAX bytes are read from it. One thread. */
const char *ss_file_image_map(int fd, uint64_t file_size, const char *path,
                              struct ss_file_image *image);

void ss_file_image_unmap(struct ss_file_image *image);

/* Reads size bytes at offset into buffer, what lies in holes of the file as zeros without touching
 * the buffer, which has to be zeroed. False, with errno: it cannot; 0: the file ended. */
bool ss_file_read(int fd, uint64_t offset, void *buffer, size_t size);

#endif
