//! A parent's close that goes astray: when a registry clears a span, it closes the span's parent through the
//! thread's default subscriber, in every release so far. Here the last handle of a child is dropped where
//! another subscriber is the default, which panics, as it has no such span; the panic is caught.

use std::panic::{catch_unwind, AssertUnwindSafe};

use tracing::subscriber::with_default;
use tracing::{info_span, Subscriber};

fn subscriber() -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_writer(std::io::sink).finish()
}

fn main() {
    let child = with_default(subscriber(), || {
        let parent = info_span!("parent");
        info_span!(parent: &parent, "child")
    });
    with_default(subscriber(), || {
        let panicked = catch_unwind(AssertUnwindSafe(|| drop(child))).is_err();
        println!("drop of the child: {}", if panicked { "panicked" } else { "returned" });
    });
}
