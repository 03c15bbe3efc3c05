//! A server that keeps the ids of its requests' spans, and when all is answered notes how long each took: by
//! then the span has closed. It records through the dispatcher, as there is no handle left.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Empty, Value};
use tracing::span::{Id, Record};
use tracing::{info_span, Instrument, Metadata, Span};

type Answered = Arc<Mutex<Option<(Id, &'static Metadata<'static>, Instant)>>>;

async fn handle(mut stream: TcpStream, answered: Answered) {
    let mut name = [0; 5];
    stream.read_exact(&mut name).await.unwrap();
    let span = Span::current();
    *answered.lock().unwrap() =
        Some((span.id().unwrap(), span.metadata().unwrap(), Instant::now()));
    stream.write_all(&name.to_ascii_uppercase()).await.unwrap();
}

fn note(answered: &Answered) {
    let (id, metadata, since) = answered.lock().unwrap().take().unwrap();
    let took = metadata.fields().field("took").unwrap();
    let micros = since.elapsed().as_micros() as u64;
    let values = [(&took, Some(&micros as &dyn Value))];
    tracing::dispatcher::get_default(|dispatch| {
        dispatch.record(&id, &Record::new(&metadata.fields().value_set(&values)));
    });
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Answered::default();
    let server = tokio::spawn({
        let answered = Arc::clone(&answered);
        async move {
            let (stream, _) = listener.accept().await.unwrap();
            let span = info_span!("request", took = Empty);
            handle(stream, answered).instrument(span).await;
        }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"order").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.await.unwrap();
    note(&answered);
    println!("{answer}");
}
