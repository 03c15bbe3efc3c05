//! Legal: a program that ends by `exit` inside of an open span, while other threads and a task have theirs open:
//! no thread has ended.

use std::sync::{mpsc, Arc, Barrier};
use std::thread;
use std::time::Duration;

use tracing::{info_span, instrument, Instrument};

#[instrument(skip(ready))]
fn waits(number: usize, ready: Arc<Barrier>) {
    let (_sender, receiver) = mpsc::channel::<()>();
    ready.wait();
    receiver.recv().unwrap();
}

async fn sleeps() {
    loop {
        info_span!("tick").in_scope(|| ());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let ready = Arc::new(Barrier::new(4));
    for number in 0..2 {
        let ready = Arc::clone(&ready);
        thread::spawn(move || waits(number, ready));
    }
    let others = Arc::clone(&ready);
    thread::spawn(move || {
        let _guard = info_span!("runs").entered();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        others.wait();
        runtime.block_on(sleeps().instrument(info_span!("sleeps")));
    });
    let _guard = info_span!("main").entered();
    ready.wait();
    thread::sleep(Duration::from_millis(20));
    println!("done");
    std::process::exit(0);
}
