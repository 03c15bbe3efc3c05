//! Legal: guards in thread-locals, one set by a function at the start of a thread and taken out by another at its
//! end, one replaced by a function for each job; the threads block between.

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

use tracing::info_span;
use tracing::span::EnteredSpan;

thread_local! {
    static THREAD: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
    static JOB: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
}

#[inline(never)]
fn begin_thread(number: usize) {
    THREAD.with(|guard| *guard.borrow_mut() = Some(info_span!("thread", number).entered()));
}

#[inline(never)]
fn end_thread() {
    THREAD.with(|guard| guard.borrow_mut().take());
}

#[inline(never)]
fn begin_job(job: usize) {
    JOB.with(|guard| *guard.borrow_mut() = Some(info_span!("job", job).entered()));
}

#[inline(never)]
fn end_job() {
    JOB.with(|guard| guard.borrow_mut().take());
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let mut senders = Vec::new();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (sender, jobs) = mpsc::channel::<usize>();
            senders.push(sender);
            thread::spawn(move || {
                begin_thread(number);
                for job in jobs {
                    begin_job(job);
                    info_span!("work").in_scope(|| ());
                    if job % 2 == 0 {
                        end_job();
                    }
                }
                end_job();
                end_thread();
            })
        })
        .collect();
    for job in 0..40 {
        senders[job % 4].send(job).unwrap();
        thread::sleep(std::time::Duration::from_micros(200));
    }
    drop(senders);
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
