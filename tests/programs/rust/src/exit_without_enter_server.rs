//! A server whose handler enters and leaves its spans through a bridge to another system, by number; where the
//! request is a bad one it leaves the span, and what cleans up after it leaves it again.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::span::Id;
use tracing::{info_span, Dispatch, Span};

/// The bridge: what the other system knows of a span is its number.
#[derive(Clone)]
struct Bridge {
    dispatch: Dispatch,
}

impl Bridge {
    fn enter(&self, span: &Span) -> u64 {
        let id = span.id().unwrap();
        self.dispatch.enter(&id);
        id.into_u64()
    }

    fn leave(&self, number: u64) {
        self.dispatch.exit(&Id::from_u64(number));
    }
}

fn compute(bridge: &Bridge, request: &[u8; 5]) -> Vec<u8> {
    let span = tracing::dispatcher::with_default(&bridge.dispatch, || info_span!("compute"));
    // References of its own, as the second leaving takes one with tracing-subscriber up to 0.3.20.
    std::mem::forget(span.clone());
    let number = bridge.enter(&span);
    let mut answer = request.to_ascii_uppercase();
    if !request.is_ascii() {
        answer = b"bad".to_vec();
        tracing::dispatcher::with_default(&bridge.dispatch, || bridge.leave(number));
    }
    tracing::dispatcher::with_default(&bridge.dispatch, || bridge.leave(number));
    answer
}

async fn serve(listener: TcpListener, bridge: Bridge) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 5];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&compute(&bridge, &request)).await.unwrap();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let subscriber = tracing_subscriber::registry();
    let bridge = Bridge { dispatch: Dispatch::new(subscriber) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, bridge));
    for request in [*b"order", [0xff; 5], *b"other"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        println!("{answer}");
    }
}
