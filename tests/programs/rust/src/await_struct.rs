//! A guard in a struct, taken by its constructor, which is legal, and held across an await, which is not.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::info_span;
use tracing::span::EnteredSpan;

struct Order {
    number: u32,
    _guard: EnteredSpan,
}

impl Order {
    #[inline(never)]
    fn new(number: u32) -> Self {
        Self { number, _guard: info_span!("handle_order", number).entered() }
    }

    async fn pay(&self, other: JoinHandle<()>) {
        other.await.unwrap();
    }
}

async fn innocent() {
    for _ in 0..3 {
        sleep(Duration::from_millis(2)).await;
        info_span!("innocent").in_scope(|| ());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let other = tokio::spawn(innocent());
    let order = Order::new(1);
    order.pay(other).await;
    println!("paid: {}", order.number);
    drop(order);
}
