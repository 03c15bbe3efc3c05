//! Legal: the default subscriber of a thread is a handle that leads through an Arc to the subscriber that owns
//! the spans. A span that the owner made is entered and exited through the owner while the handle is the
//! default, and what is asked of the handle reaches the owner.

use std::sync::Arc;
use std::thread;

use tracing::dispatcher::{set_default, with_default};
use tracing::span::{Attributes, Id, Record};
use tracing::{info_span, Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Layer, SubscriberExt};

struct Plain;

impl<S: Subscriber> Layer<S> for Plain {}

struct Shared {
    name: String,
    owner: Dispatch,
}

struct Handle {
    shared: Arc<Shared>,
    number: u64,
}

impl Subscriber for Handle {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.number > 0 && !self.shared.name.is_empty() && self.shared.owner.enabled(metadata)
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.shared.owner.new_span(attributes)
    }
    fn record(&self, id: &Id, values: &Record<'_>) {
        self.shared.owner.record(id, values);
    }
    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.shared.owner.record_follows_from(id, follows);
    }
    fn event(&self, event: &Event<'_>) {
        self.shared.owner.event(event);
    }
    fn enter(&self, id: &Id) {
        self.shared.owner.enter(id);
    }
    fn exit(&self, id: &Id) {
        self.shared.owner.exit(id);
    }
    fn clone_span(&self, id: &Id) -> Id {
        self.shared.owner.clone_span(id)
    }
    fn try_close(&self, id: Id) -> bool {
        self.shared.owner.try_close(id)
    }
}

fn main() {
    let owner = Dispatch::new(tracing_subscriber::registry().with(Plain));
    let shared = Arc::new(Shared { name: "shared".into(), owner: owner.clone() });
    let of_owner = with_default(&owner, || info_span!("of_owner"));
    let threads: Vec<_> = (1..=2)
        .map(|number| {
            let handle = Dispatch::new(Handle { shared: Arc::clone(&shared), number });
            let span = of_owner.clone();
            thread::spawn(move || {
                let _default = set_default(&handle);
                for _ in 0..10 {
                    span.in_scope(|| ());
                    span.in_scope(|| info_span!("of_handle").in_scope(|| ()));
                }
            })
        })
        .collect();
    drop(of_owner);
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
