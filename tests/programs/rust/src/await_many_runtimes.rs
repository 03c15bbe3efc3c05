//! A runtime of one thread in each of several threads, as thread-per-core servers have them; in one of them a
//! task holds a guard across an await.

use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{info_span, Instrument};

async fn handle_order(core: usize, payment: JoinHandle<()>) {
    let span = info_span!("handle_order", core);
    let _guard = span.enter();
    payment.await.unwrap();
}

async fn handle_payment(core: usize) {
    for _ in 0..4 {
        sleep(Duration::from_millis(2)).await;
        info_span!("item", core).in_scope(|| ());
    }
}

fn core(core: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let payment = tokio::spawn(handle_payment(core).instrument(info_span!("payment", core)));
        if core == 2 {
            tokio::spawn(handle_order(core, payment)).await.unwrap();
        } else {
            payment.await.unwrap();
        }
    });
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let threads: Vec<_> = (0..4).map(|number| thread::spawn(move || core(number))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
