/* What was found wrong so far: each breach by its fingerprint, counted; what came of it; what the
 * summary says of both.
 *
 * Called by rules.c and, for the summary, summary_record.c. The lock guards everything here; nothing is
 * written, captured or waited for under it. */
#include "breaches.h"

#include <stdatomic.h>
#include <string.h>

#include "cold_tables.h"
#include "internal.h"
#include "lock.h"
#include "options.h"
#include "prim.h"
#include "source_paths.h"
#include "suppressions.h"

enum { FINGERPRINTS_MAX = 65536, CONSEQUENCES_MAX = 4096 };

/* One fingerprint, by what can be compared without unwinding. */
struct ss_breach {
    struct {
        uintptr_t rule, site, entered_caller, exited_caller;
    } key;
    uint64_t count;
    enum ss_severity severity; /* the worst so far */
    uint64_t fingerprint, group;
    _Atomic bool written;                 /* the first has been */
    struct ss_suppression *suppressed_by; /* NULL: it is reported */
    UT_hash_handle hh;
};

/* What came of the breaches of one fingerprint, at one return address. */
struct outcome {
    struct {
        uint64_t of, kind, caller;
    } key;
    uint64_t count;
    struct outcome *next;
    UT_hash_handle hh;
};

struct ss_lock ss_breaches_lock;
static struct ss_breach *breaches;
static struct outcome *outcomes, *first_outcome, *last_outcome;
static struct ss_rule_counts counts[SS_RULE_COUNT];
static uint64_t suspicions;
static struct ss_worse worse[SS_WORSE_MAX];
static uint32_t worse_count;

void ss_breach_counts(enum ss_rule rule, struct ss_rule_counts *out)
{
    memset(out, 0, sizeof *out);
    if (!ss_lock(&ss_breaches_lock))
        return;
    *out = counts[rule];
    ss_unlock(&ss_breaches_lock);
}

uint64_t ss_breaches_suspicions(void)
{
    return suspicions;
}

bool ss_breaches_consequence_at(uint32_t index, uint64_t *of, enum ss_consequence_kind *kind,
                                uint64_t *count)
{
    if (!ss_lock(&ss_breaches_lock))
        return false;
    const struct outcome *outcome = first_outcome;
    while (outcome && index--)
        outcome = outcome->next;
    if (outcome) {
        *of = outcome->key.of;
        *kind = (enum ss_consequence_kind)outcome->key.kind;
        *count = outcome->count;
    }
    ss_unlock(&ss_breaches_lock);
    return outcome;
}

void ss_breaches_forked(void)
{
    ss_suppressions_forked();
    memset(counts, 0, sizeof counts);
    breaches = NULL;
    outcomes = first_outcome = last_outcome = NULL;
    suspicions = 0;
    worse_count = 0;
}

/* ---- names of a breach ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    /* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
    for (const unsigned char *byte = data, *end = byte + size; byte < end; byte++)
        hash = (hash ^ *byte) * 0x100000001b3u;
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return text ? mix(hash, text, strlen(text) + 1) : mix(hash, "", 1);
}

static const uint64_t hash_start = 0xcbf29ce484222325u;

static uint64_t mix_file(uint64_t hash, const char *file)
{
    if (!file)
        return mix_text(hash, NULL);
    struct ss_stable_path path = ss_stable_path_of(file);
    return mix_text(mix(hash, path.crate, path.crate_length), path.rest);
}

static uint64_t mix_address(uint64_t hash, uintptr_t address)
{
    const struct ss_module *module = ss_module_of(address);
    uint64_t offset = module ? address - module->bias : address;
    if (module && module->build_id_length)
        hash = mix(hash, module->build_id, module->build_id_length);
    else if (module)
        hash = mix_text(hash, module->path);
    return mix(hash, &offset, sizeof offset);
}

/* The address by which breaches of one span's site are told apart on the way out. */
static uintptr_t outer_caller(const struct ss_violation *violation)
{
    /* The misuse is where the guard was taken: a function has many ends. */
    if (violation->rule == SS_RULE_HELD_ACROSS_AWAIT)
        return 0;
    return violation->exited.caller   ? violation->exited.caller
           : violation->closed.caller ? violation->closed.caller
                                      : violation->used.caller;
}

