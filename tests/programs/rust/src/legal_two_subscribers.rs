//! Legal: two subscribers that have nothing to do with each other and give the same ids. Their spans are open
//! at the same time on one thread, and each is exited and closed where its own subscriber is the default.

use std::thread;

use tokio::task::yield_now;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::{set_default, with_default};
use tracing::{info_span, Dispatch, Instrument, Subscriber};

fn subscriber() -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_writer(std::io::sink).finish()
}

fn nested() {
    let (one, two) = (Dispatch::new(subscriber()), Dispatch::new(subscriber()));
    tracing::dispatcher::with_default(&one, || {
        let first = info_span!("of_one");
        let _first = first.enter();
        tracing::dispatcher::with_default(&two, || {
            let second = info_span!("of_two");
            assert_eq!(first.id(), second.id());
            let _second = second.enter();
            tracing::dispatcher::with_default(&one, || info_span!("of_one_again").in_scope(|| ()));
        });
    });
}

async fn own_spans() {
    for _ in 0..5 {
        async { yield_now().await }.instrument(info_span!("own")).await;
        info_span!("sync").in_scope(|| ());
    }
}

fn main() {
    for _ in 0..10 {
        nested();
    }
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                let _default = set_default(subscriber());
                info_span!("of_this_thread").in_scope(nested);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> =
            (0..10).map(|_| tokio::spawn(own_spans().with_subscriber(subscriber()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    with_default(subscriber(), || runtime.block_on(own_spans()));
    println!("done");
}
