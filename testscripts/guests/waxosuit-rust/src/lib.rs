//! A counter that is written as its users wrote guests in 2019: on the crate
//! `waxosuit-guest`, with HTTP in front and the key-value store behind.
//!
//! - `GET` answers `{"count":N}`, and 0 before the first addition.
//! - `POST` adds one and answers `{"counter":N}`.
//! - Any other method is answered with 405.

extern crate waxosuit_guest as guest;

use guest::prelude::*;

const KEY: &str = "counter";

call_handler!(handle_call);

fn handle_call(ctx: &CapabilitiesContext, operation: &str, msg: &[u8]) -> CallResult {
    match operation {
        http::OP_HANDLE_REQUEST => handle_http(ctx, &http::Request::decode(msg)?),
        core::OP_HEALTH_REQUEST => {
            core::HealthRequest::decode(msg)?;
            Ok(vec![])
        }
        _ => Err(format!("unknown operation {}", operation).into()),
    }
}

fn handle_http(ctx: &CapabilitiesContext, request: &http::Request) -> CallResult {
    ctx.log(&format!("{} {}", request.method, request.path));
    let response = match request.method.as_str() {
        "GET" => {
            let count: i32 = match ctx.kv().get(KEY)? {
                Some(text) => text.parse()?,
                None => 0,
            };
            json("count", count)
        }
        "POST" => json("counter", ctx.kv().atomic_add(KEY, 1)?),
        _ => http::Response {
            status_code: 405,
            status: "Method Not Allowed".to_string(),
            ..Default::default()
        },
    };
    Ok(protobytes(response)?)
}

fn json(name: &str, value: i32) -> http::Response {
    let mut response = http::Response::ok();
    response.body = format!("{{\"{}\":{}}}", name, value).into_bytes();
    response
        .header
        .insert("Content-Type".to_string(), "application/json".to_string());
    response
}
