//! A span that is exited twice and was entered once: the guard's drop, then a call on its dispatcher, as code
//! that bridges other instrumentation to `tracing` makes them. Nothing panics.

use tracing::info_span;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() {
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink))
        .init();
    let span = info_span!("left_twice");
    drop(span.enter());
    span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
    println!("done");
}
