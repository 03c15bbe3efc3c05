//! Legal: what watching costs. `cost WHAT N` does something N times on one thread, and prints nanoseconds of
//! processor time for each: the median of some rounds.
//!
//!     pairs      enters and exits one span, with a bare registry
//!     spans      makes, enters, exits and closes a span; from here on with a layer that does nothing, as a bare
//!                registry keeps the memory of closed spans
//!     parks      waits for no descriptor, for no time, with a span open
//!     misuses    makes a span, exits it without an enter, closes it: the one that is not legal
//!
//! `cost live N` holds N spans, `cost threads N` N threads that had a span each; these print the KiB that are
//! resident then.

use std::sync::{Arc, Barrier};
use tracing::info_span;
use tracing_subscriber::layer::{Layer, SubscriberExt};

const ROUNDS: u64 = 15;

struct Nothing;

impl<S: tracing::Subscriber> Layer<S> for Nothing {}

/// What std::hint::black_box does, which rustc 1.63 has not.
fn opaque<T>(value: &T) -> &T {
    unsafe { std::ptr::read_volatile(&value) }
}

fn pairs(count: u64) {
    let span = info_span!("cost");
    for _ in 0..count {
        opaque(&span).in_scope(|| ());
    }
}

fn spans(count: u64) {
    for _ in 0..count {
        info_span!("cost").in_scope(|| ());
    }
}

fn parks(count: u64) {
    let span = info_span!("cost");
    let _guard = span.enter();
    for _ in 0..count {
        unsafe { libc::poll(std::ptr::null_mut(), 0, 0) };
    }
}

fn misuses(count: u64) {
    for _ in 0..count {
        info_span!("cost").with_subscriber(|(id, dispatch)| dispatch.exit(id));
    }
}

/// Of the process: what other processes take does not count.
fn nanoseconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn print_time(what: &str, run: fn(u64), count: u64) {
    run(100);
    let per_round = (count / ROUNDS).max(1);
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = nanoseconds();
            run(per_round);
            (nanoseconds() - start) as f64 / per_round as f64
        })
        .collect();
    rounds.sort_by(|one, other| one.partial_cmp(other).unwrap());
    println!("{what}: {:.2} ns", rounds[rounds.len() / 2]);
}

fn print_resident(what: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    println!("{what}: {} KiB", line.split_whitespace().nth(1).unwrap());
}

fn live(count: u64) {
    let held: Vec<_> = (0..count).map(|_| info_span!("cost")).collect();
    print_resident("live");
    drop(held);
}

fn threads(count: u64) {
    let (there, done) =
        (Arc::new(Barrier::new(count as usize + 1)), Arc::new(Barrier::new(count as usize + 1)));
    let all: Vec<_> = (0..count)
        .map(|_| {
            let (there, done) = (there.clone(), done.clone());
            std::thread::spawn(move || {
                spans(1);
                there.wait();
                done.wait();
            })
        })
        .collect();
    there.wait();
    print_resident("threads");
    done.wait();
    for thread in all {
        thread.join().unwrap();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or("pairs".into());
    let count = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let registry = tracing_subscriber::registry();
    if what == "pairs" {
        tracing::subscriber::set_global_default(registry).unwrap();
    } else {
        tracing::subscriber::set_global_default(registry.with(Nothing)).unwrap();
    }
    match what.as_str() {
        "pairs" => print_time(&what, pairs, count),
        "spans" => print_time(&what, spans, count),
        "parks" => print_time(&what, parks, count),
        "misuses" => print_time(&what, misuses, count),
        "live" => live(count),
        "threads" => threads(count),
        _ => panic!("no such thing: {what}"),
    }
}
