//! A client that holds the guard of its span while reqwest fetches an answer, beside a task that does not.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tracing::info_span;

/// Answers each request after a while.
async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(stream.read(&mut request).await.unwrap() > 0);
        }
        for _ in 0..5 {
            sleep(Duration::from_millis(2)).await;
            info_span!("innocent").in_scope(|| ());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
        stream.write_all(answer).await.unwrap();
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> String {
    let span = info_span!("fetch", url);
    let _guard = span.enter();
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/order", listener.local_addr().unwrap());
    tokio::spawn(serve(listener));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    println!("{}", fetch(&client, &url).await);
}
