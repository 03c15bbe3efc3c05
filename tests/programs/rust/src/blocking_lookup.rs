//! A look-up of a host's name that blocks the thread which runs the event loop, inside of a span.

use std::net::ToSocketAddrs;

use tokio::task::yield_now;
use tracing::{info_span, Instrument};

async fn fetch() -> bool {
    yield_now().await;
    "localhost:80".to_socket_addrs().is_ok()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let found = fetch().instrument(info_span!("fetch")).await;
    println!("{}", if found { "found" } else { "not found" });
}
