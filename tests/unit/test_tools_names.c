/* How the command writes names: demangled, shortened, and fit for a terminal. */
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "text.h"

static int failures;

static void check(const char *what, const char *got, const char *want)
{
    if (got && strcmp(got, want) == 0)
        return;
    fprintf(stderr, "%s: `%s`, not `%s`\n", what, got ? got : "(null)", want);
    failures++;
}

static void test_demangle(void)
{
    static const struct {
        const char *symbol, *want;
    } cases[] = {
        {"_ZN3app5fetch28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
         "app::fetch::{{closure}}"},
        {"_ZN3app4main17h0123456789abcdefE.llvm.1234567890", "app::main"},
        {"_RNvCs1234_3app4main", "app::main"},
        {"_RNCNvCs1234_3app5fetch0B3_", "app::fetch::{closure#0}"},
        {"_ZN5shape4areaEv", "shape::area()"},
        {"plain_c_name", "plain_c_name"},
        {"_ZN", "_ZN"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].symbol, ss_demangle(cases[i].symbol), cases[i].want);
}

static void test_functions(void)
{
    static const struct {
        const char *function, *name, *want;
    } cases[] = {
        {"app::fetch::{{closure}}", "{async_fn#0}", "app::fetch (async fn)"},
        {"app::main::{{closure}}", "{async_block#0}", "app::main (async block)"},
        {"app::main::{closure#1}", "{closure#1}", "app::main::{closure}"},
        {"<hyper_util::client::dns::GaiResolver as tower_service::Service<hyper_util::Name>>::call",
         NULL, "GaiResolver::call"},
        {"<alloc::boxed::Box<dyn core::ops::FnOnce() -> bool> as core::ops::FnOnce<()>>::call_once",
         NULL, "Box::call_once"},
        {"app::store::<impl app::Save for app::store::Row<T>>::save", NULL, "Row::save"},
        {"tokio::runtime::task::harness::Harness<T,S>::poll", NULL,
         "tokio::runtime::task::harness::Harness::poll"},
        {"core::iter::map::<fn(u8) -> u8>::next", NULL, "core::iter::map::next"},
        {"main", "main", "main"},
        {"<", NULL, ""},
        {"a<b<c", NULL, "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].function, ss_short_function(cases[i].function, cases[i].name),
              cases[i].want);
}

static void test_types(void)
{
    static const struct {
        const char *symbol, *want;
    } cases[] = {
        /* drop_in_place<tracing_subscriber::fmt::Subscriber<DefaultFields, Format, LevelFilter,
           sink>> */
        {"_ZN4core3ptr212drop_in_place$LT$tracing_subscriber..fmt..Subscriber$LT$tracing_"
         "subscriber..fmt.."
         "format..DefaultFields$C$tracing_subscriber..fmt..format..Format$C$tracing_core..metadata."
         "."
         "LevelFilter$C$std..io..util..sink$GT$$GT$17hd3f33c4a3a632aaaE",
         "fmt::Subscriber<sink>"},
        {"core::ptr::drop_in_place<tracing_subscriber::layer::layered::Layered<tracing_subscriber::"
         "fmt::"
         "fmt_layer::Layer<tracing_subscriber::registry::sharded::Registry>, "
         "tracing_subscriber::registry::"
         "sharded::Registry>>",
         "Layered<fmt::Layer, Registry>"},
        {"core::ptr::drop_in_place<tracing_subscriber::layer::layered::Layered<app::Mine<u8, "
         "(app::A, "
         "app::B)>, tracing_subscriber::registry::sharded::Registry, app::Third>>",
         "Layered<Mine<u8, (A, B)>, Registry>"},
        {"core::ptr::drop_in_place<tracing_subscriber::fmt::Subscriber<tracing_subscriber::fmt::"
         "format::"
         "DefaultFields, tracing_subscriber::fmt::format::Format, "
         "tracing_core::metadata::LevelFilter, fn() "
         "-> std::io::stdio::Stdout>>",
         "fmt::Subscriber"},
        {"core::ptr::drop_in_place<alloc::sync::Arc<dyn tracing_core::subscriber::Subscriber + "
         "core::marker::"
         "Send>>",
         "Arc<dyn Subscriber + Send>"},
        {"core::ptr::drop_in_place<alloc::boxed::Box<dyn "
         "tracing_core::subscriber::Subscriber+core::"
         "marker::Sync+core::marker::Send>>",
         "Box<dyn Subscriber + Sync + Send>"},
        {"core::ptr::drop_in_place<alloc::vec::Vec<alloc::boxed::Box<dyn "
         "tracing_subscriber::layer::"
         "Layer<tracing_subscriber::registry::sharded::Registry>+core::marker::Send>>>",
         "Vec<Box<dyn Layer<Registry> + Send>>"},
        {"core::ptr::drop_in_place::<tracing_subscriber::fmt::Subscriber<a::B>>",
         "fmt::Subscriber<B>"},
        {"core::ptr::drop_glue::<app::Own>", "Own"},
        {"<app::Constant as tracing_core::subscriber::Subscriber>::new_span", "Constant"},
        {"core::ptr::drop_in_place<app::Half<", "Half"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(cases[i].symbol, ss_short_type(cases[i].symbol), cases[i].want);

    /* Nesting without end is cut, not followed. */
    char deep[12000] = "core::ptr::drop_in_place<";
    for (int i = 0; i < 5000; i++)
        strcat(deep, "A<");
    if (!ss_short_type(deep))
        failures++;
}

static void test_clean(void)
{
    static const struct {
        const char *text;
        size_t max;
        const char *want;
    } cases[] = {
        {"plain", 80, "plain"},
        {"a\nb\tc\rd", 80, "a\\nb\\tc\\rd"},
        {"\033[31mred\a", 80, "\\x1b[31mred\\x07"},
        {"\x7f", 80, "\\x7f"},
        {"\xc2\x9b"
         "31m",
         80, "\\x9b31m"}, /* CSI as one C1 character */
        {"\xe2\x80\xae"
         "evil",
         80, "\\u{202e}evil"},                                /* right-to-left override */
        {"\xff\xfe", 80, "\\xff\\xfe"},                       /* no UTF-8 */
        {"\xc0\x80", 80, "\\xc0\\x80"},                       /* overlong NUL */
        {"\xed\xa0\x80", 80, "\\xed\\xa0\\x80"},              /* a surrogate */
        {"\xc3\xa4\xe2\x82\xac", 80, "\xc3\xa4\xe2\x82\xac"}, /* ä€ */
        {"\xc3", 80, "\\xc3"},                                /* cut character */
        {"abcdef", 3, "abc\xe2\x80\xa6"},
        {"abc", 3, "abc"},
        {"", 3, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check("clean", ss_text_clean_to(cases[i].text, cases[i].max), cases[i].want);
    check("width",
          ss_text("%zu", ss_text_width("\xc3\xa4\xe2\x82\xac"
                                       "x")),
          "3");
}

int main(void)
{
    test_demangle();
    test_functions();
    test_types();
    test_clean();
    return failures != 0;
}
