#![no_main]
//! No value of a compose file makes interpolation panic or grow without bound, and no text the reader of `.env` files.

use std::collections::BTreeMap;

use gantry_compose_file::dotenv;
use gantry_compose_file::interpolate::{self, Variables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let get = |name: &str| match name {
        "SET" => Some("value".to_owned()),
        "EMPTY" => Some(String::new()),
        "DOLLAR" => Some("${SET}$$".to_owned()),
        _ => None,
    };
    let mut variables = Variables { get: &get, unset: Vec::new() };
    if let Ok(text) = interpolate::text(source, &mut variables) {
        assert!(text.len() <= 2 << 20);
    }
    let mut values = BTreeMap::new();
    let _ = dotenv::parse(source, &mut values, &get);
    let _ = dotenv::parse_raw(source, &mut values, &get);
});
