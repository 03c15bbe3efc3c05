/* Which function names are methods of tracing_core's Subscriber, which close spans, which words are
 * tables of methods, and what becomes of files that lie.
 *
 * The tables are this program's own: C functions with the names that rustc gives such methods, and
 * constants that hold their addresses, which are relocated and so lie where Rust's do. */
#include <elf.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "elf_symbols.h"
#include "internal.h"
#include "method_names.h"

/* ---- names, as rustc 1.95 and others wrote them ---------------------------------------------- */

#define REGISTRY "_RNvXs0_NtNtCs1pCg19Y8Tut_18tracing_subscriber8registry7shardedNtB5_8Registry"
#define TRAIT "NtNtCs8nC212OYRfy_12tracing_core10subscriber10Subscriber"
#define NO_SUBSCRIBER "_RNvXs3_NtCs8nC212OYRfy_12tracing_core10subscriberNtB5_12NoSubscriber"
#define LEGACY_REGISTRY                                                      \
    "_ZN104_$LT$tracing_subscriber..registry..sharded..Registry$u20$as$u20$" \
    "tracing_core..subscriber..Subscriber$GT$"
#define HASH "17he374a224ac8e7ee8E"

static const struct {
    const char *name;
    int method; /* -1: none */
} names[] = {
    {REGISTRY TRAIT "4exit", SS_TRAIT_EXIT},
    {REGISTRY TRAIT "5enter", SS_TRAIT_ENTER},
    {REGISTRY TRAIT "8new_span", SS_TRAIT_NEW_SPAN},
    {REGISTRY TRAIT "12downcast_raw", SS_TRAIT_DOWNCAST_RAW},
    {REGISTRY TRAIT "8new_spanCshd6KImAYX4a_5cargo", SS_TRAIT_NEW_SPAN},
    {REGISTRY TRAIT "6recordB9_", SS_TRAIT_RECORD},
    {REGISTRY TRAIT "19record_follows_from.llvm.3082113898689144709", SS_TRAIT_RECORD_FOLLOWS_FROM},
    /* The trait's module, the trait's crate, the whole trait as back references. */
    {NO_SUBSCRIBER "NtB5_10Subscriber5event.llvm.18269287768048950393", SS_TRAIT_EVENT},
    {NO_SUBSCRIBER "NtNtB7_10subscriber10Subscriber9try_close", SS_TRAIT_TRY_CLOSE},
    {"_RNvXCsfEatq2PpJU0_5probeINtCs1_5alloc3BoxDNtNtCsyv389PlAVv_12tracing_core10subscriber"
     "10SubscriberEL_EBE_8new_span",
     SS_TRAIT_NEW_SPAN},
    /* The trait's own method, for a type. */
    {"_RNvYNtNtCs3kzWwlnHfEp_12tracing_core10subscriber12NoSubscriberNtB4_10Subscriber9drop_spanB6_"
     ".llvm.7265882167471441661",
     SS_TRAIT_DROP_SPAN},
    {LEGACY_REGISTRY "4exit17heeb0b960c01fe757E", SS_TRAIT_EXIT},
    {LEGACY_REGISTRY "17register_callsite" HASH, SS_TRAIT_REGISTER_CALLSITE},
    {LEGACY_REGISTRY "20on_register_dispatch" HASH ".llvm.2679840060512562059",
     SS_TRAIT_ON_REGISTER_DISPATCH},
    {"_ZN12tracing_core10subscriber10Subscriber9drop_span" HASH, SS_TRAIT_DROP_SPAN},
    {"_ZN5probe103_$LT$impl$u20$tracing_core..subscriber..Subscriber$u20$for$u20$alloc..boxed.."
     "Box$LT$probe..Dump$GT$$GT$12current_span" HASH,
     SS_TRAIT_CURRENT_SPAN},

    {REGISTRY TRAIT "4exitNCs", -1},
    {REGISTRY TRAIT "8new_spam", -1},
    {REGISTRY TRAIT "7enabledNtB2_5other", -1},
    {"_RNCNvXs0_NtNtCs1pCg19Y8Tut_18tracing_subscriber8registry7shardedNtB5_8Registry" TRAIT
     "8new_span0B9_",
     -1},
    {REGISTRY "NtNtCs8nC212OYRfy_12tracing_code10subscriber10Subscriber4exit", -1},
    {REGISTRY "NtNtCs8nC212OYRfy_12tracing_core10subscriber10Subscribes4exit", -1},
    {NO_SUBSCRIBER "NtB3_10Subscriber5event", -1},
    {NO_SUBSCRIBER "NtBzz_10Subscriber5event", -1},
    {"_RNvNtNtCs8nC212OYRfy_12tracing_core10subscriber10Subscriber4exit", -1},
    {LEGACY_REGISTRY "8new_span28_$u7b$$u7b$closure$u7d$$u7d$17h03e1de2a275f7d4fE", -1},
    {LEGACY_REGISTRY "8new_span", -1},
    {"_ZN99_$LT$x..Registry$u20$as$u20$tracing_subscriber..layer..Layer$LT$S$GT$$GT$8on_enter" HASH,
     -1},
    {"_ZN4exit" HASH, -1},
    {"_ZN12tracing_core10subscriber10Subscriber", -1},
    {"_ZN99999999999999999999Subscriber4exit" HASH, -1},
    {"_ZN", -1},
    {"_R", -1},
    {"", -1},
    {"Subscriber", -1},
};

