#![no_main]
//! An image reference that parses prints to itself.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = gantry_names::Reference::parse(text) {
        assert_eq!(
            gantry_names::Reference::parse(&reference.to_string()).expect("its own text parses"),
            reference
        );
    }
});
