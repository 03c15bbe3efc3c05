/* DWARF expressions, as call frame information has them on x86-64.
 *
 * Called by cfi_program.c and cfi.c; any context, no state. The bytes may be anything: every read goes
 * through a reader with an end, and steps are counted. */
#include <string.h>

#include "cfi.h"

enum { EXPRESSION_STACK = 16, EXPRESSION_STEPS = 256 };

struct evaluation {
    const struct ss_cfi_machine *machine;
    struct ss_cfi_reader code;
    uintptr_t start; /* of the code: branches stay within it */
    uint32_t depth;
    uintptr_t stack[EXPRESSION_STACK];
};

static void push(struct evaluation *evaluation, uintptr_t value)
{
    if (evaluation->depth == EXPRESSION_STACK)
        evaluation->code.bad = true;
    else
        evaluation->stack[evaluation->depth++] = value;
}

static uintptr_t pop(struct evaluation *evaluation)
{
    if (evaluation->depth == 0) {
        evaluation->code.bad = true;
        return 0;
    }
    return evaluation->stack[--evaluation->depth];
}

static void push_picked(struct evaluation *evaluation, uint64_t from_top)
{
    if (from_top >= evaluation->depth)
        evaluation->code.bad = true;
    else
        push(evaluation, evaluation->stack[evaluation->depth - 1 - from_top]);
}

static void push_register(struct evaluation *evaluation, uint64_t reg)
{
    uint64_t offset = (uint64_t)ss_cfi_sleb(&evaluation->code);
    if (reg >= SS_CFI_COLUMNS || (evaluation->machine->known >> reg & 1) == 0)
        evaluation->code.bad = true;
    else
        push(evaluation, evaluation->machine->value[reg] + offset);
}

static void push_word(struct evaluation *evaluation, uint64_t size)
{
    uintptr_t address = pop(evaluation), word, skew = address % sizeof word;
    if ((size != 1 && size != 2 && size != 4 && size != 8) || skew + size > sizeof word ||
        !ss_cfi_stack_word(evaluation->machine, address - skew, &word)) {
        evaluation->code.bad = true;
        return;
    }
    push(evaluation, word >> 8 * skew & UINT64_MAX >> (64 - 8 * size));
}

static void branch(struct evaluation *evaluation, bool taken)
{
    int64_t distance = ss_cfi_signed(&evaluation->code, 2);
    uintptr_t target = evaluation->code.at + (uintptr_t)distance;
    if (!taken)
        return;
    if (target < evaluation->start || target > evaluation->code.end)
        evaluation->code.bad = true;
    else
        evaluation->code.at = target;
}

static void do_binary(struct evaluation *evaluation, uint8_t code)
{
    uint64_t b = pop(evaluation), a = pop(evaluation), result = 0;
    int64_t left = (int64_t)a, right = (int64_t)b;
    switch (code) {
    case 0x1a: /* and */
        result = a & b;
        break;
    case 0x1b: /* div, signed */
        if (right == 0 || (left == INT64_MIN && right == -1))
            evaluation->code.bad = true;
        else
            result = (uint64_t)(left / right);
        break;
    case 0x1c: /* minus */
        result = a - b;
        break;
    case 0x1d: /* mod, unsigned */
        if (b == 0)
            evaluation->code.bad = true;
        else
            result = a % b;
        break;
    case 0x1e: /* mul */
        result = a * b;
        break;
    case 0x21: /* or */
        result = a | b;
        break;
    case 0x22: /* plus */
        result = a + b;
        break;
    case 0x24: /* shl */
        result = b < 64 ? a << b : 0;
        break;
    case 0x25: /* shr */
        result = b < 64 ? a >> b : 0;
        break;
    case 0x26: /* shra */
        b = b < 64 ? b : 63;
        result = left < 0 ? ~(~a >> b) : a >> b;
        break;
    case 0x27: /* xor */
        result = a ^ b;
        break;
    case 0x29: /* eq */
        result = left == right;
        break;
    case 0x2a: /* ge */
        result = left >= right;
        break;
    case 0x2b: /* gt */
        result = left > right;
        break;
    case 0x2c: /* le */
        result = left <= right;
        break;
    case 0x2d: /* lt */
        result = left < right;
        break;
    default: /* 0x2e, ne */
        result = left != right;
    }
    push(evaluation, result);
}

static void do_stack_operation(struct evaluation *evaluation, uint8_t code)
{
    uintptr_t a, b, c;
    switch (code) {
    case 0x12: /* dup */
        push_picked(evaluation, 0);
        break;
    case 0x13: /* drop */
        pop(evaluation);
        break;
    case 0x14: /* over */
        push_picked(evaluation, 1);
        break;
    case 0x15: /* pick */
        push_picked(evaluation, ss_cfi_unsigned(&evaluation->code, 1));
        break;
    case 0x16: /* swap */
        b = pop(evaluation);
        a = pop(evaluation);
        push(evaluation, b);
        push(evaluation, a);
        break;
    default: /* 0x17, rot: the top becomes the third */
        c = pop(evaluation);
        b = pop(evaluation);
        a = pop(evaluation);
        push(evaluation, c);
        push(evaluation, a);
        push(evaluation, b);
    }
}

