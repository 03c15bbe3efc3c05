//! Legal: async functions in which each guard is gone before the await: dropped at the end of a block, dropped
//! by name, moved into a closure that is called and into a thread, and `in_scope`.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::{info_span, Span};

async fn block_ends(number: usize) {
    for _ in 0..3 {
        let span = info_span!("block_ends", number);
        {
            let _guard = span.enter();
            info_span!("inside").in_scope(|| ());
        }
        yield_now().await;
    }
    {
        let _guard = info_span!("own_block").entered();
        info_span!("inside").in_scope(|| ());
    }
    sleep(Duration::from_millis(1)).await;
}

async fn dropped_by_name(number: usize) {
    let span = info_span!("dropped_by_name", number);
    for _ in 0..3 {
        let guard = span.enter();
        info_span!("inside").in_scope(|| ());
        drop(guard);
        yield_now().await;
    }
    let span = span.clone();
    sleep(Duration::from_millis(1)).await;
    span.in_scope(|| ());
}

fn call(work: impl FnOnce()) {
    work();
}

async fn moved_away(number: usize) {
    for _ in 0..3 {
        let span = info_span!("moved_away", number);
        let inner = span.clone();
        let guard = span.enter();
        call(move || {
            let _guard = guard;
            info_span!("inside").in_scope(|| ());
        });
        yield_now().await;
        std::thread::scope(|scope| {
            scope.spawn(|| inner.in_scope(|| info_span!("inside").in_scope(|| ())));
        });
        yield_now().await;
    }
}

async fn in_scope(number: usize) {
    let span = info_span!("in_scope", number);
    for round in 0..5 {
        let doubled = span.in_scope(|| info_span!("double").in_scope(|| round * 2));
        assert_eq!(doubled, 2 * round);
        yield_now().await;
    }
    sleep(Duration::from_millis(1)).await;
    span.in_scope(|| ());
}

async fn branches(number: usize) {
    for round in 0..4 {
        let guard = info_span!("branches", number).entered();
        if round % 2 == 0 {
            drop(guard);
            yield_now().await;
        } else {
            let span: Span = guard.exit();
            sleep(Duration::from_millis(1)).await;
            span.in_scope(|| ());
        }
    }
}

async fn all() {
    let set = tokio::task::LocalSet::new();
    for number in 0..10 {
        set.spawn_local(block_ends(number));
        set.spawn_local(dropped_by_name(number));
        set.spawn_local(moved_away(number));
        set.spawn_local(in_scope(number));
        set.spawn_local(branches(number));
    }
    set.await;
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(all());

    // The same where tasks change threads. What holds an EnteredSpan in its frame cannot be sent there.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|number| match number % 2 {
            0 => runtime.spawn(dropped_by_name(number)),
            _ => runtime.spawn(in_scope(number)),
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    println!("done");
}
