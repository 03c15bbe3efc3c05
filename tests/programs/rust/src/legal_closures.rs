//! Legal: closures that keep a guard from one call to the next. They are no futures, though a runtime may
//! wait between the calls: a handler called with each message that `block_on` brings, one whose owner
//! drops it, one that a task calls twice before it awaits.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info_span;

#[inline(never)]
fn noise() {
    info_span!("noise").in_scope(|| ());
}

/// Blocks the thread, as code that knows nothing of futures does.
#[inline(never)]
fn wait() {
    unsafe { libc::poll(std::ptr::null_mut(), 0, 2) };
}

#[inline(never)]
fn handle(runtime: &tokio::runtime::Runtime, mut handler: Box<dyn FnMut(usize)>) {
    let (sender, mut messages) = mpsc::channel(4);
    let feeder = std::thread::spawn(move || {
        for number in 0..6 {
            std::thread::sleep(Duration::from_millis(2));
            sender.blocking_send(number).unwrap();
        }
    });
    while let Some(number) = runtime.block_on(messages.recv()) {
        handler(number);
        noise();
    }
    feeder.join().unwrap();
}

#[inline(never)]
fn call_twice(mut call: impl FnMut()) {
    call();
    wait();
    noise();
    call();
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    let mut phase = None;
    handle(
        &runtime,
        Box::new(move |number| {
            drop(phase.take());
            phase = Some(info_span!("phase", number).entered());
            noise();
        }),
    );

    let mut lease = None;
    call_twice(move || {
        if lease.is_none() {
            lease = Some(info_span!("lease").entered());
        }
    });

    runtime.block_on(async {
        let mut part = None;
        let mut step = move |begins: bool| {
            drop(part.take());
            part = begins.then(|| info_span!("part").entered());
            noise();
        };
        for _ in 0..3 {
            step(true);
            wait();
            step(false);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    println!("done");
}
