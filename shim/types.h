/* Data and vocabulary of the shim: what crosses files.
 *
 * How an event travels: a subscriber table of a module (modules.c, discover.c) was patched
 * (hook.c); the program's call lands in a thunk (thunks.S, thunks.c), which goes to one ss_event_*
 * function (events.c). That updates the state (threads.c, span_stack.c, span_table.c, instances.c, sites.c);
 * what looks wrong goes to rules.c, from there with stacks (cfi.c, stacks.c) to log.c.
 *
 * Memory: everything lives in arenas of our own (arena.c) and is type-stable: it is reused for the
 * same type, never unmapped. A serial that changed tells that a record was reused; serials are
 * never 0. */
#ifndef SS_TYPES_H
#define SS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_format.h"
#include "option_table.h"
#include "rule_table.h"

#define SS_HIDDEN __attribute__((visibility("hidden")))
#define SS_EXPORT __attribute__((visibility("default")))
#define SS_COLD __attribute__((cold, noinline))
#define SS_LIKELY(x) __builtin_expect(!!(x), 1)
#define SS_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- modules --------------------------------------------------------------------------------- */

enum { SS_SEGMENTS_MAX = 16, SS_BUILD_ID_MAX = 64, SS_MODULES_MAX = 4096 };

/* One PT_LOAD segment, in run-time addresses. */
struct ss_segment {
    uintptr_t start, end; /* of memory */
    uintptr_t file_end;   /* start + p_filesz */
    uint32_t flags;       /* PF_R | PF_W | PF_X */
};

/* One loaded ELF object. Type-stable; ids count from 1 and are never reused within a process. */
struct ss_module {
    uint32_t id;
    _Atomic uint32_t loaded; /* 0 once it was unloaded */
    const char *path;        /* absolute where it can be known, "[vdso]" for the vdso */
    uintptr_t bias;          /* run-time address minus address in the file */
    uintptr_t start, end;    /* the span of all its segments */
    uint32_t segment_count;
    struct ss_segment segments[SS_SEGMENTS_MAX];
    uintptr_t relro_start, relro_end;         /* both 0 without PT_GNU_RELRO */
    uintptr_t dynamic;                        /* PT_DYNAMIC, 0 without */
    uintptr_t eh_frame_hdr, eh_frame_hdr_end; /* PT_GNU_EH_FRAME, 0 without */
    uint8_t build_id[SS_BUILD_ID_MAX];
    uint32_t build_id_length; /* 0: has none */
    /* What discovery found. */
    uint32_t tables_hooked, tables_unhooked;
    _Atomic uint32_t tables_off; /* of those hooked: what they are called with makes no sense */
    uint32_t tables_disputed; /* seen by symbols or by signature alone, where there are symbols */
    uint32_t tables_doubtful; /* that may be some, by their code; not followed */
    uint32_t call_sites;      /* Metadata found */
    const char *evidence;     /* "symbols", "debug-file", "signature", or NULL: found none */
    uint32_t metadata_order;  /* enum ss_metadata_order */
    void *callsites;          /* callsites.c's own */
    char tracing_core[32], tracing_subscriber[32]; /* versions, empty where not known */
    _Atomic uint32_t instances;                    /* of its tables, that were seen (instances.c) */
    uint32_t logged; /* records.c: 0, or one more than the tables it was logged with */
};

/* ---- subscriber tables ----------------------------------------------------------------------- */

/* The methods of `dyn Subscriber` that matter, in the order in which they are patched. */
enum ss_method {
    SS_METHOD_DROP,
    SS_METHOD_ENTER,
    SS_METHOD_EXIT,
    SS_METHOD_CLONE_SPAN,
    SS_METHOD_TRY_CLOSE,
    SS_METHOD_DROP_SPAN,
    SS_METHOD_RECORD,
    SS_METHOD_NEW_SPAN,
    SS_METHOD_REGISTER_CALLSITE, /* of tables found by their code: proves them (proof.c) */
    SS_METHOD_COUNT
};

/* The three lengths a table has had. */
enum ss_layout { SS_LAYOUT_14, SS_LAYOUT_15, SS_LAYOUT_16, SS_LAYOUT_COUNT };

enum { SS_TABLES_MAX = 512 };

