/* Walking stacks by call frame information: ss_walk, what finds the FDE of an address, and the
 * cache of decoded rules that makes the second walk fast.
 *
 * Called where stacks are captured and activations compared; any context, signal handlers included:
 * no lock, no allocation, no system call, no libc. Reads the given stack, and tables in readable
 * segments of the modules that ss_module_of finds. A module that is on the stack is not unloaded;
 * one that was unloaded and is not marked yet can be met through a damaged stack only.
 *
 * The rules of nearly all frames fit into two words (packed); they and the function's start are
 * kept by address. The rest (signal frames, PLT stubs, odd assembly) is decoded each time. */
#include <elf.h>
#include <stdatomic.h>

#include "cfi.h"

/* Sets of two slots, which share a cache line; a power of two. A test builds with 1, to crowd it.
 */
#ifndef SS_CFI_CACHE_SETS
#define SS_CFI_CACHE_SETS 2048
#endif

enum { LINEAR_ENTRIES_MAX = 1 << 16 };

/* What is known of an address. */
enum kind {
    KIND_STOP,        /* no FDE (function 0), or rules that cannot be followed */
    KIND_OFFSET,      /* CFA = reg + offset */
    KIND_DEREFERENCED /* CFA = the word at reg + offset: frames that were realigned */
};

/* The parts of struct packed's rule. The return address is at CFA - 8 unless OUTERMOST says that
 * there is none. */
enum {
    RULE_MODULE_BITS = 16, /* bits 0 to 15: the module's id */
    RULE_REG_SHIFT = 16,   /* 4 bits */
    RULE_KIND_SHIFT = 20,  /* 2 bits */
    RULE_OUTERMOST = 1 << 22,
    RULE_FROM_RBP = 1 << 23, /* saves count from rbp, not from the CFA */
    RULE_SAVED_SHIFT = 24,   /* 6 bits: which of saved_registers were saved */
    RULE_SAVED_RBP = 1 << 25,
    RULE_OFFSET_SHIFT = 32
};

static const uint8_t saved_registers[] = {SS_CFI_RBX, SS_CFI_RBP, SS_CFI_R12,
                                          SS_CFI_R13, SS_CFI_R14, SS_CFI_R15};
enum { SAVED_COUNT = sizeof saved_registers, SAVED_RBP = 1 };

struct packed {
    uint64_t rule;
    uint64_t saves; /* byte i: where saved_registers[i] is, in words, signed */
    uint64_t function;
};

/* ---- the cache ------------------------------------------------------------------------------- */

/* A slot is read without a lock: its key (pc << 16 | version) must be the same before and after the
 * rest. A writer takes the slot by making the key busy; one that dies in between (fork, a handler
 * that never returns) costs that slot. Versions keep a slot that was rewritten twice from looking
 * untouched. An entry is good for the module with its id only, and ids are never reused. */
struct slot {
    _Atomic uint64_t key, rule, saves, function;
};

enum { KEY_VERSION_BITS = 16 };
static const uint64_t busy_pc = UINT64_MAX >> KEY_VERSION_BITS;
static _Alignas(64) struct slot cache[SS_CFI_CACHE_SETS][2];

static struct slot *set_of(uintptr_t pc)
{
    return cache[pc * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (SS_CFI_CACHE_SETS - 1)];
}

/* Whether cache keys hold the module and the address. */
static bool cacheable(const struct ss_module *module, uintptr_t pc)
{
    return module->id >> RULE_MODULE_BITS == 0 && pc < busy_pc;
}

static bool cache_get(const struct ss_module *module, uintptr_t pc, struct packed *packed)
{
    struct slot *slot = set_of(pc);
    uint64_t key = atomic_load_explicit(&slot->key, memory_order_acquire);
    if (key >> KEY_VERSION_BITS != pc) {
        slot++;
        key = atomic_load_explicit(&slot->key, memory_order_acquire);
        if (key >> KEY_VERSION_BITS != pc)
            return false;
    }
    packed->rule = atomic_load_explicit(&slot->rule, memory_order_relaxed);
    packed->saves = atomic_load_explicit(&slot->saves, memory_order_relaxed);
    packed->function = atomic_load_explicit(&slot->function, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&slot->key, memory_order_relaxed) == key &&
           (packed->rule & ((1 << RULE_MODULE_BITS) - 1)) == module->id;
}

