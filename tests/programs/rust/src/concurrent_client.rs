//! A client that sends two requests at once in two tasks, each instrumented with the same span, on two workers
//! that poll them at the same time.

use std::sync::{Arc, Barrier};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::{info_span, Instrument};

async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move { stream.write_all(b"hello").await });
    }
}

async fn fetch(address: std::net::SocketAddr, both: Arc<Barrier>) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    // What is done with the answers takes long: both tasks are at it. No worker is kept from the other's answer.
    tokio::task::block_in_place(|| both.wait());
    answer.len()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener));
    let span = info_span!("fetch_all");
    let both = Arc::new(Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| tokio::spawn(fetch(address, Arc::clone(&both)).instrument(span.clone())))
        .collect();
    for task in tasks {
        println!("{} bytes", task.await.unwrap());
    }
}
