//! Guards held across an await in futures that several threads drive themselves, with `block_on` of the one
//! runtime that all share. No span is made or entered under them on their threads.

use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use tokio::time::sleep;
use tracing::info_span;

fn handle_order(number: usize) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let span = info_span!("handle_order", number);
        let _guard = span.enter();
        sleep(Duration::from_millis(10)).await;
    })
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    thread::scope(|scope| {
        for number in 0..4 {
            let handle = runtime.handle();
            scope.spawn(move || handle.block_on(handle_order(number)));
        }
    });
    println!("done");
}
