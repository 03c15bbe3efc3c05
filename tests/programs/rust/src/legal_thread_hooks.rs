//! Legal: guards in thread-locals that a runtime's callbacks and blocking jobs keep: a span for as long as a
//! worker lives, one for as long as it is awake, and one per job that the next on its thread replaces.

use std::cell::RefCell;
use std::time::Duration;

use tokio::runtime::Builder;
use tracing::info_span;
use tracing::span::EnteredSpan;

thread_local! {
    static WORKER: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
    static AWAKE: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
    static JOB: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
}

async fn work() {
    for number in 0..4usize {
        tokio::time::sleep(Duration::from_millis(2)).await;
        info_span!("step", number).in_scope(|| ());
    }
}

/// Jobs on one blocking thread.
async fn jobs() {
    for number in 0..4usize {
        tokio::task::spawn_blocking(move || {
            JOB.with(|job| *job.borrow_mut() = None);
            JOB.with(|job| *job.borrow_mut() = Some(info_span!("job", number).entered()));
            info_span!("inner").in_scope(|| ());
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::task::spawn_blocking(|| JOB.with(|job| *job.borrow_mut() = None)).await.unwrap();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let workers = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .on_thread_start(|| {
            WORKER.with(|span| *span.borrow_mut() = Some(info_span!("worker").entered()));
        })
        .on_thread_stop(|| WORKER.with(|span| *span.borrow_mut() = None))
        .build()
        .unwrap();
    workers.block_on(async {
        let task = tokio::spawn(work());
        jobs().await;
        task.await.unwrap();
    });
    drop(workers);

    let one = Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(|| AWAKE.with(|span| *span.borrow_mut() = Some(info_span!("awake").entered())))
        .on_thread_park(|| AWAKE.with(|span| *span.borrow_mut() = None))
        .build()
        .unwrap();
    one.block_on(work());
    AWAKE.with(|span| *span.borrow_mut() = None);
    println!("done");
}
