//! A pool of threads, and one job of many that begins a span through an interface in the manner of C, which
//! hands out a pointer, and forgets to end it. The thread goes on to other jobs and ends with the pool.

use std::sync::{mpsc, Arc, Mutex};
use std::thread;

use tracing::info_span;
use tracing::span::EnteredSpan;

#[inline(never)]
fn span_begin(job: usize) -> *mut EnteredSpan {
    Box::into_raw(Box::new(info_span!("job", job).entered()))
}

#[inline(never)]
unsafe fn span_end(span: *mut EnteredSpan) {
    drop(Box::from_raw(span));
}

fn run(job: usize) {
    let span = span_begin(job);
    info_span!("work").in_scope(|| ());
    if job != 7 {
        unsafe { span_end(span) };
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let receiver = Arc::clone(&receiver);
            thread::spawn(move || loop {
                let job = receiver.lock().unwrap().recv();
                match job {
                    Ok(job) => run(job),
                    Err(_) => return,
                }
            })
        })
        .collect();
    for job in 0..30 {
        sender.send(job).unwrap();
    }
    drop(sender);
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
