/* Which releases of which crates a file is made of, as far as it tells: by the paths of panic
 * locations and debug information (`/tracing-core-0.1.32/src/`, in registries, vendored and git
 * folders), by Cargo's list of them (`.dep-v0`, cargo-auditable), and the compiler by `.comment` and
 * the paths of its library. Called by probe.c.
 *
 * The file is read in pieces, holes left out; what it says is shown, and never trusted to be well
 * formed. What it does not tell is not guessed. */
#include "probe_crates.h"

#include <errno.h>
#include <gelf.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <zlib.h>

#include "defects.h"
#include "file_image.h"
#include "text.h"

enum {
    PIECE = 1 << 20,
    BEHIND = 512, /* kept of the piece before: a path has to begin in it */
    AHEAD = 64,   /* of the next one: what follows a place that is looked at */
    NAME_MAX_LENGTH = 64,
    HASH_LENGTH = 16,
    LIST_MAX = 8 << 20 /* bytes of Cargo's list */
};

static const uint64_t read_max = 4ULL << 30;

const char *const ss_crate_names[] = {
    "tracing", "tracing-core", "tracing-subscriber", "tokio", "hyper", "hyper-util", NULL};

/* ---- the list ---- */

/* Where a crate stands in the order of names; -1: it is none that is looked for. */
static int rank_of(const char *name, size_t length)
{
    int rank = 0;
    for (; ss_crate_names[rank]; rank++)
        if (strlen(ss_crate_names[rank]) == length &&
            memcmp(ss_crate_names[rank], name, length) == 0)
            return rank;
    const char *other;
    for (size_t i = 0; (other = ss_defect_crate(i)); i++)
        if (strlen(other) == length && memcmp(other, name, length) == 0)
            return rank + (int)i;
    return -1;
}

static bool is_same(const char *a, const char *b, size_t length)
{
    return a ? b && strlen(a) == length && memcmp(a, b, length) == 0 : !b;
}

/* Adds a release. The evidence that came first is kept. */
static void add(struct ss_crates *out, const char *name, size_t name_length, const char *version,
                size_t version_length, const char *source)
{
    if (rank_of(name, name_length) < 0)
        return;
    for (size_t i = 0; i < out->count; i++)
        if (is_same(out->crates[i].name, name, name_length) &&
            is_same(out->crates[i].version, version, version_length) &&
            (version || strcmp(out->crates[i].source, source) == 0))
            return;
    if (out->count < SS_CRATES_MAX)
        out->crates[out->count++] = (struct ss_crate){
            ss_text_copy(name, name_length), version ? ss_text_copy(version, version_length) : NULL,
            ss_text("%s", source)};
}

static int compare(const void *left, const void *right)
{
    const struct ss_crate *a = left, *b = right;
    int by_name = rank_of(a->name, strlen(a->name)) - rank_of(b->name, strlen(b->name));
    if (by_name)
        return by_name;
    if (!a->version || !b->version)
        return !a->version - !b->version;
    int by_version = ss_compare_versions(a->version, b->version);
    return by_version ? by_version : strcmp(a->version, b->version);
}

static void add_compiler(struct ss_crates *out, const char *text, size_t length)
{
    for (size_t i = 0; i < out->compiler_count; i++)
        if (is_same(out->compilers[i], text, length))
            return;
    if (out->compiler_count < SS_COMPILERS_MAX)
        out->compilers[out->compiler_count++] = ss_text_copy(text, length);
}

/* ---- versions ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* The length of the version that text begins with, as Cargo has them: three numbers, and then
 * perhaps `-pre.1` or `+build`. 0: it begins with none. */
static size_t version_length(const char *text, const char *end)
{
    const char *at = text;
    for (int number = 0; number < 3; number++) {
        const char *digits = at;
        while (at < end && is_digit(*at))
            at++;
        if (at == digits || at - digits > 9)
            return 0;
        if (number < 2 && (at == end || *at++ != '.'))
            return 0;
    }
    if (at < end && (*at == '-' || *at == '+')) {
        const char *tag = ++at;
        while (at < end && (is_name(*at) || *at == '.' || *at == '+'))
            at++;
        if (at == tag)
            return 0;
    }
    return (size_t)(at - text);
}

static bool is_hex(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_digit(text[i]) && (text[i] < 'a' || text[i] > 'f'))
            return false;
    return length > 0;
}

/* ---- paths of crates: what stands before `/src` ---- */

/* One folder of a path. */
struct folder {
    const char *start, *end;
};

