//! A guard that changes threads through a channel: the guard of a `&'static Span` may be sent anywhere.
//! The span is exited on `taker`, which does not have it open, and stays open on main. Nothing panics.

use std::sync::mpsc;
use std::thread;

use tracing::span::Entered;
use tracing::{info_span, Span};

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (sender, receiver) = mpsc::channel::<Entered<'static>>();
    let taker = thread::Builder::new()
        .name("taker".into())
        .spawn(move || drop(receiver.recv().unwrap()))
        .unwrap();
    let span: &'static Span = Box::leak(Box::new(info_span!("sent_away")));
    sender.send(span.enter()).unwrap();
    taker.join().unwrap();
    println!("done");
}
