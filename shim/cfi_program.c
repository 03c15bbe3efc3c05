/* Decoding of call frame information: CIEs and FDEs and their instructions, as .eh_frame has them on
 * x86-64.
 *
 * Called by cfi.c only, when an address is met for the first time; any context, no state. The bytes
 * may be anything: every read goes through a reader with an end, loops consume bytes or count down.
 */
#include <string.h>

#include "cfi.h"

enum { REMEMBERED_MAX = 4 };

/* ---- reading --------------------------------------------------------------------------------- */

uint64_t ss_cfi_unsigned(struct ss_cfi_reader *reader, uint32_t size)
{
    uint64_t value = 0;
    if (reader->end - reader->at < size) {
        reader->bad = true;
        reader->at = reader->end;
        return 0;
    }
    for (uint32_t i = 0; i < size; i++)
        value |= (uint64_t)((const uint8_t *)reader->at)[i] << 8 * i;
    reader->at += size;
    return value;
}

int64_t ss_cfi_signed(struct ss_cfi_reader *reader, uint32_t size)
{
    uint32_t unused = 64 - 8 * size;
    return (int64_t)(ss_cfi_unsigned(reader, size) << unused) >> unused;
}

/* LEB128 of either kind: the last byte's bit 0x40 tells the sign. Bits beyond 64 are dropped. */
static uint64_t read_leb(struct ss_cfi_reader *reader, bool is_signed)
{
    uint64_t value = 0;
    uint32_t shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)ss_cfi_unsigned(reader, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (is_signed && byte & 0x40 && shift < 64)
        value |= ~(uint64_t)0 << shift;
    return value;
}

uint64_t ss_cfi_uleb(struct ss_cfi_reader *reader)
{
    return read_leb(reader, false);
}

int64_t ss_cfi_sleb(struct ss_cfi_reader *reader)
{
    return (int64_t)read_leb(reader, true);
}

static void skip(struct ss_cfi_reader *reader, uint64_t size)
{
    if (reader->end - reader->at < size) {
        reader->bad = true;
        size = reader->end - reader->at;
    }
    reader->at += size;
}

/* The part of an encoded pointer that is in the bytes. */
static uint64_t read_format(struct ss_cfi_reader *reader, uint8_t encoding)
{
    switch (encoding & 0x0f) {
    case 0x00: /* absptr */
    case 0x04: /* udata8 */
    case 0x0c: /* sdata8 */
        return ss_cfi_unsigned(reader, 8);
    case 0x01:
        return ss_cfi_uleb(reader);
    case 0x02:
        return ss_cfi_unsigned(reader, 2);
    case 0x03:
        return ss_cfi_unsigned(reader, 4);
    case 0x09:
        return (uint64_t)ss_cfi_sleb(reader);
    case 0x0a:
        return (uint64_t)ss_cfi_signed(reader, 2);
    case 0x0b:
        return (uint64_t)ss_cfi_signed(reader, 4);
    default:
        reader->bad = true;
        return 0;
    }
}

uintptr_t ss_cfi_pointer(struct ss_cfi_reader *reader, uint8_t encoding, uintptr_t base)
{
    uintptr_t from = reader->at;
    uint64_t value = read_format(reader, encoding);
    switch (encoding & 0xf0) {
    case 0x00:
        break;
    case 0x10: /* relative to where it stands */
        value += from;
        break;
    case 0x30: /* relative to base */
        if (base == 0)
            reader->bad = true;
        value += base;
        break;
    default:
        reader->bad = true;
    }
    return reader->bad ? 0 : value;
}

/* ---- CIE and FDE ----------------------------------------------------------------------------- */

/* A reader of the CIE or FDE at address, after its length; bad at the terminator. */
static struct ss_cfi_reader open_record(uintptr_t section_end, uintptr_t address)
{
    struct ss_cfi_reader reader = {.at = address, .end = section_end};
    if (address > section_end) {
        reader = (struct ss_cfi_reader){.bad = true};
        return reader;
    }
    uint64_t length = ss_cfi_unsigned(&reader, 4);
    if (length == 0xffffffff)
        length = ss_cfi_unsigned(&reader, 8);
    if (length == 0 || reader.end - reader.at < length)
        reader.bad = true;
    else
        reader.end = reader.at + length;
    return reader;
}

uintptr_t ss_cfi_next(uintptr_t section_end, uintptr_t address)
{
    struct ss_cfi_reader reader = open_record(section_end, address);
    return reader.bad ? 0 : reader.end;
}

/* What a CIE's augmentation says. Of "z" augmentations unknown letters are refused as well: they
 * could stand before the R. */
