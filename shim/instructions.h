/* Where x86-64 instructions end, and what they point at. See instructions.c. */
#ifndef SS_INSTRUCTIONS_H
#define SS_INSTRUCTIONS_H

#include "types.h"

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

/* Decodes the instruction in the first of `size` bytes. False where it does not end there, or is
 * none that this knows. Any context. */
SS_HIDDEN bool ss_instruction_read(const uint8_t *bytes, size_t size, struct ss_instruction *out);

#endif
