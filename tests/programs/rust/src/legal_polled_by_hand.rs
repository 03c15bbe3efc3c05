//! Legal: futures that are polled by hand inside of a span: `block_on` of several executors under a guard, a loop
//! with a waker that unparks, a combinator that enters its span in `poll` as `Instrumented` does, and streams.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::stream::{Stream, StreamExt};
use tracing::{info_span, instrument, Instrument, Span};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future on this thread.
fn drive<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = Box::pin(future);
    loop {
        let span = info_span!("poll");
        let _guard = span.enter();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Polls what it holds inside of its span.
struct Spanned<F> {
    span: Span,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Spanned<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _guard = this.span.enter();
        this.future.as_mut().poll(context)
    }
}

impl<F: Stream> Stream for Spanned<F> {
    type Item = F::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Item>> {
        let this = &mut *self;
        this.span.in_scope(|| this.future.as_mut().poll_next(context))
    }
}

fn spanned<F>(span: Span, future: F) -> Spanned<F> {
    Spanned { span, future: Box::pin(future) }
}

/// A value that another thread sends later.
fn later(value: u32) -> oneshot::Receiver<u32> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(1));
        sender.send(value).unwrap();
    });
    receiver
}

#[instrument]
async fn sum(of: u32) -> u32 {
    let mut sum = 0;
    for value in 0..of {
        sum += later(value).await.unwrap();
        info_span!("added", value).in_scope(|| ());
    }
    sum
}

fn numbers() -> mpsc::UnboundedReceiver<u32> {
    let (sender, receiver) = mpsc::unbounded();
    thread::spawn(move || {
        for number in 0..10 {
            thread::sleep(Duration::from_micros(200));
            sender.unbounded_send(number).unwrap();
        }
    });
    receiver
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let _guard = info_span!("main").entered();
    println!("{}", drive(sum(5)));
    println!("{}", drive(spanned(info_span!("spanned"), sum(5))));
    println!("{}", futures::executor::block_on(sum(5).instrument(info_span!("futures"))));
    println!("{}", info_span!("smol").in_scope(|| smol::block_on(sum(5))));
    println!("{}", drive(spanned(info_span!("stream"), numbers()).map(|n| n + 1).count()));

    let mut stream = spanned(info_span!("by_item"), numbers());
    let mut total = 0;
    while let Some(number) = drive(stream.next()) {
        info_span!("item", number).in_scope(|| total += number);
    }
    println!("{total}");

    // A task of two that is polled inside of the other's span, and parks there.
    let nested = async { drive(sum(3)) + sum(3).await };
    println!("{}", drive(nested.instrument(info_span!("nested"))));
}
