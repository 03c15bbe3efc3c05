//! A hyper 0.14 server on two workers whose handler holds a guard across an await while it answers concurrent
//! requests, and the clients that send them.

use std::convert::Infallible;
use std::time::Duration;

use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Client, Request, Response, Server};
use tokio::time::sleep;
use tracing::info_span;

async fn handle_order(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let span = info_span!("handle_order", path = request.uri().path());
    let _guard = span.enter();
    for _ in 0..3 {
        sleep(Duration::from_millis(5)).await;
        info_span!("item").in_scope(|| ());
    }
    Ok(Response::new(Body::from("ordered")))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let service = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(handle_order)) });
    let server = Server::bind(&([127, 0, 0, 1], 0).into()).serve(service);
    let address = server.local_addr();
    tokio::spawn(server);

    let client = Client::new();
    let requests: Vec<_> = (0..8)
        .map(|number| {
            let answer = client.get(format!("http://{address}/{number}").parse().unwrap());
            tokio::spawn(async { hyper::body::to_bytes(answer.await.unwrap()).await.unwrap() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), "ordered");
    }
    println!("done");
}
