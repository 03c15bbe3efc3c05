//! Legal: rayon with spans: `par_iter` and nested `join` under guards. A worker that waits for its other half
//! steals other work meanwhile, inside of the span that it has open, and leaves that before it goes on.

use rayon::prelude::*;
use tracing::{info_span, Span};

fn sum(parent: &Span, numbers: &[u64]) -> u64 {
    let span = info_span!(parent: parent, "sum", len = numbers.len());
    let _guard = span.enter();
    if numbers.len() < 50 {
        std::thread::yield_now();
        return info_span!("leaf").in_scope(|| numbers.iter().sum());
    }
    let (left, right) = numbers.split_at(numbers.len() / 2);
    let (left, right) = rayon::join(|| sum(&span, left), || sum(&span, right));
    left + right
}

fn main() {
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let numbers: Vec<u64> = (0..5000).collect();

    println!("{}", pool.install(|| sum(&Span::none(), &numbers)));

    let outer = info_span!("outer");
    let _guard = outer.enter();
    let squares: u64 = pool.install(|| {
        let _guard = info_span!("installed").entered();
        numbers
            .par_iter()
            .with_max_len(20)
            .map(|number| {
                let _guard = info_span!(parent: &outer, "square", number).entered();
                number * number
            })
            .sum()
    });
    println!("{squares}");

    // Waits inside of a span, in a scope whose jobs do the same.
    let mut results = vec![0; 64];
    pool.scope(|scope| {
        for (number, result) in results.iter_mut().enumerate() {
            let outer = &outer;
            let numbers = &numbers;
            scope.spawn(move |_| {
                let span = info_span!(parent: outer, "job", number);
                *result = span.in_scope(|| sum(&span, &numbers[number..number + 200]));
            });
        }
    });
    println!("{}", results.iter().sum::<u64>());
}
