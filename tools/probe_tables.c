/* Subscriber tables and call sites of a file: the shim's own search, over the file's image. What
 * that search asks the process for in a program (other modules, memory, a place for its tables and
 * warnings) is answered here. Called by probe.c. One file at a time. */
#include "probe_tables.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/internal.h"
#include "../shim/metadata.h"
#include "../shim/modules.h"
#include "file_image.h"
#include "text.h"

/* The image that is looked at, and where what is found goes. */
static struct ss_module *module;
static struct ss_probe_tables *found;
static struct ss_probe_table **last;

/* ---- what the search asks for ---------------------------------------------------------------- */

struct ss_module *ss_module_of(uintptr_t address)
{
    return module && address >= module->start && address < module->end ? module : NULL;
}

void *ss_alloc(size_t size)
{
    return ss_keep(size);
}

char *ss_copy_text(const char *text, size_t length)
{
    return ss_text_copy(text, length);
}

void ss_probe_note(struct ss_probe_tables *tables, const char *text)
{
    for (size_t i = 0; text && i < SS_PROBE_NOTES; i++) {
        if (tables->notes[i] && strcmp(tables->notes[i], text) != 0)
            continue;
        tables->notes[i] = text;
        return;
    }
}

void ss_say(int level, const char *piece, ...)
{
    char *text = ss_text("%s", piece);
    va_list pieces;
    if (level > 0)
        return;
    va_start(pieces, piece);
    for (const char *more;
         (more = va_arg(pieces, const char *));) /* NOLINT(clang-analyzer-valist.Uninitialized) */
        text = ss_text("%s%s", text, more);
    va_end(pieces);
    if (found)
        ss_probe_note(found, text);
}

void ss_hook_table(const struct ss_table_found *table)
{
    static const int methods[] = {[SS_LAYOUT_14] = 14, [SS_LAYOUT_15] = 15, [SS_LAYOUT_16] = 16};
    struct ss_probe_table *entry = ss_keep(sizeof *entry);
    *entry = (struct ss_probe_table){.type = table->type,
                                     .evidence = table->evidence,
                                     .offset = table->address - table->module->start,
                                     .methods = methods[table->layout],
                                     .no_subscriber = table->no_subscriber};
    *last = entry;
    last = &entry->next;
    if (entry->no_subscriber)
        found->no_subscribers++;
    else
        found->count++;
}

void ss_module_has_table(struct ss_module *m, uintptr_t slot)
{
    (void)m, (void)slot; /* nobody comes back to look whether it is hooked still */
}

/* ---- call sites ------------------------------------------------------------------------------ */

static const char *copy(struct ss_text text)
{
    return text.data ? ss_text_copy(text.data, text.length) : NULL;
}

static void count_sites(const struct ss_metadata_set *set, bool keep, bool kinds_tell)
{
    found->kinds_tell = kinds_tell;
    if (keep)
        found->sites = ss_keep(set->count * sizeof found->sites[0]);
    for (uint32_t i = 0; i < set->count; i++) {
        struct ss_metadata metadata;
        uintptr_t address = module->start + set->at[i];
        const uintptr_t *word = (const uintptr_t *)address;
        bool event = kinds_tell && ((uint8_t)word[set->order.kind] & SS_KIND_EVENT);
        ss_metadata_decode(address, &set->order, &metadata);
        (event ? found->event_count : found->span_count)[metadata.level]++;
        if (keep)
            found->sites[found->site_count++] =
                (struct ss_probe_site){.name = copy(metadata.name),
                                       .target = copy(metadata.target),
                                       .file = copy(metadata.file),
                                       .line = metadata.line,
                                       .level = metadata.level,
                                       .is_event = event};
    }
}

void ss_probe_find_tables(int fd, uint64_t file_size, const char *path, bool with_sites,
                          bool marks_events, struct ss_probe_tables *out)
{
    struct ss_file_image image;
    char absolute[PATH_MAX];
    *out = (struct ss_probe_tables){.problem = ss_file_image_map(fd, file_size, path, &image)};
    if (out->problem)
        return;
    module = &image.module;
    /* A loaded module's path is absolute: debug files are looked for around it. */
    if (realpath(path, absolute))
        module->path = absolute;
    module->id = 2; /* 1 is the program itself: the search would open our own file */
    found = out;
    last = &out->tables;
    ss_discover(module);
    const struct ss_metadata_set *set =
        ss_metadata_find(&(struct ss_metadata_view){.module = module, .allocate = ss_alloc});
    if (set && set->order_kind != SS_ORDER_UNKNOWN)
        count_sites(set, with_sites, set->kinds_tell || marks_events);
    else
        out->sites_unread = set != NULL;
    module = NULL;
    found = NULL;
    ss_file_image_unmap(&image);
}