#define SHARDED "Cs1pCg19Y8Tut_18tracing_subscriber8registry7sharded"
#define LEGACY_SHARDED(length, type, as) \
    "_ZN" length "_$LT$tracing_subscriber..registry..sharded.." type "$u20$as$u20$" as "$GT$"
#define LEGACY_CLOSURE "28_$u7b$$u7b$closure$u7d$$u7d$"
#define LEGACY_POINTER(length, type)                                                              \
    "_ZN" length "_$LT$alloc.." type "$LT$S$GT$$u20$as$u20$tracing_core..subscriber..Subscriber$" \
    "GT$"
#define DISPATCH "_RNvMs2_NtCs2hCOSJlNTWo_12tracing_core10dispatcherNtB5_8Dispatch"

static const struct {
    const char *name;
    enum ss_closer closer;
} closers[] = {
    {LEGACY_REGISTRY "4exit" HASH, SS_CLOSER_BY_DEFAULT},
    {LEGACY_REGISTRY "4exit" HASH ".llvm.7509984882696886681", SS_CLOSER_BY_DEFAULT},
    {LEGACY_REGISTRY "4exit" LEGACY_CLOSURE HASH, SS_CLOSER_BY_DEFAULT},
    {LEGACY_SHARDED("95", "DataInner", "sharded_slab..clear..Clear") "5clear" HASH,
     SS_CLOSER_BY_DEFAULT},
    {LEGACY_SHARDED("91", "CloseGuard", "core..ops..drop..Drop") "4drop" HASH,
     SS_CLOSER_BY_DEFAULT},
    {"_ZN18tracing_subscriber8registry7sharded8Registry11start_close" HASH, SS_CLOSER_BY_DEFAULT},
    {REGISTRY TRAIT "4exit", SS_CLOSER_BY_DEFAULT},
    {"_RNCNvXs0_NtNt" SHARDED "NtB7_8Registry" TRAIT "4exit0B9_", SS_CLOSER_BY_DEFAULT},
    {"_RNvXs6_NtNt" SHARDED "NtB5_9DataInnerNtNtCs6tOAx7zumU3_12sharded_slab5clear5Clear5clear",
     SS_CLOSER_BY_DEFAULT},
    {"_RNvMNtNt" SHARDED "NtB2_8Registry11start_close.llvm.1", SS_CLOSER_BY_DEFAULT},

    {"_ZN12tracing_core10dispatcher11get_default" HASH, SS_CLOSER_FORWARDS},
    {"_ZN12tracing_core10dispatcher11get_default" LEGACY_CLOSURE HASH, SS_CLOSER_FORWARDS},
    {"_ZN12tracing_core10dispatcher8Dispatch9try_close" HASH, SS_CLOSER_FORWARDS},
    {"_ZN12tracing_core10dispatcher8Dispatch9drop_span" HASH, SS_CLOSER_FORWARDS},
    {LEGACY_POINTER("82", "sync..Arc") "9try_close" HASH, SS_CLOSER_FORWARDS},
    {LEGACY_POINTER("83", "boxed..Box") "9try_close" HASH, SS_CLOSER_FORWARDS},
    {"_RINvNtCshTxizvl8Tju_12tracing_core10dispatcher11get_defaultbNCNvXs0_NtNt" SHARDED
     "NtB14_8RegistryNtNtB4_10subscriber10Subscriber4exit0EB18_",
     SS_CLOSER_FORWARDS},
    {"_RNCINvNtCshTxizvl8Tju_12tracing_core10dispatcher11get_defaultuNCNvCs1_5probe4main0E0B5_",
     SS_CLOSER_FORWARDS},
    {DISPATCH "9try_close", SS_CLOSER_FORWARDS},
    {DISPATCH "9drop_spanCs1_5probe", SS_CLOSER_FORWARDS},
    {"_RNvXs4_NtCs8nC212OYRfy_12tracing_core10subscriberINtNtCs1_5alloc4sync3ArcDNtB5_"
     "10SubscriberEL"
     "_ENtB5_10Subscriber9try_closeCs1_5probe",
     SS_CLOSER_FORWARDS},

    /* What users wrote may be inlined into these. */
    {"_ZN4core3ptr40drop_in_place$LT$tracing..span..Span$GT$" HASH, SS_CLOSER_NONE},
    {"_ZN113_$LT$tracing_subscriber..layer..layered..Layered$LT$L$C$S$GT$$u20$as$u20$tracing_core.."
     "subscriber..Subscriber$GT$9try_close" HASH,
     SS_CLOSER_NONE},
    {LEGACY_SHARDED("72", "Registry", "probe..Extra") "4exit" HASH, SS_CLOSER_NONE},
    {"_RNvXs_NtNtCs1pCg19Y8Tut_18tracing_subscriber5layer7layeredINtB4_7LayeredNtCs1_5probe6Mirror"
     "NtNtNtB8_8registry7sharded8RegistryE" TRAIT "9try_closeB1a_",
     SS_CLOSER_NONE},
    {"_RNvXCs1_5probeNtNtNtCs1pCg19Y8Tut_18tracing_subscriber8registry7sharded8RegistryNtB2_5Extra"
     "4exit",
     SS_CLOSER_NONE},
    {"_RNvYNtNtNtCs1pCg19Y8Tut_18tracing_subscriber8registry7sharded8Registry" TRAIT "9drop_span",
     SS_CLOSER_NONE},
    {"_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeNtNtNt" SHARDED "9DataInnerE", SS_CLOSER_NONE},
    /* Near misses. */
    {"_ZN12tracing_core10dispatcher12with_default" HASH, SS_CLOSER_NONE},
    {"_ZN12tracing_core10dispatcher8Dispatch4exit" HASH, SS_CLOSER_NONE},
    {"_ZN7tracing10dispatcher11get_default" HASH, SS_CLOSER_NONE},
    {"_ZN18tracing_subscriber8registry10extensions15ExtensionsInner5clear" HASH, SS_CLOSER_NONE},
    {LEGACY_POINTER("82", "sync..Arc") "5enter" HASH, SS_CLOSER_NONE},
    {"_RINvNtCshTxizvl8Tju_12tracing_core10dispatcher12with_defaultuNCNvCs1_5probe4main0EB5_",
     SS_CLOSER_NONE},
    {DISPATCH "5enter", SS_CLOSER_NONE},
    {NO_SUBSCRIBER "NtB5_10Subscriber5event", SS_CLOSER_NONE},
    {"_RNvNt", SS_CLOSER_NONE},
    {"_RN", SS_CLOSER_NONE},
    {"_RX", SS_CLOSER_NONE},
    {"_RMs", SS_CLOSER_NONE},
    {"_ZN", SS_CLOSER_NONE},
    {"_R", SS_CLOSER_NONE},
    {"", SS_CLOSER_NONE},
};
enum { CLOSERS = sizeof closers / sizeof *closers };

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void recognises_names(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int method = ss_trait_method_of(names[i].name, strlen(names[i].name));
        if (method != names[i].method) {
            fprintf(stderr, "%s: %d, not %d\n", names[i].name, method, names[i].method);
            failures++;
        }
    }
    for (int i = 0; i < CLOSERS; i++) {
        enum ss_closer closer = ss_closer_of(closers[i].name, strlen(closers[i].name));
        if (closer != closers[i].closer) {
            fprintf(stderr, "%s: %d, not %d\n", closers[i].name, (int)closer,
                    (int)closers[i].closer);
            failures++;
        }
    }
    /* Whatever is done to a name, nothing behind it is read: there its memory ends. */
    enum { PAGE = 4096 };
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    uint32_t random = 2463534242;
    int methods = 0, closing = 0;
    for (int round = 0; round < 300000; round++) {
        const char *name = round % 2
                               ? names[next_random(&random) % (sizeof names / sizeof *names)].name
                               : closers[next_random(&random) % CLOSERS].name;
        size_t length = strlen(name), cut = next_random(&random) % (length + 1);
        char *copy = pages + PAGE - cut;
        memcpy(copy, name, cut);
        for (uint32_t n = next_random(&random) % 4; n > 0 && cut > 0; n--)
            copy[next_random(&random) % cut] = "0123456789_BsCNtXYER.$"[next_random(&random) % 22];
        methods += ss_trait_method_of(copy, cut) >= 0;
        closing += ss_closer_of(copy, cut) != SS_CLOSER_NONE;
    }
    CHECK(methods > 0 && closing > 0);
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define METHODS(X)                                    \
    X(on_register_dispatch, "20on_register_dispatch") \
    X(register_callsite, "17register_callsite")       \
    X(enabled, "7enabled")                            \
    X(max_level_hint, "14max_level_hint")             \
    X(new_span, "8new_span")                          \
    X(record, "6record")                              \
    X(record_follows_from, "19record_follows_from")   \
    X(event_enabled, "13event_enabled")               \
    X(event, "5event")                                \
    X(enter, "5enter")                                \
    X(exit, "4exit")                                  \
    X(clone_span, "10clone_span")                     \
    X(drop_span, "9drop_span")                        \
    X(try_close, "9try_close")                        \
    X(current_span, "12current_span")                 \
    X(downcast_raw, "12downcast_raw")

