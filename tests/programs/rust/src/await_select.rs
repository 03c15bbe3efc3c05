//! A guard held across a `select!`, which waits for the first of two others.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info_span;

async fn answer() -> &'static str {
    for _ in 0..3 {
        sleep(Duration::from_millis(3)).await;
        info_span!("innocent").in_scope(|| ());
    }
    "answered"
}

async fn handle_order() -> &'static str {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    tokio::select! {
        result = answer() => result,
        _ = sleep(Duration::from_secs(600)) => "too late",
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    println!("{}", handle_order().await);
}
