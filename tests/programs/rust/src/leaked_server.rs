//! A server that computes each answer on tokio's blocking pool; the closure forgets its guard where the request
//! is a bad one. The thread keeps the span open for all requests that it computes later, and ends with it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tracing::info_span;

fn compute(request: [u8; 5]) -> Vec<u8> {
    let guard = info_span!("compute").entered();
    if !request.is_ascii() {
        std::mem::forget(guard);
        return b"bad".to_vec();
    }
    request.to_ascii_uppercase()
}

async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.unwrap();
        let answer = spawn_blocking(move || compute(request)).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

async fn fetch(address: std::net::SocketAddr, request: [u8; 5]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        for request in [*b"order", [0xff; 5], *b"other"] {
            println!("{}", fetch(address, request).await);
        }
    });
}
