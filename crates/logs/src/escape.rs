//! A JSON string the way Docker writes it: `<`, `>` and `&` escaped, what is not UTF-8 replaced.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether a byte can be copied as it is.
const fn plain(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x80 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

/// A byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Eight bytes at once: the lowest bit that is set is the high bit of the first byte that is not plain. (Bits above it may
/// be set without a reason: a subtraction has borrowed.)
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    let control = word.wrapping_sub(each(0x20)) & !word;
    // Two characters that differ in one bit are one comparison.
    let less_or_greater = zero((word | each(b'<' ^ b'>')) ^ each(b'<' | b'>'));
    let quote_or_and = zero((word | each(b'"' ^ b'&')) ^ each(b'"' | b'&'));
    (control | less_or_greater | quote_or_and | zero(word ^ each(b'\\')) | word) & each(0x80)
}

/// The length of the plain beginning.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return place * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().take_while(|b| plain(**b)).count()
}

/// Appends the inside of a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let prefix = plain_prefix(bytes);
        out.extend_from_slice(&bytes[..prefix]);
        bytes = &bytes[prefix..];
        let Some(&first) = bytes.first() else { return };
        let taken = if first < 0x80 { escape_ascii(out, first) } else { escape_rune(out, bytes) };
        bytes = &bytes[taken..];
    }
}

fn escape_ascii(out: &mut Vec<u8>, byte: u8) -> usize {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
    1
}

/// One character beyond ASCII, or one byte that is none.
fn escape_rune(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(err) => std::str::from_utf8(&window[..err.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        None => {
            out.extend_from_slice(b"\\ufffd");
            1
        }
        Some(line_end @ ('\u{2028}' | '\u{2029}')) => {
            out.extend_from_slice(if line_end == '\u{2028}' { b"\\u2028" } else { b"\\u2029" });
            line_end.len_utf8()
        }
        Some(rune) => {
            out.extend_from_slice(&bytes[..rune.len_utf8()]);
            rune.len_utf8()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dockers_own_cases() {
        assert_eq!(escaped(b"a\tb\"\\<>&\r\n"), r#"a\u0009b\"\\\u003c\u003e\u0026\r\n"#);
        assert_eq!(escaped("\u{2028}\u{2029}ä\u{7f}".as_bytes()), "\\u2028\\u2029ä\u{7f}");
        assert_eq!(escaped(b"\xff\xc3x\xe2\x80"), "\\ufffd\\ufffdx\\ufffd\\ufffd");
    }

    #[test]
    fn every_byte_is_judged_alike_in_every_place() {
        for byte in 0..=255u8 {
            for place in 0..16 {
                let mut bytes = [b'a'; 16];
                bytes[place] = byte;
                let expected = if plain(byte) { 16 } else { place };
                assert_eq!(plain_prefix(&bytes), expected, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_survives_a_json_reader(text in "\\PC*", junk in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: String = serde_json::from_str(&format!("\"{}\"", escaped(text.as_bytes()))).unwrap();
            prop_assert_eq!(read, text);
            let read: Result<String, _> = serde_json::from_str(&format!("\"{}\"", escaped(&junk)));
            prop_assert!(read.is_ok());
        }
    }
}
