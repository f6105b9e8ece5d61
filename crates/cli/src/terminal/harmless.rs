//! Words of strangers (an image's author, a registry, a process that named itself) on the person's terminal: what would drive
//! it is shown instead. In a pipe every byte stays, as with Docker's client.

use std::borrow::Cow;

/// Whether a terminal does something else with it than show it.
fn drives(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// The text with `^[` in the place of Escape, and so on.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(drives) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if drives(c) && byte.is_ascii() => out.extend(['^', char::from(byte ^ 0x40)]),
            _ if drives(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out.into()
}

/// The text as it may go to standard output.
pub fn to_stdout(text: &str) -> Cow<'_, str> {
    if text.contains(drives) && super::stdout_is() { harmless(text) } else { text.into() }
}

/// The text as it may go to standard error.
pub fn to_stderr(text: &str) -> Cow<'_, str> {
    if text.contains(drives) && super::stderr_is() { harmless(text) } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_drives_a_terminal_is_shown() {
        assert_eq!(harmless("plain\tä\n"), "plain\tä\n");
        assert_eq!(harmless("a\x1b[2J\x07\x7f\rb"), "a^[[2J^G^?^Mb");
        assert_eq!(harmless("\u{9b}31m"), "\\u{9b}31m");
    }
}
