//! Legal: instrumented tasks of a LocalSet, with guards in them that are gone before each await, under a span
//! that its driver holds.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{spawn_local, yield_now, LocalSet};
use tokio::time::sleep;
use tracing::{info_span, instrument, Instrument};

#[instrument(skip(sum))]
async fn order(number: usize, sum: Rc<Cell<usize>>) {
    for _ in 0..5 {
        {
            let _guard = info_span!("step").entered();
            sum.set(sum.get() + number);
        }
        yield_now().await;
        item(number).await;
    }
}

#[instrument]
async fn item(number: usize) {
    sleep(Duration::from_micros(100)).await;
    info_span!("slept").in_scope(|| ());
    spawn_local(yield_now().instrument(info_span!("child"))).await.unwrap();
}

async fn all(sum: &Rc<Cell<usize>>) {
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let span = info_span!("task", number);
            spawn_local(order(number, Rc::clone(sum)).instrument(span))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let one = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let sum = Rc::new(Cell::new(0));
    {
        let _guard = info_span!("driver").entered();
        LocalSet::new().block_on(&one, all(&sum));
        LocalSet::new().block_on(&many, all(&sum).instrument(info_span!("in_many")));
    }
    let set = LocalSet::new();
    set.spawn_local(order(1, Rc::clone(&sum)));
    one.block_on(set);
    println!("sum: {}", sum.get());
}