#define ALPHA "_RNvXCs1_5probeNtB2_5Alpha"
#define DROP_ALPHA "_RINvNtCs1_4core3ptr13drop_in_placeNtCs1_5probe5AlphaEB2_"
#define NONE "_RNvXs3_NtCs1_12tracing_core10subscriberNtB5_12NoSubscriber"

typedef uint64_t function(void);
#define KEPT __attribute__((used, noinline)) static uint64_t

#define X(name, mangled)                                  \
    KEPT alpha_##name(void) __asm__(ALPHA TRAIT mangled); \
    KEPT alpha_##name(void)                               \
    {                                                     \
        return __LINE__ + sizeof mangled;                 \
    }
METHODS(X)
#undef X
KEPT drop_alpha(void) __asm__(DROP_ALPHA);
KEPT drop_alpha(void)
{
    return 1;
}
/* The trait's own method under each mangling, and one that an impl's is merged with. */
#define DEFAULT_TRY_CLOSE "_ZN12tracing_core10subscriber10Subscriber9try_close17h00112233445566"
KEPT legacy_default(void) __asm__(DEFAULT_TRY_CLOSE "eeE");
KEPT legacy_default(void)
{
    return 6;
}
KEPT v0_default(void) __asm__("_RNvYNtCs1_5probe5Alpha" TRAIT "9try_closeB4_");
KEPT v0_default(void)
{
    return 7;
}
KEPT merged_default(void) __asm__(ALPHA "Two" TRAIT "9try_close");
KEPT merged_default(void)
{
    return 8;
}
static uint64_t merged_default_too(void) __asm__(DEFAULT_TRY_CLOSE "ffE")
    __attribute__((alias(ALPHA "Two" TRAIT "9try_close"), used));
