//! Legal: spans that close late and ids that are used late, but in time: a parent that its children keep alive
//! when its own handles are gone, closes on other threads, handles dropped while another has the span open,
//! ids that are given to one span after another, spans without a subscriber's interest, records on live ones.

use std::thread;

use tracing::{field, info_span, trace_span, Instrument, Span};

/// Named as the parent by its id when only the child holds it.
fn kept_by_child() {
    let parent = info_span!("parent");
    let id = parent.id();
    let child = info_span!(parent: &parent, "child");
    drop(parent);
    let second = info_span!(parent: id.clone(), "second_child");
    drop(child);
    second.in_scope(|| info_span!(parent: id.clone(), "third_child").in_scope(|| ()));
    thread::spawn(move || drop(second)).join().unwrap();
}

/// The handle that entered is not the last one, or it is, and it goes right after the exit.
fn handles() {
    for _ in 0..50 {
        let span = info_span!("handles", late = field::Empty);
        let others = [span.clone(), span.clone()];
        let entered = span.clone().entered();
        drop(span);
        entered.record("late", 1);
        for other in others {
            thread::scope(|scope| {
                scope.spawn(move || other.in_scope(|| ()));
            });
        }
        let span = entered.exit();
        span.record("late", 2);
        span.in_scope(|| span.in_scope(|| span.record("late", 3)));
    }
}

/// Ids come back.
fn reused() {
    let mut last = None;
    let mut again = 0;
    for number in 0..100u64 {
        let span = info_span!("reused", number);
        again += usize::from(last == span.id());
        last = span.id();
        let _guard = span.enter();
        Span::current().record("number", number + 1);
    }
    println!("ids again: {}", if again > 0 { "yes" } else { "no" });
}

/// No subscriber wants these.
fn disabled() {
    let span = trace_span!("disabled", late = field::Empty);
    assert!(span.is_disabled());
    span.record("late", 1);
    span.in_scope(|| info_span!(parent: &span, "root").in_scope(|| ()));
    Span::none().in_scope(|| info_span!(parent: None, "root").in_scope(|| ()));
    info_span!("empty").entered().exit().follows_from(Span::none());
}

/// A future that closes its span where it ends.
fn futures_end() {
    for number in 0..20 {
        let future = async move {
            info_span!("inside", number).in_scope(|| ());
            Span::current()
        };
        let span = futures::executor::block_on(future.instrument(info_span!("future", number)));
        thread::spawn(move || span.in_scope(|| drop(span.clone()))).join().unwrap();
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    kept_by_child();
    handles();
    reused();
    disabled();
    futures_end();
    println!("done");
}
