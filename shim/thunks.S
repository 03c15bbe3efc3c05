/* The stubs that hooked slots point to: one per table and method, 16 bytes each, in the order of
 * the tables' numbers. A stub puts its table's number where the third argument goes (no method that
 * is hooked has one) and jumps to the thunk of its method in events.c. Nothing is pushed, so the
 * thunk's return address is the program's. */

	.set TABLES, 512 /* SS_TABLES_MAX */

	.macro stubs name
	.p2align 4
	.hidden ss_stubs_\name
	.globl ss_stubs_\name
	.type ss_stubs_\name, @function
ss_stubs_\name:
	.cfi_startproc
	.set number, 0
	.rept TABLES
	.p2align 4
	mov $number, %edx
	jmp ss_thunk_\name
	.set number, number + 1
	.endr
	.cfi_endproc
	.size ss_stubs_\name, . - ss_stubs_\name
	.endm

	.text
	stubs drop
	stubs enter
	stubs exit
	stubs try_close
	stubs drop_span
	stubs new_span

	.section .note.GNU-stack, "", @progbits
