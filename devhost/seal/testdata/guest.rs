// The Rust guest that the tests of package seal build, seal and call.
#![crate_type = "cdylib"]

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[link(wasm_import_module = "wapc")]
extern "C" {
    fn __guest_request(operation: *mut u8, message: *mut u8);
    fn __guest_response(response: *const u8, length: usize);
}

#[no_mangle]
pub extern "C" fn __guest_call(operation_length: usize, message_length: usize) -> i32 {
    let mut operation = vec![0; operation_length];
    let mut message = vec![0; message_length];
    unsafe { __guest_request(operation.as_mut_ptr(), message.as_mut_ptr()) };
    let message = String::from_utf8(message).unwrap();
    let response = match &operation[..] {
        b"print" => {
            print!("hello ");
            println!("{}\n{:?}", message, Some(1));
            eprintln!("to stderr");
            String::new()
        }
        b"sleep" => {
            let before = Instant::now();
            std::thread::sleep(Duration::from_secs(3600));
            format!("{}", before.elapsed().as_secs())
        }
        b"time" => format!("{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()),
        b"map" => {
            let map: HashMap<_, _> = message.split(' ').enumerate().map(|(i, w)| (w, i)).collect();
            format!("{}", map["c"])
        }
        b"open" => format!("{}", std::fs::read("/etc/passwd").is_err()),
        b"env" => format!("{} {}", std::env::args().count(), std::env::vars().count()),
        b"panic" => panic!("{}", message),
        b"exit" => std::process::exit(7),
        _ => unreachable!(),
    };
    unsafe { __guest_response(response.as_ptr(), response.len()) };
    1
}
