//! A guard held across an await when its task is aborted: the runtime drops it, perhaps on a thread that never
//! polled the task.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    sleep(Duration::from_secs(600)).await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let order = tokio::spawn(handle_order());
    for _ in 0..3 {
        sleep(Duration::from_millis(5)).await;
        tokio::spawn(async { info_span!("innocent").in_scope(|| ()) }).await.unwrap();
    }
    order.abort();
    assert!(order.await.unwrap_err().is_cancelled());
    println!("done");
}