static bool read_augmentation(struct ss_cfi_reader *reader, struct ss_cfi_reader text,
                              struct ss_cfi_entry *entry)
{
    uint8_t letter = (uint8_t)ss_cfi_unsigned(&text, 1);
    if (letter == 0)
        return !text.bad;
    if (letter != 'z')
        return false;
    uint64_t length = ss_cfi_uleb(reader);
    if (reader->bad || reader->end - reader->at < length)
        return false;
    struct ss_cfi_reader data = {.at = reader->at, .end = reader->at + length};
    reader->at = data.end;
    while ((letter = (uint8_t)ss_cfi_unsigned(&text, 1)) != 0) {
        uint8_t encoding;
        switch (letter) {
        case 'R':
            entry->encoding = (uint8_t)ss_cfi_unsigned(&data, 1);
            break;
        case 'P': /* the personality routine, of no use here */
            encoding = (uint8_t)ss_cfi_unsigned(&data, 1);
            if ((encoding & 0x70) == 0x50) /* aligned: as long as where it stands wants it */
                return false;
            if (encoding != SS_CFI_ENCODING_OMIT)
                read_format(&data, encoding);
            break;
        case 'L':
            ss_cfi_unsigned(&data, 1);
            break;
        case 'S':
            entry->signal_frame = true;
            break;
        case 'B':
            break;
        default:
            return false;
        }
    }
    return !data.bad && !text.bad;
}

static bool read_cie(uintptr_t section_end, uintptr_t address, struct ss_cfi_entry *entry,
                     bool *augmented)
{
    struct ss_cfi_reader reader = open_record(section_end, address);
    if (ss_cfi_unsigned(&reader, 4) != 0 || reader.bad)
        return false;
    uint64_t version = ss_cfi_unsigned(&reader, 1);
    if (version != 1 && version != 3)
        return false;
    struct ss_cfi_reader text = reader;
    *augmented = false;
    while (ss_cfi_unsigned(&reader, 1) != 0)
        *augmented = true;
    entry->code_align = ss_cfi_uleb(&reader);
    entry->data_align = ss_cfi_sleb(&reader);
    uint64_t column = version == 1 ? ss_cfi_unsigned(&reader, 1) : ss_cfi_uleb(&reader);
    entry->encoding = 0;
    entry->signal_frame = false;
    if (reader.bad || column != SS_CFI_RIP || !read_augmentation(&reader, text, entry))
        return false;
    entry->initial = reader;
    return !reader.bad;
}

bool ss_cfi_entry_read(uintptr_t section, uintptr_t section_end, uintptr_t address,
                       struct ss_cfi_entry *entry)
{
    struct ss_cfi_reader reader = open_record(section_end, address);
    uintptr_t position = reader.at;
    uint64_t back = ss_cfi_unsigned(&reader, 4);
    bool augmented;
    if (reader.bad || back == 0 || back > position - section)
        return false;
    entry->section = section;
    entry->section_end = section_end;
    if (!read_cie(section_end, position - back, entry, &augmented))
        return false;
    entry->function = ss_cfi_pointer(&reader, entry->encoding, 0);
    uint64_t size = read_format(&reader, entry->encoding);
    if (augmented)
        skip(&reader, ss_cfi_uleb(&reader));
    if (reader.bad || size > UINTPTR_MAX - entry->function)
        return false;
    entry->function_end = entry->function + size;
    entry->program = reader;
    return true;
}

/* ---- instructions ---------------------------------------------------------------------------- */

struct run {
    const struct ss_cfi_entry *entry;
    struct ss_cfi_reader code;
    struct ss_cfi_row *row;
    const struct ss_cfi_row *initial; /* after the CIE's program; NULL while that runs */
    uintptr_t location;
    uint32_t depth;
    struct ss_cfi_row remembered[REMEMBERED_MAX];
};

static uint8_t read_register(struct run *run)
{
    uint64_t reg = ss_cfi_uleb(&run->code);
    return reg < UINT8_MAX ? (uint8_t)reg : UINT8_MAX;
}

static int32_t fit(struct run *run, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX)
        run->code.bad = true;
    return (int32_t)value;
}

/* An operand that is to be multiplied by the data alignment. */
static int32_t read_factored(struct run *run, bool is_signed)
{
    int64_t value = (int64_t)read_leb(&run->code, is_signed), product;
    if (__builtin_mul_overflow(value, run->entry->data_align, &product))
        run->code.bad = true;
    return run->code.bad ? 0 : fit(run, product);
}

/* An expression's place; it is stepped over. */
static int32_t read_expression(struct run *run)
{
    int64_t offset = (int64_t)(run->code.at - run->entry->section);
    skip(&run->code, ss_cfi_uleb(&run->code));
    return fit(run, offset);
}

