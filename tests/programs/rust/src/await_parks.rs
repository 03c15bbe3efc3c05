//! A guard held across an await under executors written by hand that park in each of the calls that event loops
//! park in, beside `epoll_wait` and futexes: one misuse for each of the five.

use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

use libc::{c_int, epoll_event, pollfd, sigset_t, timespec};
use tracing::info_span;

extern "C" {
    fn epoll_pwait2(
        epoll: c_int,
        events: *mut epoll_event,
        size: c_int,
        time_out: *const timespec,
        signals: *const sigset_t,
    ) -> c_int;
}

/// Pending, once.
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

struct NoWaker;

impl Wake for NoWaker {
    fn wake(self: Arc<Self>) {}
}

fn run(mut task: Pin<Box<dyn Future<Output = ()>>>, park: fn(c_int, *const timespec)) {
    let waker = Arc::new(NoWaker).into();
    let epoll = unsafe { libc::epoll_create1(0) };
    let moment = timespec { tv_sec: 0, tv_nsec: 100_000 };
    while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        park(epoll, &moment);
        info_span!("innocent").in_scope(|| ());
    }
    unsafe { libc::close(epoll) };
}

/// A task that holds the guard of a span of this name.
macro_rules! guilty {
    ($name:literal) => {
        Box::pin(async {
            let span = info_span!($name);
            let _guard = span.enter();
            Once(false).await;
            Once(false).await;
        })
    };
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    run(guilty!("poll"), |epoll, _| {
        let mut wanted = pollfd { fd: epoll, events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&mut wanted, 1, 1) };
    });
    run(guilty!("ppoll"), |epoll, moment| {
        let mut wanted = pollfd { fd: epoll, events: libc::POLLIN, revents: 0 };
        unsafe { libc::ppoll(&mut wanted, 1, moment, ptr::null()) };
    });
    run(guilty!("epoll_pwait"), |epoll, _| {
        let mut event = epoll_event { events: 0, u64: 0 };
        unsafe { libc::epoll_pwait(epoll, &mut event, 1, 1, ptr::null()) };
    });
    run(guilty!("epoll_pwait2"), |epoll, moment| {
        let mut event = epoll_event { events: 0, u64: 0 };
        unsafe { epoll_pwait2(epoll, &mut event, 1, moment, ptr::null()) };
    });
    run(guilty!("io_uring_enter"), |_, _| {
        // Without a ring it fails at once; a loop that goes there has parked.
        unsafe { libc::syscall(libc::SYS_io_uring_enter, -1, 0, 1, 1, ptr::null::<u8>(), 0) };
    });
    println!("done");
}
