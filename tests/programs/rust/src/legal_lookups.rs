//! Legal, also where blocking look-ups are none: look-ups before there is a runtime and in threads that run none,
//! and those of tasks that leave them to tokio's blocking pool.

use std::net::ToSocketAddrs;
use std::thread;

use tokio::task::{spawn_blocking, yield_now};
use tracing::{info_span, instrument, Span};

#[instrument]
fn look_up(host: &str) -> bool {
    (host, 80).to_socket_addrs().is_ok()
}

#[instrument]
async fn fetch(number: usize) {
    yield_now().await;
    let _ = tokio::net::lookup_host(("localhost", 80)).await;
    info_span!("between").in_scope(|| ());
    let span = Span::current();
    spawn_blocking(move || span.in_scope(|| look_up("localhost"))).await.unwrap();
    thread::spawn(|| look_up("localhost")).join().unwrap();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    look_up("localhost");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..10).map(|number| runtime.spawn(fetch(number))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    println!("done");
}