static void set(struct run *run, uint8_t reg, uint8_t where, int32_t offset)
{
    if (reg < SS_CFI_COLUMNS)
        run->row->column[reg] = (struct ss_cfi_rule){.where = where, .offset = offset};
}

static void restore(struct run *run, uint8_t reg)
{
    if (run->initial == NULL)
        run->code.bad = true;
    else if (reg < SS_CFI_COLUMNS)
        run->row->column[reg] = run->initial->column[reg];
}

static void set_cfa_register(struct run *run, uint8_t reg)
{
    if (reg >= SS_CFI_COLUMNS)
        run->code.bad = true;
    run->row->cfa.where = SS_CFI_IS;
    run->row->cfa.reg = reg;
}

static void advance(struct run *run, uint64_t delta)
{
    uint64_t product;
    if (__builtin_mul_overflow(delta, run->entry->code_align, &product) ||
        __builtin_add_overflow(run->location, product, &run->location))
        run->code.bad = true;
}

static void remember(struct run *run)
{
    if (run->depth == REMEMBERED_MAX)
        run->code.bad = true;
    else
        run->remembered[run->depth++] = *run->row;
}

static void recall(struct run *run)
{
    if (run->depth == 0)
        run->code.bad = true;
    else
        *run->row = run->remembered[--run->depth];
}

/* Changes of one half of CFA = register + offset need the other to have been given. */
static void want_cfa(struct run *run)
{
    if (run->row->cfa.where == SS_CFI_UNSAID)
        run->code.bad = true;
}

static void do_cfa_instruction(struct run *run, uint8_t code)
{
    struct ss_cfi_row *row = run->row;
    switch (code) {
    case 0x0c: /* def_cfa */
        set_cfa_register(run, read_register(run));
        row->cfa.offset = fit(run, (int64_t)ss_cfi_uleb(&run->code));
        break;
    case 0x12: /* def_cfa_sf */
        set_cfa_register(run, read_register(run));
        row->cfa.offset = read_factored(run, true);
        break;
    case 0x0d: /* def_cfa_register */
        want_cfa(run);
        set_cfa_register(run, read_register(run));
        break;
    case 0x0e: /* def_cfa_offset */
        want_cfa(run);
        row->cfa.offset = fit(run, (int64_t)ss_cfi_uleb(&run->code));
        break;
    case 0x13: /* def_cfa_offset_sf */
        want_cfa(run);
        row->cfa.offset = read_factored(run, true);
        break;
    default: /* 0x0f, def_cfa_expression */
        row->cfa.where = SS_CFI_IS_EXPRESSION;
        row->cfa_expression = read_expression(run);
    }
}

static void do_register_instruction(struct run *run, uint8_t code)
{
    uint8_t reg = read_register(run), other;
    switch (code) {
    case 0x05: /* offset_extended */
        set(run, reg, SS_CFI_AT, read_factored(run, false));
        break;
    case 0x06: /* restore_extended */
        restore(run, reg);
        break;
    case 0x07:
        set(run, reg, SS_CFI_UNDEFINED, 0);
        break;
    case 0x08:
        set(run, reg, SS_CFI_SAME, 0);
        break;
    case 0x09: /* register */
        other = read_register(run);
        set(run, reg, SS_CFI_REGISTER, 0);
        if (reg < SS_CFI_COLUMNS)
            run->row->column[reg].reg = other;
        break;
    case 0x10: /* expression */
        set(run, reg, SS_CFI_AT_EXPRESSION, read_expression(run));
        break;
    case 0x11: /* offset_extended_sf */
        set(run, reg, SS_CFI_AT, read_factored(run, true));
        break;
    case 0x14: /* val_offset */
        set(run, reg, SS_CFI_IS, read_factored(run, false));
        break;
    case 0x15: /* val_offset_sf */
        set(run, reg, SS_CFI_IS, read_factored(run, true));
        break;
    case 0x16: /* val_expression */
        set(run, reg, SS_CFI_IS_EXPRESSION, read_expression(run));
        break;
    default: /* 0x2f, GNU_negative_offset_extended */
        set(run, reg, SS_CFI_AT, fit(run, -(int64_t)read_factored(run, false)));
    }
}

