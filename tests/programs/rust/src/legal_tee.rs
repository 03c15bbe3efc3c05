//! Legal: a layer that makes each span in a second registry as well, from the very same attributes, and closes
//! it there, by its id, when it hears of the close.

use std::collections::HashMap;
use std::sync::Mutex;

use tracing::span::{Attributes, Id};
use tracing::{info_span, Dispatch, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

struct Plain;

impl<S: Subscriber> Layer<S> for Plain {}

struct Tee {
    other: Dispatch,
    twins: Mutex<HashMap<u64, Id>>,
}

impl<S: Subscriber> Layer<S> for Tee {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let twin = self.other.new_span(attributes);
        self.twins.lock().unwrap().insert(id.into_u64(), twin);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let twin = self.twins.lock().unwrap().remove(&id.into_u64()).unwrap();
        self.other.try_close(twin);
    }
}

fn main() {
    let other = Dispatch::new(tracing_subscriber::registry().with(Plain));
    let tee = Tee { other, twins: Mutex::default() };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(tee)).unwrap();
    for _ in 0..10 {
        info_span!(parent: None, "work").in_scope(|| ());
    }
    println!("done");
}
