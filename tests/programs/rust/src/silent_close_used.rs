//! What comes of a close that hits the wrong span (silent_close): its owner goes on to use the span, and panics
//! although it did nothing wrong.

use tracing::info_span;
use tracing::subscriber::with_default;

fn main() {
    let mine = with_default(tracing_subscriber::registry(), || info_span!("mine"));
    with_default(tracing_subscriber::fmt().with_writer(std::io::sink).finish(), || {
        let theirs = info_span!("theirs");
        assert_eq!(mine.id(), theirs.id());
        mine.in_scope(|| ());
        theirs.in_scope(|| ());
    });
}
