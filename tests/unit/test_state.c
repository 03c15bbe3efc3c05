/* The state without a program around it: the table of live spans against a plain model, and span
 * stacks, instances and claims under many threads. Built twice: as it is, and with ThreadSanitizer,
 * which then watches the parts that threads share. The whole shim is linked in; events come as
 * annotations. */
#define STRAYSPAN_IMPLEMENTATION
#include "check.h"
#include "strayspan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "instances.h"
#include "options.h"
#include "breaches.h"
#include "rules.h"
#include "span_stack.h"
#include "span_table.h"
#include "threads.h"

uint64_t strayspan_annotate_new(const void *subscriber, const struct strayspan_site *site);
void strayspan_annotate_enter(const void *subscriber, uint64_t id);
void strayspan_annotate_exit(const void *subscriber, uint64_t id);
void strayspan_annotate_close(const void *subscriber, uint64_t id);

static const struct strayspan_site site = {"work", "test_state", "test_state.c", 1, STRAYSPAN_INFO};
static char subscriber;

struct totals {
    uint64_t created, entered, exited, closed, unjudged;
};

static struct totals totals(void)
{
    struct totals sum = {0, 0, 0, 0, 0};
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next) {
        sum.created += atomic_load(&thread->created);
        sum.entered += atomic_load(&thread->entered);
        sum.exited += atomic_load(&thread->exited);
        sum.closed += atomic_load(&thread->closed);
        for (unsigned i = 0; i < SS_UNJUDGED_COUNT; i++)
            sum.unjudged += atomic_load(&thread->unjudged[i]);
    }
    return sum;
}

static uint64_t violations(enum ss_rule rule)
{
    struct ss_rule_counts counts;
    ss_breach_counts(rule, &counts);
    return counts.violations;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void table_agrees_with_a_model(void)
{
    enum { IDS = 4096, STEPS = 200000 };
    static struct ss_instance owner;
    static struct ss_span_ref model[IDS];
    atomic_store(&owner.serial, 7);
    srand(1);
    for (unsigned step = 0; step < STEPS; step++) {
        /* Ids as registries make them: small numbers with a generation on top. */
        unsigned index = (unsigned)rand() % IDS;
        uint64_t id = index + 1 + ((uint64_t)(index % 7) << 51);
        struct ss_span_ref found = ss_span_find(&owner, id);
        CHECK(found.span == model[index].span && found.serial == model[index].serial);
        if (model[index].span) {
            ss_span_remove(model[index].span, model[index].serial + 1);
            CHECK(ss_span_find(&owner, id).span == model[index].span);
            ss_span_remove(model[index].span, model[index].serial);
            model[index] = (struct ss_span_ref){NULL, 0};
        } else {
            struct ss_span span = {.id = id, .instance = &owner, .instance_serial = 7};
            bool duplicate;
            model[index] = ss_span_add(&span, &duplicate);
            CHECK(model[index].span && !duplicate);
            CHECK(!ss_span_add(&span, &duplicate).span && duplicate);
        }
        if (failures)
            return;
    }
    /* The owner ends: nothing of it is found, and the next one of that record starts empty. */
    atomic_store(&owner.serial, 8);
    for (unsigned index = 0; index < IDS; index++)
        CHECK(!ss_span_find(&owner, index + 1 + ((uint64_t)(index % 7) << 51)).span);
    for (unsigned index = 0; index < IDS; index++) {
        struct ss_span span = {.id = index + 1, .instance = &owner, .instance_serial = 8};
        bool duplicate;
        CHECK(ss_span_add(&span, &duplicate).span && !duplicate);
    }
    for (unsigned index = 0; index < IDS; index++)
        CHECK(ss_span_find(&owner, index + 1).span);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 2000, SHARED = 16 };
static uint64_t shared[SHARED];

/* Spans of one's own, nested, and all shared ones, in an order of each thread's own. */
static void *work_legally(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t outer = strayspan_annotate_new(&subscriber, &site);
        strayspan_annotate_enter(&subscriber, outer);
        uint64_t common = shared[rand_r(&seed) % SHARED];
        strayspan_annotate_enter(&subscriber, common);
        uint64_t inner = strayspan_annotate_new(&subscriber, &site);
        strayspan_annotate_enter(&subscriber, inner);
        /* Out of order, which is legal. */
        strayspan_annotate_exit(&subscriber, common);
        strayspan_annotate_exit(&subscriber, inner);
        strayspan_annotate_close(&subscriber, inner);
        strayspan_annotate_exit(&subscriber, outer);
        strayspan_annotate_close(&subscriber, outer);
    }
    return NULL;
}

