//! Legal: layers that keep state of each span: in its extensions (how long it was busy and idle), and in maps of
//! their own; they look parents up in each callback and see the same as the program: nothing is left at the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::span::{Attributes, Id, Record};
use tracing::{field, info_span, instrument, Instrument, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

struct Timing {
    since: Instant,
    busy: Duration,
    idle: Duration,
}

#[derive(Default)]
struct Seen {
    closed: AtomicU64,
    recorded: AtomicU64,
}

struct TimingLayer(Arc<Seen>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TimingLayer {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let timing = Timing { since: Instant::now(), busy: Duration::ZERO, idle: Duration::ZERO };
        context.span(id).unwrap().extensions_mut().insert(timing);
    }

    fn on_record(&self, id: &Id, _: &Record<'_>, context: Context<'_, S>) {
        assert!(context.span(id).unwrap().extensions().get::<Timing>().is_some());
        self.0.recorded.fetch_add(1, Ordering::Relaxed);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        let timing = extensions.get_mut::<Timing>().unwrap();
        timing.idle += timing.since.elapsed();
        timing.since = Instant::now();
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        let timing = extensions.get_mut::<Timing>().unwrap();
        timing.busy += timing.since.elapsed();
        timing.since = Instant::now();
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let timing = context.span(&id).unwrap().extensions_mut().remove::<Timing>().unwrap();
        assert!(timing.busy + timing.idle < Duration::from_secs(600));
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The open spans by id, with their names from the root on.
#[derive(Clone, Default)]
struct MapLayer(Arc<Mutex<HashMap<Id, Vec<&'static str>>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for MapLayer {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let scope = context.span_scope(id).unwrap().from_root();
        self.0.lock().unwrap().insert(id.clone(), scope.map(|span| span.name()).collect());
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.0.lock().unwrap().remove(&id).unwrap();
    }
}

#[instrument(fields(total))]
async fn order(number: u64) {
    for item in 0..5u64 {
        info_span!("item", item).in_scope(|| ());
        sleep(Duration::from_micros(200)).await;
    }
    Span::current().record("total", 5 * number);
}

fn main() {
    let (seen, map) = (Arc::new(Seen::default()), MapLayer::default());
    let subscriber = tracing_subscriber::registry()
        .with(TimingLayer(Arc::clone(&seen)))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink))
        .with(map.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let span = info_span!("task", number, late = field::Empty);
            span.record("late", number % 2 == 0);
            runtime.spawn(order(number).instrument(span))
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    drop(runtime);
    let (closed, recorded) = (&seen.closed, &seen.recorded);
    println!("closed: {}", closed.load(Ordering::SeqCst));
    println!("recorded: {}", recorded.load(Ordering::SeqCst));
    println!("left: {}", map.0.lock().unwrap().len());
}
