//! A guard held across an await inside of a timeout that does not come.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::info_span;

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    for _ in 0..3 {
        sleep(Duration::from_millis(3)).await;
        info_span!("item").in_scope(|| ());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    timeout(Duration::from_secs(600), handle_order()).await.unwrap();
    println!("done");
}
