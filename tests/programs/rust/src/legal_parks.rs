//! Legal: synchronous functions that wait inside of a span in each of the calls that event loops park in, and make
//! other spans between.

use std::ptr;

use libc::{c_int, c_long, epoll_event, pollfd, sigset_t, timespec};
use tracing::{info_span, instrument};

extern "C" {
    fn epoll_pwait2(
        epoll: c_int,
        events: *mut epoll_event,
        size: c_int,
        time_out: *const timespec,
        signals: *const sigset_t,
    ) -> c_int;
}

const MOMENT: timespec = timespec { tv_sec: 0, tv_nsec: 100_000 };

#[instrument]
fn waits_for_descriptor(epoll: c_int) {
    for _ in 0..5 {
        let mut wanted = pollfd { fd: epoll, events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&mut wanted, 1, 1) };
        info_span!("between").in_scope(|| ());
        unsafe { libc::ppoll(&mut wanted, 1, &MOMENT, ptr::null()) };
        info_span!("between").in_scope(|| ());
    }
}

#[instrument]
fn waits_for_events(epoll: c_int) {
    for _ in 0..5 {
        let mut event = epoll_event { events: 0, u64: 0 };
        unsafe { libc::epoll_wait(epoll, &mut event, 1, 0) };
        info_span!("between").in_scope(|| ());
        unsafe { libc::epoll_pwait(epoll, &mut event, 1, 1, ptr::null()) };
        info_span!("between").in_scope(|| ());
        unsafe { epoll_pwait2(epoll, &mut event, 1, &MOMENT, ptr::null()) };
        info_span!("between").in_scope(|| ());
        unsafe { libc::syscall(libc::SYS_io_uring_enter, -1, 0, 1, 1, ptr::null::<u8>(), 0) };
    }
}

#[instrument]
fn waits_for_word() -> c_long {
    let word = 7u32;
    let mut last = 0;
    for _ in 0..5 {
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        last = unsafe { libc::syscall(libc::SYS_futex, &word, wait, 7, &MOMENT) };
        info_span!("between").in_scope(|| ());
    }
    last
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let epoll = unsafe { libc::epoll_create1(0) };
    for number in 0..4 {
        let _guard = info_span!("round", number).entered();
        waits_for_descriptor(epoll);
        waits_for_events(epoll);
        assert_eq!(waits_for_word(), -1);
    }
    println!("done");
}
