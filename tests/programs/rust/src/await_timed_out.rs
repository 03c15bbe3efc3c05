//! A guard held across an await when its future is cancelled by a timeout: it is dropped by whoever drops the
//! future, and the function that entered the span is never called again.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    sleep(Duration::from_secs(600)).await;
}

async fn innocent() {
    for _ in 0..3 {
        sleep(Duration::from_millis(3)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let other = tokio::spawn(innocent());
    timeout(Duration::from_millis(15), handle_order()).await.unwrap_err();
    other.await.unwrap();
    println!("done");
}