static void do_instruction(struct run *run)
{
    uint8_t code = (uint8_t)ss_cfi_unsigned(&run->code, 1), low = code & 0x3f;
    switch (code & 0xc0) {
    case 0x40:
        advance(run, low);
        return;
    case 0x80:
        set(run, low, SS_CFI_AT, read_factored(run, false));
        return;
    case 0xc0:
        restore(run, low);
        return;
    }
    switch (code) {
    case 0x00: /* nop */
        break;
    case 0x01: /* set_loc */
        run->location = ss_cfi_pointer(&run->code, run->entry->encoding, 0);
        break;
    case 0x02: /* advance_loc1, 2, 4 */
    case 0x03:
    case 0x04:
        advance(run, ss_cfi_unsigned(&run->code, 1U << (code - 2)));
        break;
    case 0x0a:
        remember(run);
        break;
    case 0x0b:
        recall(run);
        break;
    case 0x0c:
    case 0x0d:
    case 0x0e:
    case 0x0f:
    case 0x12:
    case 0x13:
        do_cfa_instruction(run, code);
        break;
    case 0x05:
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
    case 0x10:
    case 0x11:
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x2f:
        do_register_instruction(run, code);
        break;
    case 0x2e: /* GNU_args_size: where landing pads want rsp, not where frames are */
        ss_cfi_uleb(&run->code);
        break;
    default:
        run->code.bad = true;
    }
}

bool ss_cfi_row_at(const struct ss_cfi_entry *entry, uintptr_t pc, struct ss_cfi_row *row)
{
    struct ss_cfi_row initial;
    struct run run;
    *row = (struct ss_cfi_row){0};
    run.entry = entry;
    run.row = row;
    run.location = entry->function;
    run.depth = 0;
    run.initial = NULL;
    run.code = entry->initial;
    while (!run.code.bad && run.code.at < run.code.end)
        do_instruction(&run);
    if (run.code.bad)
        return false;
    initial = *row;
    run.initial = &initial;
    run.location = entry->function;
    run.code = entry->program;
    while (!run.code.bad && run.code.at < run.code.end && run.location <= pc)
        do_instruction(&run);
    return !run.code.bad && row->cfa.where != SS_CFI_UNSAID;
}

/* ---- frames ---------------------------------------------------------------------------------- */

bool ss_cfi_frame_address(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                          const struct ss_cfi_machine *machine, uintptr_t *cfa)
{
    if (row->cfa.where == SS_CFI_IS_EXPRESSION)
        return ss_cfi_evaluate(entry, row->cfa_expression, machine, NULL, cfa);
    if ((machine->known >> row->cfa.reg & 1) == 0)
        return false;
    *cfa = machine->value[row->cfa.reg] + (uintptr_t)(intptr_t)row->cfa.offset;
    return true;
}

/* The caller's value of one register; *known tells whether there is one. False where the rule
 * cannot be followed. */
static bool caller_value(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                         const struct ss_cfi_machine *machine, uintptr_t cfa, uint32_t column,
                         uintptr_t *value, bool *known)
{
    const struct ss_cfi_rule rule = row->column[column];
    uintptr_t at;
    *known = true;
    switch (rule.where) {
    case SS_CFI_AT:
        return ss_cfi_stack_word(machine, cfa + (uintptr_t)(intptr_t)rule.offset, value);
    case SS_CFI_IS:
        *value = cfa + (uintptr_t)(intptr_t)rule.offset;
        return true;
    case SS_CFI_REGISTER:
        *known = rule.reg < SS_CFI_COLUMNS && machine->known >> rule.reg & 1;
        *value = *known ? machine->value[rule.reg] : 0;
        return true;
    case SS_CFI_AT_EXPRESSION:
        return ss_cfi_evaluate(entry, rule.offset, machine, &cfa, &at) &&
               ss_cfi_stack_word(machine, at, value);
    case SS_CFI_IS_EXPRESSION:
        return ss_cfi_evaluate(entry, rule.offset, machine, &cfa, value);
    case SS_CFI_UNDEFINED:
        *value = 0;
        *known = false;
        return true;
    default: /* unsaid or same */
        if (column == SS_CFI_RSP && rule.where == SS_CFI_UNSAID) {
            *value = cfa;
            return true;
        }
        *value = machine->value[column];
        *known = machine->known >> column & 1 &&
                 (rule.where == SS_CFI_SAME || SS_CFI_KEPT >> column & 1);
        return column != SS_CFI_RIP; /* the caller is somewhere else */
    }
}

bool ss_cfi_leave(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                  struct ss_cfi_machine *machine, uintptr_t cfa)
{
    uintptr_t value[SS_CFI_COLUMNS];
    uint32_t known = 0;
    for (uint32_t column = 0; column < SS_CFI_COLUMNS; column++) {
        bool is_known;
        if (!caller_value(entry, row, machine, cfa, column, &value[column], &is_known))
            return false;
        if (is_known)
            known |= UINT32_C(1) << column;
    }
    if ((known >> SS_CFI_RIP & 1) == 0)
        return false;
    memcpy(machine->value, value, sizeof value);
    machine->known = known;
    return true;
}
