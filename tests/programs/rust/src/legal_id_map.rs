//! Legal: a subscriber that hands out ids of its own, twice those of the one it passes everything on to. One
//! id names two spans, of which one subscriber has the parent and the other the child.

use std::collections::HashMap;
use std::sync::Mutex;

use tracing::span::{Attributes, Id, Record};
use tracing::{info_span, Dispatch, Event, Metadata, Subscriber};

/// Counts the handles of each span, and does nothing else.
#[derive(Default)]
struct Counting {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: u64,
    handles: HashMap<u64, u32>,
}

impl Subscriber for Counting {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        let mut state = self.state.lock().unwrap();
        state.newest += 1;
        let id = state.newest;
        state.handles.insert(id, 1);
        Id::from_u64(id)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
    fn clone_span(&self, id: &Id) -> Id {
        *self.state.lock().unwrap().handles.get_mut(&id.into_u64()).unwrap() += 1;
        id.clone()
    }
    fn try_close(&self, id: Id) -> bool {
        let mut state = self.state.lock().unwrap();
        let handles = state.handles.get_mut(&id.into_u64()).unwrap();
        *handles -= 1;
        let is_last = *handles == 0;
        if is_last {
            state.handles.remove(&id.into_u64());
        }
        is_last
    }
}

struct Doubling {
    inner: Dispatch,
}

fn outwards(id: Id) -> Id {
    Id::from_u64(id.into_u64() * 2)
}

fn inwards(id: &Id) -> Id {
    Id::from_u64(id.into_u64() / 2)
}

impl Subscriber for Doubling {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        outwards(self.inner.new_span(attributes))
    }
    fn record(&self, id: &Id, values: &Record<'_>) {
        self.inner.record(&inwards(id), values);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.inner.event(event);
    }
    fn enter(&self, id: &Id) {
        self.inner.enter(&inwards(id));
    }
    fn exit(&self, id: &Id) {
        self.inner.exit(&inwards(id));
    }
    fn clone_span(&self, id: &Id) -> Id {
        outwards(self.inner.clone_span(&inwards(id)))
    }
    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(inwards(&id))
    }
}

fn main() {
    let inner = Dispatch::new(Counting::default());
    tracing::subscriber::set_global_default(Doubling { inner }).unwrap();
    for _ in 0..10 {
        let parent = info_span!("parent");
        let _entered = parent.enter();
        let child = info_span!("child");
        child.in_scope(|| drop(child.clone()));
    }
    println!("done");
}
