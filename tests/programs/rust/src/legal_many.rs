//! Legal: eight threads that make, enter, exit and close spans as fast as they can, a hundred thousand each or as many
//! as the argument says, while another thread loads and unloads libraries and forks children that have spans
//! too. Prints how many spans this process made; every one was entered, exited and closed once.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tracing::{info_span, Span};
use tracing_subscriber::layer::{Identity, SubscriberExt};

static MADE: AtomicU64 = AtomicU64::new(0);
static FINISHED: AtomicBool = AtomicBool::new(false);

/// At least this often does the other thread load, unload and fork.
const ROUNDS: usize = 20;

fn spans(times: u64) {
    for number in 0..times {
        let span: Span = info_span!("one", number);
        span.in_scope(|| ());
    }
    MADE.fetch_add(times, Ordering::SeqCst);
}

fn load_and_unload(library: &str) {
    let name = CString::new(library).unwrap();
    unsafe {
        let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
        if !handle.is_null() {
            libc::dlclose(handle);
        }
    }
}

fn fork_one() {
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            spans(3);
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child ended otherwise than with 0");
        }
    }
}

fn main() {
    let times = std::env::args().nth(1).map_or(100_000, |times| times.parse().expect("a number"));
    // A registry without a layer would keep the closed spans.
    let subscriber = tracing_subscriber::registry().with(Identity::new());
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let disturber = thread::spawn(|| {
        // What a first span takes locks for is done before the first fork.
        spans(1);
        let mut round = 0;
        while round < ROUNDS || !FINISHED.load(Ordering::SeqCst) {
            load_and_unload("libm.so.6");
            load_and_unload("libz.so.1");
            fork_one();
            round += 1;
        }
    });
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(move || spans(times))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    FINISHED.store(true, Ordering::SeqCst);
    disturber.join().unwrap();
    println!("spans {}", MADE.load(Ordering::SeqCst));
}
