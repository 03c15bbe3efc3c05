/* Call sites as they lie in a module's memory. See metadata.c; shared by the shim and the command's
 * probe. */
#ifndef SS_METADATA_H
#define SS_METADATA_H

#include "types.h"

enum {
    SS_METADATA_WORDS = 15,
    SS_KIND_EVENT = 1, /* bits since tracing-core 0.1.26 */
    SS_KIND_SPAN = 2,
};

/* The place of each part of a Metadata, in words. Texts and names are {pointer, length}. */
struct ss_metadata_layout {
    uint8_t level, line, name, target, names, callsite, module_path, file, kind;
};

/* The module to read, relocated, and what is needed for that. */
struct ss_metadata_view {
    const struct ss_module *module; /* its segments, span and RELRO */
    /* Whether [address, address + size) may be read in another module; NULL: there is none. */
    bool (*readable_elsewhere)(uintptr_t address, size_t size);
    void *(*allocate)(size_t size); /* zeroed memory, or NULL */
};

/* The Metadata of one module. */
struct ss_metadata_set {
    enum ss_metadata_order order_kind;
    struct ss_metadata_layout
        order;        /* unless SS_ORDER_UNKNOWN, as are all below but count and at */
    bool kinds_tell;  /* whether events can be told from spans */
    uint8_t interest; /* place of the interest byte in a callsite, the registration byte follows */
    bool interest_known;
    uint32_t count;
    uint32_t at[]; /* offsets from the module's start, ascending */
};

/* Finds all Metadata of the module and learns their word order. Returns the set, made by the view's
 * allocate and never freed here, or NULL where there is none or no memory. No lock; any context that
 * the view's functions may be called in. */
SS_HIDDEN struct ss_metadata_set *ss_metadata_find(const struct ss_metadata_view *view);

/* Decodes the Metadata at address, one of a set with this order, into out. Any context. */
SS_HIDDEN void ss_metadata_decode(uintptr_t address, const struct ss_metadata_layout *order,
                                  struct ss_metadata *out);

/* The address of the FieldSet, {names, callsite}, in a Metadata. Any context. */
SS_HIDDEN uintptr_t ss_metadata_fields(uintptr_t metadata, const struct ss_metadata_layout *order);

#endif
