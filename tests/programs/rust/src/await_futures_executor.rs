//! A guard held across an await under the executor of the crate `futures`, which parks its thread between polls
//! and has no event loop.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use tracing::info_span;

async fn handle_order(paid: oneshot::Receiver<u32>) -> u32 {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    paid.await.unwrap()
}

async fn innocent(first: oneshot::Receiver<()>, pay: mpsc::Sender<()>) {
    first.await.unwrap();
    info_span!("innocent").in_scope(|| ());
    pay.send(()).unwrap();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (pay, paid) = oneshot::channel();
    let (begin, first) = oneshot::channel();
    let (sender, told) = mpsc::channel();
    let payer = thread::spawn(move || {
        // Long enough for main to park.
        thread::sleep(Duration::from_millis(50));
        begin.send(()).unwrap();
        told.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
        pay.send(100).unwrap();
    });
    let (amount, ()) = futures::executor::block_on(async {
        futures::future::join(handle_order(paid), innocent(first, sender)).await
    });
    payer.join().unwrap();
    println!("paid: {amount}");
}
