//! Legal: an async function that calls itself hands its guard to the activation that called it, which blocks
//! its thread meanwhile. No task is suspended while the span is open.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::info_span;
use tracing::span::EnteredSpan;

fn wait() {
    let (sender, told) = mpsc::channel();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(3));
        sender.send(()).unwrap();
    });
    told.recv().unwrap();
}

fn open(depth: usize) -> Pin<Box<dyn Future<Output = EnteredSpan>>> {
    Box::pin(async move {
        if depth == 0 {
            return info_span!("work").entered();
        }
        let guard = open(depth - 1).await;
        wait();
        info_span!("inner").in_scope(|| ());
        if depth < 2 {
            return guard;
        }
        drop(guard);
        info_span!("rest").entered()
    })
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let guard = open(2).await;
        drop(guard);
    });
    println!("done");
}
