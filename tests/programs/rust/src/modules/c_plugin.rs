//! A plugin of a host that knows nothing of Rust: `int run(const char *what)`.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};

mod jobs;

/// # Safety
/// `what` is terminated.
#[no_mangle]
pub unsafe extern "C" fn run(what: *const c_char) -> c_int {
    jobs::run(&CStr::from_ptr(what).to_string_lossy()).into()
}
