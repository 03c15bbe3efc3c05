/* Where x86-64 instructions end and what they point at, and walks through the code of an image. See
 * instructions.c. */
#ifndef SS_INSTRUCTIONS_H
#define SS_INSTRUCTIONS_H

#include "signature.h"

/* The tables of opcodes that an opcode byte can be of. */
enum ss_opcode_map { SS_MAP_ONE, SS_MAP_0F, SS_MAP_0F38, SS_MAP_0F3A };

/* One decoded instruction. */
struct ss_instruction {
    uint8_t length;
    uint8_t map; /* enum ss_opcode_map */
    uint8_t opcode;
    uint8_t prefix; /* 0x66, 0xF2, 0xF3 or 0: the one that selects among vector instructions */
    bool wide;      /* REX.W */
    bool vex;
    bool has_modrm;
    uint8_t mod;     /* 3: rm is a register, else the base of an address */
    uint8_t reg, rm; /* 0 to 15; rm 16 for rip, 17 for no base */
    bool indexed;
    int32_t displacement;
    uint8_t immediate_size; /* 0, 1, 2, 4 or 8 */
    int64_t immediate;      /* sign-extended; of jumps and calls the distance from the end */
};

enum { SS_RM_RIP = 16, SS_RM_NONE = 17 };

enum { SS_RAX, SS_RCX, SS_RDX, SS_RBX, SS_RSP, SS_RBP, SS_RSI, SS_RDI };

/* Opcodes of the first table. */
enum {
    SS_OP_RETURN = 0xC3,
    SS_OP_CALL = 0xE8,
    SS_OP_JUMP = 0xE9,
    SS_OP_JUMP_SHORT = 0xEB,
    SS_OP_LEA = 0x8D,
};

/* Decodes the instruction in the first of `size` bytes. False where it does not end there, or is
 * none that this knows. Any context. */
SS_HIDDEN bool ss_instruction_read(const uint8_t *bytes, size_t size, struct ss_instruction *out);

static inline bool ss_is_opcode(const struct ss_instruction *in, uint8_t opcode)
{
    return in->map == SS_MAP_ONE && !in->vex && in->opcode == opcode;
}

/* Whether it names the memory at a register and a constant. */
static inline bool ss_is_memory(const struct ss_instruction *in, uint8_t base)
{
    return in->has_modrm && in->mod != 3 && in->rm == base && !in->indexed;
}

/* ---- images: nothing here believes an address; all contexts ------------------------------------ */

/* The bytes at an address, and how many there are up to the end of its segment in the file (left,
 * may be NULL). NULL where there are less than size. */
SS_HIDDEN const uint8_t *ss_image_bytes(const struct ss_image *image, uintptr_t address,
                                        size_t size, size_t *left);

/* The word there; false where there is none. */
SS_HIDDEN bool ss_image_word(const struct ss_image *image, uintptr_t address, uintptr_t *word);

/* Whether the address is one of code. */
SS_HIDDEN bool ss_image_is_code(const struct ss_image *image, uintptr_t address);

/* The function that holds an address, by the unwind tables. */
SS_HIDDEN bool ss_code_bounds(const struct ss_image *image, uintptr_t address, uintptr_t *function,
                              uintptr_t *end);

/* A walk through the instructions of one function. */
struct ss_code {
    const struct ss_image *image;
    const uint8_t *bytes; /* of the next instruction */
    size_t left;          /* bytes that may be looked at */
    uintptr_t next;       /* address of the next instruction */
    bool bounded;         /* its end is known: it goes on behind a return */
    bool ended;
    struct ss_instruction in; /* the present one, which ends at next */
};

/* Begins one, behind an endbr64 if there is one: of at most `window` bytes. */
SS_HIDDEN struct ss_code ss_code_of(const struct ss_image *image, uintptr_t function,
                                    size_t window);

/* Goes to the next instruction. False behind the last: the end, what is no instruction, or a return
 * where the end is not known. */
SS_HIDDEN bool ss_code_next(struct ss_code *walk);

/* The address that the instruction names relative to its end. */
static inline uintptr_t ss_code_rip(const struct ss_code *walk)
{
    return walk->next + (uintptr_t)(intptr_t)walk->in.displacement;
}

/* Where the instruction calls (or, of a jump, goes), directly or through a pointer such as the GOT's;
 * 0 where it does neither or nobody knows. */
SS_HIDDEN uintptr_t ss_code_target(const struct ss_code *walk, bool call);

#endif