/* 0x08 to 0x11: constants of 1, 2, 4, 8 bytes, unsigned before signed, then the LEB128 ones. */
static void push_constant(struct evaluation *evaluation, uint8_t code)
{
    if (code == 0x10)
        push(evaluation, ss_cfi_uleb(&evaluation->code));
    else if (code == 0x11)
        push(evaluation, (uintptr_t)ss_cfi_sleb(&evaluation->code));
    else if (code & 1)
        push(evaluation, (uintptr_t)ss_cfi_signed(&evaluation->code, 1U << ((code - 8) / 2)));
    else
        push(evaluation, ss_cfi_unsigned(&evaluation->code, 1U << ((code - 8) / 2)));
}

static void do_operation(struct evaluation *evaluation)
{
    uint8_t code = (uint8_t)ss_cfi_unsigned(&evaluation->code, 1);
    if (code >= 0x30 && code <= 0x4f) { /* lit0 to lit31 */
        push(evaluation, code - 0x30);
        return;
    }
    if (code >= 0x70 && code <= 0x8f) { /* breg0 to breg31 */
        push_register(evaluation, code - 0x70);
        return;
    }
    if (code >= 0x08 && code <= 0x11) {
        push_constant(evaluation, code);
        return;
    }
    if (code >= 0x12 && code <= 0x17) {
        do_stack_operation(evaluation, code);
        return;
    }
    uint64_t operand;
    switch (code) {
    case 0x03: /* addr */
        push(evaluation, ss_cfi_unsigned(&evaluation->code, 8));
        break;
    case 0x06: /* deref */
        push_word(evaluation, 8);
        break;
    case 0x94: /* deref_size */
        push_word(evaluation, ss_cfi_unsigned(&evaluation->code, 1));
        break;
    case 0x19: /* abs */
        operand = pop(evaluation);
        push(evaluation, (int64_t)operand < 0 ? -operand : operand);
        break;
    case 0x1f: /* neg */
        push(evaluation, -pop(evaluation));
        break;
    case 0x20: /* not */
        push(evaluation, ~pop(evaluation));
        break;
    case 0x23: /* plus_uconst */
        operand = ss_cfi_uleb(&evaluation->code);
        push(evaluation, pop(evaluation) + operand);
        break;
    case 0x28: /* bra */
        branch(evaluation, pop(evaluation) != 0);
        break;
    case 0x2f: /* skip */
        branch(evaluation, true);
        break;
    case 0x92: /* bregx */
        operand = ss_cfi_uleb(&evaluation->code);
        push_register(evaluation, operand);
        break;
    case 0x96: /* nop */
        break;
    case 0x1a:
    case 0x1b:
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x21:
    case 0x22:
    case 0x24:
    case 0x25:
    case 0x26:
    case 0x27:
    case 0x29:
    case 0x2a:
    case 0x2b:
    case 0x2c:
    case 0x2d:
    case 0x2e:
        do_binary(evaluation, code);
        break;
    default:
        evaluation->code.bad = true;
    }
}

/* The bytes of an expression. */
static struct ss_cfi_reader open_expression(const struct ss_cfi_entry *entry, int32_t expression)
{
    struct ss_cfi_reader reader = {.at = entry->section + (uintptr_t)expression,
                                   .end = entry->section_end};
    uint64_t length = ss_cfi_uleb(&reader);
    if (reader.end - reader.at < length)
        reader.bad = true;
    else
        reader.end = reader.at + length;
    return reader;
}

bool ss_cfi_evaluate(const struct ss_cfi_entry *entry, int32_t expression,
                     const struct ss_cfi_machine *machine, const uintptr_t *cfa, uintptr_t *result)
{
    struct evaluation evaluation;
    evaluation.machine = machine;
    evaluation.code = open_expression(entry, expression);
    evaluation.start = evaluation.code.at;
    evaluation.depth = 0;
    if (cfa != NULL)
        push(&evaluation, *cfa);
    for (uint32_t steps = 0; !evaluation.code.bad && evaluation.code.at < evaluation.code.end;
         steps++) {
        if (steps == EXPRESSION_STEPS)
            return false;
        do_operation(&evaluation);
    }
    *result = pop(&evaluation);
    return !evaluation.code.bad;
}

bool ss_cfi_simple_expression(const struct ss_cfi_entry *entry, int32_t expression, uint8_t *reg,
                              int32_t *offset, bool *dereferenced)
{
    struct ss_cfi_reader code = open_expression(entry, expression);
    uint64_t operation = ss_cfi_unsigned(&code, 1);
    int64_t value = ss_cfi_sleb(&code);
    if (code.bad || operation < 0x70 || operation >= 0x70 + SS_CFI_COLUMNS || value < INT32_MIN ||
        value > INT32_MAX)
        return false;
    *reg = (uint8_t)(operation - 0x70);
    *offset = (int32_t)value;
    *dereferenced = code.at < code.end;
    if (*dereferenced && ss_cfi_unsigned(&code, 1) != 0x06)
        return false;
    return code.at == code.end;
}
