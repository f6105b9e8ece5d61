#![no_main]
//! No body of POST /containers/create makes the reader panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = gantry_api::decode::<gantry_api::container::ContainerCreate>(data);
});
