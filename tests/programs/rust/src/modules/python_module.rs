//! A Python extension module with one function, `run(what)`, by the stable ABI and without a binding crate.

use std::os::raw::{c_char, c_int, c_long, c_void};
use std::ptr::null_mut;
use std::slice::from_raw_parts;

mod jobs;

type Function = unsafe extern "C" fn(*mut c_void, *mut c_void) -> *mut c_void;

#[repr(C)]
struct Method {
    name: *const c_char,
    function: Option<Function>,
    flags: c_int,
    doc: *const c_char,
}

#[repr(C)]
struct Definition {
    references: isize,
    type_of: *mut c_void,
    init: *mut c_void,
    index: isize,
    copy: *mut c_void,
    name: *const c_char,
    doc: *const c_char,
    size: isize,
    methods: *mut Method,
    rest: [*mut c_void; 4],
}

extern "C" {
    fn PyModule_Create2(definition: *mut Definition, version: c_int) -> *mut c_void;
    fn PyUnicode_AsUTF8AndSize(text: *mut c_void, size: *mut isize) -> *const c_char;
    fn PyBool_FromLong(value: c_long) -> *mut c_void;
}

const METH_O: c_int = 8;
const ABI_VERSION: c_int = 3;

unsafe extern "C" fn run(_: *mut c_void, what: *mut c_void) -> *mut c_void {
    let mut size = 0;
    let text = PyUnicode_AsUTF8AndSize(what, &mut size);
    if text.is_null() {
        return null_mut();
    }
    let what = String::from_utf8_lossy(from_raw_parts(text.cast(), size as usize));
    PyBool_FromLong(jobs::run(&what).into())
}

/// # Safety
/// For Python alone.
#[no_mangle]
pub unsafe extern "C" fn PyInit_python_module() -> *mut c_void {
    let end = Method { name: null_mut(), function: None, flags: 0, doc: null_mut() };
    let run = Method { name: "run\0".as_ptr().cast(), function: Some(run), flags: METH_O, doc: null_mut() };
    let definition = Definition {
        references: 1,
        type_of: null_mut(),
        init: null_mut(),
        index: 0,
        copy: null_mut(),
        name: "python_module\0".as_ptr().cast(),
        doc: null_mut(),
        size: -1,
        methods: Box::leak(Box::new([run, end])).as_mut_ptr(),
        rest: [null_mut(); 4],
    };
    PyModule_Create2(Box::leak(Box::new(definition)), ABI_VERSION)
}
