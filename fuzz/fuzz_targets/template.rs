#![no_main]
//! No template makes the parser or its execution panic, or grow without bound.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(template) = gantry_template::Template::parse(text) {
        let value = serde_json::json!({ "Name": "x", "List": [1, 2], "Map": { "a": "b" } });
        let _ = template.execute(&gantry_template::Datum::from(value));
    }
});
