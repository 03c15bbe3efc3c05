//! Spans whose fields get their values, or others, after they were made; then exited on a thread that does not
//! have them open (as in scope_exit).

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

/// Records each field that has no value yet, one that has, and one that cannot be told.
fn recorded() -> Span {
    let span = info_span!(
        "recorded",
        first = 1,
        text = "as made",
        later = field::Empty,
        number = field::Empty,
        ratio = field::Empty,
        yes = field::Empty,
        never = field::Empty,
        shown = "to be shown",
    );
    span.record("text", "recorded-\"secret\"");
    span.record("later", "later");
    span.record("later", "later-secret");
    span.record("number", u64::MAX);
    span.record("ratio", 0.25);
    span.record("yes", true);
    span.record("shown", field::display("display-secret"));
    span.record("never", None::<i64>);
    span.record("no such field", 5);
    span
}

/// All fields of one span, recorded by other threads, each many times.
fn raced() -> Span {
    let span = info_span!("raced", a = field::Empty, b = field::Empty, text = field::Empty);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let span = &span;
            scope.spawn(move || {
                for i in 0..=10000 {
                    span.record(name, i);
                }
            });
        }
        for i in 0..10000 {
            span.record("text", "x".repeat(i % 100).as_str());
        }
        span.record("text", "end");
    });
    span
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    hand_over(recorded());
    hand_over(raced());
    println!("done");
}
