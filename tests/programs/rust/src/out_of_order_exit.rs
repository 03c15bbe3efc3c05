//! Two guards that are dropped in the order in which they were taken: the outer span is exited while the inner
//! one is open.

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (outer, inner) = (info_span!("outer"), info_span!("inner"));
    let first = outer.enter();
    let second = inner.enter();
    drop(first);
    drop(second);
    println!("done");
}
