//! Legal: one subscriber behind an Arc, given to set_global_default and to with_default. These are two
//! dispatchers and one instance: a span may be made through the one and closed through the other.

use std::sync::Arc;
use std::thread;

use tracing::info_span;
use tracing::subscriber::{set_global_default, with_default};

fn main() {
    let shared = Arc::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    set_global_default(Arc::clone(&shared)).unwrap();

    let scoped = with_default(Arc::clone(&shared), || info_span!("made_in_scope"));
    scoped.in_scope(|| ());
    drop(scoped);

    let global = info_span!("made_globally");
    with_default(Arc::clone(&shared), || {
        global.in_scope(|| info_span!("child").in_scope(|| ()));
        drop(global);
    });

    let scoped = with_default(Arc::clone(&shared), || info_span!("entered_elsewhere"));
    thread::spawn(move || scoped.in_scope(|| ())).join().unwrap();

    // Its parent is closed with it, through the global one.
    let child = with_default(Arc::clone(&shared), || {
        let parent = info_span!("parent");
        info_span!(parent: &parent, "child")
    });
    drop(child);
    println!("done");
}
