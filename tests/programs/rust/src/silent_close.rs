//! A close that hits the wrong span: `mine` belongs to one subscriber and is exited where another is the
//! default, which has a live span of the very same id. tracing-subscriber up to 0.3.20 closes that one,
//! although its handle lives on. Nothing panics.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::span::Id;
use tracing::subscriber::with_default;
use tracing::{info_span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

static CLOSED: AtomicBool = AtomicBool::new(false);

struct SeeClose;

impl<S: Subscriber> Layer<S> for SeeClose {
    fn on_close(&self, _: Id, _: Context<'_, S>) {
        CLOSED.store(true, Ordering::SeqCst);
    }
}

fn main() {
    let mine = with_default(tracing_subscriber::registry(), || info_span!("mine"));
    with_default(tracing_subscriber::registry().with(SeeClose), || {
        let theirs = info_span!("theirs");
        assert_eq!(mine.id(), theirs.id());
        mine.in_scope(|| ());
        println!("the other span is closed: {}", CLOSED.load(Ordering::SeqCst));
        // Its close has happened: another one would panic.
        std::mem::forget(theirs);
    });
}
