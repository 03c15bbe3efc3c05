/* From an offset in a binary to functions, files and lines, by elfutils: the binary itself or a
 * file found by its build id, and separate debug files by build id and debuglink. A binary with
 * another build id than the log has is not used, and no debug file where a place that it may be in
 * leads to a fifo or a device: elfutils would wait there. Called by frames.c only; one thread. */
#include "report.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debug_places.h"
#include "kept_frames.h"
#include "ordinary_file.h"
#include "text.h"

enum { INLINE_DEPTH_MAX = 64, NESTING_MAX = 64 };

/* The functions of one compilation unit, by address. */
struct unit {
    Dwarf_Off offset; /* of its die, which identifies it */
    struct function {
        Dwarf_Addr low, high;
        Dwarf_Die die;
    } * functions;
    size_t count, room;
    const char *directory; /* where it was compiled */
};

struct ss_symbols {
    Dwfl *dwfl;
    Dwfl_Module *module;
    struct unit *units;
    size_t unit_count;
};

/* ---- opening ---- */

static char *hex_of(const unsigned char *bytes, size_t length)
{
    char *hex = ss_keep(length * 2 + 1);
    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    return hex;
}

/* Where the paths of the log begin; NULL: at our own root. */
static const char *files_below;

void ss_symbolize_below(const char *directory)
{
    files_below = directory;
}

/* The build id of a file: hex, "" where it has none, NULL (and *why) where it is no readable ELF.
 */
static const char *build_id_of_file(const char *path, const char **why)
{
    struct stat status;
    int fd = ss_open_ordinary(path, &status);
    if (fd < 0) {
        *why = errno == EMEDIUMTYPE ? "not a file" : strerror(errno);
        return NULL;
    }
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const char *id = NULL;
    if (elf && elf_kind(elf) == ELF_K_ELF) {
        const void *bytes = NULL;
        ssize_t length = dwelf_elf_gnu_build_id(elf, &bytes);
        id = length > 0 ? hex_of(bytes, (size_t)length) : "";
    } else {
        *why = "not an ELF file";
    }
    elf_end(elf);
    close(fd);
    return id;
}

/* The file to take names from: the binary where it is the right one, else a file by its build id.
 */
static const char *usable_file(struct ss_binary *binary)
{
    const char *why = NULL;
    if (binary->path[0] != '/') {
        binary->problem = "not a file";
        return NULL;
    }
    const char *own = files_below ? ss_text("%s%s", files_below, binary->path) : binary->path;
    const char *found = build_id_of_file(own, &why);
    if (found && (!binary->build_id || strcmp(found, binary->build_id) == 0))
        return own;

    if (binary->build_id && strlen(binary->build_id) > 2 &&
        strspn(binary->build_id, "0123456789abcdef") == strlen(binary->build_id)) {
        static const char *const suffixes[] = {"", ".debug"};
        for (size_t i = 0; i < 2; i++) {
            const char *ignored;
            const char *path = ss_text("/usr/lib/debug/.build-id/%.2s/%s%s", binary->build_id,
                                       binary->build_id + 2, suffixes[i]);
            const char *id = build_id_of_file(path, &ignored);
            if (id && strcmp(id, binary->build_id) == 0)
                return path;
        }
    }
    if (!found)
        binary->problem = ss_text("%s: its functions are not named", why);
    else
        binary->problem = ss_text("not the binary that ran: its build id is %s, the log's %s; its "
                                  "functions are not named",
                                  *found ? found : "missing", binary->build_id);
    return NULL;
}

static int find_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                           const char *path, const char *link, GElf_Word crc, char **found)
{
    if (path && !ss_debug_places_are_files(path, link)) {
        errno = 0; /* nothing went wrong: there is none */
        return -1;
    }
    return dwfl_standard_find_debuginfo(module, data, name, base, path, link, crc, found);
}

/* Why there is no debug information, and what helps. */
static const char *no_debug_problem(const char *path)
{
    const char *unused = ss_debug_file_problem(path);
    return ss_text("it has no debug information: functions by their symbols at best, and no lines; "
                   "%s",
                   unused ? ss_text("its debug file %s", unused)
                          : "build it with debug = \"line-tables-only\", or put its debug file "
                            "beside it or under /usr/lib/debug/.build-id");
}

