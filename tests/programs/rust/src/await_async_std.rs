//! A guard held across an await in a task of async-std, whose workers are many threads.

use std::time::Duration;

use async_std::task;
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    for _ in 0..3 {
        task::sleep(Duration::from_millis(3)).await;
        info_span!("item").in_scope(|| ());
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    task::block_on(task::spawn(handle_order()));
    println!("done");
}
