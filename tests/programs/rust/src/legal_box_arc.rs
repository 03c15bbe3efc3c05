//! Legal: subscribers and layers behind boxes and Arcs, of known and of unknown type, nested. Each forwards
//! to the next, so that one event of the program passes several tables, and is one.

use std::sync::Arc;

use tracing::subscriber::with_default;
use tracing::{info_span, Subscriber};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};

type Boxed = Box<dyn Subscriber + Send + Sync>;
type Shared = Arc<dyn Subscriber + Send + Sync>;

fn plain() -> impl Subscriber + Send + Sync {
    fmt().with_writer(std::io::sink).finish()
}

fn spans(subscriber: impl Subscriber + Send + Sync + 'static) {
    with_default(subscriber, || {
        for _ in 0..10 {
            let outer = info_span!("outer");
            let _entered = outer.enter();
            let inner = info_span!("inner");
            inner.in_scope(|| ());
            inner.clone().in_scope(|| ());
        }
    });
}

fn main() {
    spans(Box::new(plain()));
    spans(Arc::new(plain()));

    let boxed: Boxed = Box::new(plain());
    spans(boxed);
    let shared: Shared = Arc::new(plain());
    spans(Arc::clone(&shared));
    spans(shared);

    let boxed: Boxed = Box::new(plain());
    let shared: Shared = Arc::new(boxed);
    let nested: Boxed = Box::new(Box::new(shared));
    spans(nested);

    let layers =
        (0..3).map(|_| fmt::layer().with_writer(std::io::sink).boxed()).collect::<Vec<_>>();
    let layered = tracing_subscriber::registry()
        .with(layers)
        .with(fmt::layer().with_writer(std::io::sink).boxed());
    let nested: Boxed = Box::new(layered);
    spans(nested);

    let on_top = tracing_subscriber::registry().with(Some(fmt::layer().with_writer(std::io::sink)));
    spans(on_top);
    println!("done");
}
