/* The wrappers of the calls in which a thread parks. Each tells ss_park and then jumps to the
 * original with its arguments as they came, so that no frame of ours blocks, is cancelled, is
 * unwound or is in a backtrace, and the original returns to the program. While nobody wants to know
 * of parks a wrapper is one test and one jump.
 *
 * Called by the program on any thread, in signal handlers too, and by libraries before our
 * constructor has run: an original's pointer first leads to a stub that looks them up (parks.c). */

	/* enum ss_park_kind; parks.c holds them equal. */
	.set FUTEX, 0
	.set POLL, 1
	.set EVENTS, 2

	/* What arguments can be in, al of variadic calls included. Not r10 and r11, which no call
	 * preserves, and no vector register: none of these functions takes a vector argument. Seven
	 * words and the return address leave the stack 16-aligned for the C function. */
	.set SAVED, 7 * 8

	.macro save
	.irp register, rdi, rsi, rdx, rcx, r8, r9, rax
	push %\register
	.cfi_adjust_cfa_offset 8
	.endr
	.endm

	.macro restore
	.irp register, rax, r9, r8, rcx, rdx, rsi, rdi
	pop %\register
	.cfi_adjust_cfa_offset -8
	.endr
	.endm

	.macro function name
	.text
	.p2align 4
	.type \name, @function
\name:
	.cfi_startproc
	endbr64
	.endm

	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm

	/* ss_park(sp, caller, kind), with kind in edx. */
	.macro park
	lea SAVED(%rsp), %rdi
	mov SAVED(%rsp), %rsi
	call ss_park
	.endm

	/* ss_real_NAME: the original, once it was looked up. */
	.macro original name
	function first_\name
	save
	call ss_parks_resolve
	restore
	jmp *ss_real_\name(%rip)
	end first_\name

	.data
	.p2align 3
	.hidden ss_real_\name
	.globl ss_real_\name
	.type ss_real_\name, @object
ss_real_\name:
	.quad first_\name
	.size ss_real_\name, 8
	.endm

	.macro wrapper name, kind
	original \name
	.globl \name
	function \name
	cmpl $0, ss_parks_wanted(%rip)
	jne 1f
	jmp *ss_real_\name(%rip)
1:	save
	mov $\kind, %edx
	park
	restore
	jmp *ss_real_\name(%rip)
	end \name
	.endm

	.hidden ss_park
	.hidden ss_parks_wanted
	.hidden ss_parks_resolve
	.hidden ss_parks_kind_of

	wrapper epoll_wait, EVENTS
	wrapper epoll_pwait, EVENTS
	wrapper epoll_pwait2, EVENTS
	wrapper poll, POLL
	wrapper ppoll, POLL

	original syscall
	.globl syscall
	function syscall
	cmpl $0, ss_parks_wanted(%rip)
	jne 1f
	jmp *ss_real_syscall(%rip)
1:	save
	call ss_parks_kind_of
	test %eax, %eax
	js 2f
	mov %eax, %edx
	park
2:	restore
	jmp *ss_real_syscall(%rip)
	end syscall

	.section .note.GNU-stack, "", @progbits