/* One `dyn Subscriber` table as discovery reports it. */
struct ss_table_found {
    struct ss_module *module;
    uintptr_t address; /* of word 0, the drop word */
    enum ss_layout layout;
    bool no_subscriber;     /* tracing_core's NoSubscriber */
    bool default_try_close; /* its try_close is the trait's own, which answers false always */
    const char *type;       /* the drop word's symbol, mangled, in our arena; NULL if unknown */
    const char *evidence;   /* as ss_module.evidence */
    bool by_code;           /* that is "signature" */
};

/* ---- call sites ------------------------------------------------------------------------------ */

enum ss_metadata_order { SS_ORDER_UNKNOWN, SS_ORDER_A, SS_ORDER_B, SS_ORDER_LEARNED };

enum {
    SS_LEVEL_TRACE,
    SS_LEVEL_DEBUG,
    SS_LEVEL_INFO,
    SS_LEVEL_WARN,
    SS_LEVEL_ERROR,
    SS_LEVEL_COUNT
};

enum { SS_FIELDS_MAX = 256, SS_STRING_MAX = 4096 };

/* A piece of text that is not terminated. */
struct ss_text {
    const char *data;
    uint32_t length;
};

/* What one Metadata says, as decoded in place: the texts point into the module. */
struct ss_metadata {
    struct ss_text name, target, module_path, file; /* file, module_path: data NULL for None */
    uint32_t line;                                  /* 0 for None */
    uint32_t level;                                 /* SS_LEVEL_* */
    uintptr_t fields;       /* address of the FieldSet inside the Metadata */
    const uintptr_t *names; /* field_count pairs of {pointer, length} */
    uint32_t field_count;
};

/* Counts of a module's or the process's call sites, by level. */
struct ss_interest_counts {
    uint32_t live, filtered, unreached;
};

/* ---- state ----------------------------------------------------------------------------------- */

/* Where spans come from. */
enum ss_provider { SS_PROVIDER_RUST, SS_PROVIDER_ANNOTATION };

/* One hooked table: what its slots held before. Never reused. */
struct ss_table {
    struct ss_module *module;
    uintptr_t address;
    uintptr_t size;
    enum ss_layout layout;
    bool no_subscriber;
    bool by_code;      /* no symbol speaks for it: it has to prove itself (proof.c) */
    bool never_closes; /* try_close is the trait's own: closes of its spans are not heard of */
    const char *type;
    void *originals[SS_METHOD_COUNT];
};

/* Why events are not judged, as the summary counts them. */
#define SS_UNJUDGED(X)                                                                          \
    X(INSIDE, "inside")           /* arrived while the thread was inside the shim (a signal) */ \
    X(TAINTED, "tainted")         /* on a thread that had lost events before */                 \
    X(MEMORY, "memory")           /* no memory for the thread or the span */                    \
    X(CONSTANT_ID, "constant-id") /* of an instance that hands out live ids */                  \
    X(TABLE_OFF, "table-off")     /* of a table that was switched off (proof.c) */

enum ss_unjudged {
#define X(name, text) SS_UNJUDGED_##name,
    SS_UNJUDGED(X)
#undef X
        SS_UNJUDGED_COUNT
};

/* One subscriber. Type-stable; the serial is 0 while the record is free. Addresses map to it
 * (instances.c). */
struct ss_instance {
    _Atomic uint64_t serial;
    const struct ss_table *table; /* NULL for annotations */
    uintptr_t words[2];  /* the object's words where they identify it (tables of 8 or 16) */
    uint32_t word_count; /* 0: the address identifies it */
    uint32_t address_count;
    uint32_t index;           /* of the record */
    _Atomic bool forwards;    /* its calls reach another hooked instance, which counts them */
    _Atomic bool keeps;       /* was seen not to forward an exit: forwards stays false */
    _Atomic bool constant_id; /* handed a live id out: not judged */
    enum ss_provider provider;
    struct ss_recent *recent; /* with ss_table.never_closes (instances.c); stays with the record */
    struct ss_instance *next_free;
};

enum { SS_PLACES = 8, SS_FULL_STACKS = 16 };

/* Stacks taken at one return address of a call site: the first SS_FULL_STACKS in full. */
struct ss_place {
    _Atomic uintptr_t address; /* 0: free */
    _Atomic uint32_t taken;
    _Atomic uint32_t typical;   /* the stack to show once taken is at its end; an id of stacks.c */
    _Atomic uint64_t holding;   /* enters: which function holds the guards (activations.c) */
    _Atomic uintptr_t function; /* with a direct holder: its start */
};

