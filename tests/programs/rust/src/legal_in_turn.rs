//! Legal, also where a span that is open on two threads at once is none: threads and tasks that share a span and
//! enter it in turn.

use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tracing::{info_span, Instrument};

async fn in_tasks() {
    let span = info_span!("tasks");
    let turn = Arc::new(Semaphore::new(1));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (span, turn) = (span.clone(), Arc::clone(&turn));
            tokio::spawn(async move {
                for _ in 0..20 {
                    let _permit = turn.acquire().await.unwrap();
                    span.in_scope(|| info_span!("inside").in_scope(|| ()));
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }

    // One future, on whatever worker it is.
    let span = info_span!("changes_threads");
    for _ in 0..8 {
        let step = async {
            for _ in 0..20 {
                yield_now().await;
            }
        };
        tokio::spawn(step.instrument(span.clone())).await.unwrap();
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = Arc::new(Mutex::new(info_span!("threads")));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let span = Arc::clone(&span);
            thread::spawn(move || {
                for _ in 0..50 {
                    let span = span.lock().unwrap();
                    let _guard = span.enter();
                    span.in_scope(|| info_span!("inside").in_scope(|| ()));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    runtime.block_on(in_tasks());
    println!("done");
}
