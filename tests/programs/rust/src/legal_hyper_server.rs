//! Legal: a hyper 0.14 server and client on several workers with instrumented handlers, under concurrent
//! requests; its own spans and events are live too.

use std::convert::Infallible;
use std::time::Duration;

use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Client, Request, Response, Server};
use tokio::time::{sleep, timeout};
use tracing::{info_span, instrument, Instrument, Level};

#[instrument(skip_all)]
async fn handle(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    for _ in 0..3 {
        sleep(Duration::from_millis(1)).await;
        info_span!("item").in_scope(|| ());
    }
    let path = request.uri().path().to_string();
    tokio::spawn(sleep(Duration::from_millis(1)).instrument(info_span!("audit"))).await.unwrap();
    Ok(Response::new(Body::from(path)))
}

#[tokio::main(worker_threads = 3)]
async fn main() {
    tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(std::io::sink).init();
    let service = make_service_fn(|_| async {
        let span = info_span!("connection");
        Ok::<_, Infallible>(service_fn(move |request| handle(request).instrument(span.clone())))
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::bind(&([127, 0, 0, 1], 0).into()).serve(service);
    let address = server.local_addr();
    let server = server.with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.instrument(info_span!("server")));

    let client = Client::new();
    for round in 0..4 {
        let requests: Vec<_> = (0..16)
            .map(|number| {
                let answer = client.get(format!("http://{address}/{number}").parse().unwrap());
                let body = async { hyper::body::to_bytes(answer.await.unwrap()).await.unwrap() };
                tokio::spawn(body.instrument(info_span!("client", round, number)))
            })
            .collect();
        for (number, request) in requests.into_iter().enumerate() {
            assert_eq!(request.await.unwrap(), format!("/{number}"));
        }
    }
    // Clients that go away before they are answered.
    for _ in 0..5 {
        let answer = client.get(format!("http://{address}/").parse().unwrap());
        let answer = answer.instrument(info_span!("impatient"));
        let _ = timeout(Duration::from_micros(500), answer).await;
    }
    drop(client);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    println!("done");
}
