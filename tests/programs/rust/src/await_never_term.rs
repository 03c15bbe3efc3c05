//! A guard that is never dropped: the loop that accepts connections holds it, so each span that is made between
//! two of its polls goes under it. SIGTERM ends the program while the loop still waits.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::info_span;

async fn serve(listener: TcpListener) {
    let span = info_span!("serve");
    let _guard = span.enter();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let answer = info_span!("connection").in_scope(|| b"hello");
            stream.write_all(answer).await.unwrap();
        });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener));
    for _ in 0..20 {
        let mut answer = String::new();
        TcpStream::connect(address).await.unwrap().read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "hello");
    }
    println!("done");
    // As an administrator ends it; nothing of the program runs after that.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    std::future::pending().await
}
