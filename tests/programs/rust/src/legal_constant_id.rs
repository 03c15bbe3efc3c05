//! Legal: a subscriber that gives every span the id 1, as one may that keeps no data about spans. Nothing can
//! be told about its spans from their ids.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tracing::span::{Attributes, Id, Record};
use tracing::{info_span, Event, Metadata, Subscriber};

static ENTERED: AtomicUsize = AtomicUsize::new(0);
static EXITED: AtomicUsize = AtomicUsize::new(0);

struct Constant;

impl Subscriber for Constant {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {
        ENTERED.fetch_add(1, Ordering::SeqCst);
    }
    fn exit(&self, _: &Id) {
        EXITED.fetch_add(1, Ordering::SeqCst);
    }
    fn try_close(&self, _: Id) -> bool {
        true
    }
}

fn main() {
    tracing::subscriber::set_global_default(Constant).unwrap();
    let outer = info_span!("outer");
    let entered = outer.enter();
    let handed = info_span!("handed");
    thread::spawn(move || {
        handed.in_scope(|| info_span!("inner").in_scope(|| ()));
    })
    .join()
    .unwrap();
    for _ in 0..10 {
        info_span!("inner").in_scope(|| ());
    }
    drop(entered);
    println!(
        "entered {}, exited {}",
        ENTERED.load(Ordering::SeqCst),
        EXITED.load(Ordering::SeqCst)
    );
}
