/* Frames by the addresses that they are of: while a command runs, so that an address is symbolized once, and in
 * a file beside the logs, where the program may be gone by the time that they are read again: rustdoc removes
 * that of a doctest as soon as it has ended. Called by symbolize.c, run.c and log_read.c; one thread. */
#include "kept_frames.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_read.h"
#include "ordinary_file.h"
#include "text.h"

enum { FILE_MAX = 4 * 1024 * 1024, FRAMES_VERSION = 1 };

struct kept {
    uint64_t offset;
    struct ss_frames frames;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct kept *)a)->offset, y = ((const struct kept *)b)->offset;
    return x < y ? -1 : x > y;
}

struct ss_frames *ss_frames_at(void **tree, uint64_t offset)
{
    struct kept *wanted = ss_keep(sizeof *wanted);
    wanted->offset = offset;
    struct kept **found = tsearch(wanted, tree, compare);
    return found ? &(*found)->frames : &wanted->frames;
}

/* ---- writing ---- */

/* NULL where a name is not UTF-8. */
static json_t *frames_json(const struct ss_frames *frames)
{
    json_t *list = json_array();
    for (size_t i = 0; i < frames->count; i++) {
        const struct ss_frame *frame = &frames->frames[i];
        json_t *item = json_pack("{s:s?, s:s?, s:s?, s:I, s:b}", "function", frame->function,
                                 "name", frame->name, "file", frame->file, "line",
                                 (json_int_t)frame->line, "inlined", (int)frame->inlined);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void add_address(const void *node, VISIT visit, void *list)
{
    const struct kept *kept = *(struct kept *const *)node;
    if (visit != postorder && visit != leaf)
        return;
    json_t *frames = frames_json(&kept->frames);
    if (frames)
        json_array_append_new(list, json_pack("[I, o]", (json_int_t)kept->offset, frames));
}

bool ss_frames_write(const struct ss_report *report, const char *path)
{
    json_t *binaries = json_array();
    for (const struct ss_binary *binary = report->binaries; binary; binary = binary->next) {
        json_t *addresses = json_array();
        if (binary->symbolized && *binary->path == '/')
            twalk_r(binary->symbolized, add_address, addresses);
        if (json_array_size(addresses))
            json_array_append_new(binaries,
                                  json_pack("{s:s, s:s?, s:O}", "path", binary->path, "build_id",
                                            binary->build_id, "addresses", addresses));
        json_decref(addresses);
    }
    bool any = json_array_size(binaries), done = !any;
    json_t *root = json_pack("{s:i, s:o}", "v", FRAMES_VERSION, "binaries", binaries);
    int fd = any ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (out) {
        done = json_dumpf(root, out, JSON_COMPACT) == 0;
        done &= fclose(out) == 0;
        if (!done)
            unlink(path);
    }
    json_decref(root);
    return done;
}

/* ---- reading ---- */

static void read_address(struct ss_binary *binary, const json_t *address)
{
    const json_t *list = json_array_get(address, 1);
    json_int_t offset = json_integer_value(json_array_get(address, 0));
    size_t count = json_array_size(list);
    if (offset <= 0 || !count || count > SS_FRAMES_MAX)
        return;
    struct ss_frames *frames = ss_frames_at(&binary->kept, (uint64_t)offset);
    *frames = (struct ss_frames){count, ss_keep(count * sizeof *frames->frames)};
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        int64_t line = ss_integer_of(item, "line", 0);
        frames->frames[i] =
            (struct ss_frame){.function = ss_text_of(item, "function"),
                              .name = ss_text_of(item, "name"),
                              .file = ss_text_of(item, "file"),
                              .line = line > 0 && line <= INT32_MAX ? (unsigned)line : 0,
                              .inlined = json_is_true(json_object_get(item, "inlined")),
                              .address = {binary, (uint64_t)offset}};
    }
}

static void read_binary(const struct ss_report *report, const json_t *item)
{
    size_t index;
    json_t *address;
    const char *path = ss_text_of(item, "path");
    struct ss_binary *binary =
        path ? ss_find_binary(report, path, ss_text_of(item, "build_id")) : NULL;
    json_array_foreach(binary ? json_object_get(item, "addresses") : NULL, index, address)
    {
        read_address(binary, address);
    }
}

void ss_frames_read(struct ss_report *report, const char *path)
{
    struct stat status;
    int fd = ss_open_ordinary(path, &status);
    json_t *root = fd >= 0 && status.st_size <= FILE_MAX
                       ? json_loadfd(fd, JSON_DISABLE_EOF_CHECK, NULL)
                       : NULL;
    if (fd >= 0)
        close(fd);
    bool ours = ss_integer_of(root, "v", 0) == FRAMES_VERSION;
    size_t index;
    json_t *item;
    json_array_foreach(ours ? json_object_get(root, "binaries") : NULL, index, item)
    {
        read_binary(report, item);
    }
    json_decref(root);
}
