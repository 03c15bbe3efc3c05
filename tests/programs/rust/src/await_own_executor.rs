//! A guard held across an await under an executor written by hand: it polls two futures in turn and parks its
//! thread for a moment between.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::Duration;

use tracing::info_span;

/// Ready at the poll after so many.
struct Polls(u32);

impl Future for Polls {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        Poll::Pending
    }
}

struct NoWaker;

impl Wake for NoWaker {
    fn wake(self: Arc<Self>) {}
}

async fn handle_order() {
    let span = info_span!("handle_order");
    let _guard = span.enter();
    Polls(5).await;
}

async fn innocent() {
    for _ in 0..3 {
        Polls(1).await;
        info_span!("innocent").in_scope(|| ());
    }
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let waker = Arc::new(NoWaker).into();
    let mut context = Context::from_waker(&waker);
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> =
        vec![Box::pin(handle_order()), Box::pin(innocent())];
    while !tasks.is_empty() {
        tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        thread::park_timeout(Duration::from_millis(1));
    }
    println!("done");
}
