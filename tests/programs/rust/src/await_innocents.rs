//! tokio-rs/tracing#3514: tasks that hold a guard across an await, and tasks that only ask for the current span
//! or hand it on. With tracing-subscriber 0.3.22 and later the innocent ones panic, as the span that the others
//! left behind on their worker has closed; who is guilty is not in the panic. A panic ends its task alone.

use tokio::task::yield_now;
use tracing::{info_span, Instrument, Span};
use tracing_subscriber::util::SubscriberInitExt;

async fn guilty() {
    for _ in 0..50 {
        let span = info_span!("guilty");
        let _guard = span.enter();
        yield_now().await;
    }
}

async fn asks() {
    for _ in 0..50 {
        let _current = Span::current();
        yield_now().await;
    }
}

async fn hands_on() {
    for _ in 0..50 {
        tokio::spawn(yield_now().in_current_span()).await.unwrap();
    }
}

#[tokio::main(worker_threads = 4)]
async fn main() {
    tracing_subscriber::registry().init();
    // Few at a time, so that workers run out of tasks and take those of others.
    for _ in 0..100 {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            tasks.push(tokio::spawn(guilty()));
            tasks.push(tokio::spawn(asks()));
            tasks.push(tokio::spawn(hands_on()));
        }
        for task in tasks {
            let _ = task.await;
        }
    }
    println!("done");
}
