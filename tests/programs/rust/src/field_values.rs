//! A span with a field of every kind, exited on a thread that does not have it open (as in scope_exit), and a
//! second one whose values are too long for what the log keeps of them. The numbers are such that none of
//! them is in a log by chance.

use std::thread;

use tracing::{field, info_span, Span};

/// Enters the span here and exits it on another thread.
fn hand_over(span: Span) {
    let entered = span.enter();
    thread::scope(|scope| {
        thread::Builder::new()
            .name("taker".into())
            .spawn_scoped(scope, move || drop(entered))
            .unwrap();
    });
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let owned = String::from("owned-secret");
    let text: &str =
        "quo\"te back\\slash tab\t line\n bell\u{7} nul\0 del\u{7f} \u{e4}\u{20ac}\u{1f980}";
    let none: Option<i64> = None;
    hand_over(info_span!(
        "all_kinds",
        int = -4711147114711i64,
        max = u64::MAX,
        big = i128::MIN,
        wide = u128::MAX,
        yes = true,
        no = false,
        tenth = 0.1,
        huge = 1e300,
        minus_zero = -0.0,
        third = 1.0 / 3.0f64,
        whole = 3.0f32,
        nan = f64::NAN,
        inf = f64::INFINITY,
        text,
        owned,
        some = Some(271828182845i64),
        none,
        shown = %"display-secret",
        debugged = ?Some("debug-secret"),
        later = field::Empty,
    ));
    hand_over(info_span!(
        "too_long",
        first = 1,
        long = "\u{20ac}".repeat(100),
        longer = "\u{7}".repeat(150),
        last = "end",
    ));
    println!("done");
}