/* A drop function with the names of two types, and one in two copies. */
#define DROP(type, suffix) "_ZN4core3ptr30drop_in_place$LT$probe.." type "$GT$17h" suffix "E"
KEPT drop_merged(void) __asm__(DROP("Beta", "00112233445566aa"));
KEPT drop_merged(void)
{
    return 4;
}
static uint64_t drop_merged_too(void) __asm__(DROP("Zeta", "00112233445566bb"))
    __attribute__((alias(DROP("Beta", "00112233445566aa")), used));
KEPT drop_twice(void) __asm__(DROP("Iota", "00112233445566cc"));
KEPT drop_twice(void)
{
    return 5;
}
static uint64_t drop_twice_too(void) __asm__(DROP("Iota", "00112233445566dd") ".llvm.42")
    __attribute__((alias(DROP("Iota", "00112233445566cc")), used));
KEPT unnamed(void)
{
    return 2;
}

/* Identical functions are merged: five methods of NoSubscriber, and somebody's drop, are one. */
KEPT nothing(void) __asm__(NONE "NtB5_10Subscriber5enter");
KEPT nothing(void)
{
    return 0;
}
#define MERGED(name, mangled)                                            \
    static uint64_t name(void) __asm__(NONE "NtB5_10Subscriber" mangled) \
        __attribute__((alias(NONE "NtB5_10Subscriber5enter"), used))
