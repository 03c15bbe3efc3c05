/* What mangled names say of functions (shim/name_kinds.c). Names as rustc made them, legacy and v0. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "names.h"

static const struct {
    const char *name;
    uint16_t kind;
} kinds[] = {
    {"_ZN3app12handle_order17h3f50cba784499545E", SS_NAME_KNOWN},
    {"_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E",
     SS_NAME_KNOWN | SS_NAME_CLOSURE},
    {"_ZN12tracing_core10dispatcher8Dispatch5enter17h13ab72ebd02d2074E",
     SS_NAME_KNOWN | SS_NAME_TRACING},
    {"_ZN72_$LT$tracing..span..Entered$u20$as$u20$core..ops..drop..Drop$GT$"
     "4drop17h0123456789abcdefE",
     SS_NAME_KNOWN | SS_NAME_TRACING},
    {"_ZN4core3ptr42drop_in_place$LT$tracing..span..Entered$GT$17h0123456789abcdefE",
     SS_NAME_KNOWN | SS_NAME_STANDARD},
    {"_ZN5tokio7runtime4task4core17Core$LT$T$C$S$GT$4poll17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_EXECUTOR | SS_NAME_POLL},
    {"_ZN5tokio7runtime6handle6Handle8block_on17h2e6d9c2ea2584be1E",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_EXECUTOR | SS_NAME_POLL | SS_NAME_BLOCK_ON},
    {"_ZN72_$LT$core..pin..Pin$LT$P$GT$$u20$as$u20$core..future..future..Future$GT$"
     "4poll17h0123456789abcdefE",
     SS_NAME_KNOWN | SS_NAME_STANDARD | SS_NAME_POLL},
    {"_ZN5tokio7runtime4task4core17Core$LT$T$C$S$GT$4poll28_$u7b$$u7b$closure$u7d$$u7d$"
     "17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_EXECUTOR | SS_NAME_CLOSURE | SS_NAME_POLL},
    {"_ZN5tokio7runtime9scheduler14current_thread7Context4park17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_EXECUTOR},
    {"_ZN102_$LT$tokio..runtime..blocking..task..BlockingTask$LT$T$GT$$u20$as$u20$core..future.."
     "future..Future$GT$4poll17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_SYNC},
    {"_ZN95_$LT$futures_util..future..poll_fn..PollFn$LT$F$GT$$u20$as$u20$core..future..future.."
     "Future$GT$4poll17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_POLL},
    {"_ZN3mio4poll4Poll4poll17hb2d819ff24879bf4E", SS_NAME_KNOWN},
    {"_ZN8blocking7unblock28_$u7b$$u7b$closure$u7d$$u7d$17hb2d819ff24879bf4E",
     SS_NAME_KNOWN | SS_NAME_SYNC},
    {"_ZN3app4main28_$u7b$$u7b$closure$u7d$$u7d$8block_on17h0123456789abcdefE",
     SS_NAME_KNOWN | SS_NAME_POLL | SS_NAME_BLOCK_ON},
    {"_ZN3app8Consumer4take17h0123456789abcdefE", SS_NAME_KNOWN},
    {"_RNvCs1234_3app12handle_order", SS_NAME_KNOWN},
    {"_RNCNvCs1234_3app12handle_order0B3_", SS_NAME_KNOWN | SS_NAME_CLOSURE},
    {"_RNvMs_NtCs1234_12tracing_core10dispatcherNtB4_8Dispatch5enter",
     SS_NAME_KNOWN | SS_NAME_TRACING},
    {"_RNvMs0_NtNtNtCs1234_5tokio7runtime4task4coreINtB5_4CorepNtB5_4pollE4poll",
     SS_NAME_KNOWN | SS_NAME_RUNTIME | SS_NAME_EXECUTOR | SS_NAME_POLL},
    {"main", SS_NAME_KNOWN},
    {"", 0},
    {"_ZN", 0},
    {"_ZN99999app", 0},
    {"_R", 0},
};

static const struct {
    const char *glue, *body;
    bool is;
} glues[] = {
    {"_ZN4core3ptr74drop_in_place$LT$app..handle_order..$u7b$$u7b$closure$u7d$$u7d$$GT$"
     "17h0123456789abcdefE",
     "_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E", true},
    {"_ZN4core3ptr118drop_in_place$LT$tokio..runtime..task..core..Stage$LT$app..handle_order.."
     "$u7b$$u7b$closure$u7d$$u7d$$GT$$GT$17h0123456789abcdefE",
     "_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E", true},
    {"_ZN4core3ptr74drop_in_place$LT$app..other_order..$u7b$$u7b$closure$u7d$$u7d$$GT$"
     "17h0123456789abcdefE",
     "_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E", false},
    {"_ZN4core3ptr74drop_in_place$LT$app..handle_order..$u7b$$u7b$closure$u7d$$u7d$.."
     "$u7b$$u7b$closure$u7d$$u7d$$GT$17h0123456789abcdefE",
     "_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E", false},
    {"_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E",
     "_ZN3app12handle_order28_$u7b$$u7b$closure$u7d$$u7d$17hc6c206dc45727a56E", false},
    {"_RINvNtCs1234_4core3ptr13drop_in_placeNCNvCs9876_3app12handle_order0EB1_",
     "_RNCNvCs9876_3app12handle_order0B3_", true},
    {"_RINvNtCs1234_4core3ptr13drop_in_placeNCNvCs9876_3app11other_order0EB1_",
     "_RNCNvCs9876_3app12handle_order0B3_", false},
    {"", "", false},
    {"_ZN4core3ptr20drop_in_place$LT$", "_ZN3app17hc6c206dc45727a56E", false},
};

int main(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (ss_name_kind(kinds[i].name, strlen(kinds[i].name)) != kinds[i].kind) {
            fprintf(stderr, "%s\n", kinds[i].name);
            CHECK(!"the kind");
        }
    for (size_t i = 0; i < sizeof glues / sizeof glues[0]; i++)
        if (ss_name_is_glue(glues[i].glue, strlen(glues[i].glue), glues[i].body,
                            strlen(glues[i].body)) != glues[i].is) {
            fprintf(stderr, "%s\n", glues[i].glue);
            CHECK(!"the glue");
        }
    /* Whatever is cut off a name, it is read to its end at most. */
    for (size_t i = 0; i < sizeof glues / sizeof glues[0]; i++)
        for (size_t length = strlen(glues[i].glue); length--;) {
            char *exact = malloc(length ? length : 1);
            memcpy(exact, glues[i].glue, length);
            (void)ss_name_kind(exact, length);
            (void)ss_name_is_glue(exact, length, glues[i].body, strlen(glues[i].body));
            (void)ss_name_is_glue(glues[i].glue, strlen(glues[i].glue), exact, length);
            free(exact);
        }
    return failures != 0;
}
