/* libFuzzer target for what the shim reads of a module: the view of its image and of its file, its
 * symbols, its debug link, and its code. The input is an ELF file: it is mapped as a loader would,
 * and given as the module's file too. AddressSanitizer is told which memory is the segments', so
 * that every byte read beyond them is seen. tests/fuzz/seeds makes files to begin with. */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../shim/closers.h"
#include "../../shim/module_image.h"
#include "../../shim/modules.h"
#include "../../shim/trait.h"
#include "../../tools/file_image.h"

static struct ss_module module;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the arena gives is never returned, and the search for leaks dies of what is poisoned. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* Stand-ins for what other parts of the shim give. */
_Atomic int ss_own_pid;

void ss_say(int level, const char *piece, ...)
{
    (void)level;
    (void)piece;
}

struct ss_module *ss_module_of(uintptr_t address)
{
    return ss_image_segment(&module, address) ? &module : NULL;
}

void ss_module_has_table(struct ss_module *m, uintptr_t slot)
{
    if (m != &module || !ss_module_readable(m, slot, sizeof slot))
        abort();
}

/* What is to be patched has to be there, whoever found it. */
void ss_hook_table(const struct ss_table_found *found)
{
    if (found->module != &module || found->address % sizeof(uintptr_t) ||
        !ss_module_readable(&module, found->address,
                            ss_trait_words(found->layout) * sizeof(uintptr_t)))
        abort();
}

/* Leaves of the mapping what is a segment's. */
static void fence(const struct ss_file_image *image)
{
    ASAN_POISON_MEMORY_REGION(image->base, image->size);
    for (uint32_t i = 0; i < module.segment_count; i++)
        ASAN_UNPOISON_MEMORY_REGION((void *)module.segments[i].start,
                                    module.segments[i].end - module.segments[i].start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[32];
    static uint32_t id;
    if (file < 0) {
        file = memfd_create("module", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    struct ss_file_image image;
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    if (ss_file_image_map(file, size, path, &image))
        return 0;
    module = image.module;
    module.id = id = id % (SS_MODULES_MAX - 2) + 2; /* 1 is the program */
    atomic_store(&module.loaded, 1);
    fence(&image);
    (void)ss_image_is_relocated(&module);
    ss_discover(&module);
    ss_module_versions(&module, module.tracing_core, module.tracing_subscriber);
    /* As of return addresses. */
    for (uintptr_t at = module.start; at < module.end; at += (module.end - module.start) / 32 + 1)
        (void)ss_closer_by_code(&module, at);
    ASAN_UNPOISON_MEMORY_REGION(image.base, image.size);
    ss_file_image_unmap(&image);
    return 0;
}
