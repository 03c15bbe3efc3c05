//! A guard held across an await, once, on a runtime of many threads that has one worker: it is dropped on the
//! thread that took it. No other span is made meanwhile.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    sleep(Duration::from_millis(10)).await;
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(handle_order()).await.unwrap() });
    println!("done");
}
