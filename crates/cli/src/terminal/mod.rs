//! The person's terminal: is there one, how large, raw or not; and what is typed on it.

mod detach;
mod harmless;
mod raw;
mod streams;
mod told;

pub use detach::{DetachKeys, parse_detach_keys};
pub use harmless::{harmless, to_stderr, to_stdout};
pub use raw::RawMode;
pub use streams::{Attached, Ended, Resizer, stream};
pub use told::until_told;

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// Whether standard output is a terminal.
pub fn stdout_is() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard input is a terminal.
pub fn stdin_is() -> bool {
    io::stdin().is_terminal()
}

/// Whether standard error is a terminal.
pub fn stderr_is() -> bool {
    io::stderr().is_terminal()
}

/// Rows and columns of the terminal on standard output.
pub fn size() -> Option<(u16, u16)> {
    if !stdout_is() {
        return None;
    }
    tcgetwinsize(io::stdout()).ok().filter(|s| s.ws_col > 0).map(|s| (s.ws_row, s.ws_col))
}

/// Columns of the terminal on standard error, where builds show what they do.
pub fn error_width() -> Option<usize> {
    tcgetwinsize(io::stderr()).ok().filter(|s| s.ws_col > 0).map(|s| usize::from(s.ws_col))
}

/// Columns of the terminal on standard input, as help wants them.
pub fn width() -> Option<usize> {
    if !stdin_is() {
        return None;
    }
    tcgetwinsize(io::stdin()).ok().filter(|s| s.ws_col > 0).map(|s| usize::from(s.ws_col))
}

/// A text without the kernel's numbers for its errors: ` (os error 104)` tells a person nothing.
pub fn without_numbers(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(MARK) {
        out.push_str(before);
        match after.split_once(')') {
            Some((number, behind)) if number.bytes().all(|b| b.is_ascii_digit()) => rest = behind,
            _ => {
                out.push_str(MARK);
                rest = after;
            }
        }
    }
    out + rest
}

/// An I/O error in the words of C and Go: `no such file or directory`.
pub fn io_text(err: &io::Error) -> String {
    let text = err.to_string();
    let text = match text.find(" (os error") {
        Some(at) => &text[..at],
        None => &text,
    };
    match err.raw_os_error() {
        Some(_) => text.to_lowercase().replace("i/o", "input/output"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn numbers_of_errors_are_left_away() {
        let text = "a: Connection reset by peer (os error 104): b (os error 2)";
        assert_eq!(without_numbers(text), "a: Connection reset by peer: b");
        assert_eq!(without_numbers("x (os error y) z"), "x (os error y) z");
    }
}
