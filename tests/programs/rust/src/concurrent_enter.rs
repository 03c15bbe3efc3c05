//! A span that is open on two threads at the same time, which `tracing` allows.

use std::sync::Barrier;
use std::thread;

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("shared");
    let both = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _guard = span.enter();
                both.wait();
            });
        }
    });
    println!("done");
}
