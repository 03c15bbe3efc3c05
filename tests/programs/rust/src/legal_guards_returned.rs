//! Legal: functions and constructors that return guards to synchronous callers, guards in structs, in vectors
//! and in an Option, replaced by the next; blocking under all of them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::info_span;
use tracing::span::{Entered, EnteredSpan, Span};

#[inline(never)]
fn begin(number: usize) -> EnteredSpan {
    info_span!("begin", number).entered()
}

#[inline(never)]
fn begin_deeper(number: usize) -> (usize, EnteredSpan) {
    (number, begin(number))
}

#[inline(never)]
fn borrow(span: &Span) -> Entered<'_> {
    span.enter()
}

struct Phase {
    guard: Option<EnteredSpan>,
    earlier: Vec<EnteredSpan>,
}

impl Phase {
    #[inline(never)]
    fn new() -> Self {
        Self { guard: Some(info_span!("first_phase").entered()), earlier: Vec::new() }
    }

    #[inline(never)]
    fn next(&mut self, number: usize) {
        self.guard = Some(info_span!("next_phase", number).entered());
    }

    #[inline(never)]
    fn nested(&mut self, number: usize) {
        self.earlier.push(info_span!("nested_phase", number).entered());
    }

    #[inline(never)]
    fn back(&mut self) {
        self.earlier.pop();
    }
}

fn block() {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1));
        sender.send(()).unwrap();
    });
    receiver.recv().unwrap();
    info_span!("blocked").in_scope(|| ());
    thread.join().unwrap();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();

    for number in 0..5 {
        let _guard = begin(number);
        block();
    }
    for number in 0..5 {
        let (_, _guard) = begin_deeper(number);
        block();
        block();
    }
    let span = info_span!("borrowed");
    for _ in 0..5 {
        let _guard = borrow(&span);
        block();
    }

    let mut phase = Phase::new();
    for number in 0..5 {
        block();
        phase.nested(number);
        block();
        phase.nested(number);
        block();
        phase.back();
        phase.back();
        // The next span is entered before the last one is left.
        phase.next(number);
    }
    block();
    phase.guard = None;
    block();
    phase.next(5);
    drop(phase);

    let mut guard = info_span!("started").entered();
    for number in 0..5 {
        block();
        let next = info_span!("replaced", number);
        guard = next.entered();
    }
    drop(guard);
    println!("done");
}
