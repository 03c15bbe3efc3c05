//! Legal: spans that are open a hundred thousand deep, or as deep as the argument says, by recursion on a thread
//! with the stack for it. The subscriber is the least there can be, as a registry searches its whole stack at
//! each enter; a registry gets a thousand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{info_span, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Identity, SubscriberExt};

#[derive(Default)]
struct Least {
    made: AtomicU64,
}

impl Subscriber for Least {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.made.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
    fn try_close(&self, _: Id) -> bool {
        true
    }
}

fn descend(depth: usize) -> usize {
    if depth == 0 {
        return 0;
    }
    let span = info_span!("deeper");
    let _entered = span.enter();
    1 + descend(depth - 1)
}

fn main() {
    let depth = std::env::args().nth(1).map_or(100_000, |depth| depth.parse().expect("a number"));
    let deep = thread::Builder::new()
        .stack_size(1 << 30)
        .spawn(move || {
            println!("depth {}", with_default(Least::default(), || descend(depth)));
            let registry = tracing_subscriber::registry().with(Identity::new());
            println!("depth {}", with_default(registry, || descend(1000)));
        })
        .unwrap();
    deep.join().unwrap();
}
