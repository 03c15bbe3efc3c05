//! Legal: two layers that each have a twin for every span, in a registry of their own. The twins have the ids
//! of the spans, and are closed inside the spans' closes, each through its own handle: one with the data of
//! the span, one by the layer when it hears of the close.

use std::collections::HashMap;
use std::sync::Mutex;

use tracing::span::{Attributes, Id};
use tracing::subscriber::with_default;
use tracing::{info_span, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const SPANS: usize = 10;

struct Plain;

impl<S: Subscriber> Layer<S> for Plain {}

/// Twins by their ids. They are made beforehand: while a span is made, the default cannot be replaced.
type Twins = Mutex<HashMap<Id, Span>>;

fn twins() -> Twins {
    let twins = with_default(tracing_subscriber::registry().with(Plain), || {
        (0..SPANS).map(|_| info_span!("twin")).map(|twin| (twin.id().unwrap(), twin)).collect()
    });
    Mutex::new(twins)
}

struct WithData {
    twins: Twins,
}

struct Twin {
    _span: Span,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for WithData {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let twin = Twin { _span: self.twins.lock().unwrap().remove(id).unwrap() };
        context.span(id).unwrap().extensions_mut().insert(twin);
    }
}

struct OnClose {
    twins: Twins,
}

impl<S: Subscriber> Layer<S> for OnClose {
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let twin = self.twins.lock().unwrap().remove(&id);
        assert!(twin.is_some());
        drop(twin);
    }
}

fn main() {
    let subscriber = tracing_subscriber::registry()
        .with(WithData { twins: twins() })
        .with(OnClose { twins: twins() });
    tracing::subscriber::set_global_default(subscriber).unwrap();
    // All at once, as the registry would not give the same ids again after a close.
    let spans: Vec<_> = (0..SPANS).map(|_| info_span!("work")).collect();
    for span in spans {
        span.in_scope(|| ());
    }
    println!("done");
}
