/* Prototypes of what crosses files, under the file that holds each.
 *
 * Contexts: "start" is our constructor, "slow" any program thread outside signal handlers with
 * ss_thread.state busy, "hot" the enter and exit thunks. Nothing here may be called from a signal
 * handler unless it says so. Locks are taken in the order of fork.h, and never held across
 * a call into libc, the loader or the program. */
#ifndef SS_INTERNAL_H
#define SS_INTERNAL_H

#include "types.h"

/* ---- arena.c: memory of our own, by mmap; never returned ------------------------------------- */

/* Takes: size in bytes. Returns zeroed memory, 16-aligned, or NULL when the system has none (warned
 * of once). Any thread; lock-free. */
SS_HIDDEN void *ss_alloc(size_t size);

/* A terminated copy of length bytes in the arena, or NULL. */
SS_HIDDEN char *ss_copy_text(const char *text, size_t length);

/* ---- output.c: warnings on stderr ------------------------------------------------------------ */

/* Writes "strayspan: " and the pieces, up to a NULL, as one line to stderr, if that is safe
 * (output.h); silent after 32 lines. Never at verbosity below level. */
SS_HIDDEN void ss_say(int level, const char *piece, ...) __attribute__((sentinel));
#define SS_WARN(...) ss_say(0, __VA_ARGS__, (char *)0)
#define SS_VERBOSE(level, ...) ss_say(level, __VA_ARGS__, (char *)0)

/* ---- modules.c ------------------------------------------------------------------------------- */

/* Looks at every loaded module that was not seen yet (discovery and hooking included) and marks
 * those that went. Cheap when nothing changed (dlpi_adds, dlpi_subs). Start, and from inside the
 * loader. */
SS_HIDDEN void ss_modules_update(void);

/* The same from outside the loader, while other threads may be in it: looks at what these have done
 * with, and leaves the rest for the next time. */
SS_HIDDEN void ss_modules_poll(void);

/* Whether modules were found gone since this was last asked. */
SS_HIDDEN bool ss_modules_went(void);

/* Whether there are objects that the loader keeps apart from ours (dlmopen). */
SS_HIDDEN bool ss_modules_apart(void);

/* Calls each for every module that the loader has at this moment; it unmaps none of them meanwhile.
 * False: the loader is not to be asked, in a signal handler or a child of threads. */
SS_HIDDEN bool ss_modules_visit(void (*each)(const struct ss_module *));

/* Before a fork, and after it in both processes; had_threads: the parent had others than the one that
 * forks. */
SS_HIDDEN void ss_modules_fork(void);
SS_HIDDEN void ss_modules_forked(bool child, bool had_threads);

/* The loaded module that holds address, or NULL. Lock-free, any context. */
SS_HIDDEN struct ss_module *ss_module_of(uintptr_t address);

/* Modules by index from 0, unloaded ones included; NULL beyond the last. Lock-free. */
SS_HIDDEN struct ss_module *ss_module_at(uint32_t index);

/* Whether [address, address + size) lies inside one readable segment of m. */
SS_HIDDEN bool ss_module_readable(const struct ss_module *m, uintptr_t address, size_t size);

/* Whether address lies in an executable segment of m. */
SS_HIDDEN bool ss_module_executable(const struct ss_module *m, uintptr_t address);

/* The address of a defined symbol (default version) in the first module after ours in load order,
 * like dlsym(RTLD_NEXT), without libc: NULL where there is none. size may be NULL. */
SS_HIDDEN void *ss_symbol_next(const char *name, size_t *size);

/* Reads the versions of tracing-core and tracing-subscriber out of the panic locations in m's
 * read-only segments ("/tracing-core-0.1.32/src/"): at most 31 characters each, empty where not
 * found. Slow (reads all of them once); for the log's module record only. */
SS_HIDDEN void ss_module_versions(struct ss_module *m, char core[32], char subscriber[32]);

/* ---- discover.c ------------------------------------------------------------------------------ */

/* Finds the `dyn Subscriber` tables of m by its symbols, else by its code, and gives each to
 * ss_hook_table (hook.c), sets m->evidence, m->tables_disputed and m->tables_doubtful. Reads m's
 * file or its debug file (symbols) and m's memory (tables), all validated. */
SS_HIDDEN void ss_discover(struct ss_module *m);

/* Whether the function that a return address lies in is one that closes spans through the thread's
 * default subscriber: a part of tracing-subscriber's sharded registry, by the symbols that
 * ss_discover met, else by its code; that is not asked unless what was called there is a forwarder.
 * ss_closer_forwards: whether it is one that such code may do it through (Dispatch::try_close,
 * get_default, Arc's and Box's try_close): then its caller tells. Lock-free, any context; false for
 * unloaded modules. */
