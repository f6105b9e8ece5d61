#![no_main]
//! No text makes the reader of compose files panic, and a file that is read can be checked.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for node in gantry_compose_file::tree::read("fuzz", text).unwrap_or_default() {
        if let Ok(file) = gantry_compose_file::era::today(node) {
            let _ = gantry_compose_file::schema::check(&file);
        }
    }
});