MERGED(none_event, "5event");
MERGED(none_exit, "4exit");
MERGED(none_record, "6record");
MERGED(none_drop_span, "9drop_span");
KEPT none_register_callsite(void) __asm__(NONE "NtB5_10Subscriber17register_callsite");
KEPT none_register_callsite(void)
{
    return 3;
}
KEPT none_new_span(void) __asm__(NONE "NtB5_10Subscriber8new_span");
KEPT none_new_span(void)
{
    return 0xDEAD;
}

#define WORD(what) ((uintptr_t)(what))
#define FROM_EVENT                                                                  \
    WORD(alpha_event), WORD(alpha_enter), WORD(alpha_exit), WORD(alpha_clone_span), \
        WORD(alpha_drop_span), WORD(alpha_try_close), WORD(alpha_current_span),     \
        WORD(alpha_downcast_raw)
#define FROM_REGISTER                                                               \
    WORD(alpha_register_callsite), WORD(alpha_enabled), WORD(alpha_max_level_hint), \
        WORD(alpha_new_span), WORD(alpha_record), WORD(alpha_record_follows_from)
#define SLOTS_14 FROM_REGISTER, FROM_EVENT
#define SLOTS_15 FROM_REGISTER, WORD(alpha_event_enabled), FROM_EVENT
#define SLOTS_16 WORD(alpha_on_register_dispatch), SLOTS_15
#define NAMELESS_4 WORD(unnamed), WORD(unnamed), WORD(unnamed), WORD(unnamed)

#define TABLE(name) __attribute__((used)) static const uintptr_t name[]

/* To be found. */
TABLE(of_16) = {WORD(drop_alpha), 24, 8, SLOTS_16};
TABLE(of_15) = {WORD(drop_alpha), 24, 8, SLOTS_15};
TABLE(of_14) = {WORD(drop_alpha), 24, 8, SLOTS_14};
TABLE(without_drop) = {0, 8, 8, SLOTS_16};
TABLE(merged_drop) = {WORD(drop_merged), 8, 8, SLOTS_16};
TABLE(double_drop) = {WORD(drop_twice), 8, 8, SLOTS_16};
TABLE(neighbours) = {WORD(drop_alpha), 0, 1, SLOTS_14, WORD(drop_alpha), 48, 16,
                     SLOTS_16,         0, 8, 8,        SLOTS_15};
TABLE(merged) = {0,
                 0,
                 1,
                 WORD(nothing),
                 WORD(none_register_callsite),
                 WORD(unnamed),
                 WORD(unnamed),
                 WORD(none_new_span),
                 WORD(nothing),
                 WORD(nothing),
                 WORD(unnamed),
                 WORD(nothing),
                 WORD(nothing),
                 WORD(nothing),
                 NAMELESS_4,
                 WORD(unnamed)};
TABLE(five_agree) = {WORD(drop_alpha),
                     8,
                     8,
                     WORD(unnamed),
                     WORD(unnamed),
                     NAMELESS_4,
                     NAMELESS_4,
                     WORD(alpha_exit),
                     WORD(alpha_clone_span),
                     WORD(alpha_drop_span),
                     WORD(alpha_try_close),
                     WORD(alpha_current_span),
                     WORD(unnamed)};

#define SLOTS_DEFAULT(try_close)                                                                   \
    FROM_REGISTER, WORD(alpha_event), WORD(alpha_enter), WORD(alpha_exit), WORD(alpha_clone_span), \
        WORD(alpha_drop_span), WORD(try_close), WORD(alpha_current_span), WORD(alpha_downcast_raw)
TABLE(default_legacy) = {WORD(drop_alpha), 24, 8, SLOTS_DEFAULT(legacy_default)};
TABLE(default_v0) = {WORD(drop_alpha), 24, 8, SLOTS_DEFAULT(v0_default)};
TABLE(default_merged) = {WORD(drop_alpha), 24, 8, SLOTS_DEFAULT(merged_default)};

/* Not to be found. */
TABLE(four_agree) = {WORD(drop_alpha),
                     8,
                     8,
                     WORD(unnamed),
                     WORD(unnamed),
                     NAMELESS_4,
                     NAMELESS_4,
                     WORD(alpha_exit),
                     WORD(alpha_clone_span),
                     WORD(alpha_drop_span),
                     WORD(alpha_try_close),
                     WORD(unnamed),
                     WORD(unnamed)};
