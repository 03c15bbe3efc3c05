//! Legal: tasks that ask for the current span, hand it on and clone it, on workers that run many of them, when
//! everybody enters and leaves as they should.

use std::thread;

use tokio::task::{spawn_blocking, yield_now};
use tracing::{info_span, instrument, Instrument, Span};

#[instrument]
async fn order(number: usize) {
    let current = Span::current();
    for _ in 0..10 {
        assert_eq!(Span::current().id(), current.id());
        tokio::spawn(child(current.clone()).in_current_span()).await.unwrap();
        let span = Span::current();
        spawn_blocking(move || span.in_scope(|| info_span!("blocking").in_scope(Span::current)))
            .await
            .unwrap();
        yield_now().await;
    }
}

async fn child(parent: Span) {
    assert_eq!(Span::current().id(), parent.id());
    let span = info_span!(parent: &parent, "child");
    yield_now().await;
    span.in_scope(|| assert_eq!(Span::current().id(), span.id()));
    drop(span);
    yield_now().await;
    let current = Span::current();
    thread::spawn(move || current.in_scope(|| ())).join().unwrap();
}

async fn outside() {
    for _ in 0..100 {
        assert!(Span::current().id().is_none());
        yield_now().await;
    }
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let mut tasks = Vec::new();
    for number in 0..20 {
        tasks.push(tokio::spawn(order(number).instrument(info_span!("task", number))));
        tasks.push(tokio::spawn(outside()));
    }
    for task in tasks {
        task.await.unwrap();
    }
    println!("done");
}
