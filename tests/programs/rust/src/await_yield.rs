//! A guard held across `yield_now`, which sleeps nowhere: the runtime only looks for events between two polls.

use tokio::task::yield_now;
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    for _ in 0..10 {
        yield_now().await;
    }
}

async fn innocent() {
    for _ in 0..10 {
        info_span!("innocent").in_scope(|| ());
        yield_now().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let guilty = tokio::spawn(handle_order());
    let other = tokio::spawn(innocent());
    guilty.await.unwrap();
    other.await.unwrap();
    println!("done");
}
