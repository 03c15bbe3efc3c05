//! A guard held across an await in a future that nothing boxes and that is polled in one place: an optimized
//! build puts all of it into the loop that polls and parks, so that no function returns while the guard is held.
//! Then it looks the same as a loop that receives inside of a span.

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
    runtime.block_on(handle_order());
    println!("done");
}