/* Which slot of pc's set to give up: one that has pc for another module, or an empty one, or the
 * one that was written less often. */
static struct slot *cache_victim(uintptr_t pc)
{
    struct slot *set = set_of(pc);
    uint64_t key[2] = {atomic_load_explicit(&set[0].key, memory_order_relaxed),
                       atomic_load_explicit(&set[1].key, memory_order_relaxed)};
    for (uint32_t i = 0; i < 2; i++)
        if (key[i] >> KEY_VERSION_BITS == pc)
            return &set[i];
    for (uint32_t i = 0; i < 2; i++)
        if (key[i] == 0)
            return &set[i];
    return (int16_t)(uint16_t)(key[1] - key[0]) < 0 ? &set[1] : &set[0];
}

static void cache_put(const struct ss_module *module, uintptr_t pc, const struct packed *packed)
{
    if (!cacheable(module, pc))
        return;
    struct slot *slot = cache_victim(pc);
    uint64_t key = atomic_load_explicit(&slot->key, memory_order_relaxed);
    uint64_t version = (key + 1) & ((1 << KEY_VERSION_BITS) - 1);
    if (key >> KEY_VERSION_BITS == busy_pc ||
        !atomic_compare_exchange_strong_explicit(&slot->key, &key,
                                                 busy_pc << KEY_VERSION_BITS | version,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&slot->rule, packed->rule | module->id, memory_order_relaxed);
    atomic_store_explicit(&slot->saves, packed->saves, memory_order_relaxed);
    atomic_store_explicit(&slot->function, packed->function, memory_order_relaxed);
    atomic_store_explicit(&slot->key, pc << KEY_VERSION_BITS | version, memory_order_release);
}

/* ---- finding the FDE ------------------------------------------------------------------------- */

/* The readable segment that address lies in. */
static const struct ss_segment *segment_of(const struct ss_module *module, uintptr_t address)
{
    for (uint32_t i = 0; i < module->segment_count && i < SS_SEGMENTS_MAX; i++) {
        const struct ss_segment *segment = &module->segments[i];
        if (address >= segment->start && address < segment->end && segment->flags & PF_R)
            return segment;
    }
    return NULL;
}

static bool entry_at(const struct ss_module *module, uintptr_t address, uintptr_t pc,
                     struct ss_cfi_entry *entry)
{
    const struct ss_segment *segment = segment_of(module, address);
    return segment != NULL && ss_cfi_entry_read(segment->start, segment->end, address, entry) &&
           pc >= entry->function && pc < entry->function_end;
}

/* By the table in .eh_frame_hdr: pairs of {function, FDE}, sorted, relative to the header. */
static bool search_table(const struct ss_module *module, struct ss_cfi_reader table, uint64_t count,
                         uintptr_t pc, struct ss_cfi_entry *entry)
{
    if (count == 0 || count > (table.end - table.at) / 8)
        return false;
    uint64_t low = 0, high = count;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        struct ss_cfi_reader pair = {.at = table.at + middle * 8, .end = table.end};
        uintptr_t function =
            ss_cfi_pointer(&pair, SS_CFI_ENCODING_DATAREL_SDATA4, module->eh_frame_hdr);
        if (function <= pc)
            low = middle;
        else
            high = middle;
    }
    struct ss_cfi_reader fde = {.at = table.at + low * 8 + 4, .end = table.end};
    return entry_at(module,
                    ss_cfi_pointer(&fde, SS_CFI_ENCODING_DATAREL_SDATA4, module->eh_frame_hdr), pc,
                    entry);
}

