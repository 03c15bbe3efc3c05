//! A guard that changes threads in safe code: `Entered` is Send, so a scoped thread may take it and drop it.
//! The span is exited on `taker`, which does not have it open, and stays open on main. Nothing panics.

use std::thread;

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("handed_over");
    let entered = span.enter();
    thread::scope(|scope| {
        thread::Builder::new()
            .name("taker".into())
            .spawn_scoped(scope, move || drop(entered))
            .unwrap();
    });
    println!("done");
}
