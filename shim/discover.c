/* Where the `dyn Subscriber` tables of a module are: what its symbols say, its own or those of a
 * separate debug file, and what its code looks like.
 *
 * Symbols are the first evidence. Where there are any the code is looked at all the same, and the
 * two must agree: what only one of them sees is disputed, which is warned of. A table that only
 * symbols see is hooked. One that only its code speaks for is not, if symbols call its functions
 * something else; where they are silent, as in a module that was stripped in part, it is.
 *
 * Called by modules.c, once per loaded module, from start and from inside the loader; under no
 * lock. The file is untrusted (elf_symbols.c), the memory is the module's own segments. */
#include <stdatomic.h>

#include "elf_symbols.h"
#include "internal.h"
#include "module_image.h"
#include "modules.h"
#include "prim.h"
#include "signature.h"
#include "symbol_tables.h"
#include "trait.h"

/* One module's search; mapped for its duration. */
struct search {
    struct ss_module *module;
    struct ss_image image;
    uint32_t count; /* of the tables to hook */
    struct ss_table_found tables[SS_TABLES_MAX];
    uint32_t doubtful;   /* that may be some, by their code */
    uint32_t seen_count; /* of those that code speaks for */
    struct {
        struct ss_signature_found table;
        uint32_t named; /* methods that a symbol is for */
        bool known;     /* to the symbols */
    } seen[SS_TABLES_MAX];
};

static void note_seen(void *context, const struct ss_signature_found *found)
{
    struct search *search = context;
    if (found->doubtful)
        search->doubtful++;
    else if (search->seen_count < SS_TABLES_MAX)
        search->seen[search->seen_count++].table = *found;
}

static bool is_slot(const struct ss_signature_found *table, uintptr_t function)
{
    const uintptr_t *word = (const uintptr_t *)table->address;
    for (uint32_t i = SS_TRAIT_HEADER_WORDS; i < ss_trait_words(table->layout); i++)
        if (word[i] == function)
            return true;
    return false;
}

static bool note_named(void *context, const Elf64_Sym *symbol)
{
    struct search *search = context;
    uintptr_t function = search->module->bias + symbol->st_value;
    for (uint32_t i = 0; i < search->seen_count; i++)
        search->seen[i].named +=
            !search->seen[i].known && is_slot(&search->seen[i].table, function);
    return true;
}

/* Compares what the symbols found with what the code says. Returns how many tables are seen by one
 * of the two alone. */
static uint32_t compare(struct search *search)
{
    uint32_t disputed = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        uint32_t at = 0;
        while (at < search->seen_count &&
               (search->seen[at].table.address != search->tables[i].address ||
                search->seen[at].table.layout != search->tables[i].layout))
            at++;
        if (at < search->seen_count)
            search->seen[at].known = true;
        else
            disputed++;
    }
    return disputed;
}

/* Adds what the code alone speaks for, as far as no symbol speaks against it. Returns how many
 * symbols do. */
static uint32_t add_seen(struct search *search, struct ss_elf *elf)
{
    enum { NAMED_MAX = 3 }; /* functions are merged: a name may be another table's */
    uint32_t disputed = 0, unknown = 0;
    for (uint32_t i = 0; i < search->seen_count; i++)
        unknown += !search->seen[i].known;
    if (unknown && elf)
        ss_elf_each_function(elf, note_named, search);
    for (uint32_t i = 0; i < search->seen_count; i++) {
        const struct ss_signature_found *table = &search->seen[i].table;
        if (search->seen[i].known)
            continue;
        if (search->seen[i].named > NAMED_MAX)
            disputed++;
        else if (search->count < SS_TABLES_MAX)
            search->tables[search->count++] =
                (struct ss_table_found){.address = table->address,
                                        .layout = table->layout,
                                        .no_subscriber = table->no_subscriber,
                                        .default_try_close = table->default_try_close,
                                        .by_code = true,
                                        .evidence = "signature"};
    }
    return disputed;
}

static void hook(struct search *search)
{
    struct ss_module *m = search->module;
    for (uint32_t i = 0; i < search->count; i++) {
        struct ss_table_found *table = &search->tables[i];
        table->module = m;
        ss_hook_table(table);
        enum ss_trait_method patched = table->by_code && !table->no_subscriber
                                           ? SS_TRAIT_REGISTER_CALLSITE
                                           : SS_TRAIT_TRY_CLOSE;
        ss_module_has_table(m, table->address +
                                   ss_trait_slot(patched, table->layout) * sizeof(uintptr_t));
    }
}

static void search_module(struct search *search)
{
    struct ss_module *m = search->module;
    struct ss_elf elf;
    bool has_symbols = ss_elf_open(m, &elf);
    uint32_t disputed = 0;
    if (has_symbols) {
        search->count = ss_symbol_tables(m, &elf, search->tables);
        for (uint32_t i = 0; i < search->count; i++)
            search->tables[i].evidence = elf.separate ? "debug-file" : "symbols";
    }
    ss_image_of(m, &search->image);
    (void)ss_signature_find(&search->image, note_seen, search);
    if (search->count)
        disputed = compare(search);
    else
        m->tables_doubtful = search->doubtful; /* where there are symbols, they know */
    disputed += add_seen(search, has_symbols ? &elf : NULL);
    if (has_symbols)
        ss_elf_close(&elf);

    m->tables_disputed = disputed;
    if (disputed)
        SS_WARN(m->path, ": its ", elf.separate ? "debug file" : "symbols",
                " and its code do not agree on where its subscriber tables are; followed are the ",
                "symbols");
    if (search->count == 0) {
        SS_VERBOSE(2, m->path, ": neither symbols nor code tell of a subscriber");
        return;
    }
    m->evidence = search->tables[0].evidence;
    hook(search);
}

void ss_discover(struct ss_module *m)
{
    struct search *search = ss_sys_map(sizeof *search);
    if (!search)
        return;
    search->module = m;
    search_module(search);
    ss_sys_unmap(search, sizeof *search);
}
