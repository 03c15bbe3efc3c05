//! A closed span that is given the value of a field, by the id that was kept of it. The registry does not mind.

use tracing::field::{Empty, Value};
use tracing::info_span;
use tracing::span::Record;

fn main() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let span = info_span!("gone", status = Empty);
    let (id, dispatch) =
        span.with_subscriber(|(id, dispatch)| (id.clone(), dispatch.clone())).unwrap();
    let fields = span.metadata().unwrap().fields();
    let status = fields.field("status").unwrap();
    drop(span);
    dispatch.record(&id, &Record::new(&fields.value_set(&[(&status, Some(&200 as &dyn Value))])));
    println!("done");
}
