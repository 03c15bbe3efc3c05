//! Legal: layers with filters of their own, which therefore do not see all spans, and filters and layers that
//! are replaced while spans are open.

use tracing::{debug_span, info_span, trace_span, warn_span, Level};
use tracing_subscriber::filter::{filter_fn, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{fmt, reload};

fn spans() {
    let warn = warn_span!("warn");
    let _warn = warn.enter();
    let info = info_span!("info");
    let _info = info.enter();
    debug_span!(target: "noisy", "debug").in_scope(|| trace_span!("trace").in_scope(|| ()));
}

fn main() {
    let (level, level_handle) = reload::Layer::new(LevelFilter::DEBUG);
    let (targets, targets_handle) = reload::Layer::new(Targets::new().with_default(Level::TRACE));
    let subscriber = tracing_subscriber::registry()
        .with(fmt::layer().with_writer(std::io::sink).with_filter(level))
        .with(
            fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(filter_fn(|metadata| metadata.target() != "noisy")),
        )
        .with(targets);
    tracing::subscriber::set_global_default(subscriber).unwrap();

    spans();
    let outer = debug_span!("outer");
    outer.in_scope(|| {
        level_handle.modify(|level| *level = LevelFilter::WARN).unwrap();
        spans();
        targets_handle
            .modify(|targets| *targets = Targets::new().with_target("noisy", Level::DEBUG))
            .unwrap();
        spans();
    });
    level_handle.reload(LevelFilter::OFF).unwrap();
    outer.in_scope(spans);
    drop(outer);
    println!("done");
}
