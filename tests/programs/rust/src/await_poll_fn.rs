//! A guard held across an await by a future that is a closure: `poll_fn` keeps what it captured from poll to
//! poll.

use std::future::Future;
use std::time::Duration;

use tracing::info_span;

async fn innocent() {
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let mut guard = None;
    let mut others = Box::pin(tokio::spawn(innocent()));
    std::future::poll_fn(move |context| {
        if guard.is_none() {
            guard = Some(info_span!("handle_order").entered());
        }
        let polled = others.as_mut().poll(context);
        if polled.is_ready() {
            guard.take();
        }
        polled
    })
    .await
    .unwrap();
    println!("done");
}
