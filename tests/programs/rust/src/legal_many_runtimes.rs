//! Legal: a runtime of one thread in each of many threads, one after the other and at the same time; tasks that
//! one hands to another over a channel, with their spans.

use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::{info_span, instrument, Instrument, Span};

#[instrument]
async fn work(core: usize) {
    for _ in 0..5 {
        yield_now().await;
        info_span!("step").in_scope(|| ());
        sleep(Duration::from_micros(200)).await;
    }
}

fn run(core: usize, next: mpsc::UnboundedSender<Span>, mut jobs: mpsc::UnboundedReceiver<Span>) {
    let _guard = info_span!("core", core).entered();
    for round in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(
            async {
                let task = tokio::spawn(work(core).instrument(info_span!("task", core)));
                let _ = next.send(info_span!("handed_on", from = core));
                let span = jobs.recv().await.unwrap();
                work(core).instrument(span).await;
                task.await.unwrap();
            }
            .instrument(info_span!("round", round)),
        );
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (mut senders, receivers): (Vec<_>, Vec<_>) =
        (0..8).map(|_| mpsc::unbounded_channel()).unzip();
    senders.rotate_left(1);
    let threads: Vec<_> = senders
        .into_iter()
        .zip(receivers)
        .enumerate()
        .map(|(core, (next, jobs))| thread::spawn(move || run(core, next, jobs)))
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
