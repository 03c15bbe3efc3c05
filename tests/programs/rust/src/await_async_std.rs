//! A guard held across an await in a task of async-std, whose workers are many threads. Another task's
//! spans go under it: where there is one worker, they alone tell, as it sleeps by raw system calls.

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

async fn innocent() {
    loop {
        task::sleep(Duration::from_millis(1)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    task::spawn(innocent());
    task::block_on(task::spawn(handle_order()));
    println!("done");
}