static void name_breach(struct ss_violation *violation)
{
    const struct ss_site *site = violation->site;
    uint64_t hash = mix_text(hash_start, ss_rule_rows[violation->rule].code);
    uint64_t group = mix_text(hash, site ? site->name : NULL);
    group = mix_text(group, site ? site->target : NULL);
    violation->group = mix_file(group, site ? site->file : NULL);

    hash = mix_text(mix_text(hash, site ? site->name : NULL), site ? site->file : NULL);
    hash = mix(hash, site ? &site->line : &(uint32_t){0}, sizeof site->line);
    hash = mix_address(hash, violation->entered.caller);
    violation->fingerprint = mix_address(hash, outer_caller(violation));
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* A fingerprint is written once; that a later case is worse is for the summary to say. */
static void note_worse(struct ss_breach *breach, const struct ss_violation *violation)
{
    breach->severity = violation->severity;
    if (worse_count < SS_WORSE_MAX)
        worse[worse_count++] = (struct ss_worse){breach->fingerprint, violation->spans_under,
                                                 violation->severity, violation->thread_changed};
}

uint32_t ss_breaches_worse(struct ss_worse out[SS_WORSE_MAX])
{
    if (!ss_lock(&ss_breaches_lock))
        return 0;
    uint32_t count = worse_count;
    memcpy(out, worse, count * sizeof *worse);
    ss_unlock(&ss_breaches_lock);
    return count;
}

/* Keeps a breach whose fingerprint is new; NULL where there is no room. */
static struct ss_breach *add_breach(const struct ss_breach *probe,
                                    const struct ss_violation *violation)
{
    struct ss_breach *breach =
        HASH_COUNT(breaches) < FINGERPRINTS_MAX ? ss_alloc(sizeof *breach) : NULL;
    if (!breach)
        return NULL;
    breach->key = probe->key;
    breach->fingerprint = violation->fingerprint;
    breach->group = violation->group;
    breach->suppressed_by = ss_suppression_of(violation->rule, violation->site);
    HASH_ADD(hh, breaches, key, sizeof breach->key, breach);
    return breach;
}

static void count_suppressed(struct ss_violation *violation, struct ss_suppression *by)
{
    by->count++;
    counts[violation->rule].suppressed++;
    violation->fingerprint = SS_FINGERPRINT_SUPPRESSED;
    violation->count = UINT64_MAX;
}

static void count(struct ss_breach *breach, struct ss_violation *violation)
{
    counts[violation->rule].violations++;
    violation->count = breach ? ++breach->count : UINT64_MAX;
    if (breach && violation->count == 1) {
        counts[violation->rule].fingerprints++;
        breach->severity = violation->severity;
    } else if (breach && violation->severity > breach->severity) {
        note_worse(breach, violation);
    }
}

struct ss_breach *ss_breach_count(struct ss_violation *violation)
{
    struct ss_breach *breach = NULL;
    struct ss_breach probe;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.rule = violation->rule;
    probe.key.site = (uintptr_t)violation->site;
    probe.key.entered_caller = violation->entered.caller;
    probe.key.exited_caller = outer_caller(violation);
    if (!ss_lock(&ss_breaches_lock))
        return NULL;
    HASH_FIND(hh, breaches, &probe.key, sizeof probe.key, breach);
    if (!breach) {
        name_breach(violation);
        breach = add_breach(&probe, violation);
    } else {
        violation->fingerprint = breach->fingerprint;
        violation->group = breach->group;
    }
    struct ss_suppression *by =
        breach ? breach->suppressed_by : ss_suppression_of(violation->rule, violation->site);
    if (by)
        count_suppressed(violation, by);
    else
        count(breach, violation);
    ss_unlock(&ss_breaches_lock);
    return by ? NULL : breach;
}

bool ss_breach_count_suspicion(struct ss_violation *violation)
{
    struct ss_breach *breach = NULL;
    struct ss_breach probe;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.rule = SS_RULE_COUNT + violation->rule;
    probe.key.site = (uintptr_t)violation->site;
    probe.key.entered_caller = violation->entered.caller;
    if (!ss_lock(&ss_breaches_lock))
        return false;
    name_breach(violation);
    HASH_FIND(hh, breaches, &probe.key, sizeof probe.key, breach);
    if (!breach)
        breach = add_breach(&probe, violation);
    bool first = breach && ++breach->count <= (uint64_t)ss_options.repeat;
    if (breach && breach->suppressed_by) {
        breach->suppressed_by->count++;
        first = false;
    }
    suspicions += first;
    ss_unlock(&ss_breaches_lock);
    return first;
}

uint64_t ss_breach_count_outcome(const struct ss_consequence *consequence)
{
    struct outcome probe, *outcome = NULL;
    if (consequence->of == SS_FINGERPRINT_SUPPRESSED)
        return UINT64_MAX;
    memset(&probe.key, 0, sizeof probe.key);
    probe.key.of = consequence->of;
    probe.key.kind = consequence->kind;
    probe.key.caller = consequence->at.caller;
    if (!ss_lock(&ss_breaches_lock))
        return UINT64_MAX;
    HASH_FIND(hh, outcomes, &probe.key, sizeof probe.key, outcome);
    if (!outcome && HASH_COUNT(outcomes) < CONSEQUENCES_MAX &&
        (outcome = ss_alloc(sizeof *outcome))) {
        outcome->key = probe.key;
        HASH_ADD(hh, outcomes, key, sizeof outcome->key, outcome);
        *(last_outcome ? &last_outcome->next : &first_outcome) = outcome;
        last_outcome = outcome;
    }
    uint64_t count = outcome ? ++outcome->count : UINT64_MAX;
    ss_unlock(&ss_breaches_lock);
    return count;
}

void ss_breach_set_written(struct ss_breach *breach)
{
    atomic_store(&breach->written, true);
}

void ss_breach_await_written(const struct ss_breach *breach)
{
    enum { TURNS = 1000 };
    const struct {
        uint64_t seconds, nanoseconds;
    } turn = {0, 100000};
    for (unsigned i = 0; i < TURNS && !atomic_load(&breach->written); i++)
        (void)SS_SYSCALL_2(__NR_nanosleep, &turn, NULL);
}
