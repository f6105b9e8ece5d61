//! Telling what went wrong: on stderr for people, and in the `--log` file for whoever started us (containerd and
//! conmon read its last line).

use std::io::Write;

use crate::args::Global;
use crate::clock;

/// Tells an error.
pub fn error(global: &Global, message: &str) {
    write(global, "error", message);
    eprintln!("gantry-runtime: {message}");
}

/// Tells what could not be done as asked.
pub fn warn(global: &Global, message: &str) {
    write(global, "warning", message);
    if global.log.is_none() {
        eprintln!("gantry-runtime: warning: {message}");
    }
}

fn write(global: &Global, level: &str, message: &str) {
    let Some(path) = &global.log else { return };
    let line = if global.log_json {
        serde_json::json!({"level": level, "msg": message, "time": clock::now()}).to_string()
    } else {
        format!("time=\"{}\" level={level} msg={}", clock::now(), serde_json::Value::from(message))
    };
    // A log that cannot be written must not hide the error, which is on stderr too.
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}");
    }
}
