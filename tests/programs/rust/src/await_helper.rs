//! A guard that a function made for its caller, which is legal, and that its caller, an async function, holds
//! across an await, which is not.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::info_span;
use tracing::span::EnteredSpan;

#[inline(never)]
fn begin(order: u32) -> EnteredSpan {
    info_span!("handle_order", order).entered()
}

async fn handle_order(order: u32, other: JoinHandle<()>) {
    let _guard = begin(order);
    other.await.unwrap();
}

async fn innocent() {
    for _ in 0..3 {
        sleep(Duration::from_millis(2)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let other = tokio::spawn(innocent());
    handle_order(1, other).await;
    println!("done");
}
