//! Writing for the person. A reader that went away (`gantry ps | head -1`) ends the program quietly.

use std::io::{self, ErrorKind, Write};
use std::process::exit;

/// The exit code of a program that wrote into a closed pipe: 128 + SIGPIPE.
const BROKEN_PIPE: i32 = 141;

/// Writes text to standard output.
pub fn out(text: &str) {
    bytes(text.as_bytes());
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    out(&format!("{text}\n"));
}

/// Writes bytes to standard output.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    if let Err(err) = stdout.write_all(bytes).and_then(|()| stdout.flush())
        && err.kind() == ErrorKind::BrokenPipe
    {
        exit(BROKEN_PIPE);
    }
}

/// Writes a line to standard error; when even that fails there is nobody to tell.
pub fn err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks a yes-or-no question; only `y` and `yes` are a yes.
pub fn confirm(question: &str) -> bool {
    out(&format!("{question} [y/N] "));
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        Err(_) => false,
    }
}
