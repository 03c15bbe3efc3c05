//! Legal: spans that change threads while nobody has them open. Made on one thread, entered, exited and dropped
//! on others, re-entered, cloned, and shared by threads that have them open at the same time.

use std::sync::{mpsc, Arc, Barrier};
use std::thread;

use tracing::{info_span, Span};

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();

    // Made here, entered and dropped there, many times over the same two threads.
    let (sender, receiver) = mpsc::channel::<Span>();
    let taker = thread::spawn(move || {
        for span in receiver {
            span.in_scope(|| info_span!("inner").in_scope(|| ()));
            span.in_scope(|| ());
        }
    });
    for number in 0..100 {
        let span = info_span!("handed", number);
        span.in_scope(|| ());
        sender.send(span).unwrap();
    }
    drop(sender);
    taker.join().unwrap();

    // Open here, dropped there: the handle is not the enter.
    let span = info_span!("open_here");
    let other = span.clone();
    let entered = span.enter();
    thread::spawn(move || drop(other)).join().unwrap();
    drop(entered);

    // Made there, entered here.
    let span = thread::spawn(|| info_span!("made_there")).join().unwrap();
    span.in_scope(|| span.in_scope(|| ()));
    drop(span);

    // Open on four threads at once; the last handle goes wherever it goes.
    let shared = Arc::new(info_span!("shared"));
    let together = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (shared, together) = (Arc::clone(&shared), Arc::clone(&together));
            thread::spawn(move || {
                let clone = Span::clone(&shared);
                let span: &Span = if number % 2 == 0 { &shared } else { &clone };
                for _ in 0..100 {
                    together.wait();
                    let _entered = span.enter();
                    together.wait();
                    info_span!("inside").in_scope(|| span.in_scope(|| ()));
                }
            })
        })
        .collect();
    drop(shared);
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
