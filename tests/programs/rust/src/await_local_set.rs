//! A guard that cannot change threads, held across an await in a task of a LocalSet: `EnteredSpan` is not Send,
//! and yet the spans of the set's other tasks go under it.

use std::time::Duration;

use tokio::task::{spawn_local, JoinHandle, LocalSet};
use tokio::time::sleep;
use tracing::info_span;

async fn handle_order(other: JoinHandle<()>) {
    let _guard = info_span!("handle_order").entered();
    other.await.unwrap();
}

async fn innocent() {
    for _ in 0..3 {
        sleep(Duration::from_millis(2)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let other = spawn_local(innocent());
        spawn_local(handle_order(other)).await.unwrap();
    });
    println!("done");
}
