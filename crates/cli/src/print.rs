//! Writing for the person. A reader that went away (`gantry ps | head -1`) ends the program quietly, a full disk
//! (`gantry save app > app.tar`) with a sentence and a failure.

use std::io::{self, ErrorKind, Write};
use std::process::exit;

use crate::failure::{Failure, Outcome};
use crate::terminal::{io_text, to_stderr};

/// The exit code of a program that wrote into a closed pipe: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

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
    if let Err(failure) = written(bytes) {
        let text = failure.to_string();
        if !text.is_empty() {
            err(&text);
        }
        exit(failure.code().into());
    }
}

/// The same for who has something to tidy up before the program ends.
pub fn written(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|why| match why.kind() {
        ErrorKind::BrokenPipe => Failure::silent(BROKEN_PIPE),
        _ => Failure::text(1, format!("write /dev/stdout: {}", io_text(&why))),
    })
}

/// Writes a line to standard error, harmless to a terminal there; when even that fails there is nobody to tell.
pub fn err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", to_stderr(text));
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
