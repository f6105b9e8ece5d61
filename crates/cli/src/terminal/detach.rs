//! The keys that leave a container running and end the attachment: `ctrl-p,ctrl-q`.

/// What Docker uses when nothing else is configured.
const DEFAULT: [u8; 2] = [16, 17];

/// Watches typed bytes for the sequence.
#[derive(Debug, Clone)]
pub struct DetachKeys {
    keys: Vec<u8>,
    seen: usize,
}

/// Parses `ctrl-p,ctrl-q` or `a,b`; an empty text is the default.
pub fn parse_detach_keys(text: &str) -> Result<DetachKeys, String> {
    if text.is_empty() {
        return Ok(DetachKeys { keys: DEFAULT.to_vec(), seen: 0 });
    }
    let mut keys = Vec::new();
    for key in text.split(',') {
        let byte = match key.as_bytes() {
            [byte] => *byte,
            _ => match key.strip_prefix("ctrl-").map(str::as_bytes) {
                Some([letter @ b'a'..=b'z']) => letter - b'a' + 1,
                Some(b"@") => 0,
                Some(b"[") => 27,
                Some(b"\\") => 28,
                Some(b"]") => 29,
                Some(b"^") => 30,
                Some(b"_") => 31,
                _ => return Err(format!("invalid detach keys ({text}): Unknown character: '{key}'")),
            },
        };
        keys.push(byte);
    }
    Ok(DetachKeys { keys, seen: 0 })
}

impl DetachKeys {
    /// Takes typed bytes. Gives back what is to be sent on, and whether the sequence is complete.
    pub fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for byte in typed {
            if *byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    self.seen = 0;
                    return (out, true);
                }
                continue;
            }
            // A sequence that broke off is ordinary input after all.
            out.extend_from_slice(&self.keys[..self.seen]);
            self.seen = 0;
            if *byte == self.keys[0] {
                self.seen = 1;
                if self.keys.len() == 1 {
                    return (out, true);
                }
            } else {
                out.push(*byte);
            }
        }
        (out, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_found_across_reads_and_nothing_else_is_lost() {
        let mut keys = parse_detach_keys("").unwrap();
        assert_eq!(keys.feed(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(keys.feed(b"x"), (b"\x10x".to_vec(), false));
        assert_eq!(keys.feed(b"\x10\x10\x11zz"), (b"\x10".to_vec(), true));
        let mut one = parse_detach_keys("ctrl-a").unwrap();
        assert_eq!(one.feed(b"q\x01"), (b"q".to_vec(), true));
        assert!(parse_detach_keys("ctrl-").is_err() && parse_detach_keys("abc").is_err());
    }
}
