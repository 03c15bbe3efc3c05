//! Legal: panics that pass entered spans and are caught, here, on a thread, and in tasks. The guards are
//! dropped on the way, on the thread that took them.

use std::panic::catch_unwind;
use std::thread;

use tracing::{info_span, instrument, Instrument};

#[instrument]
fn fails(depth: usize) {
    if depth == 0 {
        panic!("on purpose");
    }
    let span = info_span!("deeper");
    let _entered = span.enter();
    fails(depth - 1);
}

fn main() {
    std::panic::set_hook(Box::new(|_| ()));
    tracing_subscriber::fmt().with_writer(std::io::sink).init();

    let mut caught = 0;
    let outer = info_span!("outer");
    let _entered = outer.enter();
    for depth in 0..10 {
        caught += usize::from(catch_unwind(|| fails(depth)).is_err());
    }
    caught += usize::from(thread::spawn(|| fails(3)).join().is_err());

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    caught += runtime.block_on(async {
        let blocking = tokio::task::spawn_blocking(|| fails(3)).await;
        let task = tokio::spawn(async { fails(3) }.instrument(info_span!("task"))).await;
        usize::from(blocking.is_err()) + usize::from(task.is_err())
    });
    println!("caught {caught} panics");
}
