/* The stubs that hooked slots point to: one per table and method, 16 bytes each, in the order of
 * the tables' numbers. A stub puts its table's address where the first argument goes that its method
 * does not have, and jumps to the thunk of its method in thunks.c. Nothing is pushed, so the
 * thunk's return address is the program's. The enter thunk is told the program's rbp as well, which
 * the frame of its caller may be found by.
 *
 * register_callsite is the one slot of a table that is not proven yet, and may be some other trait's
 * method: it gets all that its caller passed, in whatever registers. */

	.set TABLES, 512     /* SS_TABLES_MAX */
	.set TABLE_SIZE, 112 /* of struct ss_table; thunks.c holds both equal */
	.hidden ss_hook_tables

	.macro stubs name, argument=rdx, with_rbp=0
	.p2align 4
	.hidden ss_stubs_\name
	.globl ss_stubs_\name
	.type ss_stubs_\name, @function
ss_stubs_\name:
	.cfi_startproc
	.set number, 0
	.rept TABLES
	.p2align 4
	lea ss_hook_tables + number * TABLE_SIZE(%rip), %\argument
	.if \with_rbp
	mov %rbp, %rcx
	.endif
	jmp ss_thunk_\name
	.set number, number + 1
	.endr
	.cfi_endproc
	.size ss_stubs_\name, . - ss_stubs_\name
	.endm

	.text
	stubs drop
	stubs enter, with_rbp=1
	stubs exit
	stubs clone_span
	stubs try_close
	stubs drop_span
	stubs record, argument=rcx
	stubs new_span
	stubs register_callsite, argument=r11

	/* All registers that may hold arguments, and the static chain. */
	.type ss_thunk_register_callsite, @function
ss_thunk_register_callsite:
	.cfi_startproc
	.irp register, rdi, rsi, rdx, rcx, r8, r9, r10, rax
	push %\register
	.cfi_adjust_cfa_offset 8
	.endr
	sub $136, %rsp /* aligned again */
	.cfi_adjust_cfa_offset 136
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7
	movups %xmm\number, 16 * \number(%rsp)
	.endr
	mov %r11, %rdi
	call ss_proof_called
	mov %rax, %r11
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7
	movups 16 * \number(%rsp), %xmm\number
	.endr
	add $136, %rsp
	.cfi_adjust_cfa_offset -136
	.irp register, rax, r10, r9, r8, rcx, rdx, rsi, rdi
	pop %\register
	.cfi_adjust_cfa_offset -8
	.endr
	jmp *%r11
	.cfi_endproc
	.size ss_thunk_register_callsite, . - ss_thunk_register_callsite

	.section .note.GNU-stack, "", @progbits
