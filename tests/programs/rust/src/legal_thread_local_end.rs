//! Legal: a guard in a thread-local that the thread's end drops. Up to tracing-subscriber 0.3.20 that panics: the
//! thread-locals which an exit needs have ended before.

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

use tracing::info_span;
use tracing::span::EnteredSpan;

thread_local! {
    static THREAD: RefCell<Option<EnteredSpan>> = const { RefCell::new(None) };
}

#[inline(never)]
fn begin_thread(number: usize) {
    THREAD.with(|guard| *guard.borrow_mut() = Some(info_span!("thread", number).entered()));
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let (mut senders, mut threads) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let (sender, jobs) = mpsc::channel::<usize>();
        senders.push(sender);
        threads.push(thread::spawn(move || {
            begin_thread(number);
            for job in jobs {
                info_span!("job", job).in_scope(|| ());
            }
        }));
    }
    for job in 0..8 {
        senders[job % 4].send(job).unwrap();
        thread::sleep(std::time::Duration::from_micros(200));
    }
    drop(senders);
    for thread in threads {
        thread.join().unwrap();
    }
    println!("done");
}
