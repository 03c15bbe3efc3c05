//! What the modules of this folder do when their hosts ask for it, under a subscriber of the module's own. All
//! of it on threads that have ended before `run` returns: what a thread still has to drop keeps a module loaded.

use std::env;
use std::sync::mpsc;
use std::thread;

use tracing::span::Entered;
use tracing::{dispatcher, info_span, Span};

/// Does what its name says; false for a name that is none.
pub fn run(what: &str) -> bool {
    let job = match what {
        "legal" => legal,
        "stray" => stray,
        "leave" => leave,
        _ => return false,
    };
    subscribe();
    thread::Builder::new().name("job".into()).spawn(job).unwrap().join().unwrap();
    true
}

fn subscribe() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Spans in each other, handed over, and dropped elsewhere than made.
fn legal() {
    let span = info_span!("legal_job");
    for number in 0..100 {
        span.in_scope(|| info_span!("inside", number).in_scope(|| ()));
    }
    thread::spawn(move || span.in_scope(|| ())).join().unwrap();
}

/// A guard that changes threads.
fn stray() {
    let (sender, receiver) = mpsc::channel::<Entered<'static>>();
    let taker = thread::Builder::new()
        .name("taker".into())
        .spawn(move || drop(receiver.recv().unwrap()))
        .unwrap();
    let span: &'static Span = Box::leak(Box::new(info_span!("stray_job")));
    sender.send(span.enter()).unwrap();
    taker.join().unwrap();
}

/// A span that is never closed.
fn leave() {
    let span: &'static Span = Box::leak(Box::new(info_span!("left_job")));
    span.in_scope(|| ());
}

/// Runs before the host has the module: with MODULE_AT_LOAD in the environment it exits a span that nobody
/// entered.
extern "C" fn at_load() {
    if env::var_os("MODULE_AT_LOAD").is_none() {
        return;
    }
    subscribe();
    let span = info_span!("at_load");
    dispatcher::get_default(|default| default.exit(&span.id().unwrap()));
}

#[used]
#[link_section = ".init_array"]
static AT_LOAD: extern "C" fn() = at_load;
