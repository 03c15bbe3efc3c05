//! A guard held across an await in a future that is boxed behind a trait, as `async-trait` makes them; its
//! caller knows neither the type of the future nor the function that is polled.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;
use tracing::info_span;

type Boxed<'a> = Pin<Box<dyn Future<Output = u32> + Send + 'a>>;

trait Handler: Sync {
    fn handle(&self, order: u32) -> Boxed<'_>;
}

struct Guilty {
    fee: u32,
}

impl Handler for Guilty {
    fn handle(&self, order: u32) -> Boxed<'_> {
        Box::pin(async move {
            let span = info_span!("handle_order", order);
            let _guard = span.enter();
            for _ in 0..5 {
                sleep(Duration::from_millis(2)).await;
                info_span!("item").in_scope(|| ());
            }
            order + self.fee
        })
    }
}

struct Innocent;

impl Handler for Innocent {
    fn handle(&self, order: u32) -> Boxed<'_> {
        Box::pin(async move {
            for _ in 0..3 {
                sleep(Duration::from_millis(3)).await;
                info_span!("innocent", order).in_scope(|| ());
            }
            order
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let handlers: Vec<Box<dyn Handler + Send>> =
        vec![Box::new(Innocent), Box::new(Guilty { fee: 2 }), Box::new(Innocent)];
    let tasks: Vec<_> = handlers
        .into_iter()
        .map(|handler| tokio::spawn(async move { handler.handle(1).await }))
        .collect();
    for task in tasks {
        print!("{} ", task.await.unwrap());
    }
    println!();
}
