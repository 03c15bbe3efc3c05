//! Legal: main and other threads hold a span around a runtime that they run: the function that entered it is
//! alive through all parks of the runtime.

use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;
use tracing::{info_span, instrument};

async fn work() {
    let task = tokio::spawn(async {
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
            info_span!("task").in_scope(|| ());
        }
    });
    for _ in 0..5 {
        sleep(Duration::from_millis(1)).await;
        info_span!("work").in_scope(|| ());
    }
    task.await.unwrap();
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[instrument(skip_all)]
fn serve(runtime: Runtime) {
    runtime.block_on(work());
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("main");
    let _guard = span.enter();
    one_thread().block_on(work());
    many_threads().block_on(work());

    let _second = info_span!("second").entered();
    serve(one_thread());
    serve(many_threads());

    // A runtime per thread, a span around each.
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                let _guard = info_span!("thread", number).entered();
                one_thread().block_on(work());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }

    // One runtime, driven by several threads.
    let runtime = many_threads();
    thread::scope(|scope| {
        for number in 0..4 {
            let handle = runtime.handle();
            scope.spawn(move || {
                info_span!("outside", number).in_scope(|| handle.block_on(work()));
            });
        }
    });
    println!("done");
}
