//! A closed span that is named as the parent of another, in safe code: `parent: span` consumes the span, which
//! closes it before it is used, where `parent: &span` would borrow it. It panics, on main.

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("consumed");
    let _child = info_span!(parent: span, "child");
    println!("done");
}
