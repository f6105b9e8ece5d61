#![no_main]
//! No bytes make the frame reader of the shim protocol panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = data;
    while let Ok(Some(_)) = gantry_shim_protocol::frame::read::<gantry_shim_protocol::Request>(&mut bytes) {}
});
