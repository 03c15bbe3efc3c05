//! A guard held across an await, once in the program's life, on a runtime of one thread: while its task sleeps
//! the span stays open on main, and what another task makes there becomes its child.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::info_span;

async fn handle_order(other: JoinHandle<()>) {
    let span = info_span!("handle_order");
    let _guard = span.enter();
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
    handle_order(other).await;
    println!("done");
}
