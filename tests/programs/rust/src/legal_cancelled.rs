//! Legal: instrumented futures that are cancelled in each way there is: by a timeout, by `select!`, by `abort`,
//! by dropping a JoinSet and a runtime; dropped at home, on other workers and on threads that never polled them.

use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::{yield_now, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info_span, instrument, Instrument};

const SHORT: Duration = Duration::from_millis(2);

/// Makes a span when it is dropped, within the span of its future.
struct Traced;

impl Drop for Traced {
    fn drop(&mut self) {
        info_span!("cleanup").in_scope(|| ());
    }
}

#[instrument]
async fn endless(number: usize) {
    let _traced = Traced;
    loop {
        info_span!("sync").in_scope(|| ());
        sleep(Duration::from_micros(200)).await;
        busy().await;
    }
}

#[instrument]
async fn busy() {
    for _ in 0..3 {
        yield_now().await;
    }
}

async fn timeouts() {
    for number in 0..5 {
        timeout(SHORT, endless(number)).await.unwrap_err();
        timeout(SHORT, endless(number).instrument(info_span!("timed"))).await.unwrap_err();
    }
}

async fn selects() {
    for number in 0..5 {
        tokio::select! {
            _ = endless(number).instrument(info_span!("first")) => unreachable!(),
            _ = endless(number) => unreachable!(),
            _ = sleep(SHORT).instrument(info_span!("winner")) => (),
        }
    }
}

async fn aborts() {
    let tasks: Vec<_> = (0..20)
        .map(|number| tokio::spawn(endless(number).instrument(info_span!("aborted"))))
        .collect();
    sleep(SHORT).await;
    for task in tasks {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    let mut set = JoinSet::new();
    for number in 0..20 {
        set.spawn(endless(number));
    }
    sleep(SHORT).await;
    drop(set);
}

async fn dropped_elsewhere() {
    for number in 0..5 {
        let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(endless(number));
        timeout(SHORT, &mut future).await.unwrap_err();
        thread::spawn(move || drop(future)).join().unwrap();
    }
}

async fn all() {
    tokio::join!(timeouts(), selects(), aborts(), dropped_elsewhere());
}

fn run(runtime: Runtime) {
    runtime.block_on(async { tokio::spawn(all()).await.unwrap() });
    runtime.block_on(all());
    // What still runs ends with the runtime.
    for number in 0..10 {
        runtime.spawn(endless(number).instrument(info_span!("left_behind")));
    }
    runtime.block_on(async { sleep(SHORT).await });
    thread::spawn(move || drop(runtime)).join().unwrap();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    run(tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
    let mut many = tokio::runtime::Builder::new_multi_thread();
    run(many.worker_threads(3).enable_time().build().unwrap());
    println!("done");
}
