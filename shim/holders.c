/* Which function of an enter's stack holds the guard, as names tell; and what a place learns of it.
 *
 * Called by activations.c and activation_exits.c, by the thread that owns the entries; no lock. */
#include "holders.h"

#include <stdatomic.h>

#include "activations.h"
#include "internal.h"
#include "options.h"
#include "stacks.h"

enum { NAMED_FRAMES = 32 }; /* of a stack asked for by name */

/* What functions are, by name, on the stack of an enter: from its full or typical stack, or from
 * the chain. Returns how many. */
static uint32_t name_enter(const struct ss_entry *entry, const struct ss_watch *watch,
                           uint16_t kinds[NAMED_FRAMES])
{
    uintptr_t addresses[NAMED_FRAMES];
    uint32_t count = 0;
    const struct ss_stack *stack = ss_stack_at(entry->entered.stack);
    for (; stack && count < stack->count && count < NAMED_FRAMES; count++) {
        const struct ss_stack_frame frame = stack->frames[count];
        const struct ss_module *module = frame.module ? ss_module_at(frame.module - 1) : NULL;
        addresses[count] = (module ? module->bias : 0) + frame.offset - 1;
    }
    for (; !stack && count < watch->count; count++)
        addresses[count] = watch->frames[count].function;
    ss_names_of(addresses, count, kinds);
    return count;
}

void ss_chain_kinds(const struct ss_watch *watch, uint16_t kinds[SS_CHAIN])
{
    uintptr_t addresses[SS_CHAIN];
    for (uint32_t i = 0; i < watch->count; i++)
        addresses[i] = watch->frames[i].function;
    ss_names_of(addresses, watch->count, kinds);
}

bool ss_is_polled(const uint16_t *kinds, uint32_t count, uint32_t index)
{
    for (uint32_t i = index + 1; i < count; i++) {
        if (kinds[i] & (SS_NAME_SYNC | SS_NAME_UNASKED))
            return false;
        if (kinds[i] & (SS_NAME_POLL | SS_NAME_BODY))
            return ss_is_future(kinds[i]);
        if (kinds[i] && !(kinds[i] & (SS_NAME_CLOSURE | SS_NAME_STANDARD | SS_NAME_TRACING)))
            return false;
    }
    return false;
}

bool ss_was_polled(const struct ss_entry *entry, const struct ss_watch *watch, uint32_t index)
{
    uint16_t kinds[NAMED_FRAMES];
    return ss_is_polled(kinds, name_enter(entry, watch, kinds), index);
}

int ss_chain_holder(const struct ss_watch *watch)
{
    uint16_t kinds[SS_CHAIN];
    ss_chain_kinds(watch, kinds);
    for (uint32_t i = 0; i < watch->count; i++)
        if (kinds[i] & SS_NAME_BODY || (kinds[i] && !ss_is_plumbing(kinds[i])))
            return (int)i;
    return (int)watch->count - 1;
}

bool ss_chain_has_body(const struct ss_watch *watch, uint32_t index)
{
    uint16_t kinds[SS_CHAIN], all = 0;
    ss_chain_kinds(watch, kinds);
    for (uint32_t i = 0; i < index; i++)
        all |= kinds[i];
    return all & SS_NAME_BODY;
}

uint32_t ss_chain_end_of_task(const struct ss_watch *watch, uint32_t holder)
{
    const uint16_t within = SS_NAME_CLOSURE | SS_NAME_STANDARD | SS_NAME_TRACING;
    uint16_t kinds[SS_CHAIN];
    ss_chain_kinds(watch, kinds);
    if (kinds[holder] & SS_NAME_BODY) {
        /* What else holds a body may hold what runs it, too. */
        uint32_t end = holder + 1;
        for (uint32_t i = end; i < watch->count; i++)
            if (watch->frames[i].function == watch->frames[holder].function)
                end = i + 1;
        return end;
    }
    for (uint32_t i = holder; i < watch->count; i++) {
        if (kinds[i] & SS_NAME_BODY)
            return i + 1;
        if (kinds[i] & SS_NAME_POLL || !(kinds[i] & within))
            break;
    }
    return holder + 1;
}

uint32_t ss_chain_end_of_poll(const struct ss_watch *watch, uint32_t holder)
{
    uint16_t kinds[SS_CHAIN];
    uint32_t end = ss_chain_end_of_task(watch, holder);
    ss_chain_kinds(watch, kinds);
    while (end < watch->count && kinds[end] && !ss_runs_futures(kinds[end]))
        end++;
    return end;
}

bool ss_taken_in_a_poll(const struct ss_entry *entry, const struct ss_watch *watch)
{
    uint16_t kinds[NAMED_FRAMES];
    uint32_t count = name_enter(entry, watch, kinds), i = 0;
    while (i < count && !(kinds[i] & SS_NAME_BODY) && (!kinds[i] || ss_is_plumbing(kinds[i])))
        i++;
    if (i == count || kinds[i] & SS_NAME_SYNC)
        return false;
    if (ss_is_future(kinds[i]))
        return true;
    return kinds[i] & SS_NAME_CLOSURE && ss_is_polled(kinds, count, i);
}

void ss_holder_learn(const struct ss_entry *entry, const struct ss_watch *watch, uint32_t depth)
{
    struct ss_site *site = entry->span ? entry->span->site : NULL;
    struct ss_place *place = site ? ss_place_find(site->enters, entry->entered.caller) : NULL;
    if (!place || ss_options.await_check == SS_AWAIT_CHECK_FULL)
        return;
    bool by_rbp;
    int32_t offset;
    uintptr_t function;
    uint64_t holding = SS_HOLDING_DEEP | (uint64_t)depth << SS_HOLDING_DEPTH_SHIFT;
    if (depth == 0 && ss_frame_rule(entry->entered.caller, &by_rbp, &offset, &function) &&
        function == watch->frames[0].function) {
        holding = SS_HOLDING_DIRECT | (by_rbp ? SS_HOLDING_BY_RBP : 0) |
                  (uint64_t)(uint32_t)offset << SS_HOLDING_OFFSET_SHIFT;
        atomic_store_explicit(&place->function, function, memory_order_relaxed);
    }
    atomic_store_explicit(&place->holding, holding, memory_order_relaxed);
}
