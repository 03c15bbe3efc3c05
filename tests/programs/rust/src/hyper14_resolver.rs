//! hyper#3848 with hyper 0.14: its resolver makes no span, so this one has the shape of hyper-util's
//! GaiResolver. The span `resolve` is made where the request runs, on main and under a subscriber of its own,
//! and entered around getaddrinfo on a blocking thread, where the default subscriber is the global one.
//! tracing-subscriber up to 0.3.20 closes it through that, which panics on the blocking thread; the request
//! gets an error and the program goes on: exit status 0.
//!
//! `--more N`: then makes N requests without a subscriber of their own, whose look-ups run on the very same
//! blocking thread. These are right.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper::client::connect::dns::Name;
use hyper::client::HttpConnector;
use hyper::service::Service;
use hyper::{Body, Client};
use tracing::instrument::WithSubscriber;
use tracing::{debug_span, Level, Subscriber};

/// Port 1 is closed: it is the look-up that matters, not the answer.
const URL: &str = "http://localhost:1/orders";

#[derive(Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let span = debug_span!("resolve", host = %name);
        let lookup = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            (name.as_str(), 0).to_socket_addrs()
        });
        Box::pin(async { lookup.await? })
    }
}

fn subscriber() -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(io::sink).finish()
}

type HttpClient = Client<HttpConnector<Resolver>>;

async fn fetch(client: &HttpClient, url: &'static str) -> hyper::Result<Body> {
    Ok(client.get(url.parse().unwrap()).await?.into_body())
}

fn main() {
    let more = more();
    tracing::subscriber::set_global_default(subscriber()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let client: HttpClient = Client::builder().build(HttpConnector::new_with_resolver(Resolver));

    match runtime.block_on(fetch(&client, URL).with_subscriber(subscriber())) {
        Ok(_) => println!("request: answered"),
        Err(error) => println!("request: {error}"),
    }
    if more > 0 {
        let refused = (0..more).filter(|_| runtime.block_on(fetch(&client, URL)).is_err()).count();
        println!("{refused} more look-ups: done");
    }
}

fn more() -> usize {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => 0,
        ["--more", times] => times.parse().expect("--more takes a number"),
        _ => panic!("usage: hyper14_resolver [--more N]"),
    }
}
