//! A guard that is forgotten and a span that is dropped: with tracing-subscriber 0.3.22 and later the span closes
//! while it is open, and stays the current one of its thread. Earlier ones keep it alive as long as it is open.

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("forgotten");
    std::mem::forget(span.enter());
    drop(span);
    info_span!("later").in_scope(|| ());
    println!("done");
}
