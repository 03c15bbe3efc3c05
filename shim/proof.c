/* The proof at run time of tables that were found by their code. No symbol says that such a table is
 * one, so it is believed step by step:
 *
 * - At first its register_callsite alone is patched. The program calls that, before any span is
 *   made, with the address of a Metadata, and those are known (callsites.c). Once it did, the other
 *   slots are patched. Before that nothing is read that a call passes: another trait's method may
 *   have anything for arguments.
 * - Its enters and exits then are of ids that its new_span returned. Ids that it never returned are
 *   counted, and before anything is reported the two numbers are compared.
 *
 * A table that fails is switched off: its instances are not judged, its module's record says so.
 *
 * Program threads, lock-free but for patching. The table's number is the index here. */
#include "proof.h"

#include <stdatomic.h>

#include "events.h"
#include "hook.h"
#include "instances.h"
#include "threads.h"

enum {
    CALLS_MAX = 16,      /* that make no sense, before the first that does */
    MADE_MAX = 1 << 16,  /* counted no further: it is proven by then */
    DOUBTS_ALLOWED = 16, /* spans of other threads, made while the slots were being patched */
    DOUBTED_MAX = 64,    /* of these are kept in mind: a span that was missed comes back often */
    SPANS_PER_DOUBT = 4, /* and one more for so many spans */
};

enum state { NOT_WANTED, WANTED, GIVEN, OFF };

static struct proof {
    _Atomic uint32_t state; /* enum state */
    _Atomic uint32_t calls, made, doubts;
    _Atomic uint64_t doubted[DOUBTED_MAX]; /* ids, the latest ones; 0: none */
} proofs[SS_TABLES_MAX];

static struct proof *proof_of(const struct ss_table *table)
{
    return &proofs[table - ss_hook_tables];
}

static bool change(struct proof *proof, uint32_t from, enum state to)
{
    return atomic_compare_exchange_strong(&proof->state, &from, to);
}

static void switch_off(const struct ss_table *table, enum state from, const char *why)
{
    if (!change(proof_of(table), from, OFF))
        return;
    atomic_fetch_add(&table->module->tables_off, 1);
    ss_instances_distrust(table);
    SS_WARN(table->module->path,
            ": a subscriber table that was found by its code is switched off: ", why);
}

void ss_proof_want(const struct ss_table *table)
{
    /* One that came back with its module is as good as it was. */
    (void)change(proof_of(table), NOT_WANTED, WANTED);
}

bool ss_proof_given(const struct ss_table *table)
{
    uint32_t state = atomic_load_explicit(&proof_of(table)->state, memory_order_relaxed);
    return state == NOT_WANTED || state == GIVEN;
}

bool ss_proof_failed(const struct ss_table *table)
{
    return atomic_load_explicit(&proof_of(table)->state, memory_order_relaxed) == OFF;
}

static void judge_call(const struct ss_table *table, uintptr_t metadata)
{
    struct proof *proof = proof_of(table);
    struct ss_metadata decoded;
    if (atomic_load(&proof->state) != WANTED)
        return;
    if (ss_callsite_decode(metadata, &decoded)) {
        /* Several threads may do it: none goes on, to make a span, before it is done. */
        if (ss_hook_rest(table))
            (void)change(proof, WANTED, GIVEN);
        else
            switch_off(table, WANTED, "its page cannot be patched any more");
    } else if (atomic_fetch_add(&proof->calls, 1) + 1 == CALLS_MAX) {
        switch_off(table, WANTED, "it is called with what is no call site");
    }
}

const void *ss_proof_called(const struct ss_table *table, uintptr_t metadata)
{
    struct ss_thread *thread = ss_proof_given(table) ? NULL : ss_begin();
    if (thread) {
        judge_call(table, metadata);
        ss_end(thread);
    }
    return table->originals[SS_METHOD_REGISTER_CALLSITE];
}

/* Whether the table is one whose calls are counted. */
static bool is_counted(const struct ss_table *table)
{
    return table && atomic_load_explicit(&proof_of(table)->state, memory_order_relaxed) == GIVEN;
}

void ss_proof_made(const struct ss_table *table)
{
    if (is_counted(table) &&
        atomic_load_explicit(&proof_of(table)->made, memory_order_relaxed) < MADE_MAX)
        atomic_fetch_add_explicit(&proof_of(table)->made, 1, memory_order_relaxed);
}

void ss_proof_excuse(const struct ss_table *table)
{
    if (table)
        (void)change(proof_of(table), GIVEN, NOT_WANTED);
}

/* Whether that id was doubted before. Two threads may both have it for new. */
static bool was_doubted(struct proof *proof, uint64_t id)
{
    for (uint32_t i = 0; i < DOUBTED_MAX; i++)
        if (atomic_load_explicit(&proof->doubted[i], memory_order_relaxed) == id)
            return true;
    return false;
}

void ss_proof_doubted(const struct ss_table *table, uint64_t id)
{
    if (!is_counted(table) || table->never_closes || atomic_load(&ss_events_lost) ||
        was_doubted(proof_of(table), id))
        return;
    uint32_t doubts = atomic_fetch_add_explicit(&proof_of(table)->doubts, 1, memory_order_relaxed);
    atomic_store_explicit(&proof_of(table)->doubted[doubts % DOUBTED_MAX], id,
                          memory_order_relaxed);
    (void)ss_proof_stands(table);
}

bool ss_proof_stands(const struct ss_table *table)
{
    if (!table)
        return true;
    struct proof *proof = proof_of(table);
    uint32_t state = atomic_load(&proof->state);
    if (state != GIVEN)
        return state != OFF;
    uint32_t made = atomic_load(&proof->made), doubts = atomic_load(&proof->doubts);
    if (doubts <= DOUBTS_ALLOWED + made / SPANS_PER_DOUBT)
        return true;
    switch_off(table, GIVEN, "it is called with ids that it never gave");
    return false;
}
