//! A span that is open on main when another thread closes it; main exits it later. Up to tracing-subscriber
//! 0.3.20 the enter has a reference of its own, which the other thread takes too: then the exit panics.

use std::thread;

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("closed_elsewhere");
    let (id, dispatch) =
        span.with_subscriber(|(id, dispatch)| (id.clone(), dispatch.clone())).unwrap();
    std::mem::forget(span);
    dispatch.enter(&id);
    let (same_id, same_dispatch) = (id.clone(), dispatch.clone());
    thread::Builder::new()
        .name("closer".into())
        .spawn(move || while !same_dispatch.try_close(same_id.clone()) {})
        .unwrap()
        .join()
        .unwrap();
    dispatch.exit(&id);
    println!("done");
}
