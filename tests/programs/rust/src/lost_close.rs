//! A close that nobody gets: the span's subscriber is the default on main only, and the span is entered on a
//! thread that has no default. tracing-subscriber up to 0.3.20 then sends the close that belongs to the exit
//! to the no-op subscriber: a reference leaks, and `on_close` never runs. Nothing panics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tracing::span::Id;
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
    tracing::subscriber::with_default(tracing_subscriber::registry().with(SeeClose), || {
        let span = info_span!("never_closed");
        thread::Builder::new()
            .name("taker".into())
            .spawn(move || span.in_scope(|| ()))
            .unwrap()
            .join()
            .unwrap();
    });
    println!("closed: {}", CLOSED.load(Ordering::SeqCst));
}
