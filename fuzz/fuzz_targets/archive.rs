#![no_main]
//! No tar stream makes the reader panic or run for ever.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reader = gantry_archive::Reader::new(data);
    while let Ok(Some(_)) = reader.next_entry() {}
});
