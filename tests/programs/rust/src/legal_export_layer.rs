//! Legal: a layer that traces its own export. In `on_exit` and `on_close` it makes another subscriber the
//! default and makes, enters, exits and closes spans there; their ids are those of the first one's spans.
//! Another layer silences its export with the no-op subscriber.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id};
use tracing::subscriber::{set_global_default, with_default, NoSubscriber};
use tracing::{info_span, Dispatch, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

static EXPORT_SPANS: AtomicUsize = AtomicUsize::new(0);

struct Count;

impl<S: Subscriber> Layer<S> for Count {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        EXPORT_SPANS.fetch_add(1, Ordering::SeqCst);
    }
}

struct Export {
    own: Dispatch,
}

impl Export {
    fn export(&self) {
        tracing::dispatcher::with_default(&self.own, || {
            let span = info_span!("export");
            let _entered = span.enter();
            info_span!("send").in_scope(|| ());
        });
    }
}

impl<S: Subscriber> Layer<S> for Export {
    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.export();
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.export();
    }
}

struct Silent;

impl<S: Subscriber> Layer<S> for Silent {
    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        with_default(NoSubscriber::default(), || info_span!("unseen").in_scope(|| ()));
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        with_default(NoSubscriber::default(), || info_span!("unseen").in_scope(|| ()));
    }
}

fn main() {
    let own = Dispatch::new(tracing_subscriber::registry().with(Count));
    set_global_default(tracing_subscriber::registry().with(Export { own }).with(Silent)).unwrap();
    for _ in 0..10 {
        let outer = info_span!("outer");
        let _entered = outer.enter();
        info_span!("inner").in_scope(|| ());
    }
    // Two spans in each export, an export at each exit and each close.
    println!("spans of exports: {}", EXPORT_SPANS.load(Ordering::SeqCst));
}
