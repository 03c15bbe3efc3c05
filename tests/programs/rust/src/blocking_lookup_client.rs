//! A client that looks its server up with std in a task, outside of all spans, on a worker of its runtime.

use std::net::{SocketAddr, ToSocketAddrs};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, Duration};
use tracing::info_span;

async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = info_span!("connection").in_scope(|| b"hello");
        stream.write_all(answer).await.unwrap();
    }
}

async fn fetch(port: u16) -> usize {
    sleep(Duration::from_millis(5)).await;
    let addresses = ("localhost", port).to_socket_addrs();
    let found = addresses.ok().and_then(|mut all| all.find(SocketAddr::is_ipv4));
    // Without a hosts file there is no such name.
    let address = found.unwrap_or_else(|| ([127, 0, 0, 1], port).into());
    let mut answer = String::new();
    TcpStream::connect(address).await.unwrap().read_to_string(&mut answer).await.unwrap();
    answer.len()
}

#[tokio::main(worker_threads = 1)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener));
    println!("{} bytes", tokio::spawn(fetch(port)).await.unwrap());
}
