//! Legal: a look-up inside of a span that is made, entered and exited on one thread.

use std::net::ToSocketAddrs;

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let found = info_span!("look_up").in_scope(|| ("localhost", 80).to_socket_addrs());
    println!("{}", if found.is_ok() { "found" } else { "not found" });
}