SS_HIDDEN bool ss_closes_by_default(uintptr_t return_address, bool forwarded);
SS_HIDDEN bool ss_closer_forwards(uintptr_t return_address);

/* hook.c: patches one table. Called by ss_discover, under no lock. */
SS_HIDDEN void ss_hook_table(const struct ss_table_found *found);

/* ---- callsites.c ----------------------------------------------------------------------------- */

/* Finds all Metadata of m (facts: the cycle Metadata -> callsite -> Metadata), learns their word
 * order and keeps the set. Called after a table was found in the process. */
SS_HIDDEN void ss_callsites_find(struct ss_module *m);

/* Whether address is a known Metadata; decodes it into out when it is. Lock-free. */
SS_HIDDEN bool ss_callsite_decode(uintptr_t address, struct ss_metadata *out);

/* What `Attributes` at address (4 words on the caller's stack, readable) says. */
struct ss_attributes {
    uintptr_t metadata; /* 0: not recognised */
    uintptr_t values;   /* the ValueSet, 0: not recognised */
    uint32_t parent;    /* enum ss_parent */
    uint64_t parent_id; /* for SS_PARENT_EXPLICIT */
};
enum ss_parent { SS_PARENT_ROOT, SS_PARENT_CURRENT, SS_PARENT_EXPLICIT, SS_PARENT_UNKNOWN };
SS_HIDDEN void ss_attributes_read(uintptr_t attributes, struct ss_attributes *out);

/* The same in short where they are of the site that is known by their third word. stack_high: the
 * end of the calling thread's stack as far as it is known, or 0. Returns whether they are. */
SS_HIDDEN bool ss_attributes_are_of(uintptr_t attributes, const struct ss_site *site,
                                    uintptr_t stack_high, struct ss_attributes *out);

/* How far a call site of spans got: the more, the greater. */
enum ss_reach {
    SS_REACH_UNKNOWN,
    SS_REACH_NONE,     /* not registered */
    SS_REACH_FILTERED, /* registered, never wanted */
    SS_REACH_LIVE      /* sometimes or always wanted */
};

/* How many call sites of m are known, 0 where it cannot be read how far they got. */
SS_HIDDEN uint32_t ss_callsites_number(const struct ss_module *m);

/* Notes how far each call site of m got: level * 4 + enum ss_reach in states, that many bytes, which
 * what was noted before stays in where it is more. Events stay 0, where kinds tell. */
SS_HIDDEN void ss_callsites_reached(const struct ss_module *m, uint8_t *states);

/* ---- callsite_counts.c ----------------------------------------------------------------------- */

/* Notes how far the call sites of all modules got, as one may be about to go. */
SS_HIDDEN void ss_callsites_keep(void);

/* Adds all known call sites of spans, those of modules that went too, to counts by level. Copies of
 * one file count once. At the end. */
SS_HIDDEN void ss_callsites_count(struct ss_interest_counts counts[SS_LEVEL_COUNT]);

/* ---- cfi.c: walking stacks by call frame information ----------------------------------------- */

/* Registers of a frame, x86-64 numbering of DWARF (0 rax .. 7 rsp, 8..15, 16 return address). Only
 * the callee-saved ones, rsp and rip are kept. */
struct ss_registers {
    uintptr_t rbx, rbp, rsp, r12, r13, r14, r15, rip;
};

/* One frame of a walk. */
struct ss_frame {
    uintptr_t ip;       /* the return address into this function (for the first: the ip itself) */
    uintptr_t cfa;      /* canonical frame address of the function that ip is in */
    uintptr_t function; /* start of its FDE */
};

/* Walks from the given registers outwards, through at most max frames. Stops at the first frame
 * without an FDE (its ip is still reported, with cfa and function 0), at a frame whose rules it
 * cannot follow, where the CFA does not grow, and where memory outside [stack_low, stack_high)
 * would be read. Reads: the stack between these bounds, and unwind tables of loaded modules; both
 * checked. No lock, no allocation, no libc, no descriptor; may run in any context. Returns the
 * number of frames. */
SS_HIDDEN uint32_t ss_walk(const struct ss_registers *from, uintptr_t stack_low,
                           uintptr_t stack_high, struct ss_frame *frames, uint32_t max);

/* The same from a call: return_address with rsp and rbp as they are once it returned. 0 frames
 * where these registers do not suffice. */
SS_HIDDEN uint32_t ss_walk_callers(uintptr_t return_address, uintptr_t rsp, uintptr_t rbp,
                                   uintptr_t stack_high, struct ss_frame *frames, uint32_t max);

/* How the CFA is found at a return address, where it is a constant away from rsp or rbp. False
 * where it is not. *function is the start of the FDE. */
SS_HIDDEN bool ss_frame_rule(uintptr_t return_address, bool *by_rbp, int32_t *offset,
                             uintptr_t *function);

#endif
