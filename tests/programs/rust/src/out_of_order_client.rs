//! A client that notes the phase of its connection in a guard: `phase = next.entered()` enters the next span
//! before it leaves the one before. No guard is held across an await.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::info_span;

fn parse(answer: &str) -> usize {
    let mut phase = info_span!("header").entered();
    let (header, body) = answer.split_once("\r\n\r\n").unwrap();
    phase = {
        assert!(header.starts_with("HTTP/1.1 200"), "in {:?}", phase.metadata().unwrap().name());
        info_span!("body").entered()
    };
    let size = body.len();
    drop(phase);
    size
}

async fn serve(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 18];
    stream.read_exact(&mut request).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.await.unwrap();
    println!("{} bytes", parse(&answer));
}
