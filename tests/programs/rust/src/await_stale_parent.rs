//! What comes of a guard that was dropped on another worker: the worker that entered the span keeps it as the
//! current one, and gives it to later spans of other tasks as their parent; for ever with tracing-subscriber
//! 0.3.20 and earlier, until the span has closed with 0.3.22 and later.

use std::sync::{mpsc, Arc, Barrier};
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;
use tracing::info_span;

async fn handle_order(started: mpsc::Sender<ThreadId>, paid: oneshot::Receiver<()>) -> ThreadId {
    let span = info_span!("handle_order");
    let last = {
        let _guard = span.enter();
        started.send(thread::current().id()).unwrap();
        paid.await.unwrap();
        thread::current().id()
    };
    // The span lives on, as it does in a request that has more to do.
    tokio::task::yield_now().await;
    std::mem::forget(span);
    last
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (sender, started) = mpsc::channel();
    let (pay, paid) = oneshot::channel();
    let order = runtime.spawn(handle_order(sender, paid));
    let home = started.recv().unwrap();
    // A runtime does not promise to wake its second worker while the first one is blocked.
    let handle = runtime.handle().clone();
    thread::spawn(move || loop {
        handle.spawn(async {});
        thread::sleep(std::time::Duration::from_millis(5));
    });

    // A task for each of the two workers; the one at home stays until the guard is gone, and works on.
    let both_busy = Arc::new(Barrier::new(3));
    let dropped = Arc::new(Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (both_busy, dropped) = (Arc::clone(&both_busy), Arc::clone(&dropped));
            runtime.spawn(async move {
                both_busy.wait();
                if thread::current().id() == home {
                    dropped.wait();
                    for _ in 0..10 {
                        info_span!("innocent").in_scope(|| ());
                    }
                }
            })
        })
        .collect();
    both_busy.wait();
    pay.send(()).unwrap();
    let last = runtime.block_on(order).unwrap();
    assert_ne!(last, home, "dropped at home");
    dropped.wait();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    println!("done");
}
