//! A closed span that is entered, by the id that was kept of it. Up to tracing-subscriber 0.3.20 that panics.

use tracing::info_span;

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let span = info_span!("gone");
    let (id, dispatch) =
        span.with_subscriber(|(id, dispatch)| (id.clone(), dispatch.clone())).unwrap();
    drop(span);
    dispatch.enter(&id);
    dispatch.exit(&id);
    println!("done");
}