/* One call site: copies of what its Metadata says. Never freed. */
struct ss_site {
    uintptr_t key; /* address of the Metadata, or of the annotation's site */
    struct ss_module *module;
    enum ss_provider provider;
    const char *name, *target, *file; /* NULL where it could not be read; file may be None */
    uint32_t line, level;
    uint32_t field_count;
    const char *const *fields;        /* names */
    uintptr_t field_set;              /* its FieldSet's address, as value sets name it */
    struct ss_place *_Atomic settled; /* of its enters, the last that needs no more (thunks.c) */
    struct ss_place creations[SS_PLACES], enters[SS_PLACES];
};

/* A moment of a span on a thread. */
struct ss_moment {
    uint64_t time;    /* CLOCK_REALTIME in ns, 0 unknown */
    uintptr_t caller; /* the return address of the thunk */
    uint32_t thread;  /* serial, 0 unknown */
    uint32_t stack;   /* id of stacks.c, 0: the caller alone is known */
};

/* Copies of a moment that another thread may be writing: each member is whole, all of them only
 * where the serial beside them says so. Also where it was just written: wider loads would wait for
 * the stores of its members. */
static inline struct ss_moment ss_moment_load(const struct ss_moment *from)
{
    return (struct ss_moment){__atomic_load_n(&from->time, __ATOMIC_RELAXED),
                              __atomic_load_n(&from->caller, __ATOMIC_RELAXED),
                              __atomic_load_n(&from->thread, __ATOMIC_RELAXED),
                              __atomic_load_n(&from->stack, __ATOMIC_RELAXED)};
}

static inline void ss_moment_store(struct ss_moment *to, const struct ss_moment *from)
{
    __atomic_store_n(&to->time, from->time, __ATOMIC_RELAXED);
    __atomic_store_n(&to->caller, from->caller, __ATOMIC_RELAXED);
    __atomic_store_n(&to->thread, from->thread, __ATOMIC_RELAXED);
    __atomic_store_n(&to->stack, from->stack, __ATOMIC_RELAXED);
}

/* Set in ss_moment.stack where the stack is one taken earlier at the same place. */
#define SS_STACK_TYPICAL 0x80000000u

/* A function's frame as it was at an enter. The frame is dead once its CFA is not above the stack
 * pointer, or once another return address is below the CFA. */
struct ss_activation {
    uintptr_t function; /* start of its FDE, 0: not known */
    uintptr_t cfa;
    uintptr_t return_address; /* the word at cfa - 8 */
};

enum { SS_CHAIN = 8 };

/* An enter that is looked at more closely: the innermost activations of its stack, and what became
 * of them. Type-stable, its owner's alone to change; others may read it while it changes. Frames
 * die from the inside outwards, so a count says which are dead. */
struct ss_watch {
    struct ss_watch *next_free;
    _Atomic uint64_t span_serial;
    uint32_t count;
    bool learning;  /* the place does not know its holder yet: the exit tells */
    bool suspected; /* was written as a suspicion */
    int holder;     /* index of the frame that holds the guard as names tell, -1: not asked yet */
    uint32_t dead_at_park;            /* so many of the innermost were found dead at a park */
    uint32_t dead_at_event;           /* or at an enter or creation */
    uint32_t walks;                   /* of the stack at events, so far */
    uint32_t settled;                 /* with so many dead at parks, the holder was found alive */
    struct ss_moment parked;          /* the first park that found any dead */
    uint64_t parked_at[SS_CHAIN];     /* by frame: the first park that found it dead */
    uint32_t parks[SS_CHAIN];         /* that found it dead */
    uint32_t made[SS_CHAIN];          /* spans made on the thread while it was dead */
    uint32_t entered_under[SS_CHAIN]; /* and entered */
    struct ss_activation frames[SS_CHAIN];
};

/* What a span's fields were at its creation, rendered as the members of a JSON object; only with
 * fields=values (values.c). Type-stable. */
enum { SS_VALUES_SIZE = 480 };
struct ss_values {
    struct ss_values *next_free;
    uint32_t used;
    char text[SS_VALUES_SIZE];
};

