//! A guard held across an await by one of the futures that `join!` polls in one task: those beside it get its
//! span as their parent.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::info_span;

async fn handle_order(paid: oneshot::Receiver<u32>) -> u32 {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    paid.await.unwrap()
}

async fn innocent(pay: oneshot::Sender<u32>) {
    for _ in 0..3 {
        sleep(Duration::from_millis(2)).await;
        info_span!("innocent").in_scope(|| ());
    }
    pay.send(100).unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (pay, paid) = oneshot::channel();
    let (amount, ()) = tokio::join!(handle_order(paid), innocent(pay));
    println!("paid: {amount}");
}
