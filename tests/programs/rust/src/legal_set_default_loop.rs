//! Legal: a new default subscriber a thousand times over. Each ends before the next is made, so that addresses
//! and ids come back; every one has only spans of its own.

use tracing::info_span;
use tracing::subscriber::set_default;
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    for turn in 0..1000 {
        let registry = tracing_subscriber::registry();
        let _default = if turn % 2 == 0 {
            set_default(registry)
        } else {
            set_default(registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::sink)))
        };
        let outer = info_span!("outer");
        outer.in_scope(|| info_span!("inner").in_scope(|| ()));
        let _entered = outer.enter();
        // Never closed: its subscriber ends before it.
        std::mem::forget(info_span!("left_behind"));
    }
    println!("done");
}
