//! A span that is closed through its dispatcher while it is open, as code that bridges other instrumentation to
//! `tracing` does when it counts references wrong.

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("closed_early");
    span.with_subscriber(|(id, dispatch)| {
        dispatch.enter(id);
        // Up to tracing-subscriber 0.3.20 the enter has a reference of its own.
        while !dispatch.try_close(id.clone()) {}
    });
    // Its references are gone: another close would panic.
    std::mem::forget(span);
    println!("done");
}
