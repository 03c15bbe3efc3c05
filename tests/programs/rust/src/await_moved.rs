//! A guard held across an await, once, and dropped on another worker than the one that entered the span: that
//! one is kept busy when the task can go on.

use std::sync::{mpsc, Arc, Barrier};
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;
use tracing::info_span;

async fn handle_order(started: mpsc::Sender<ThreadId>, paid: oneshot::Receiver<()>) -> ThreadId {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    started.send(thread::current().id()).unwrap();
    paid.await.unwrap();
    thread::current().id()
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

    // A task for each of the two workers; the one at home stays.
    let both_busy = Arc::new(Barrier::new(3));
    let dropped = Arc::new(Barrier::new(2));
    for _ in 0..2 {
        let (both_busy, dropped) = (Arc::clone(&both_busy), Arc::clone(&dropped));
        runtime.spawn(async move {
            both_busy.wait();
            if thread::current().id() == home {
                info_span!("innocent").in_scope(|| dropped.wait());
            }
        });
    }
    both_busy.wait();
    pay.send(()).unwrap();
    let last = runtime.block_on(order).unwrap();
    assert_ne!(last, home, "dropped at home");
    dropped.wait();
    println!("done");
}