TABLE(none_telling) = {WORD(drop_alpha),
                       8,
                       8,
                       WORD(alpha_on_register_dispatch),
                       WORD(unnamed),
                       WORD(alpha_enabled),
                       WORD(alpha_max_level_hint),
                       WORD(unnamed),
                       WORD(alpha_record),
                       WORD(alpha_record_follows_from),
                       WORD(alpha_event_enabled),
                       WORD(alpha_event),
                       WORD(alpha_enter),
                       WORD(alpha_exit),
                       NAMELESS_4,
                       WORD(unnamed)};
TABLE(odd_align) = {WORD(drop_alpha), 24, 24, SLOTS_16};
TABLE(odd_size) = {WORD(drop_alpha), 20, 8, SLOTS_16};
TABLE(huge) = {WORD(drop_alpha), 32 << 20, 8, SLOTS_16};
TABLE(data_in_it) = {WORD(drop_alpha), 24, 8, WORD(of_16), SLOTS_15};
TABLE(drop_is_data) = {WORD(of_16), 24, 8, SLOTS_16};
TABLE(no_header) = {SLOTS_16};
TABLE(reversed) = {WORD(drop_alpha),
                   24,
                   8,
                   WORD(alpha_downcast_raw),
                   WORD(alpha_exit),
                   WORD(alpha_enter),
                   WORD(alpha_try_close),
                   WORD(alpha_drop_span),
                   WORD(alpha_clone_span),
                   WORD(alpha_event),
                   WORD(alpha_record),
                   WORD(alpha_new_span),
                   WORD(alpha_enabled),
                   NAMELESS_4,
                   WORD(alpha_event_enabled),
                   WORD(unnamed)};

