//! Legal: instrumented futures that are polled side by side in one task, with `join!`, `select!` and a
//! FuturesUnordered, so that their spans come and go in turn on one thread.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::{info_span, instrument, Instrument};

#[instrument]
async fn order(number: u64) -> u64 {
    for round in 0..4 {
        sleep(Duration::from_micros(100 * (1 + (number + round) % 3))).await;
        info_span!("round", round).in_scope(|| ());
        yield_now().await;
    }
    number
}

async fn side_by_side() -> u64 {
    let (first, second, third) = tokio::join!(
        order(1).instrument(info_span!("first")),
        order(2),
        async { order(3).await + order(4).await }.instrument(info_span!("third")),
    );
    let mut sum = first + second + third;

    let mut all: FuturesUnordered<_> =
        (0..10).map(|number| order(number).instrument(info_span!("unordered", number))).collect();
    while let Some(number) = all.next().await {
        info_span!("answer", number).in_scope(|| sum += number);
    }

    for _ in 0..5 {
        // The one that is not done first is polled on in the next round.
        let slow = order(5).instrument(info_span!("slow"));
        tokio::pin!(slow);
        sum += loop {
            tokio::select! {
                number = &mut slow => break number,
                _ = yield_now().instrument(info_span!("quick")) => (),
            }
        };
    }
    sum + timeout(Duration::from_secs(600), order(6)).await.unwrap()
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let one = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    println!("sum: {}", one.block_on(side_by_side()));
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..5)
        .map(|number| many.spawn(side_by_side().instrument(info_span!("task", number))))
        .collect();
    for task in tasks {
        println!("sum: {}", many.block_on(task).unwrap());
    }
}
