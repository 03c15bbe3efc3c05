/* Which functions close spans of the default subscriber, without symbols: by the places in the source
 * that their panics tell of. Code of tracing-subscriber's sharded registry names sharded.rs, and
 * what it closes through (get_default) names tracing-core's dispatcher.rs.
 *
 * A function that names anybody else's file as well had other code inlined, and tells nothing; nor
 * does one that names none, as all of a debug build's.
 *
 * Called by closers.c, from any context; answers are kept by return address. */
#include <stdatomic.h>
#include <string.h>

#include "closers.h"
#include "instructions.h"
#include "module_image.h"

enum {
    FUNCTION_MAX = 16 * 1024, /* bytes of code */
    FILE_MAX = 512,           /* length of a path */
    LINE_MAX = 1 << 20,
    ANSWERS = 256,
};

/* Return address, module's id and kind of the function. */
static _Atomic uint64_t answers[ANSWERS];

/* Files by how their paths end and what is before that; the first row that fits counts. */
enum part { SHARDED = 1, DISPATCHER = 2, ANOTHER = 4, NOTHING = 0 };
static const struct {
    const char *end, *holds;
    enum part part;
} files[] = {
    {"/src/registry/sharded.rs", "tracing-subscriber", SHARDED},
    {"/src/dispatcher.rs", "tracing-core", DISPATCHER},
    {".rs", "tracing-core", NOTHING},
    {".rs", "/src/registry/", NOTHING}, /* stack.rs and others of the registry's */
    {".rs", "sharded-slab", NOTHING},
    {".rs", "thread_local", NOTHING},
    {".rs", "library/", NOTHING}, /* the standard library, wherever it was built */
    {".rs", "", ANOTHER},
};

static enum part part_of(const char *path, size_t length)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t end = strlen(files[i].end);
        if (length >= end && memcmp(path + length - end, files[i].end, end) == 0 &&
            memmem(path, length, files[i].holds, strlen(files[i].holds)))
            return files[i].part;
    }
    return NOTHING;
}

/* What a panic::Location at an address says: {file, its length, line, column}. */
static enum part part_at(const struct ss_image *image, uintptr_t location)
{
    struct {
        uintptr_t file, length;
        uint32_t line, column;
    } said;
    const uint8_t *bytes = ss_image_bytes(image, location, sizeof said, NULL);
    if (!bytes || location % sizeof(uintptr_t))
        return NOTHING;
    memcpy(&said, bytes, sizeof said);
    if (said.length > FILE_MAX || said.line == 0 || said.line > LINE_MAX || said.column == 0 ||
        said.column > LINE_MAX)
        return NOTHING;
    const uint8_t *path = ss_image_bytes(image, said.file, said.length, NULL);
    return path ? part_of((const char *)path, said.length) : NOTHING;
}

static enum ss_closer kind_of(const struct ss_image *image, uintptr_t address)
{
    uintptr_t function, end;
    if (!ss_code_bounds(image, address, &function, &end))
        return SS_CLOSER_NONE;
    uint32_t parts = 0;
    struct ss_code walk = ss_code_of(image, function, FUNCTION_MAX);
    while (ss_code_next(&walk))
        if (ss_is_opcode(&walk.in, SS_OP_LEA) && ss_is_memory(&walk.in, SS_RM_RIP))
            parts |= part_at(image, ss_code_rip(&walk));
    /* Up to the end: what was not seen may be another's. */
    if (walk.next != end || (parts & ANOTHER))
        return SS_CLOSER_NONE;
    return parts & SHARDED      ? SS_CLOSER_BY_DEFAULT
           : parts & DISPATCHER ? SS_CLOSER_FORWARDS
                                : SS_CLOSER_NONE;
}

enum ss_closer ss_closer_by_code(const struct ss_module *m, uintptr_t address)
{
    enum { KIND_BITS = 2, ID_BITS = 14, ID_MASK = (1 << ID_BITS) - 1 };
    uint64_t key = (address << ID_BITS | (m->id & ID_MASK)) << KIND_BITS;
    _Atomic uint64_t *answer = &answers[(address ^ address >> 8) % ANSWERS];
    uint64_t known = atomic_load_explicit(answer, memory_order_relaxed);
    if (known >> KIND_BITS == key >> KIND_BITS)
        return (enum ss_closer)(known - key);
    struct ss_image image;
    ss_image_of(m, &image);
    enum ss_closer kind = kind_of(&image, address);
    atomic_store_explicit(answer, key | kind, memory_order_relaxed);
    return kind;
}