/* Where there is no such table: one after the other. */
static bool search_section(const struct ss_module *module, uintptr_t eh_frame, uintptr_t pc,
                           struct ss_cfi_entry *entry)
{
    const struct ss_segment *segment = segment_of(module, eh_frame);
    if (segment == NULL)
        return false;
    for (uint32_t i = 0; i < LINEAR_ENTRIES_MAX && eh_frame != 0; i++) {
        if (entry_at(module, eh_frame, pc, entry))
            return true;
        eh_frame = ss_cfi_next(segment->end, eh_frame);
    }
    return false;
}

static bool entry_find(const struct ss_module *module, uintptr_t pc, struct ss_cfi_entry *entry)
{
    const struct ss_segment *segment = segment_of(module, module->eh_frame_hdr);
    if (module->eh_frame_hdr == 0 || segment == NULL)
        return false;
    struct ss_cfi_reader header = {.at = module->eh_frame_hdr, .end = segment->end};
    if (module->eh_frame_hdr_end >= header.at && module->eh_frame_hdr_end < header.end)
        header.end = module->eh_frame_hdr_end;
    uint64_t version = ss_cfi_unsigned(&header, 1);
    uint8_t frame_encoding = (uint8_t)ss_cfi_unsigned(&header, 1);
    uint8_t count_encoding = (uint8_t)ss_cfi_unsigned(&header, 1);
    uint8_t table_encoding = (uint8_t)ss_cfi_unsigned(&header, 1);
    uintptr_t eh_frame = ss_cfi_pointer(&header, frame_encoding, module->eh_frame_hdr);
    if (version != 1 || header.bad)
        return false;
    if (count_encoding == SS_CFI_ENCODING_OMIT || table_encoding != SS_CFI_ENCODING_DATAREL_SDATA4)
        return search_section(module, eh_frame, pc, entry);
    uint64_t count = ss_cfi_pointer(&header, count_encoding, 0);
    return !header.bad && search_table(module, header, count, pc, entry);
}

/* ---- packing --------------------------------------------------------------------------------- */

static bool pack_cfa(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                     uint64_t *packed)
{
    struct ss_cfi_rule rule = row->cfa;
    uint64_t kind = KIND_OFFSET;
    if (rule.where == SS_CFI_IS_EXPRESSION) {
        bool dereferenced;
        if (!ss_cfi_simple_expression(entry, row->cfa_expression, &rule.reg, &rule.offset,
                                      &dereferenced))
            return false;
        kind = dereferenced ? KIND_DEREFERENCED : KIND_OFFSET;
    }
    if (rule.reg > 15 || (SS_CFI_KEPT >> rule.reg & 1) == 0)
        return false;
    *packed = (uint64_t)rule.reg << RULE_REG_SHIFT | kind << RULE_KIND_SHIFT |
              (uint64_t)(uint32_t)rule.offset << RULE_OFFSET_SHIFT;
    return true;
}

/* Where a register was saved, as words from the CFA or from rbp. */
static bool pack_save(const struct ss_cfi_entry *entry, struct ss_cfi_rule rule, bool *from_rbp,
                      int32_t *words)
{
    bool dereferenced;
    uint8_t reg;
    *from_rbp = rule.where == SS_CFI_AT_EXPRESSION;
    if (*from_rbp &&
        (!ss_cfi_simple_expression(entry, rule.offset, &reg, &rule.offset, &dereferenced) ||
         dereferenced || reg != SS_CFI_RBP))
        return false;
    if (!*from_rbp && rule.where != SS_CFI_AT)
        return false;
    *words = rule.offset / 8;
    return rule.offset % 8 == 0 && *words >= INT8_MIN && *words <= INT8_MAX;
}

