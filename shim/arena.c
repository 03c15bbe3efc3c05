/* Memory of our own, for all of the shim: bump allocation from mapped chunks, never returned.
 *
 * Called from start and slow contexts of any thread; lock-free, so it is safe in a fork's child at
 * any time. Two threads that run out of a chunk at once map one each, and the loser's tail is lost.
 */
#include <stdatomic.h>
#include <string.h>

#include "internal.h"
#include "prim.h"

enum { CHUNK_SIZE = 256 * 1024, ALIGNMENT = 16 };

/* The chunk in use: its first word is how much of it is taken. */
struct chunk {
    _Atomic size_t used;
    size_t size;
};

static struct chunk *_Atomic current;

static struct chunk *map_chunk(size_t wanted)
{
    size_t size = wanted > CHUNK_SIZE ? (wanted + 4095) & ~(size_t)4095 : CHUNK_SIZE;
    struct chunk *chunk = ss_sys_map(size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    atomic_store_explicit(&chunk->used, (sizeof *chunk + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1),
                          memory_order_relaxed);
    return chunk;
}

static void *take(struct chunk *chunk, size_t size)
{
    size_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
    do {
        if (used > chunk->size || chunk->size - used < size)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&chunk->used, &used, used + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    return (char *)chunk + used;
}

void *ss_alloc(size_t size)
{
    static _Atomic bool warned;
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

    struct chunk *chunk = atomic_load_explicit(&current, memory_order_acquire);
    void *memory = chunk ? take(chunk, size) : NULL;
    if (memory)
        return memory;

    struct chunk *fresh = map_chunk(size + sizeof *fresh + ALIGNMENT);
    if (!fresh) {
        if (!atomic_exchange(&warned, true))
            SS_WARN("out of memory: some spans will not be judged");
        return NULL;
    }
    memory = take(fresh, size);
    /* A large block has its chunk to itself; the one in use stays in use. */
    if (fresh->size == CHUNK_SIZE)
        atomic_store_explicit(&current, fresh, memory_order_release);
    return memory;
}

char *ss_copy_text(const char *text, size_t length)
{
    char *copy = ss_alloc(length + 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}
