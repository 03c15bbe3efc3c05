//! Legal: instrumented tasks under smol: its global executor, a LocalExecutor, and an Executor that several
//! threads run under guards of their own.

use std::time::Duration;

use futures::channel::oneshot;
use smol::{Executor, LocalExecutor, Timer};
use tracing::{info_span, instrument, Instrument};

#[instrument]
async fn order(number: u64) -> u64 {
    for round in 0..5 {
        info_span!("round", round).in_scope(|| ());
        smol::future::yield_now().await;
        Timer::after(Duration::from_micros(200)).await;
        smol::unblock(move || info_span!("unblocked", round).in_scope(|| ())).await;
    }
    number
}

async fn sum(tasks: Vec<smol::Task<u64>>) -> u64 {
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let tasks = (0..20)
        .map(|number| smol::spawn(order(number).instrument(info_span!("spawned", number))))
        .collect();
    println!("{}", info_span!("around").in_scope(|| smol::block_on(sum(tasks))));

    let local = LocalExecutor::new();
    let tasks = (0..20).map(|number| local.spawn(order(number))).collect();
    println!("{}", smol::block_on(local.run(sum(tasks).instrument(info_span!("local")))));

    let executor = Executor::new();
    let tasks = (0..40).map(|number| executor.spawn(order(number))).collect();
    let cancelled: Vec<_> = (0..10)
        .map(|number| {
            let endless = async move {
                loop {
                    order(number).await;
                }
            };
            executor.spawn(endless.instrument(info_span!("cancelled", number)))
        })
        .collect();
    std::thread::scope(|scope| {
        let mut stops = Vec::new();
        for number in 0..4 {
            let (stop, stopped) = oneshot::channel::<()>();
            stops.push(stop);
            let executor = &executor;
            scope.spawn(move || {
                let _guard = info_span!("runner", number).entered();
                smol::block_on(executor.run(stopped)).unwrap_err();
            });
        }
        println!("{}", smol::block_on(sum(tasks)));
        drop(cancelled);
        drop(stops);
    });
}