static bool pack_saves(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                       struct packed *packed)
{
    bool from_cfa = false, from_rbp = false;
    for (uint32_t i = 0; i < SAVED_COUNT; i++) {
        const struct ss_cfi_rule rule = row->column[saved_registers[i]];
        bool by_rbp;
        int32_t words;
        if (rule.where == SS_CFI_UNSAID || rule.where == SS_CFI_SAME)
            continue;
        if (!pack_save(entry, rule, &by_rbp, &words))
            return false;
        *(by_rbp ? &from_rbp : &from_cfa) = true;
        packed->rule |= UINT64_C(1) << (RULE_SAVED_SHIFT + i);
        packed->saves |= (uint64_t)(uint8_t)words << 8 * i;
    }
    if (from_rbp)
        packed->rule |= RULE_FROM_RBP;
    return !(from_cfa && from_rbp);
}

/* Packs row, if it is of the common kind. Rules for other registers than the saved ones hardly
 * matter, as those are lost in a call. */
static bool pack(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                 struct packed *packed)
{
    const struct ss_cfi_rule rip = row->column[SS_CFI_RIP];
    *packed = (struct packed){.function = entry->function};
    if (entry->signal_frame || row->column[SS_CFI_RSP].where != SS_CFI_UNSAID ||
        !pack_cfa(entry, row, &packed->rule))
        return false;
    if (rip.where == SS_CFI_UNDEFINED) {
        packed->rule |= RULE_OUTERMOST;
        return true;
    }
    return rip.where == SS_CFI_AT && rip.offset == -8 && pack_saves(entry, row, packed);
}

/* ---- learning -------------------------------------------------------------------------------- */

/* Where this fails entry->function is 0 if no FDE covers pc. */
static bool decode(const struct ss_module *module, uintptr_t pc, struct ss_cfi_entry *entry,
                   struct ss_cfi_row *row)
{
    if (entry_find(module, pc, entry))
        return ss_cfi_row_at(entry, pc, row);
    entry->function = 0;
    return false;
}

/* Packs what holds at pc and keeps it. False where it does not pack. */
static SS_COLD bool learn(const struct ss_module *module, uintptr_t pc, struct packed *packed)
{
    struct ss_cfi_entry entry;
    struct ss_cfi_row row;
    if (!decode(module, pc, &entry, &row))
        *packed = (struct packed){.rule = KIND_STOP, .function = entry.function};
    else if (!pack(&entry, &row, packed))
        return false;
    cache_put(module, pc, packed);
    return true;
}

static inline uint32_t packed_kind(const struct packed *packed)
{
    return packed->rule >> RULE_KIND_SHIFT & 3;
}

static inline uint32_t packed_reg(const struct packed *packed)
{
    return packed->rule >> RULE_REG_SHIFT & 15;
}

static inline uintptr_t packed_offset(const struct packed *packed)
{
    return (uintptr_t)((int64_t)packed->rule >> RULE_OFFSET_SHIFT);
}

/* Where saved_registers[i] was saved. */
static inline uintptr_t packed_save(const struct packed *packed, uint32_t i, uintptr_t cfa,
                                    uintptr_t rbp)
{
    int8_t words = (int8_t)(packed->saves >> 8 * i);
    return (packed->rule & RULE_FROM_RBP ? rbp : cfa) + (uintptr_t)((intptr_t)words * 8);
}

/* ---- walking --------------------------------------------------------------------------------- */

/* Where frames are reported to, and the module that the last was in. */
struct trail {
    const struct ss_module *module;
    uintptr_t module_start, module_size;
    struct ss_frame *frames;
    uint32_t count, max;
};

static inline __attribute__((always_inline)) struct ss_frame *report(struct trail *trail,
                                                                     uintptr_t ip)
{
    struct ss_frame *frame = &trail->frames[trail->count++];
    *frame = (struct ss_frame){.ip = ip};
    return frame;
}

static inline __attribute__((always_inline)) bool in_module(struct trail *trail, uintptr_t pc)
{
    if (SS_LIKELY(pc - trail->module_start < trail->module_size))
        return true;
    trail->module = ss_module_of(pc);
    if (trail->module == NULL)
        return false;
    trail->module_start = trail->module->start;
    trail->module_size = trail->module->end - trail->module_start;
    return true;
}

