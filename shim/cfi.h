/* Call frame information, x86-64: what cfi.c (walks) and cfi_program.c (decoding) share, and the
 * capture of a function's own registers.
 *
 * Addresses are plain integers here, as most of them come out of tables that may hold anything:
 * nothing is read except through a reader, which knows its end, or through ss_cfi_stack_word, which
 * knows the stack's. Decoding fails as a whole at the first thing that is out of bounds, unknown or
 * out of range. */
#ifndef SS_CFI_H
#define SS_CFI_H

#include "internal.h"

/* DWARF's numbers of the registers; rip is the return address column. */
enum {
    SS_CFI_RBX = 3,
    SS_CFI_RBP = 6,
    SS_CFI_RSP = 7,
    SS_CFI_R12 = 12,
    SS_CFI_R13 = 13,
    SS_CFI_R14 = 14,
    SS_CFI_R15 = 15,
    SS_CFI_RIP = 16,
    SS_CFI_COLUMNS = 17,
    /* As bits: those that a called function leaves as they were, with rsp and rip. */
    SS_CFI_KEPT = 1 << SS_CFI_RBX | 1 << SS_CFI_RBP | 1 << SS_CFI_RSP | 1 << SS_CFI_R12 |
                  1 << SS_CFI_R13 | 1 << SS_CFI_R14 | 1 << SS_CFI_R15 | 1 << SS_CFI_RIP
};

/* Bytes from at up to end; bad once more was asked for than is there. */
struct ss_cfi_reader {
    uintptr_t at, end;
    bool bad;
};

/* How the caller's value of one register, or the CFA, is found. */
enum ss_cfi_where {
    SS_CFI_UNSAID,        /* no instruction names it */
    SS_CFI_SAME,          /* unchanged */
    SS_CFI_UNDEFINED,     /* lost */
    SS_CFI_AT,            /* in the word at CFA + offset */
    SS_CFI_IS,            /* CFA + offset; of the CFA itself: reg + offset */
    SS_CFI_REGISTER,      /* in reg */
    SS_CFI_AT_EXPRESSION, /* in the word at what the expression gives */
    SS_CFI_IS_EXPRESSION  /* what the expression gives */
};

/* Expressions are kept as the offset of their length from the start of the section. */
struct ss_cfi_rule {
    int32_t offset;
    uint8_t where;
    uint8_t reg;
};

/* The CFA keeps reg and offset while an expression gives it: def_cfa_register goes back to them. */
struct ss_cfi_row {
    struct ss_cfi_rule cfa;
    int32_t cfa_expression;
    struct ss_cfi_rule column[SS_CFI_COLUMNS];
};

/* One FDE with what its CIE says. */
struct ss_cfi_entry {
    uintptr_t section, section_end;
    uintptr_t function, function_end;
    uint64_t code_align;
    int64_t data_align;
    struct ss_cfi_reader initial, program; /* instructions of the CIE, of the FDE */
    uint8_t encoding;                      /* of addresses, DW_EH_PE_* */
    bool signal_frame;
};

/* Registers while walking; only those in known hold something. */
struct ss_cfi_machine {
    uintptr_t value[SS_CFI_COLUMNS];
    uint32_t known;
    uintptr_t stack_low, stack_high;
};

enum { SS_CFI_ENCODING_DATAREL_SDATA4 = 0x3b, SS_CFI_ENCODING_OMIT = 0xff };

/* Little-endian, 1 to 8 bytes; 0 where there are not as many. */
SS_HIDDEN uint64_t ss_cfi_unsigned(struct ss_cfi_reader *reader, uint32_t size);
SS_HIDDEN int64_t ss_cfi_signed(struct ss_cfi_reader *reader, uint32_t size);

/* LEB128; bits beyond 64 are dropped. */
SS_HIDDEN uint64_t ss_cfi_uleb(struct ss_cfi_reader *reader);
SS_HIDDEN int64_t ss_cfi_sleb(struct ss_cfi_reader *reader);

