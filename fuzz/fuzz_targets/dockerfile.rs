#![no_main]
//! No text makes the parser of Dockerfiles panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = gantry_dockerfile::parse(text);
    let _ = gantry_dockerfile::ignore::Ignore::parse(text);
});
