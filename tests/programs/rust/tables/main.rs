//! Subscribers of every kind: by hand and of tracing-subscriber, forwarding in each way that there is, and
//! layers behind boxes, whose tables look much the same and are none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{with_default, Interest};
use tracing::{info, info_span, Dispatch, Event, Metadata, Subscriber};
use tracing_core::span::Current;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{fmt, reload, EnvFilter, Registry};

type Boxed = Box<dyn Subscriber + Send + Sync>;
type Shared = Arc<dyn Subscriber + Send + Sync>;

fn spans(subscriber: impl Subscriber + Send + Sync) {
    with_default(subscriber, || {
        let outer = info_span!("outer", x = 1);
        let _entered = outer.enter();
        info!("event");
        drop(outer.clone());
    });
}

// ---- subscribers by hand ----------------------------------------------------------------------------------

/// What has no default.
macro_rules! required {
    () => {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(LAST.fetch_add(1, Ordering::Relaxed) + 1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    };
}

static LAST: AtomicU64 = AtomicU64::new(0);

struct Least;
impl Subscriber for Least {
    required!();
}

struct Closing;
impl Subscriber for Closing {
    required!();
    fn try_close(&self, id: Id) -> bool {
        id.into_u64() == LAST.load(Ordering::Relaxed)
    }
}

/// As of old, when spans were dropped and not closed.
struct Dropping;
impl Subscriber for Dropping {
    required!();
    #[allow(deprecated)]
    fn drop_span(&self, id: Id) {
        println!("dropped {id:?}");
    }
}

/// Everything but downcast_raw.
struct Most {
    events: AtomicU64,
    references: Mutex<HashMap<u64, usize>>,
    entered: Mutex<Vec<u64>>,
}

impl Subscriber for Most {
    fn on_register_dispatch(&self, _: &Dispatch) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() || self.events.load(Ordering::Relaxed) > 3
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.references.lock().unwrap().insert(id, 1);
        Id::from_u64(id)
    }
    fn record(&self, id: &Id, _: &Record<'_>) {
        println!("{id:?}");
    }
    fn record_follows_from(&self, id: &Id, other: &Id) {
        println!("{id:?} {other:?}");
    }
    fn event_enabled(&self, _: &Event<'_>) -> bool {
        self.events.load(Ordering::Relaxed) > 7
    }
    fn event(&self, _: &Event<'_>) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, id: &Id) {
        self.entered.lock().unwrap().push(id.into_u64());
    }
    fn exit(&self, id: &Id) {
        assert_eq!(self.entered.lock().unwrap().pop(), Some(id.into_u64()));
    }
    fn clone_span(&self, id: &Id) -> Id {
        *self.references.lock().unwrap().get_mut(&id.into_u64()).unwrap() += 1;
        id.clone()
    }
    fn try_close(&self, id: Id) -> bool {
        let mut all = self.references.lock().unwrap();
        let left = all.get_mut(&id.into_u64()).unwrap();
        *left -= 1;
        *left == 0 && all.remove(&id.into_u64()).is_some()
    }
    fn current_span(&self) -> Current {
        match self.entered.lock().unwrap().last() {
            Some(_) => Current::none(),
            None => panic!("nothing is entered"),
        }
    }
}

fn most() -> Most {
    Most { events: AtomicU64::new(0), references: Mutex::default(), entered: Mutex::default() }
}

// ---- forwarding -------------------------------------------------------------------------------------------

/// Hands everything on to what an expression gives.
macro_rules! forward {
    ($type:ty, ($($generic:ident)?), $self:ident => $inner:expr) => {
        impl<$($generic: Subscriber)?> Subscriber for $type {
            fn on_register_dispatch(&$self, dispatch: &Dispatch) {
                $inner.on_register_dispatch(dispatch)
            }
            fn register_callsite(&$self, metadata: &'static Metadata<'static>) -> Interest {
                $inner.register_callsite(metadata)
            }
            fn enabled(&$self, metadata: &Metadata<'_>) -> bool {
                $inner.enabled(metadata)
            }
            fn max_level_hint(&$self) -> Option<LevelFilter> {
                $inner.max_level_hint()
            }
            fn new_span(&$self, attributes: &Attributes<'_>) -> Id {
                $inner.new_span(attributes)
            }
            fn record(&$self, id: &Id, values: &Record<'_>) {
                $inner.record(id, values)
            }
            fn record_follows_from(&$self, id: &Id, other: &Id) {
                $inner.record_follows_from(id, other)
            }
            fn event_enabled(&$self, event: &Event<'_>) -> bool {
                $inner.event_enabled(event)
            }
            fn event(&$self, event: &Event<'_>) {
                $inner.event(event)
            }
            fn enter(&$self, id: &Id) {
                $inner.enter(id)
            }
            fn exit(&$self, id: &Id) {
                $inner.exit(id)
            }
            fn clone_span(&$self, id: &Id) -> Id {
                $inner.clone_span(id)
            }
            fn try_close(&$self, id: Id) -> bool {
                $inner.try_close(id)
            }
            fn current_span(&$self) -> Current {
                $inner.current_span()
            }
        }
    };
}

struct First<S>(S);
forward!(First<S>, (S), self => self.0);

