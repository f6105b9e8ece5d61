//! `local`: Docker's compact format.
//!
//! A record is `[length: 4 bytes, big endian][LogEntry][length again]`, where LogEntry is a protobuf message:
//! 1 source (string), 2 time_nano (int64), 3 line (bytes, without newline), 4 partial (bool),
//! 5 partial_log_metadata { 1 last (bool), 2 id (string), 3 ordinal (int32) }, 6 attrs { 1 key, 2 value } repeated.
//! The length at both ends is what tells a whole record from a torn one.

use std::collections::BTreeMap;

use crate::format::Frame;
use crate::lines::Piece;
use crate::{Entry, Stream};

const LENGTH: usize = 4;
/// A longer record is none: a piece of a line is 16 KiB, attributes are a few lines.
const LONGEST_RECORD: usize = 1 << 20;

/// Writes records.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    attributes: Vec<u8>,
    /// Names the cut line, in all its pieces.
    cut_line: u64,
}

impl Encoder {
    pub fn new(attributes: &BTreeMap<String, String>) -> Encoder {
        let mut encoder = Encoder { attributes: Vec::new(), cut_line: 0 };
        for (name, value) in attributes {
            let mut pair = Vec::new();
            field(&mut pair, 1, name.as_bytes());
            field(&mut pair, 2, value.as_bytes());
            field(&mut encoder.attributes, 6, &pair);
        }
        encoder
    }

    pub fn encode(&mut self, out: &mut Vec<u8>, piece: Piece<'_>) {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        field(out, 1, piece.stream.as_str().as_bytes());
        number(out, 2, piece.at_ns as u64);
        field(out, 3, piece.text);
        if let Some(cut) = piece.cut {
            if cut.ordinal == 1 {
                self.cut_line = self.cut_line.wrapping_add(1);
            }
            number(out, 4, 1);
            let mut place = Vec::with_capacity(40);
            if cut.last {
                number(&mut place, 1, 1);
            }
            field(&mut place, 2, format!("{:x}-{:x}", piece.at_ns, self.cut_line).as_bytes());
            number(&mut place, 3, cut.ordinal.into());
            field(out, 5, &place);
        }
        out.extend_from_slice(&self.attributes);
        let length = ((out.len() - start - LENGTH) as u32).to_be_bytes();
        out[start..start + LENGTH].copy_from_slice(&length);
        out.extend_from_slice(&length);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag << 3);
    varint(out, value);
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Looks at the record that some bytes begin with.
pub(crate) fn frame(bytes: &[u8]) -> Frame {
    match framed(bytes) {
        Framed::Whole(_, taken) => Frame::Record(taken),
        Framed::More => Frame::More,
        Framed::Not => Frame::Damage(next_record(bytes)),
    }
}

/// Reads a record that [`frame`] found. `None` when it is damaged inside.
pub(crate) fn decode(record: &[u8]) -> Option<Entry> {
    match framed(record) {
        Framed::Whole(message, _) => entry(message),
        _ => None,
    }
}

enum Framed<'a> {
    Whole(&'a [u8], usize),
    More,
    Not,
}

fn framed(bytes: &[u8]) -> Framed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Framed::More };
    let len = u32::from_be_bytes(*length) as usize;
    // Zeroes are what a power loss leaves, not records of no length.
    if len == 0 || len > LONGEST_RECORD {
        return Framed::Not;
    }
    let (Some(message), Some(again)) = (rest.get(..len), rest.get(len..len + LENGTH)) else {
        return Framed::More;
    };
    if again == length { Framed::Whole(message, len + 2 * LENGTH) } else { Framed::Not }
}

/// Where the next whole record begins, or all bytes when there is none in them.
fn next_record(bytes: &[u8]) -> usize {
    (1..bytes.len())
        .find(|at| matches!(framed(&bytes[*at..]), Framed::Whole(message, _) if entry(message).is_some()))
        .unwrap_or(bytes.len())
}

/// A protobuf field's value.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = take_varint(bytes)?;
    let value = match key & 7 {
        0 => Value::Number(take_varint(bytes)?),
        2 => {
            let len = usize::try_from(take_varint(bytes)?).ok()?;
            let (value, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Value::Bytes(value)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn entry(mut message: &[u8]) -> Option<Entry> {
    let (mut stream, mut at_ns, mut line, mut attributes) = (None, 0, Vec::new(), Vec::new());
    let (mut partial, mut last) = (false, false);
    while !message.is_empty() {
        match take_field(&mut message)? {
            (1, Value::Bytes(name)) => stream = Stream::from_name(name),
            (2, Value::Number(time)) => at_ns = time as i64,
            (3, Value::Bytes(text)) => line = text.to_vec(),
            (4, Value::Number(value)) => partial = value != 0,
            (5, Value::Bytes(mut place)) => {
                while !place.is_empty() {
                    if let (1, Value::Number(value)) = take_field(&mut place)? {
                        last = value != 0;
                    }
                }
            }
            (6, Value::Bytes(mut pair)) => {
                let (mut name, mut value) = (String::new(), String::new());
                while !pair.is_empty() {
                    match take_field(&mut pair)? {
                        (1, Value::Bytes(text)) => name = String::from_utf8_lossy(text).into_owned(),
                        (2, Value::Bytes(text)) => value = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
                attributes.push((name, value));
            }
            _ => {}
        }
    }
    if !partial || last {
        line.push(b'\n');
    }
    Some(Entry { stream: stream?, at_ns, line, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Cut;
    use proptest::prelude::*;

    fn encoded(text: &[u8], cut: Option<Cut>) -> Vec<u8> {
        let mut out = Vec::new();
        let attributes = [("k".to_owned(), "v".to_owned())].into();
        Encoder::new(&attributes).encode(&mut out, Piece { stream: Stream::Stdout, at_ns: 7, text, cut });
        out
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (cut, line) in [
            (None, &b"hi\n"[..]),
            (Some(Cut { ordinal: 1, last: false }), b"hi"),
            (Some(Cut { ordinal: 2, last: true }), b"hi\n"),
        ] {
            let wire = encoded(b"hi", cut);
            assert_eq!(frame(&wire), Frame::Record(wire.len()));
            let entry = decode(&wire).unwrap();
            assert_eq!(entry.line, line);
            assert_eq!(entry.attributes, [("k".into(), "v".into())]);
            assert_eq!(frame(&wire[..wire.len() - 1]), Frame::More);
        }
    }

    #[test]
    fn a_record_behind_damage_is_found() {
        let mut wire = encoded(b"first", None);
        let damaged = wire.len();
        wire[0] = 0xff;
        wire.extend(encoded(b"second", None));
        assert_eq!(frame(&wire), Frame::Damage(damaged));
        assert_eq!(decode(&wire[damaged..]).unwrap().line, b"second\n");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = frame(&bytes);
            let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
            framed.extend(&bytes);
            framed.extend((bytes.len() as u32).to_be_bytes());
            let _ = decode(&framed);
        }
    }
}
