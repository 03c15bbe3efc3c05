//! A guard held across an await under the executor of the crate `futures`, which parks its thread between polls
//! and has no event loop.

use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use tracing::info_span;

async fn handle_order(paid: oneshot::Receiver<u32>) -> u32 {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    paid.await.unwrap()
}

async fn innocent(paid: oneshot::Receiver<u32>) {
    paid.await.unwrap();
    info_span!("innocent").in_scope(|| ());
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (pay, paid) = oneshot::channel();
    let (pay_first, first_paid) = oneshot::channel();
    let payer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        pay_first.send(1).unwrap();
        thread::sleep(Duration::from_millis(5));
        pay.send(100).unwrap();
    });
    let (amount, ()) = futures::executor::block_on(async {
        futures::future::join(handle_order(paid), innocent(first_paid)).await
    });
    payer.join().unwrap();
    println!("paid: {amount}");
}