/* An encoded pointer; base is what data-relative ones count from, 0 refuses these. Indirect ones
 * are refused. The reader is bad afterwards when this failed, and 0 returned. */
SS_HIDDEN uintptr_t ss_cfi_pointer(struct ss_cfi_reader *reader, uint8_t encoding, uintptr_t base);

/* The address after the CIE or FDE at address, 0 at the end of the section. */
SS_HIDDEN uintptr_t ss_cfi_next(uintptr_t section_end, uintptr_t address);

/* Decodes the FDE at address and its CIE, both between section and section_end. False for a CIE,
 * too. */
SS_HIDDEN bool ss_cfi_entry_read(uintptr_t section, uintptr_t section_end, uintptr_t address,
                                 struct ss_cfi_entry *entry);

/* The rules that hold at pc, which lies in entry's function. */
SS_HIDDEN bool ss_cfi_row_at(const struct ss_cfi_entry *entry, uintptr_t pc,
                             struct ss_cfi_row *row);

/* Whether an expression is no more than reg + offset, or the word there (*dereferenced). */
SS_HIDDEN bool ss_cfi_simple_expression(const struct ss_cfi_entry *entry, int32_t expression,
                                        uint8_t *reg, int32_t *offset, bool *dereferenced);

/* What the expression gives, on a machine; in a register's rule it begins with the CFA on its stack,
 * in the CFA's with nothing: NULL. False where it cannot be followed. */
SS_HIDDEN bool ss_cfi_evaluate(const struct ss_cfi_entry *entry, int32_t expression,
                               const struct ss_cfi_machine *machine, const uintptr_t *cfa,
                               uintptr_t *result);

/* The CFA, by row. */
SS_HIDDEN bool ss_cfi_frame_address(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                                    const struct ss_cfi_machine *machine, uintptr_t *cfa);

/* Makes machine the caller's, by row. Where this fails machine is as it was. */
SS_HIDDEN bool ss_cfi_leave(const struct ss_cfi_entry *entry, const struct ss_cfi_row *row,
                            struct ss_cfi_machine *machine, uintptr_t cfa);

/* The word at address, which must be aligned and wholly on the stack. */
static inline bool ss_cfi_stack_word(const struct ss_cfi_machine *machine, uintptr_t address,
                                     uintptr_t *word)
{
    if (SS_UNLIKELY(address % sizeof(uintptr_t) != 0 || address < machine->stack_low ||
                    address >= machine->stack_high ||
                    machine->stack_high - address < sizeof(uintptr_t)))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no stack begins at 0 */
    *word = *(const uintptr_t *)address;
    return true;
}

/* The registers of the function that this is inlined into, as they are here: a walk from them has
 * that function as its first frame. */
static inline __attribute__((always_inline)) void ss_registers_here(struct ss_registers *registers)
{
    __asm__ volatile("movq %%rbx, %c[rbx](%[to])\n\t"
                     "movq %%rbp, %c[rbp](%[to])\n\t"
                     "movq %%rsp, %c[rsp](%[to])\n\t"
                     "movq %%r12, %c[r12](%[to])\n\t"
                     "movq %%r13, %c[r13](%[to])\n\t"
                     "movq %%r14, %c[r14](%[to])\n\t"
                     "movq %%r15, %c[r15](%[to])\n\t"
                     "leaq 0(%%rip), %%rax\n\t"
                     "movq %%rax, %c[rip](%[to])"
                     :
                     : [to] "r"(registers), [rbx] "i"(offsetof(struct ss_registers, rbx)),
                       [rbp] "i"(offsetof(struct ss_registers, rbp)),
                       [rsp] "i"(offsetof(struct ss_registers, rsp)),
                       [r12] "i"(offsetof(struct ss_registers, r12)),
                       [r13] "i"(offsetof(struct ss_registers, r13)),
                       [r14] "i"(offsetof(struct ss_registers, r14)),
                       [r15] "i"(offsetof(struct ss_registers, r15)),
                       [rip] "i"(offsetof(struct ss_registers, rip))
                     : "rax", "memory");
}

#endif