static const struct {
    uintptr_t address;
    enum ss_layout layout;
    bool no_subscriber;
    const char *type;
    bool default_try_close;
} expected[] = {
    {WORD(of_16), SS_LAYOUT_16, false, DROP_ALPHA, false},
    {WORD(of_15), SS_LAYOUT_15, false, DROP_ALPHA, false},
    {WORD(of_14), SS_LAYOUT_14, false, DROP_ALPHA, false},
    {WORD(without_drop), SS_LAYOUT_16, false, ALPHA TRAIT "8new_span", false},
    {WORD(merged_drop), SS_LAYOUT_16, false, ALPHA TRAIT "8new_span", false},
    {WORD(double_drop), SS_LAYOUT_16, false, DROP("Iota", "00112233445566"), false},
    {WORD(neighbours), SS_LAYOUT_14, false, DROP_ALPHA, false},
    {WORD(neighbours + 17), SS_LAYOUT_16, false, DROP_ALPHA, false},
    {WORD(neighbours + 17 + 19), SS_LAYOUT_15, false, ALPHA TRAIT "8new_span", false},
    {WORD(merged), SS_LAYOUT_16, true, NONE "NtB5_10Subscriber8new_span", false},
    {WORD(five_agree), SS_LAYOUT_16, false, DROP_ALPHA, false},
    {WORD(default_legacy), SS_LAYOUT_14, false, DROP_ALPHA, true},
    {WORD(default_v0), SS_LAYOUT_14, false, DROP_ALPHA, true},
    {WORD(default_merged), SS_LAYOUT_14, false, DROP_ALPHA, true},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

/* Stand-ins for what other parts of the shim give. */
_Atomic int ss_own_pid;

void ss_say(int level, const char *piece, ...)
{
    (void)level;
    fprintf(stderr, "said: %s\n", piece);
}

static int met[EXPECTED];

/* Whether a name is the wanted one, up to the hash of legacy mangling. */
static bool is_name(const char *name, const char *wanted)
{
    const char *hash = strstr(wanted, "17h");
    return hash ? strncmp(name, wanted, (size_t)(hash - wanted)) == 0 : strcmp(name, wanted) == 0;
}

void ss_hook_table(const struct ss_table_found *found)
{
    for (int i = 0; i < EXPECTED; i++) {
        if (found->address != expected[i].address)
            continue;
        CHECK(found->layout == expected[i].layout);
        CHECK(found->no_subscriber == expected[i].no_subscriber);
        CHECK(found->default_try_close == expected[i].default_try_close);
        CHECK(found->type && is_name(found->type, expected[i].type));
        CHECK(found->module == ss_module_at(0) && strcmp(found->evidence, "symbols") == 0);
        met[i]++;
        return;
    }
    fprintf(stderr, "no table: %#lx, layout %d, %s\n", (unsigned long)found->address,
            (int)found->layout, found->type ? found->type : "no type");
    failures++;
}

static void finds_tables(void)
{
    ss_discover(ss_module_at(0)); /* modules.c leaves the module out that it is in itself */
    for (int i = 0; i < EXPECTED; i++) {
        if (met[i] != 1) {
            fprintf(stderr, "table %d was found %d times\n", i, met[i]);
            failures++;
        }
    }
    CHECK(strcmp(ss_module_at(0)->evidence, "symbols") == 0);
}

/* ---- closers ------------------------------------------------------------------------------------
 */

/* Code with the names of functions that close spans, and of others; each is one byte more than the
 * one before, and they follow one another. */
#define CODE(name, size)                             \
    ".type \"" name "\", @function\n\"" name "\":\n" \
    ".fill " #size ", 1, 0xCC\n"                     \
    ".size \"" name "\", " #size "\n"
__asm__(
    ".text\n"
    "closer_code:\n"                                /* */
    CODE("_ZN5probe6before17h0011223344556601E", 8) /* */
    CODE("_ZN104_$LT$tracing_subscriber..registry..sharded..Registry$u20$as$u20$"
         "tracing_core..subscriber..Subscriber$GT$4exit17h0011223344556602E",
         9)                                                                     /* */
    CODE("_ZN12tracing_core10dispatcher11get_default17h0011223344556603E", 10)  /* */
    CODE("_ZN12tracing_core10dispatcher12with_default17h0011223344556604E", 11) /* */
    CODE("_RNvXs6_NtNtCs1pCg19Y8Tut_18tracing_subscriber8registry7shardedNtB5_9DataInnerNtNtCs1_"
         "12sharded_slab5clear5Clear5clear",
         12) /* */
    "closer_code_end:\n");
extern const char closer_code[], closer_code_end[];

static void knows_closers(void)
{
    static const struct {
        uintptr_t size;
        enum ss_closer closer;
    } code[] = {{8, SS_CLOSER_NONE},
                {9, SS_CLOSER_BY_DEFAULT},
                {10, SS_CLOSER_FORWARDS},
                {11, SS_CLOSER_NONE},
                {12, SS_CLOSER_BY_DEFAULT}};
    uintptr_t at = (uintptr_t)closer_code;
    /* A return address is behind the call that it belongs to. */
    for (size_t i = 0; i < sizeof code / sizeof *code; i++)
        for (uintptr_t end = at + code[i].size; at < end; at++) {
            CHECK(ss_closes_by_default(at + 1, false) == (code[i].closer == SS_CLOSER_BY_DEFAULT));
            CHECK(ss_closer_forwards(at + 1) == (code[i].closer == SS_CLOSER_FORWARDS));
        }
    CHECK(at == (uintptr_t)closer_code_end);
    CHECK(!ss_closes_by_default(at + 1, false) && !ss_closer_forwards(at + 1));
    CHECK(!ss_closes_by_default(0, false) && !ss_closer_forwards((uintptr_t)&failures));

    struct ss_module *m = ss_module_at(0);
    ss_discover(m); /* once more, as for a module that comes back */
    CHECK(ss_closes_by_default(at, false) && ss_closer_forwards((uintptr_t)closer_code + 27));
    atomic_store(&m->loaded, 0);
    CHECK(!ss_closes_by_default(at, false) && !ss_closer_forwards((uintptr_t)closer_code + 27));
    atomic_store(&m->loaded, 1);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int names_seen, functions_seen;

static bool see_name(void *context, uint32_t offset, const char *name, size_t length)
{
    struct ss_elf *elf = context;
    char again[512];
    if (length < sizeof again)
        CHECK(ss_elf_name(elf, offset, again, sizeof again) == length &&
              memcmp(again, name, length) == 0);
    CHECK(memmem(name, length, "ubscriber", 9) || memmem(name, length, "dispatcher", 10));
    names_seen++;
    return true;
}

/* A file that changed under the reader reads differently: only that nothing breaks. */
static bool touch_name(void *context, uint32_t offset, const char *name, size_t length)
{
    char again[512];
    (void)ss_elf_name(context, offset, again, sizeof again);
    (void)ss_trait_method_of(name, length);
    (void)ss_closer_of(name, length);
    return true;
}

static bool see_function(void *context, const Elf64_Sym *symbol)
{
    (void)context;
    functions_seen += symbol->st_value != 0;
    return true;
}

static bool read_all(const struct ss_module *m, ss_elf_name_fn *each)
{
    struct ss_elf elf;
    if (!ss_elf_open(m, &elf))
        return false;
    ss_elf_each_tracing_name(&elf, each, &elf);
    ss_elf_each_function(&elf, see_function, NULL);
    ss_elf_close(&elf);
    return true;
}

static bool opens(struct ss_module *m, const char *path)
{
    m->path = path;
    return read_all(m, touch_name);
}

static void refuses_other_files(struct ss_module *m)
{
    char fifo[] = "/tmp/test_discover.XXXXXX";
    CHECK(!opens(m, "/no/such/file") && !opens(m, "/") && !opens(m, "/dev/zero"));
    CHECK(!opens(m, "/etc/passwd") && !opens(m, "/bin/sh") && !opens(m, ""));
    int fd = mkstemp(fifo);
    close(fd);
    unlink(fifo);
    CHECK(mkfifo(fifo, 0600) == 0 && !opens(m, fifo));
    unlink(fifo);
}

/* Cuts the file short, and writes rubbish where its tables are described. */
static void survives_lies(struct ss_module *m, const char *original, size_t size)
{
    char path[] = "/tmp/test_discover.XXXXXX";
    int fd = mkstemp(path);
    static const uint64_t rubbish[] = {
        0, 1, 7, 24, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 63};
    Elf64_Ehdr header;
    memcpy(&header, original, sizeof header);
    uint32_t random = 88172645;
    int opened = 0;
    m->path = path;
    for (int round = 0; round < 4000; round++) {
        CHECK(pwrite(fd, original, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0);
        size_t room = header.e_shnum * sizeof(Elf64_Shdr);
        for (uint32_t n = next_random(&random) % 3 + 1; n > 0; n--) {
            uint64_t value =
                next_random(&random) % 2 ? rubbish[next_random(&random) % 9] : next_random(&random);
            size_t at = next_random(&random) % 8 ? header.e_shoff + next_random(&random) % room
                                                 : next_random(&random) % sizeof header;
            CHECK(pwrite(fd, &value, 1u << next_random(&random) % 4, (off_t)at) > 0);
        }
        if (next_random(&random) % 4 == 0)
            CHECK(ftruncate(fd, (off_t)(next_random(&random) % size)) == 0);
        opened += read_all(m, touch_name);
    }
    close(fd);
    unlink(path);
    printf("4000 broken files, %d of them opened\n", opened);
    CHECK(opened > 100 && opened < 3990);
}

static void reads_files(void)
{
    struct ss_module m = *ss_module_at(0);
    int lowest = dup(0);
    close(lowest);

    CHECK(read_all(&m, see_name));
    m.id = 2; /* not the program, which is found without its path */
    CHECK(read_all(&m, touch_name));
    CHECK(names_seen > 20 && functions_seen > 20);

    static char bytes[1 << 20];
    FILE *file = fopen(m.path, "r");
    size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    CHECK(size > 4096 && size < sizeof bytes);
    survives_lies(&m, bytes, size);
    refuses_other_files(&m);

    int still = dup(0);
    CHECK(still == lowest);
    close(still);
}

/* The search for the words finds each wherever it lies. */
static void finds_the_words(void)
{
    static const char *const words[] = {"Subscriber", "subscriber", "dispatcher"};
    char text[200];
    for (size_t size = 0; size < sizeof text; size++) {
        memset(text, 's', sizeof text);
        CHECK(!ss_find_word(text, text + size));
        for (size_t at = 0; at + 10 <= size; at++) {
            memset(text, size % 2 ? 'b' : 'r', sizeof text);
            memcpy(text + at, words[at % 3], 10);
            CHECK(ss_find_word(text, text + size) == text + at);
            CHECK(!ss_find_word(text, text + at + 9));
        }
    }
}

int main(void)
{
    ss_own_pid = getpid();
    ss_modules_update();
    recognises_names();
    finds_the_words();
    finds_tables();
    knows_closers();
    reads_files();
    if (failures)
        fprintf(stderr, "%d failures\n", failures);
    return failures != 0;
}