static struct ss_symbols *open_symbols(struct ss_binary *binary)
{
    static char *debug_paths; /* the default search: beside the binary, .debug/, /usr/lib/debug */
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = find_debug_file,
                                             .section_address = dwfl_offline_section_address,
                                             .debuginfo_path = &debug_paths};
    struct ss_symbols *symbols = ss_keep(sizeof *symbols);
    const char *path = usable_file(binary);
    if (!path && binary->kept) {
        /* What was known of it while it was there. */
        binary->symbolized = binary->kept;
        binary->problem = NULL;
    }
    if (!path)
        return symbols;
    symbols->dwfl = dwfl_begin(&callbacks);
    if (!symbols->dwfl)
        return symbols;
    /* Base 0 and add_p_vaddr: addresses are those of the file, which is what offsets in a log are.
     */
    dwfl_report_begin(symbols->dwfl);
    symbols->module = dwfl_report_elf(symbols->dwfl, binary->path, path, -1, 0, true);
    dwfl_report_end(symbols->dwfl, NULL, NULL);
    Dwarf_Addr bias;
    if (symbols->module && binary->program && !dwfl_module_getdwarf(symbols->module, &bias))
        binary->problem = no_debug_problem(path);
    if (!symbols->module)
        binary->problem = ss_text("%s: its functions are not named", dwfl_errmsg(-1));
    return symbols;
}

/* ---- functions of a unit ---- */

static void add_function(struct unit *unit, Dwarf_Die *die)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
        if (unit->count == unit->room) {
            size_t room = unit->room ? unit->room * 2 : 64;
            void *grown = realloc(unit->functions, room * sizeof *unit->functions);
            if (!grown)
                return;
            unit->functions = grown;
            unit->room = room;
        }
        unit->functions[unit->count++] = (struct function){low, high, *die};
    }
}

static void add_functions(struct unit *unit, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die;
    if (depth > NESTING_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram:
            add_function(unit, &die);
            add_functions(unit, &die, depth + 1); /* C and Rust nest functions */
            break;
        case DW_TAG_namespace:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_enumeration_type:
        case DW_TAG_class_type:
        case DW_TAG_lexical_block:
            add_functions(unit, &die, depth + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static int compare_functions(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

/* Whether what may be opened as the file of a unit's split debug information is a file. */
static bool split_places_are_files(const struct ss_symbols *symbols, Dwarf_Die *unit_die)
{
    Dwarf_Attribute attribute;
    const char *folder = dwarf_formstring(dwarf_attr(unit_die, DW_AT_comp_dir, &attribute));
    const char *name = dwarf_formstring(dwarf_attr(unit_die, DW_AT_dwo_name, &attribute));
    const char *files[2] = {NULL};
    if (!name)
        name = dwarf_formstring(dwarf_attr(unit_die, DW_AT_GNU_dwo_name, &attribute));
    dwfl_module_info(symbols->module, NULL, NULL, NULL, NULL, NULL, &files[0], &files[1]);
    folder = folder ? folder : ".";
    for (size_t i = 0; name && i < sizeof files / sizeof files[0]; i++) {
        char target[PATH_MAX];
        char *slash = files[i] && realpath(files[i], target) ? strrchr(target, '/') : NULL;
        if (!slash)
            continue;
        bool packed = ss_is_file_or_none(ss_text("%s.dwp", target));
        *slash = 0;
        if (!packed || !ss_is_file_or_none(*name == '/' ? name : ss_text("%s/%s", target, name)) ||
            !ss_is_file_or_none(ss_text("%s%s%s/%s", *folder == '/' ? "" : target,
                                        *folder == '/' ? "" : "/", folder, name)))
            return false;
    }
    return true;
}

static struct unit *unit_of(struct ss_symbols *symbols, Dwarf_Die *unit_die)
{
    Dwarf_Off offset = dwarf_dieoffset(unit_die);
    for (size_t i = 0; i < symbols->unit_count; i++)
        if (symbols->units[i].offset == offset)
            return &symbols->units[i];
    void *grown = realloc(symbols->units, (symbols->unit_count + 1) * sizeof *symbols->units);
    if (!grown)
        return NULL;
    symbols->units = grown;
    struct unit *unit = &symbols->units[symbols->unit_count++];
    *unit = (struct unit){.offset = offset};
    Dwarf_Attribute attribute;
    const char *directory = dwarf_formstring(dwarf_attr(unit_die, DW_AT_comp_dir, &attribute));
    unit->directory = directory ? directory : "";

    /* With split debug information the functions are in the .dwo file's unit. */
    Dwarf_Die root = *unit_die, split;
    uint8_t type = 0;
    if (split_places_are_files(symbols, unit_die) &&
        dwarf_cu_info(unit_die->cu, NULL, &type, NULL, &split, NULL, NULL, NULL) == 0 &&
        type == DW_UT_skeleton && split.addr)
        root = split;
    add_functions(unit, &root, 0);
    if (unit->count)
        qsort(unit->functions, unit->count, sizeof *unit->functions, compare_functions);
    return unit;
}

/* The unit that holds address; by the index of ranges, else by each unit's own. */
static bool find_unit(struct ss_symbols *symbols, Dwarf_Addr address, Dwarf_Die *result,
                      Dwarf_Addr *bias)
{
    Dwarf_Die *die = dwfl_module_addrdie(symbols->module, address, bias);
    while (!die && (die = dwfl_module_nextcu(symbols->module, die, bias))) {
        while (die && dwarf_haspc(die, address - *bias) <= 0)
            die = dwfl_module_nextcu(symbols->module, die, bias);
        if (!die)
            return false;
    }
    if (!die)
        return false;
    *result = *die;
    return true;
}

/* ---- frames ---- */

static const char *linkage_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (!name)
        name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return name;
}

static const char *absolute(const char *directory, const char *file)
{
    if (!file || *file == '/' || !directory || *directory != '/')
        return file;
    return ss_text("%s/%s", directory, file);
}

/* The functions around address, innermost first: the function and what is inlined there. */
static size_t enclosing(const struct unit *unit, Dwarf_Addr address, Dwarf_Die dies[])
{
    const struct function *best = NULL;
    size_t low = 0, high = unit->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (unit->functions[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    /* Nested functions overlap nothing in practice; the last that starts before address is it. */
    while (low-- > 0 && !best)
        if (address < unit->functions[low].high)
            best = &unit->functions[low];
    if (!best)
        return 0;

    Dwarf_Die chain[INLINE_DEPTH_MAX], at = best->die, child;
    size_t depth = 0;
    chain[depth++] = at;
    int levels = 0;
    while (depth < INLINE_DEPTH_MAX && levels++ < 4 * NESTING_MAX &&
           dwarf_child(&at, &child) == 0) {
        bool found = false;
        do {
            int tag = dwarf_tag(&child);
            if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) &&
                dwarf_haspc(&child, address) > 0) {
                found = true;
                at = child;
                if (tag == DW_TAG_inlined_subroutine)
                    chain[depth++] = child;
                break;
            }
        } while (dwarf_siblingof(&child, &child) == 0);
        if (!found)
            break;
    }
    for (size_t i = 0; i < depth; i++)
        dies[i] = chain[depth - 1 - i];
    return depth;
}

/* Where an inlined function was called. */
static void call_place(Dwarf_Die *inlined, const struct unit *unit, struct ss_frame *frame)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0, line = 0;
    Dwarf_Die unit_die;
    Dwarf_Files *files;
    size_t count;
    frame->file = NULL;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) == 0)
        frame->line = (unsigned)line;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) == 0 &&
        dwarf_diecu(inlined, &unit_die, NULL, NULL) &&
        dwarf_getsrcfiles(&unit_die, &files, &count) == 0 && number < count)
        frame->file = absolute(unit->directory, dwarf_filesrc(files, number, NULL, NULL));
}