static void run_threads(void *(*function)(void *), unsigned count)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < count; i++)
        CHECK(pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)(i + 1)) == 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void legal_threads_are_silent_and_counted(void)
{
    struct totals before = totals();
    for (unsigned i = 0; i < SHARED; i++)
        shared[i] = strayspan_annotate_new(&subscriber, &site);
    run_threads(work_legally, THREADS);
    struct totals after = totals();
    uint64_t rounds = (uint64_t)THREADS * ROUNDS;
    CHECK(after.created - before.created == rounds * 2 + SHARED);
    CHECK(after.entered - before.entered == rounds * 3);
    CHECK(after.exited - before.exited == rounds * 3);
    CHECK(after.closed - before.closed == rounds * 2);
    CHECK(after.unjudged == 0);
    for (unsigned rule = 0; rule < SS_RULE_COUNT; rule++)
        CHECK(violations((enum ss_rule)rule) == 0);
}

/* Guards handed from one thread to the other, which drops them. */
static _Atomic uint64_t handed;

static void *enter_and_hand_over(void *argument)
{
    (void)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t id = strayspan_annotate_new(&subscriber, &site);
        strayspan_annotate_enter(&subscriber, id);
        atomic_store(&handed, id);
        while (atomic_load(&handed))
            ;
        strayspan_annotate_close(&subscriber, id);
    }
    /* What the other has exited is taken off at the next event, so nothing piles up. */
    CHECK(atomic_load(&ss_self->depth) <= 1);
    return NULL;
}

static void *take_and_exit(void *argument)
{
    (void)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t id;
        while (!(id = atomic_load(&handed)))
            ;
        strayspan_annotate_exit(&subscriber, id);
        atomic_store(&handed, 0);
    }
    return NULL;
}

static void foreign_exits_are_found_each_once(void)
{
    pthread_t threads[2];
    uint64_t before = violations(SS_RULE_FOREIGN_THREAD_EXIT);
    CHECK(pthread_create(&threads[0], NULL, enter_and_hand_over, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, take_and_exit, NULL) == 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    CHECK(violations(SS_RULE_FOREIGN_THREAD_EXIT) - before == ROUNDS);
    CHECK(violations(SS_RULE_EXIT_WITHOUT_ENTER) == 0);
}

static void records_of_threads_are_reused(void)
{
    unsigned before = 0, after = 0;
    for (unsigned i = 0; i < 50; i++)
        run_threads(work_legally, 1);
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        before++;
    for (unsigned i = 0; i < 50; i++)
        run_threads(work_legally, 1);
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        after++;
    CHECK(before == after);
    struct ss_thread_facts facts;
    CHECK(ss_thread_facts(ss_threads_seen(), &facts) && facts.creator == ss_self->serial);
    CHECK(ss_thread_facts(ss_self->serial, &facts) && strcmp(facts.name, "main") == 0);
    CHECK(!ss_thread_facts(ss_threads_seen() + 1, &facts));
}

int main(void)
{
    char path[] = "/tmp/test_state.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return 2;
    close(fd);
    unlink(path);
    ss_options.log_path = path;
    ss_options.quiet = 1;

    table_agrees_with_a_model();
    legal_threads_are_silent_and_counted();
    foreign_exits_are_found_each_once();
    records_of_threads_are_reused();
    unlink(path);
    return failures != 0;
}