/* The CFA lies above the one before, aligned, on the stack. */
static inline bool plausible(const struct ss_cfi_machine *machine, uintptr_t cfa, uintptr_t floor)
{
    return cfa > floor && cfa <= machine->stack_high && cfa % 8 == 0;
}

/* The quick way, which follows rsp and rbp and no other register: that is enough for nearly all.
 * False where it is not, and the walk has to be done again by walk_all. called: ip is a return
 * address, not where the walk begins. */
static inline __attribute__((always_inline)) bool walk_quickly(uintptr_t ip, uintptr_t rsp,
                                                               uintptr_t rbp, bool called,
                                                               const struct ss_cfi_machine *machine,
                                                               struct trail *trail)
{
    uintptr_t floor = machine->stack_low;
    while (trail->count < trail->max && ip != 0) {
        const uintptr_t pc = ip - (called || trail->count != 0);
        struct ss_frame *frame = report(trail, ip);
        struct packed packed;
        if (!in_module(trail, pc))
            break;
        if (SS_UNLIKELY(!cache_get(trail->module, pc, &packed)) &&
            !learn(trail->module, pc, &packed))
            return false;
        frame->function = packed.function;
        if (packed_kind(&packed) == KIND_STOP)
            break;
        const uint32_t reg = packed_reg(&packed);
        if (reg != SS_CFI_RSP && reg != SS_CFI_RBP)
            return false;
        uintptr_t cfa = (reg == SS_CFI_RSP ? rsp : rbp) + packed_offset(&packed);
        if (packed_kind(&packed) == KIND_DEREFERENCED && !ss_cfi_stack_word(machine, cfa, &cfa))
            break;
        if (SS_UNLIKELY(!plausible(machine, cfa, floor)))
            break;
        frame->cfa = cfa;
        if (packed.rule & RULE_OUTERMOST || !ss_cfi_stack_word(machine, cfa - 8, &ip))
            break;
        if (packed.rule & RULE_SAVED_RBP &&
            !ss_cfi_stack_word(machine, packed_save(&packed, SAVED_RBP, cfa, rbp), &rbp))
            break;
        rsp = floor = cfa;
    }
    return true;
}

/* Leaves a frame by a packed rule. False where the walk ends; frame->cfa is set if there is
 * one. */
static bool leave_packed(struct ss_cfi_machine *machine, const struct packed *packed,
                         uintptr_t floor, struct ss_frame *frame)
{
    const uint32_t reg = packed_reg(packed);
    const uintptr_t rbp = machine->value[SS_CFI_RBP];
    uintptr_t rip;
    frame->function = packed->function;
    if (packed_kind(packed) == KIND_STOP || (machine->known >> reg & 1) == 0)
        return false;
    uintptr_t cfa = machine->value[reg] + packed_offset(packed);
    if (packed_kind(packed) == KIND_DEREFERENCED && !ss_cfi_stack_word(machine, cfa, &cfa))
        return false;
    if (!plausible(machine, cfa, floor))
        return false;
    frame->cfa = cfa;
    if (packed->rule & RULE_OUTERMOST || !ss_cfi_stack_word(machine, cfa - 8, &rip))
        return false;
    if (packed->rule & RULE_FROM_RBP && (machine->known >> SS_CFI_RBP & 1) == 0)
        return false;
    machine->known &= SS_CFI_KEPT;
    for (uint32_t i = 0; i < SAVED_COUNT; i++) {
        if ((packed->rule >> (RULE_SAVED_SHIFT + i) & 1) == 0)
            continue;
        const uint32_t column = saved_registers[i];
        if (!ss_cfi_stack_word(machine, packed_save(packed, i, cfa, rbp), &machine->value[column]))
            return false;
        machine->known |= 1U << column;
    }
    machine->value[SS_CFI_RSP] = cfa;
    machine->value[SS_CFI_RIP] = rip;
    machine->known |= 1U << SS_CFI_RSP;
    return true;
}

