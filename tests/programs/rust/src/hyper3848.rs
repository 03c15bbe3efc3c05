//! The program of hyper#3848: a request made under a subscriber of its own, in a runtime whose threads have
//! another one.
//!
//! hyper-util's resolver makes the span `resolve` here, on main, and enters it around getaddrinfo on a
//! blocking thread, where the default subscriber is the global one. tracing-subscriber up to 0.3.20 closes
//! the span through that, which panics on the blocking thread; hyper-util then panics on main: exit status
//! 101. Nothing in this file is wrong.
//!
//! `--more N`: catches the panic and makes N requests without a subscriber of their own, whose look-ups run
//! on the very same blocking thread. These are right; exit status 0.

use std::panic::{catch_unwind, AssertUnwindSafe};

use tracing::instrument::WithSubscriber;
use tracing::{Level, Subscriber};

/// Port 1 is closed: it is the look-up that matters, not the answer.
const URL: &str = "http://localhost:1/orders";

fn subscriber() -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(std::io::sink).finish()
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<String, reqwest::Error> {
    client.post(url).body("one").send().await?.text().await
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
    // Not through a proxy that the environment names.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let request = || runtime.block_on(fetch(&client, URL).with_subscriber(subscriber()));
    match more {
        None => println!("request: {}", if request().is_ok() { "answered" } else { "refused" }),
        Some(times) => {
            let panicked = catch_unwind(AssertUnwindSafe(request)).is_err();
            println!("request: {}", if panicked { "panicked" } else { "returned" });
            let refused =
                (0..times).filter(|_| runtime.block_on(fetch(&client, URL)).is_err()).count();
            println!("{refused} more look-ups: done");
        }
    }
}

fn more() -> Option<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--more", times] => Some(times.parse().expect("--more takes a number")),
        _ => panic!("usage: hyper3848 [--more N]"),
    }
}
