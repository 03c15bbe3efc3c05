//! An axum server on two workers, one handler of which holds a guard across an await while it answers concurrent
//! requests. The other handler is right, and gets the wrong parent.

use std::time::Duration;

use axum::routing::get;
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tracing::{info_span, instrument};

async fn handle_order() -> &'static str {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    for _ in 0..3 {
        sleep(Duration::from_millis(5)).await;
        info_span!("item").in_scope(|| ());
    }
    "ordered"
}

#[instrument]
async fn handle_payment() -> &'static str {
    for _ in 0..3 {
        sleep(Duration::from_millis(5)).await;
        info_span!("coin").in_scope(|| ());
    }
    "paid"
}

/// The answer's body.
async fn fetch(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split("\r\n\r\n").nth(1).unwrap().to_string()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let router =
        Router::new().route("/order", get(handle_order)).route("/payment", get(handle_payment));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });

    let requests: Vec<_> = (0..8)
        .map(|number| {
            tokio::spawn(fetch(address, if number % 2 == 0 { "/order" } else { "/payment" }))
        })
        .collect();
    for (number, request) in requests.into_iter().enumerate() {
        assert_eq!(request.await.unwrap(), if number % 2 == 0 { "ordered" } else { "paid" });
    }
    println!("done");
}
