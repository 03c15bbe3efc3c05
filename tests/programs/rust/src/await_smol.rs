//! A guard held across an await under smol, in a task of an executor that main drives.

use std::time::Duration;

use smol::{LocalExecutor, Task, Timer};
use tracing::info_span;

async fn handle_order(other: Task<()>) {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    other.await;
}

async fn innocent() {
    for _ in 0..3 {
        Timer::after(Duration::from_millis(2)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let executor = LocalExecutor::new();
    let order = executor.spawn(handle_order(executor.spawn(innocent())));
    smol::block_on(executor.run(order));
    println!("done");
}