/* The folder that ends at end, at most NAME_MAX_LENGTH long. Empty: none is there. */
static struct folder folder_before(const char *from, const char *end)
{
    const char *start = end;
    while (start > from && end - start < NAME_MAX_LENGTH &&
           (is_name(start[-1]) || start[-1] == '.' || start[-1] == '+'))
        start--;
    return (struct folder){start, end};
}

static bool is_folder(struct folder folder, const char *name)
{
    size_t length = strlen(name);
    return (size_t)(folder.end - folder.start) == length && memcmp(folder.start, name, length) == 0;
}

/* The folder around this one. Empty: this is the path's first. */
static struct folder around(const char *from, struct folder folder)
{
    if (folder.start == from || folder.start[-1] != '/')
        return (struct folder){folder.start, folder.start};
    return folder_before(from, folder.start - 1);
}

/* `NAME-VERSION`; build systems of others put something that ends in `__` before. */
static bool note_versioned(struct ss_crates *out, struct folder folder)
{
    const char *name = folder.start;
    for (const char *at = folder.start; at + 2 < folder.end; at++)
        if (at[0] == '_' && at[1] == '_')
            name = at + 2;
    for (const char *at = name + 1; at + 1 < folder.end; at++) {
        if (*at != '-' || !is_digit(at[1]) || at[-1] == '-')
            continue;
        size_t length = version_length(at + 1, folder.end);
        if (length != (size_t)(folder.end - at - 1))
            continue;
        add(out, name, (size_t)(at - name), at + 1, length, "path");
        return true;
    }
    return false;
}

/* `REPOSITORY-HASH` */
static bool is_checkout(struct folder folder)
{
    const char *hash = folder.end - HASH_LENGTH;
    return folder.end - folder.start > HASH_LENGTH + 1 && hash[-1] == '-' &&
           is_hex(hash, HASH_LENGTH);
}

/* `checkouts/REPOSITORY-HASH/REVISION` with the crate in it or some folders below, or
 * `vendor/NAME`. */
static void note_unversioned(struct ss_crates *out, const char *from, struct folder folder)
{
    enum { BELOW_MAX = 4 };
    struct folder at = folder, outer = around(from, folder);
    if (is_folder(outer, "vendor")) {
        add(out, folder.start, (size_t)(folder.end - folder.start), NULL, 0, "vendored");
        return;
    }
    for (int below = 0; below < BELOW_MAX && outer.start < outer.end; below++) {
        if (is_folder(around(from, outer), "checkouts") && is_checkout(outer) &&
            is_hex(at.start, (size_t)(at.end - at.start))) {
            struct folder crate =
                below ? folder : (struct folder){outer.start, outer.end - HASH_LENGTH - 1};
            const char *source = ss_text("git %.*s", (int)(at.end - at.start), at.start);
            add(out, crate.start, (size_t)(crate.end - crate.start), NULL, 0, source);
            return;
        }
        at = outer;
        outer = around(from, outer);
    }
}

static void note_paths(struct ss_crates *out, const char *from, const char *start, const char *end)
{
    static const char mark[] = "/src";
    enum { LENGTH = sizeof mark - 1 };
    for (const char *at = start; (at = memmem(at, (size_t)(end - at), mark, LENGTH)); at++) {
        struct folder folder = folder_before(from, at);
        if (folder.start == folder.end || end - at == LENGTH || (at[LENGTH] && at[LENGTH] != '/') ||
            note_versioned(out, folder))
            continue;
        note_unversioned(out, from, folder);
    }
}

/* ---- the compiler ---- */

/* `/rustc/COMMIT/` and, as Debian has it, `/rustc-VERSION/`. */
static void note_compilers(struct ss_crates *out, const char *start, const char *limit,
                           const char *end)
{
    enum { COMMIT_LENGTH = 40 };
    static const char mark[] = "/rustc";
    for (const char *at = start;
         at < limit && (at = memmem(at, (size_t)(limit - at), mark, sizeof mark - 1));) {
        at += sizeof mark - 1;
        if (end - at < COMMIT_LENGTH + 2)
            return;
        if (*at == '/' && at[COMMIT_LENGTH + 1] == '/' && is_hex(at + 1, COMMIT_LENGTH)) {
            const char *text = ss_text("commit %.*s", COMMIT_LENGTH, at + 1);
            add_compiler(out, text, strlen(text));
        } else if (*at == '-') {
            size_t length = version_length(at + 1, end);
            if (length && at + 1 + length < end && at[1 + length] == '/')
                add_compiler(out, at + 1, length);
        }
    }
}

