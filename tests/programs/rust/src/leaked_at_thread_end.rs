//! A guard that a thread forgets: the thread ends with the span open.

use std::thread;

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("forgotten");
    thread::scope(|scope| {
        thread::Builder::new()
            .name("forgetter".into())
            .spawn_scoped(scope, || std::mem::forget(span.enter()))
            .unwrap();
    });
    println!("done");
}
