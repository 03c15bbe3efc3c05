//! A server whose connections bring spans by number from another system: `finish` closes the span that
//! `start` opened, and here the handler calls it before it has left the span.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::span::Id;
use tracing::{info_span, Dispatch};

/// The bridge: what the other system knows of a span is its number.
#[derive(Clone)]
struct Bridge {
    dispatch: Dispatch,
}

impl Bridge {
    fn start(&self) -> u64 {
        let span = tracing::dispatcher::with_default(&self.dispatch, || info_span!("connection"));
        let id = span.id().unwrap();
        std::mem::forget(span);
        self.dispatch.enter(&id);
        id.into_u64()
    }

    fn finish(&self, number: u64) {
        while !self.dispatch.try_close(Id::from_u64(number)) {}
    }
}

async fn handle(bridge: Bridge, mut stream: TcpStream) {
    let mut name = [0; 5];
    stream.read_exact(&mut name).await.unwrap();
    let number = bridge.start();
    let answer = name.to_ascii_uppercase();
    bridge.finish(number);
    stream.write_all(&answer).await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let bridge = Bridge { dispatch: Dispatch::new(subscriber) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        handle(bridge, stream).await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"order").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    println!("{answer}");
}