/* A commit that a version names already says nothing new. */
static void drop_named_commits(struct ss_crates *out)
{
    static const char commit[] = "commit ";
    enum { SHORT_COMMIT = 9 };
    size_t kept = 0;
    for (size_t i = 0; i < out->compiler_count; i++) {
        bool named = false;
        if (ss_text_starts(out->compilers[i], commit)) {
            const char *part =
                ss_text("(%.*s ", SHORT_COMMIT, out->compilers[i] + sizeof commit - 1);
            for (size_t j = 0; j < out->compiler_count; j++)
                named |= strstr(out->compilers[j], part) != NULL;
        }
        if (!named)
            out->compilers[kept++] = out->compilers[i];
    }
    out->compiler_count = kept;
}

/* ---- sections ---- */

static Elf_Data *section_named(Elf *elf, const char *wanted)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names;
    if (elf_getshdrstrndx(elf, &names) != 0)
        return NULL;
    while ((section = elf_nextscn(elf, section))) {
        const char *name =
            gelf_getshdr(section, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;
        if (name && strcmp(name, wanted) == 0)
            return elf_rawdata(section, NULL);
    }
    return NULL;
}

static void read_comment(struct ss_crates *out, Elf *elf)
{
    static const char mark[] = "rustc version ";
    Elf_Data *data = section_named(elf, ".comment");
    const char *at = data ? data->d_buf : NULL, *end = at ? at + data->d_size : NULL;
    while (at && at < end) {
        size_t length = strnlen(at, (size_t)(end - at));
        if (length > sizeof mark - 1 && length < 200 && memcmp(at, mark, sizeof mark - 1) == 0)
            add_compiler(out, at + sizeof mark - 1, length - (sizeof mark - 1));
        at += length + 1;
    }
}

/* Cargo's list of what a program was built from: JSON, compressed. */
static void read_list(struct ss_crates *out, Elf *elf)
{
    Elf_Data *data = section_named(elf, ".dep-v0");
    uLongf size = LIST_MAX;
    char *text = data && data->d_buf ? malloc(LIST_MAX) : NULL;
    if (text && uncompress((Bytef *)text, &size, data->d_buf, data->d_size) == Z_OK) {
        json_t *list = json_loadb(text, size, 0, NULL), *package;
        size_t i;
        json_array_foreach(json_object_get(list, "packages"), i, package)
        {
            const char *name = json_string_value(json_object_get(package, "name"));
            const char *version = json_string_value(json_object_get(package, "version"));
            const char *kind = json_string_value(json_object_get(package, "kind"));
            size_t length = version ? strlen(version) : 0;
            if (name && length && version_length(version, version + length) == length &&
                !(kind && strcmp(kind, "build") == 0))
                add(out, name, strlen(name), version, length, "auditable");
        }
        json_decref(list);
    }
    free(text);
}

/* ---- the whole file ---- */

static bool holds(const char *start, const char *end, const char *word)
{
    return memmem(start, (size_t)(end - start), word, strlen(word)) != NULL;
}

/* Looks at [start, limit); what lies before, down to from, and behind, up to end, is the file's. */
static void look_at(struct ss_crates *out, const char *from, const char *start, const char *limit,
                    const char *end)
{
    note_paths(out, from, start, limit + 4 < end ? limit + 4 : end);
    note_compilers(out, start, limit, end);
    const char *last = limit + 32 < end ? limit + 32 : end;
    out->has_tracing = out->has_tracing || holds(start, last, "tracing_core") ||
                       holds(start, last, "tracing-core-");
    out->annotated = out->annotated || holds(start, last, "strayspan_annotate_new");
}

void ss_probe_find_crates(int fd, uint64_t file_size, Elf *elf, struct ss_crates *out)
{
    char *buffer = malloc(BEHIND + PIECE + AHEAD);
    *out = (struct ss_crates){.count = 0};
    read_comment(out, elf);
    read_list(out, elf);
    uint64_t done = 0;
    for (uint64_t offset = 0; buffer && offset < file_size;) {
        off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* nothing but a hole follows */
        if (data > (off_t)offset)
            offset = (uint64_t)data;
        if (done >= read_max) {
            out->cut_off = true;
            break;
        }
        uint64_t behind = offset < BEHIND ? offset : BEHIND, left = file_size - offset;
        size_t piece = left < PIECE ? (size_t)left : PIECE;
        size_t ahead = left - piece < AHEAD ? (size_t)(left - piece) : AHEAD;
        memset(buffer, 0, behind + piece + ahead);
        ss_file_read(fd, offset - behind, buffer, behind + piece + ahead);
        look_at(out, buffer, buffer + behind, buffer + behind + piece,
                buffer + behind + piece + ahead);
        offset += piece;
        done += piece;
    }
    free(buffer);
    drop_named_commits(out);
    qsort(out->crates, out->count, sizeof out->crates[0], compare);
}
