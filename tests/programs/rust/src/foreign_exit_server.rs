//! A server that takes the guard of its span in the handler and lets the closure that computes the answer on
//! tokio's blocking pool drop it: `Entered` is Send. The handler itself holds no guard when it awaits.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tracing::{info_span, Span};

async fn handle(mut stream: TcpStream, server: &'static Span) {
    let mut request = [0; 5];
    stream.read_exact(&mut request).await.unwrap();
    let guard = server.enter();
    let answer = spawn_blocking(move || {
        let _guard = guard;
        request.to_ascii_uppercase()
    });
    stream.write_all(&answer.await.unwrap()).await.unwrap();
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // One span for as long as the server runs.
    let server: &'static Span = Box::leak(Box::new(info_span!("server")));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        handle(stream, server).await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"order").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    println!("{answer}");
}