/* One live span. Type-stable; serial is 0 while the record is free. */
struct ss_span {
    _Atomic uint64_t serial;
    _Atomic uint64_t id;
    _Atomic uintptr_t address; /* of the subscriber that was asked for it */
    struct ss_instance *_Atomic instance;
    _Atomic uint64_t instance_serial; /* the span is void once the instance is another */
    struct ss_site *site;             /* NULL: its Metadata could not be read */
    struct ss_values *values;         /* NULL: not captured */
    uint64_t parent;                  /* id in the same instance, 0 for none */
    struct ss_moment created;
    uint32_t created_number;       /* ss_thread.made then */
    _Atomic uint32_t last_entered; /* serial of the thread that entered it last */
    _Atomic bool reported;
    _Atomic bool foreign;    /* what is reported is another's breach, which closes this */
    _Atomic int32_t handles; /* clones made less closes asked for, from outside */
    uint32_t slot;           /* where span_table.c has it */
    _Atomic uint64_t fingerprint, group; /* of the report, once there is one */
    struct ss_span *next_free;
};

/* One open span on a thread's span stack. Written by the owner, read by all. */
struct ss_entry {
    _Atomic uintptr_t address; /* of the subscriber it was entered through */
    _Atomic uint64_t id;
    _Atomic uint64_t span_serial;     /* 0: its creation was not seen */
    _Atomic uint64_t instance_serial; /* the entry is void once the instance is another */
    struct ss_instance *instance;
    struct ss_span *span;
    struct ss_moment entered;    /* by ss_moment_store and ss_moment_load */
    uint32_t number;             /* ss_thread.entered then */
    struct ss_activation holder; /* of the guard; function 0: not known */
    struct ss_watch *watch;      /* NULL: nothing but the holder is known */
    bool again;                  /* the thread had the span open already */
};

/* A span that a subscriber still takes for entered on a thread that no longer has it open. */
struct ss_ghost {
    uint64_t span_serial, id, instance_serial; /* span_serial 0: none */
    struct ss_instance *instance;
    uint32_t number; /* ss_thread.entered when the span strayed */
};

/* What the thread is in the middle of: a thunk that is a frame of its own while the original runs.
 */
enum ss_operation { SS_IN_EXIT, SS_IN_CLOSE };

struct ss_mark {
    uintptr_t frame;   /* address of the thunk's return address */
    uintptr_t address; /* of the subscriber */
    uintptr_t caller;  /* what stood there: a mark whose word differs is stale */
    uint64_t id;
    struct ss_instance *instance;
    struct ss_span *span;         /* NULL: its creation was not seen */
    _Atomic uint64_t span_serial; /* other threads read it, and operation */
    _Atomic enum ss_operation operation;
    uint32_t created_number;  /* ss_thread.made then */
    uint32_t sequence;        /* ss_thread.sequence then */
    struct ss_moment entered; /* exit: of the entry that it removed */
};

enum { SS_CACHED_SPANS = 8, SS_CACHED_INSTANCES = 4, SS_MARKS = 8, SS_FIRST_ENTRIES = 4 };
enum { SS_GHOSTS = 8, SS_FRAMES_PARKED = 128 };
enum { SS_THREAD_NAME = 16, SS_NAME_MAX = 64 };

/* What is known of a thread beyond its life. */
struct ss_thread_facts {
    uint32_t serial; /* 0: free */
    uint32_t creator;
    int tid;
    uint32_t creation_stack;
    char name[SS_THREAD_NAME];
    char creator_span[SS_NAME_MAX]; /* innermost span of the creator, empty for none */
};

/* The last getaddrinfo of a thread. */
struct ss_lookup {
    uint64_t span_serial; /* innermost span at the call; 0: none */
    uint64_t nanoseconds;
    int result;
    uint32_t addresses;
    char host[256];
    char service[32];
    bool has_host, has_service;
};

/* A span that a thread met, and where it entered it last. */
struct ss_cached_span {
    uint64_t id;
    uintptr_t address; /* of the subscriber */
    struct ss_span *span;
    uint64_t serial;
    struct ss_place *place; /* of the enter, where nothing is left to learn of it; or NULL */
    uint64_t holding;       /* of that place then */
};

/* What a thread is doing. */
enum ss_thread_state {
    SS_FREE,
    SS_BUSY, /* it is inside the shim */
    /* An exit runs, and what lies just above the span stack is its entry: a mark that is put before
     * anything else is done (thunks.c). */
    SS_EXITING,
    SS_CLOSING,        /* a close runs: a mark likewise */
    SS_EXITING_CLOSING /* an exit, and in it a close of its span */
};

/* One thread. Type-stable, in a list that only grows (threads.c). What the owner writes at each
 * event comes first. */
