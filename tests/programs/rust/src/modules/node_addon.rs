//! A Node addon with one function, `run(what)`, by Node-API and without a binding crate.

use std::os::raw::{c_char, c_int, c_void};
use std::ptr::null_mut;

mod jobs;

type Value = *mut c_void;
type Function = unsafe extern "C" fn(*mut c_void, *mut c_void) -> Value;

extern "C" {
    fn napi_create_function(
        env: *mut c_void,
        name: *const c_char,
        length: usize,
        function: Function,
        data: *mut c_void,
        result: *mut Value,
    ) -> c_int;
    fn napi_set_named_property(env: *mut c_void, object: Value, name: *const c_char, value: Value) -> c_int;
    fn napi_get_cb_info(
        env: *mut c_void,
        info: *mut c_void,
        count: *mut usize,
        arguments: *mut Value,
        this: *mut Value,
        data: *mut *mut c_void,
    ) -> c_int;
    fn napi_get_value_string_utf8(
        env: *mut c_void,
        value: Value,
        buffer: *mut c_char,
        size: usize,
        length: *mut usize,
    ) -> c_int;
    fn napi_get_boolean(env: *mut c_void, value: bool, result: *mut Value) -> c_int;
}

unsafe extern "C" fn run(env: *mut c_void, info: *mut c_void) -> Value {
    let (mut count, mut argument, mut length) = (1, null_mut(), 0);
    let mut text = [0u8; 64];
    napi_get_cb_info(env, info, &mut count, &mut argument, null_mut(), null_mut());
    napi_get_value_string_utf8(env, argument, text.as_mut_ptr().cast(), text.len(), &mut length);
    let mut done = null_mut();
    napi_get_boolean(env, jobs::run(&String::from_utf8_lossy(&text[..length])), &mut done);
    done
}

/// # Safety
/// For Node alone.
#[no_mangle]
pub unsafe extern "C" fn napi_register_module_v1(env: *mut c_void, exports: Value) -> Value {
    let name = "run\0".as_ptr().cast();
    let mut function = null_mut();
    napi_create_function(env, name, 3, run, null_mut(), &mut function);
    napi_set_named_property(env, exports, name, function);
    exports
}
