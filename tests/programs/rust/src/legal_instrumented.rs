//! Legal: async code that is instrumented as it should be, on a runtime of many threads with one subscriber:
//! tasks that change threads between polls, are cancelled, and are dropped on a thread that never polled them.

use std::thread;
use std::time::Duration;

use tokio::task::{block_in_place, spawn_blocking, yield_now, LocalSet};
use tokio::time::{sleep, timeout};
use tracing::{info_span, instrument, Instrument, Span};

#[instrument]
async fn order(number: usize) -> usize {
    for _ in 0..5 {
        yield_now().await;
        item(number).await;
    }
    number
}

#[instrument(skip_all)]
async fn item(number: usize) {
    info_span!("sync", number).in_scope(|| ());
    sleep(Duration::from_micros(100)).await;
}

async fn endless() {
    loop {
        item(0).await;
    }
}

async fn run() {
    let tasks: Vec<_> = (0..50).map(|number| tokio::spawn(order(number))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    println!("orders: {sum}");

    let tasks: Vec<_> =
        (0..20).map(|_| tokio::spawn(endless().instrument(info_span!("aborted")))).collect();
    sleep(Duration::from_millis(5)).await;
    for task in tasks {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    // Polled here, dropped on a thread that is none of the runtime's.
    let mut future = Box::pin(endless().instrument(info_span!("dropped_elsewhere")));
    assert!(timeout(Duration::from_millis(2), &mut future).await.is_err());
    thread::spawn(move || drop(future)).join().unwrap();

    tokio::select! {
        _ = endless().instrument(info_span!("loser")) => unreachable!(),
        _ = order(1).instrument(info_span!("winner")) => (),
    }

    async {
        let span = Span::current();
        spawn_blocking(move || span.in_scope(|| info_span!("blocking").in_scope(|| ())))
            .await
            .unwrap();
        block_in_place(|| info_span!("in_place").in_scope(|| ()));
    }
    .instrument(info_span!("blocks"))
    .await;
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async { tokio::spawn(run()).await.unwrap() });
    runtime.block_on(LocalSet::new().run_until(order(2).instrument(info_span!("local"))));

    let handle = runtime.handle().clone();
    thread::spawn(move || handle.block_on(order(3).instrument(info_span!("from_outside"))))
        .join()
        .unwrap();
    info_span!("around_the_runtime").in_scope(|| runtime.block_on(async { order(4).await }));
    drop(runtime);
    println!("done");
}
