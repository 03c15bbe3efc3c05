//! Legal: closures for `spawn_blocking` and `block_in_place` that block inside of a span, and that run another
//! future there with `Handle::block_on`.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::sleep;
use tracing::{info_span, instrument, Instrument, Span};

const SHORT: Duration = Duration::from_micros(500);

/// Blocks several times.
#[instrument]
fn block(number: usize) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        for _ in 0..5 {
            thread::sleep(SHORT);
            sender.send(()).unwrap();
        }
    });
    for () in receiver {
        info_span!("received").in_scope(|| ());
    }
    thread.join().unwrap();
}

#[instrument]
async fn inner(number: usize) {
    for _ in 0..4 {
        sleep(SHORT).await;
        info_span!("slept").in_scope(|| ());
    }
}

#[instrument]
async fn in_pool(number: usize) {
    let span = Span::current();
    spawn_blocking(move || {
        let _guard = span.enter();
        block(number);
        Handle::current().block_on(inner(number));
        let _second = info_span!("second").entered();
        Handle::current().block_on(inner(number).in_current_span());
    })
    .await
    .unwrap();
}

#[instrument]
async fn in_place(number: usize) {
    block_in_place(|| {
        let _guard = info_span!("in_place", number).entered();
        block(number);
        Handle::current().block_on(inner(number));
    });
    sleep(SHORT).await;
    let result = block_in_place(|| {
        info_span!("scope").in_scope(|| {
            Handle::current().block_on(async {
                tokio::spawn(inner(number).in_current_span()).await.unwrap();
                number
            })
        })
    });
    assert_eq!(result, number);
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..12)
            .map(|number| match number % 2 {
                0 => tokio::spawn(in_pool(number)),
                _ => tokio::spawn(in_place(number)),
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    println!("done");
}
