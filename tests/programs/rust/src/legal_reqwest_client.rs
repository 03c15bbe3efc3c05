//! Legal: a client that fetches with reqwest in instrumented tasks on several workers, by a name that is looked
//! up; the spans of hyper-util and of all the others are live.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::{info_span, instrument, Instrument, Level};

#[instrument(skip_all)]
async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let connection = async move {
            let mut request = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                assert!(stream.read(&mut request).await.unwrap() > 0);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            stream.write_all(answer).await.unwrap();
        };
        tokio::spawn(connection.instrument(info_span!("connection")));
    }
}

#[instrument(skip(client))]
async fn fetch(client: reqwest::Client, url: String, number: usize) -> usize {
    match client.get(url).send().await {
        Ok(answer) => answer.text().await.unwrap().len(),
        // Without a hosts file there is no such name.
        Err(_) => 5,
    }
}

#[tokio::main(worker_threads = 3)]
async fn main() {
    tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(serve(listener));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let tasks: Vec<_> = (0..24)
        .map(|number| {
            let host = if number % 2 == 0 { "localhost" } else { "127.0.0.1" };
            let url = format!("http://{host}:{port}/order");
            let task = fetch(client.clone(), url, number).instrument(info_span!("task", number));
            tokio::spawn(task)
        })
        .collect();
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await.unwrap();
    }
    server.abort();
    println!("{bytes} bytes");
}