/* Leaves a frame by rules that do not pack; *exact: its caller was interrupted, it did not call. */
static SS_COLD bool leave_decoded(struct ss_cfi_machine *machine, const struct ss_module *module,
                                  uintptr_t pc, uintptr_t floor, struct ss_frame *frame,
                                  bool *exact)
{
    struct ss_cfi_entry entry;
    struct ss_cfi_row row;
    uintptr_t cfa;
    if (!decode(module, pc, &entry, &row))
        return false;
    frame->function = entry.function;
    if (!ss_cfi_frame_address(&entry, &row, machine, &cfa) || !plausible(machine, cfa, floor))
        return false;
    frame->cfa = cfa;
    *exact = entry.signal_frame;
    return ss_cfi_leave(&entry, &row, machine, cfa);
}

/* With every register that can be known. */
static SS_COLD void walk_all(struct ss_cfi_machine *machine, struct trail *trail)
{
    uintptr_t floor = machine->stack_low, ip;
    bool exact = true, more = true;
    while (more && trail->count < trail->max && (ip = machine->value[SS_CFI_RIP]) != 0) {
        const uintptr_t pc = ip - !exact;
        struct ss_frame *frame = report(trail, ip);
        struct packed packed;
        if (!in_module(trail, pc))
            break;
        exact = false;
        if (cache_get(trail->module, pc, &packed) || learn(trail->module, pc, &packed))
            more = leave_packed(machine, &packed, floor, frame);
        else
            more = leave_decoded(machine, trail->module, pc, floor, frame, &exact);
        floor = frame->cfa;
    }
}

uint32_t ss_walk(const struct ss_registers *from, uintptr_t stack_low, uintptr_t stack_high,
                 struct ss_frame *frames, uint32_t max)
{
    struct trail trail = {.frames = frames, .max = max};
    struct ss_cfi_machine machine = {.stack_low = stack_low, .stack_high = stack_high};
    if (walk_quickly(from->rip, from->rsp, from->rbp, false, &machine, &trail))
        return trail.count;
    machine.value[SS_CFI_RBX] = from->rbx;
    machine.value[SS_CFI_RBP] = from->rbp;
    machine.value[SS_CFI_RSP] = from->rsp;
    machine.value[SS_CFI_R12] = from->r12;
    machine.value[SS_CFI_R13] = from->r13;
    machine.value[SS_CFI_R14] = from->r14;
    machine.value[SS_CFI_R15] = from->r15;
    machine.value[SS_CFI_RIP] = from->rip;
    machine.known = SS_CFI_KEPT;
    trail.count = 0;
    walk_all(&machine, &trail);
    return trail.count;
}

uint32_t ss_walk_callers(uintptr_t return_address, uintptr_t rsp, uintptr_t rbp,
                         uintptr_t stack_high, struct ss_frame *frames, uint32_t max)
{
    struct trail trail = {.frames = frames, .max = max};
    const struct ss_cfi_machine machine = {.stack_low = rsp, .stack_high = stack_high};
    return walk_quickly(return_address, rsp, rbp, true, &machine, &trail) ? trail.count : 0;
}

bool ss_frame_rule(uintptr_t return_address, bool *by_rbp, int32_t *offset, uintptr_t *function)
{
    const uintptr_t pc = return_address - 1;
    struct trail trail = {0};
    struct packed packed;
    if (!in_module(&trail, pc) ||
        (!cache_get(trail.module, pc, &packed) && !learn(trail.module, pc, &packed)))
        return false;
    const uint32_t reg = packed_reg(&packed);
    *by_rbp = reg == SS_CFI_RBP;
    *offset = (int32_t)packed_offset(&packed);
    *function = packed.function;
    return packed_kind(&packed) == KIND_OFFSET && (reg == SS_CFI_RSP || reg == SS_CFI_RBP) &&
           (packed.rule & RULE_OUTERMOST) == 0;
}
