//! A server whose connections have a subscriber of their own, and which computes its answers on tokio's blocking
//! pool inside of their spans: the subscriber stays behind, and there is no other. tracing-subscriber up to
//! 0.3.20 then loses the close that belongs to the exit.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tracing::info_span;
use tracing::instrument::WithSubscriber;

async fn handle(mut stream: TcpStream) {
    let mut request = [0; 5];
    stream.read_exact(&mut request).await.unwrap();
    let span = info_span!("compute");
    let answer = spawn_blocking(move || span.in_scope(|| request.to_ascii_uppercase()));
    stream.write_all(&answer.await.unwrap()).await.unwrap();
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(
        async move {
            let (stream, _) = listener.accept().await.unwrap();
            handle(stream).await;
        }
        .with_subscriber(subscriber),
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"order").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.await.unwrap();
    println!("{answer}");
}
