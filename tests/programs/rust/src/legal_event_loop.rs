//! Legal: an event loop written by hand over epoll. Its state machine keeps a guard of the phase that it is in,
//! and a synchronous function replaces it at each event, while others make spans under it.

use std::os::unix::io::RawFd;

use tracing::info_span;
use tracing::span::EnteredSpan;

struct Machine {
    phase: Option<EnteredSpan>,
    bytes: usize,
}

impl Machine {
    /// One event: reads what is there and goes on to the next phase.
    #[inline(never)]
    fn on_event(&mut self, pipe: RawFd, number: usize) {
        let mut buffer = [0u8; 16];
        let got = unsafe { libc::read(pipe, buffer.as_mut_ptr().cast(), buffer.len()) };
        assert!(got > 0);
        self.bytes += got as usize;
        info_span!("parse", got).in_scope(|| ());
        self.phase = Some(info_span!("phase", number).entered());
        info_span!("prepare").in_scope(|| ());
    }
}

#[inline(never)]
fn wait(epoll: RawFd, time_out: i32) -> bool {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    unsafe { libc::epoll_wait(epoll, &mut event, 1, time_out) == 1 }
}

#[inline(never)]
fn idle(number: usize) {
    info_span!("idle", number).in_scope(|| info_span!("housekeeping").in_scope(|| ()));
}

#[inline(never)]
fn feed(pipe: RawFd) {
    assert_eq!(unsafe { libc::write(pipe, b"event".as_ptr().cast(), 5) }, 5);
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let mut pipe = [0; 2];
    let epoll = unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        libc::epoll_create1(0)
    };
    let mut wanted = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    assert_eq!(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, pipe[0], &mut wanted) }, 0);

    let mut machine = Machine { phase: None, bytes: 0 };
    for number in 0..20 {
        // Times without an event, in which the guard stays and the loop comes round.
        for _ in 0..number % 4 {
            assert!(!wait(epoll, 1));
            idle(number);
        }
        feed(pipe[1]);
        assert!(wait(epoll, -1));
        machine.on_event(pipe[0], number);
    }
    machine.phase = None;
    println!("{} bytes", machine.bytes);
}
