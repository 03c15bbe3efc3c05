//! Legal: instrumented tasks under async-std, whose workers are many threads: spawned, awaited, cancelled, timed
//! out, and blocking ones.

use std::time::Duration;

use async_std::{future, task};
use tracing::{info_span, instrument, Instrument, Span};

#[instrument]
async fn order(number: u64) -> u64 {
    for round in 0..5 {
        info_span!("round", round).in_scope(|| ());
        task::yield_now().await;
        task::sleep(Duration::from_micros(200)).await;
        item(number).await;
    }
    number
}

#[instrument]
async fn item(number: u64) {
    task::sleep(Duration::from_micros(100)).await;
}

#[instrument]
async fn endless() {
    loop {
        order(0).await;
    }
}

async fn all() -> u64 {
    let tasks: Vec<_> = (0..30)
        .map(|number| task::spawn(order(number).instrument(info_span!("task", number))))
        .collect();
    let cancelled: Vec<_> = (0..10).map(|_| task::spawn(endless())).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    for task in cancelled {
        assert!(task.cancel().await.is_none());
    }
    for _ in 0..3 {
        future::timeout(Duration::from_millis(2), endless()).await.unwrap_err();
    }
    sum
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let _guard = info_span!("main").entered();
    println!("{}", task::block_on(all().instrument(info_span!("all"))));
    let span = Span::current();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let span = span.clone();
            std::thread::spawn(move || span.in_scope(|| task::block_on(order(number))))
        })
        .collect();
    for thread in threads {
        println!("{}", thread.join().unwrap());
    }
}
