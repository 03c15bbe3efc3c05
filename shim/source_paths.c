/* Where in the path of a source file its crate's folder begins, and which part of that folder's name changes. Called
 * by breaches.c, for groups, and by tools/suppress.c, for patterns. */
#include "source_paths.h"

#include <stdbool.h>
#include <string.h>

enum { HASH_DIGITS = 16, REVISION_DIGITS_MIN = 7 }; /* as cargo has them in names of folders */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(const char *at, const char *end)
{
    while (at < end && (is_digit(*at) || (*at >= 'a' && *at <= 'f')))
        at++;
    return at == end;
}

/* Whether a path goes on with one of the folders beside `src` that a crate's own folder holds: cargo's names for what
 * is source, and that of what a build script makes. */
static bool at_other_source(const char *path)
{
    static const char *const folders[] = {"tests/", "examples/", "benches/", "out/"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return true;
    return false;
}

/* Where a folder's name goes on with `-1.2.3`; NULL if it does not. */
static const char *release_in(const char *name, const char *end)
{
    unsigned dots = 0;
    for (const char *at = end; at-- > name;) {
        dots += *at == '.' && is_digit(at[1]);
        if (*at == '-' && is_digit(at[1]) && dots >= 2)
            return at;
    }
    return NULL;
}

/* Where a folder's name ends with `-HASH`; NULL if it does not. */
static const char *hash_in(const char *name, const char *end)
{
    if (end - name <= HASH_DIGITS)
        return NULL;
    const char *dash = end - HASH_DIGITS - 1;
    return *dash == '-' && is_hex(dash + 1, end) ? dash : NULL;
}

/* From the folder at crate on, without what is from cut to rest. */
static struct ss_stable_path from(const char *crate, const char *cut, const char *rest)
{
    return (struct ss_stable_path){crate, (size_t)(cut - crate), rest};
}

struct ss_stable_path ss_stable_path_of(const char *path)
{
    struct ss_stable_path found = from(path, path, path);
    const char *file = path + (*path == '/'), *folder = NULL, *hash = NULL;
    /* placed: where it lies is in the path. sure: this is a crate's folder, so that below its `src` the other names
     * are those of modules. */
    bool placed = *path == '/', sure = false;
    for (const char *end; (end = strchr(file, '/')); file = end + 1) {
        const char *release = release_in(file, end), *outer_hash = hash;
        bool holds_src = strncmp(end + 1, "src/", strlen("src/")) == 0;
        hash = hash_in(file, end);
        if (release) {
            found = from(file, release, end);
            sure |= !placed || holds_src;
        } else if (outer_hash && end - file >= REVISION_DIGITS_MIN && is_hex(file, end)) {
            found = from(folder, outer_hash, end);
            placed = true;
            sure |= holds_src;
        } else if (placed && (holds_src || (!sure && at_other_source(end + 1)))) {
            found = from(file, hash ? hash : end, end);
        }
        folder = file;
    }
    if (*path != '/' || !folder)
        return found;
    if (strncmp(folder, "rustdoctest", strlen("rustdoctest")) == 0)
        return from(file, file, file);
    return found.rest == path ? from(folder, folder, folder) : found;
}
