//! Legal: a synchronous function that blocks inside of a span, in each way that std has, many times, and once
//! for more than a second: the function that entered the span sleeps, and is there when it wakes.

use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use tracing::{info_span, instrument};

const SHORT: Duration = Duration::from_micros(300);

/// Runs the work in a thread while the caller does what it does inside of a span.
fn beside(work: impl FnOnce() + Send + 'static, block: impl FnOnce()) {
    let thread = thread::spawn(work);
    block();
    thread.join().unwrap();
}

#[instrument(skip_all)]
fn joins(number: usize) {
    let thread = thread::spawn(move || {
        thread::sleep(SHORT);
        info_span!("joined", number).in_scope(|| ());
    });
    thread.join().unwrap();
}

#[instrument(skip_all)]
fn locks() {
    let lock = Arc::new((Mutex::new(()), RwLock::new(()), Barrier::new(2)));
    let other = Arc::clone(&lock);
    let hold = move || {
        let _first = other.0.lock().unwrap();
        let _second = other.1.write().unwrap();
        other.2.wait();
        thread::sleep(SHORT);
    };
    beside(hold, || {
        lock.2.wait();
        let _guard = info_span!("lock").entered();
        drop(lock.0.lock().unwrap());
        drop(lock.1.read().unwrap());
    });
}

#[instrument(skip_all)]
fn waits_for_condition() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = Arc::clone(&pair);
    let set = move || {
        thread::sleep(SHORT);
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    };
    beside(set, || {
        let span = info_span!("condition");
        let _guard = span.enter();
        let mut ready = pair.0.lock().unwrap();
        while !*ready {
            ready = pair.1.wait(ready).unwrap();
        }
        drop(pair.1.wait_timeout(ready, SHORT).unwrap());
    });
}

#[instrument(skip_all)]
fn receives() {
    let (sender, receiver) = mpsc::sync_channel(0);
    let send = move || {
        for number in 0..5 {
            thread::sleep(SHORT);
            sender.send(number).unwrap();
        }
    };
    beside(send, || {
        let _guard = info_span!("receive").entered();
        for number in receiver {
            info_span!("received", number).in_scope(|| ());
        }
    });
}

#[instrument(skip_all)]
fn parks() {
    let this = thread::current();
    let unpark = move || {
        thread::sleep(SHORT);
        this.unpark();
    };
    beside(unpark, || {
        info_span!("park").in_scope(|| thread::park_timeout(Duration::from_millis(50)))
    });
}

#[instrument(skip_all)]
fn meets() {
    let barrier = Arc::new(Barrier::new(2));
    let other = Arc::clone(&barrier);
    let wait = move || {
        let span = info_span!("there");
        for _ in 0..5 {
            let _guard = span.enter();
            other.wait();
        }
    };
    beside(wait, || {
        let span = info_span!("here");
        for _ in 0..5 {
            let _guard = span.enter();
            barrier.wait();
        }
    });
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let long = thread::spawn(|| {
        let (_sender, receiver) = mpsc::channel::<()>();
        let _guard = info_span!("long").entered();
        receiver.recv_timeout(Duration::from_millis(1100)).unwrap_err();
    });
    for number in 0..10 {
        let _guard = info_span!("round", number).entered();
        joins(number);
        locks();
        waits_for_condition();
        receives();
        parks();
        meets();
    }
    info_span!("join").in_scope(|| long.join().unwrap());
    println!("done");
}
