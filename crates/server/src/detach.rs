//! The keys that leave a session without ending it: `ctrl-p,ctrl-q`, or what the client asked for.

use crate::failure::Failure;

/// Docker's default, ctrl-p ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Reads `ctrl-p,ctrl-q`, `a`, `ctrl-\`. Empty text is the default.
///
/// # Errors
/// Words that name no key.
pub(crate) fn keys(text: &str) -> Result<Vec<u8>, Failure> {
    if text.is_empty() {
        return Ok(DEFAULT.to_vec());
    }
    text.split(',').map(|word| key(word).ok_or_else(|| unknown(text, word))).collect()
}

fn unknown(keys: &str, word: &str) -> Failure {
    Failure::invalid(format!("Invalid detach keys ({keys}) provided: Unknown character: '{word}'"))
}

fn key(word: &str) -> Option<u8> {
    if let [byte] = word.as_bytes() {
        return Some(*byte);
    }
    let word = word.to_ascii_lowercase();
    if word == "del" {
        return Some(127);
    }
    match word.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

/// Watches typed bytes for the keys. Bytes that may begin them are held back until it is known.
#[derive(Debug)]
pub(crate) struct Watch {
    keys: Vec<u8>,
    seen: usize,
}

/// What became of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// These bytes are for the process.
    Input(Vec<u8>),
    /// The keys were typed; the bytes before them are for the process.
    Detached(Vec<u8>),
}

impl Watch {
    /// A watch for these keys.
    pub(crate) fn new(keys: Vec<u8>) -> Watch {
        Watch { keys, seen: 0 }
    }

    /// Takes what was typed.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Typed {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte != self.keys[self.seen] && self.seen > 0 {
                // It was not them after all: let go of what was held back.
                out.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if byte != self.keys[self.seen] {
                out.push(byte);
                continue;
            }
            self.seen += 1;
            if self.seen == self.keys.len() {
                self.seen = 0;
                return Typed::Detached(out);
            }
        }
        Typed::Input(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_bytes() {
        assert_eq!(keys("").unwrap(), DEFAULT);
        assert_eq!(keys("ctrl-a,ctrl-@,x,DEL,ctrl-\\").unwrap(), [1, 0, b'x', 127, 28]);
        let err = keys("ctrl-p,nope").unwrap_err();
        assert_eq!(err.message, "Invalid detach keys (ctrl-p,nope) provided: Unknown character: 'nope'");
    }

    #[test]
    fn keys_are_found_across_pieces() {
        let mut watch = Watch::new(vec![16, 17]);
        assert_eq!(watch.feed(b"ab\x10"), Typed::Input(b"ab".to_vec()));
        assert_eq!(watch.feed(b"\x11cd"), Typed::Detached(vec![]));
    }

    #[test]
    fn half_keys_are_given_back() {
        let mut watch = Watch::new(vec![16, 17]);
        assert_eq!(watch.feed(b"\x10a"), Typed::Input(b"\x10a".to_vec()));
        assert_eq!(watch.feed(b"\x10\x10\x11"), Typed::Detached(b"\x10".to_vec()));
    }
}