struct ss_thread {
    _Atomic uint8_t state;  /* enum ss_thread_state */
    _Atomic bool attention; /* another thread left something to do: claims, an ended instance */
    bool tainted;           /* lost events: not judged until its span stack is empty */
    bool ending;            /* its start routine has returned: TLS destructors run */
    bool event_loop;        /* it has waited for events */
    _Atomic uint32_t depth;
    _Atomic uint32_t moves; /* odd while entries move down */
    uint32_t capacity;
    struct ss_entry *_Atomic entries;
    uint32_t serial;
    _Atomic uint32_t mark_depth;
    uintptr_t exit_frame, exit_caller;   /* of SS_EXITING; frame 0: its mark was put since */
    uintptr_t close_frame, close_caller; /* of SS_CLOSING, likewise */
    struct ss_span *close_span;
    _Atomic uint64_t closing; /* its serial; 0: none */
    uint32_t sequence;        /* of the calls that stay on the stack while the original runs */
    uint32_t made;            /* spans that this thread made; goes on after a fork */
    _Atomic uint64_t created, entered, exited, closed;

    struct ss_cached_span cached_spans[SS_CACHED_SPANS];
    struct {
        uintptr_t address;
        struct ss_instance *instance;
        uint64_t serial;
    } cached_instances[SS_CACHED_INSTANCES];
    struct {
        uintptr_t argument;
        uint64_t id;
        struct ss_instance *instance;
        uint32_t sequence;
    } last_new; /* the new_span that returned last */

    _Atomic bool live;
    uintptr_t stack_low, stack_high; /* of the mapping that its stack was last seen in */
    uintptr_t own_low, own_high;     /* of the stack that it began on; both 0: not known */
    uint64_t walked_at[4];           /* the last walk of a park that found no frame dead */
    struct ss_watch *free_watches;
    struct ss_frame *frames; /* SS_FRAMES_PARKED of them, NULL before the first walk */
    struct ss_open *open;    /* room for a copy, NULL before the first */
    struct ss_ghost *ghosts; /* SS_GHOSTS of them; NULL: never had one */
    struct ss_claim *claims; /* under ss_threads_lock */
    struct ss_lookup *lookup;
    struct ss_history *history;     /* history.c's; NULL without */
    struct ss_values *shown_values; /* the copy that a violation of this thread's shows */
    struct ss_thread_facts facts;
    _Atomic uint64_t unjudged[SS_UNJUDGED_COUNT];
    uint64_t unjudged_before; /* of all kinds, by threads that had the record before */
    struct ss_thread *next;
    struct ss_thread *next_free;
    struct ss_mark marks[SS_MARKS];
    struct ss_entry first_entries[SS_FIRST_ENTRIES];
};

/* ---- judgement ------------------------------------------------------------------------------- */

/* How a closed span was used. */
enum ss_use { SS_USE_NONE, SS_USE_ENTER, SS_USE_RECORD, SS_USE_PARENT, SS_USE_LOOKUP };

/* One breach or suspicion, as gathered by rules.c and written by log.c. Moments with thread 0 do
 * not apply. */
struct ss_violation {
    enum ss_rule rule;
    enum ss_severity severity;
    bool suspicion; /* it may still turn out well */
    uint64_t fingerprint, group;
    uint64_t count;
    uint64_t time;
    struct ss_site *site;
    const struct ss_values *values;
    uint64_t span_serial, span_id; /* 0: about no span (a look-up outside all of them) */
    struct ss_instance *owner;
    struct ss_instance *called;
    bool has_called;     /* the rule tells of one; called NULL: the no-op subscriber */
    uint64_t closing_id; /* 0: not about a close */
    bool closing_parent;
    struct ss_moment created, entered, exited, closed;
    struct ss_moment parked; /* the first park that found the entering activation gone */
    struct ss_moment used;   /* with use */
    enum ss_use use;
    bool has_parks; /* the rule tells of parks: the next four are known */
    bool thread_changed;
    uint32_t parks;
    uint64_t parked_ns, spans_under;
    const struct ss_site *made;  /* of the span that named this one as its parent, or NULL */
    const struct ss_site *above; /* of the innermost open span, or NULL; its serial: */
    uint64_t above_serial;
    const struct ss_lookup *lookup;
};

/* What came of a breach. */
struct ss_consequence {
    enum ss_consequence_kind kind;
    uint64_t of, group; /* fingerprint and group of the breach */
    uint64_t count;
    struct ss_site *site; /* of the span that strayed */
    uint64_t span_serial, span_id;
    struct ss_instance *owner;
    struct ss_moment at;
    const struct ss_site *made; /* of the span that got it as its parent, or NULL */
};

#endif
