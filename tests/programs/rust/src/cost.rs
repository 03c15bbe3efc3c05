//! Legal: what watching costs. `cost pairs N` enters and exits one span N times, `cost spans N` makes, enters,
//! exits and closes N spans, with a bare registry on one thread; prints nanoseconds for each of them.

use std::time::Instant;
use tracing::info_span;

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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or("pairs".into());
    let count = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1000);
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let run = if what == "spans" { spans } else { pairs };
    run(100);
    let start = Instant::now();
    run(count);
    println!("{what}: {:.2} ns", start.elapsed().as_nanos() as f64 / count as f64);
}
