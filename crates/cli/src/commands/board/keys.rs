//! Keys, one by one, without a thread: another program can have the keyboard in between.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter, digit or sign.
    Letter(char),
    /// The arrow up.
    Up,
    /// The arrow down.
    Down,
    /// The line is done.
    Enter,
    /// Back one letter.
    Erase,
    /// Out of here.
    Escape,
    /// Ctrl-C.
    Interrupt,
}

/// The keyboard of our terminal.
pub struct Keyboard {
    /// A terminal is read like a pipe: it is asked whether it has something, and never blocks.
    terminal: Receiver,
    waiting: Vec<Key>,
}

impl Keyboard {
    /// Opens it a second time, so that only this opening does not block.
    pub fn open() -> io::Result<Keyboard> {
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open("/dev/tty")?;
        Ok(Keyboard { terminal: Receiver::from_file_unchecked(file)?, waiting: Vec::new() })
    }

    /// The next key.
    pub async fn next(&mut self) -> io::Result<Key> {
        while self.waiting.is_empty() {
            let mut bytes = [0; 64];
            match self.terminal.read(&mut bytes).await? {
                0 => return Ok(Key::Interrupt),
                len => self.waiting = keys(&bytes[..len]),
            }
        }
        Ok(self.waiting.remove(0))
    }
}

/// The keys in what a terminal sent at once.
fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut keys = Vec::new();
    while let Some(first) = rest.chars().next() {
        let known = [("\x1b[A", Key::Up), ("\x1bOA", Key::Up), ("\x1b[B", Key::Down), ("\x1bOB", Key::Down)];
        if let Some((sequence, key)) = known.iter().find(|(sequence, _)| rest.starts_with(sequence)) {
            keys.push(*key);
            rest = &rest[sequence.len()..];
            continue;
        }
        if let Some(sequence) = rest.strip_prefix("\x1b[") {
            // A key we have no use for: it ends with a letter or a tilde.
            let end = sequence.find(|c: char| c.is_ascii_alphabetic() || c == '~');
            rest = end.map_or("", |end| &sequence[end + 1..]);
            continue;
        }
        rest = &rest[first.len_utf8()..];
        keys.push(match first {
            '\x1b' => Key::Escape,
            '\x03' | '\x04' => Key::Interrupt,
            '\r' | '\n' => Key::Enter,
            '\x7f' | '\x08' => Key::Erase,
            letter if letter.is_control() => continue,
            letter => Key::Letter(letter),
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_one_key_or_none() {
        assert_eq!(keys(b"\x1b[A\x1b[5~q\x1b"), [Key::Up, Key::Letter('q'), Key::Escape]);
        assert_eq!(keys(b"\x1bOB\r\x7f\x03"), [Key::Down, Key::Enter, Key::Erase, Key::Interrupt]);
    }
}
