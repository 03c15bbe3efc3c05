//! Legal: an axum server on several workers with instrumented handlers, under concurrent requests, with a layer
//! that keeps the state of each span: how long it was busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::Uri;
use axum::routing::get;
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::span::{Attributes, Id};
use tracing::{info_span, instrument, Instrument, Level, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

static BUSY_SPANS: AtomicU64 = AtomicU64::new(0);

/// A span may be open on two threads at once: here, in a handler and in what it has computed elsewhere.
struct Timing {
    open: u32,
    since: Instant,
    busy: Duration,
}

struct TimingLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TimingLayer {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let timing = Timing { open: 0, since: Instant::now(), busy: Duration::ZERO };
        context.span(id).unwrap().extensions_mut().insert(timing);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        let timing = extensions.get_mut::<Timing>().unwrap();
        if timing.open == 0 {
            timing.since = Instant::now();
        }
        timing.open += 1;
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        let timing = extensions.get_mut::<Timing>().unwrap();
        timing.open -= 1;
        if timing.open == 0 {
            timing.busy += timing.since.elapsed();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.extensions().get::<Timing>().unwrap().busy > Duration::ZERO {
            BUSY_SPANS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[instrument]
async fn handle_order(uri: Uri) -> String {
    let number: u64 = uri.path()[1..].parse().unwrap();
    for _ in 0..3 {
        sleep(Duration::from_millis(1)).await;
        info_span!("item").in_scope(|| ());
    }
    let span = Span::current();
    let price = spawn_blocking(move || span.in_scope(|| price(number))).await.unwrap();
    tokio::spawn(sleep(Duration::from_millis(1)).instrument(info_span!("audit"))).await.unwrap();
    price.to_string()
}

#[instrument]
fn price(number: u64) -> u64 {
    std::thread::sleep(Duration::from_micros(100));
    number * 3
}

#[instrument]
async fn handle_slow() -> &'static str {
    match timeout(Duration::from_millis(3), never()).await {
        Ok(()) => "done",
        Err(_) => "too slow",
    }
}

#[instrument]
async fn never() {
    loop {
        sleep(Duration::from_millis(1)).await;
    }
}

/// The answer's body.
#[instrument]
async fn fetch(address: std::net::SocketAddr, path: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split("\r\n\r\n").nth(1).unwrap().to_string()
}

#[tokio::main(worker_threads = 3)]
async fn main() {
    let subscriber = tracing_subscriber::registry()
        .with(tracing_subscriber::filter::LevelFilter::from_level(Level::TRACE))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::sink))
        .with(TimingLayer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let router = Router::new().route("/slow", get(handle_slow)).fallback(handle_order);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(
        async { axum::serve(listener, router).await }.instrument(info_span!("server")),
    );

    for round in 0..4u64 {
        let requests: Vec<_> = (0..16u64)
            .map(|number| {
                let path = match number % 4 {
                    0 => "/slow".to_string(),
                    _ => format!("/{number}"),
                };
                tokio::spawn(fetch(address, path).instrument(info_span!("client", round)))
            })
            .collect();
        for (number, request) in requests.into_iter().enumerate() {
            let want = if number % 4 == 0 { "too slow".into() } else { (3 * number).to_string() };
            assert_eq!(request.await.unwrap(), want);
        }
    }
    // Clients that go away before they are answered.
    for _ in 0..5 {
        let _ = timeout(Duration::from_micros(500), fetch(address, "/slow".into())).await;
    }
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    assert!(BUSY_SPANS.load(Ordering::SeqCst) > 0);
    println!("done");
}