#[allow(dead_code)]
struct Later<S>(Mutex<[u64; 9]>, S);
forward!(Later<S>, (S), self => self.1);

struct Locked<S>(RwLock<S>);
forward!(Locked<S>, (S), self => self.0.read().unwrap());

struct Counted<S>(AtomicU64, S);
forward!(Counted<S>, (S), self => {
    self.0.fetch_add(1, Ordering::Relaxed);
    &self.1
});

struct Either<S>(Option<S>, S);
forward!(Either<S>, (S), self => self.0.as_ref().unwrap_or(&self.1));

struct Unknown(Boxed);
forward!(Unknown, (), self => self.0);

fn later<S>(subscriber: S) -> Later<S> {
    Later(Mutex::new([0; 9]), subscriber)
}

// ---- layers -----------------------------------------------------------------------------------------------

struct Nothing;
impl<S: Subscriber> Layer<S> for Nothing {}

struct SeeClose;
impl<S: Subscriber> Layer<S> for SeeClose {
    fn on_close(&self, _: Id, _: Context<'_, S>) {
        LAST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands everything on to a layer.
macro_rules! forward_layer {
    ($type:ident, $field:tt) => {
        impl<S: Subscriber + for<'a> LookupSpan<'a>, L: Layer<S>> Layer<S> for $type<L> {
            fn on_register_dispatch(&self, dispatch: &Dispatch) {
                self.$field.on_register_dispatch(dispatch)
            }
            fn on_layer(&mut self, subscriber: &mut S) {
                self.$field.on_layer(subscriber)
            }
            fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
                self.$field.register_callsite(metadata)
            }
            fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
                self.$field.enabled(metadata, context)
            }
            fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
                self.$field.on_new_span(attributes, id, context)
            }
            fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
                self.$field.on_record(id, values, context)
            }
            fn on_follows_from(&self, id: &Id, other: &Id, context: Context<'_, S>) {
                self.$field.on_follows_from(id, other, context)
            }
            fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
                self.$field.event_enabled(event, context)
            }
            fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
                self.$field.on_event(event, context)
            }
            fn on_enter(&self, id: &Id, context: Context<'_, S>) {
                self.$field.on_enter(id, context)
            }
            fn on_exit(&self, id: &Id, context: Context<'_, S>) {
                self.$field.on_exit(id, context)
            }
            fn on_close(&self, id: Id, context: Context<'_, S>) {
                self.$field.on_close(id, context)
            }
            fn on_id_change(&self, old: &Id, new: &Id, context: Context<'_, S>) {
                self.$field.on_id_change(old, new, context)
            }
        }
    };
}

struct FirstLayer<L>(L);
forward_layer!(FirstLayer, 0);

#[allow(dead_code)]
struct LaterLayer<L>(Mutex<u64>, L);
forward_layer!(LaterLayer, 1);

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn boxed_layers() -> Vec<BoxedLayer> {
    let quiet = || fmt::layer().with_writer(std::io::sink);
    let (reloaded, handle) = reload::Layer::new(LevelFilter::INFO);
    std::mem::forget(handle);
    vec![
        Nothing.boxed(),
        SeeClose.boxed(),
        FirstLayer(Nothing).boxed(),
        FirstLayer(quiet()).boxed(),
        LaterLayer(Mutex::new(0), SeeClose).boxed(),
        LaterLayer(Mutex::new(0), quiet()).boxed(),
        Some(SeeClose).boxed(),
        vec![SeeClose, SeeClose].boxed(),
        reloaded.boxed(),
        Nothing.and_then(SeeClose).boxed(),
        SeeClose.with_filter(LevelFilter::INFO).boxed(),
        FirstLayer(quiet().with_filter(EnvFilter::new("info"))).boxed(),
        quiet().boxed().boxed(),
        EnvFilter::new("info").boxed(),
        LevelFilter::INFO.boxed(),
    ]
}

fn main() {
    let registry = Registry::default;
    let filtered = || registry().with(EnvFilter::new("info"));

    spans(Least);
    spans(Closing);
    spans(Dropping);
    spans(most());

    spans(registry());
    spans(registry().with(Nothing));
    spans(registry().with(SeeClose));
    spans(registry().with(SeeClose).with(Nothing).with(Some(LevelFilter::INFO)));
    spans(registry().with(boxed_layers()));
    spans(fmt().with_writer(std::io::sink).finish());
    spans(filtered());
    spans(filtered().with(LaterLayer(Mutex::new(0), Nothing)));

    spans(Arc::new(filtered()));
    spans(Arc::new(Closing));
    spans(Box::new(Arc::new(registry().with(SeeClose))));
    spans(Arc::new(Box::new(Dropping)));
    spans(Box::new(registry()) as Boxed);
    spans(Arc::new(Least) as Shared);

    spans(First(registry()));
    spans(First(First(filtered())));
    spans(First(Dropping));
    spans(Arc::new(First(registry())));
    spans(later(registry().with(Nothing)));
    spans(Arc::new(later(registry())));
    spans(Locked(RwLock::new(registry())));
    spans(Box::new(Locked(RwLock::new(filtered()))));
    spans(Counted(AtomicU64::new(0), registry().with(SeeClose)));
    spans(Either(None, registry()));
    spans(Unknown(Box::new(Closing)));
}
