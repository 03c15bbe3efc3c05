//! Legal: threads that end with all closed: scoped ones under guards of their own and of who waits for them,
//! recursion over threads and within one, unwinding through guards, spans as the last thing of a thread-local.

use std::cell::RefCell;
use std::panic;
use std::thread;

use tracing::{info_span, instrument, Span};

thread_local! {
    static LAST: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

/// Makes a span when its thread ends.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        info_span!("at_end").in_scope(|| info_span!("inside").in_scope(|| ()));
    }
}

#[instrument]
fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    fibonacci(n - 1) + fibonacci(n - 2)
}

#[instrument(skip(parent))]
fn tree(depth: u32, parent: &Span) -> u64 {
    let span = info_span!(parent: parent, "node", depth);
    let _guard = span.enter();
    LAST.with(|last| *last.borrow_mut() = Some(AtEnd));
    if depth == 0 {
        return fibonacci(6);
    }
    thread::scope(|scope| {
        let left = scope.spawn(|| tree(depth - 1, &span));
        let right = scope.spawn(|| tree(depth - 1, &span));
        let _guard = info_span!("waits").entered();
        left.join().unwrap() + right.join().unwrap()
    })
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    println!("{}", fibonacci(12));
    println!("{}", tree(4, &Span::current()));

    // A panic that unwinds through guards, in a thread that ends of it.
    let thread = thread::spawn(|| {
        let outer = info_span!("outer");
        let _guard = outer.enter();
        let _inner = info_span!("inner").entered();
        panic::resume_unwind(Box::new("unwound"));
    });
    let end: thread::Result<()> = thread.join();
    println!("{}", end.unwrap_err().downcast_ref::<&str>().unwrap());
}