static struct ss_frames symbolize(struct ss_symbols *symbols, struct ss_address address)
{
    struct ss_frame frames[INLINE_DEPTH_MAX] = {{0}};
    size_t count = 0;
    /* A return address is that of the next instruction, maybe the next line or function. */
    Dwarf_Addr at = address.offset ? address.offset - 1 : 0, bias = 0;
    Dwarf_Die unit_die, dies[INLINE_DEPTH_MAX];
    struct unit *unit = NULL;

    if (symbols->module && find_unit(symbols, at, &unit_die, &bias) &&
        (unit = unit_of(symbols, &unit_die)) != NULL)
        count = enclosing(unit, at - bias, dies);
    for (size_t i = 0; i < count; i++) {
        const char *linkage = linkage_name(&dies[i]);
        frames[i].name = dwarf_diename(&dies[i]);
        frames[i].function = linkage ? ss_demangle(linkage) : frames[i].name;
        frames[i].inlined = i + 1 < count;
        if (i > 0)
            call_place(&dies[i - 1], unit, &frames[i]);
    }
    const char *symbol = symbols->module ? dwfl_module_addrname(symbols->module, at) : NULL;
    if (count == 0)
        count = 1;
    if (!frames[count - 1].function && symbol)
        frames[count - 1].function = ss_demangle(symbol);

    Dwfl_Line *line = symbols->module ? dwfl_module_getsrc(symbols->module, at) : NULL;
    int number = 0;
    const char *file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    if (file) {
        const char *directory = dwfl_line_comp_dir(line);
        frames[0].file = absolute(directory ? directory : unit ? unit->directory : NULL, file);
        frames[0].line = number > 0 ? (unsigned)number : 0;
    }

    struct ss_frames result = {count, ss_keep(count * sizeof *frames)};
    for (size_t i = 0; i < count; i++) {
        frames[i].address = address;
        if (frames[i].file)
            frames[i].file = ss_text_copy(frames[i].file, strlen(frames[i].file));
        result.frames[i] = frames[i];
    }
    return result;
}

struct ss_frames ss_symbolize(struct ss_address address)
{
    static struct ss_symbols none;
    struct ss_binary *binary = address.binary;
    if (binary && !binary->symbols)
        binary->symbols = open_symbols(binary);
    struct ss_symbols *symbols = binary ? binary->symbols : &none;
    if (!binary)
        return symbolize(symbols, address);
    struct ss_frames *known = ss_frames_at(&binary->symbolized, address.offset);
    if (!known->count)
        *known = symbolize(symbols, address);
    return *known;
}
