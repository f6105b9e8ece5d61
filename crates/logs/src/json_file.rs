//! `json-file`: Docker's format to the byte.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lines::Piece;
use crate::time::{parse_ns, write_ns};
use crate::{Entry, Stream, escape};

/// Writes records. What comes after a record's text changes only with stream and time: it is kept.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// `,"attrs":{...}` or nothing.
    attributes: Vec<u8>,
    /// `","stream":"stdout","time":"..."}\n`
    tail: Vec<u8>,
    tail_of: Option<(Stream, i64)>,
}

impl Encoder {
    pub fn new(attributes: &BTreeMap<String, String>) -> Encoder {
        let mut encoder = Encoder::default();
        for (name, value) in attributes {
            let open: &[u8] = if encoder.attributes.is_empty() { b",\"attrs\":{\"" } else { b",\"" };
            encoder.attributes.extend_from_slice(open);
            escape::escape(&mut encoder.attributes, name.as_bytes());
            encoder.attributes.extend_from_slice(b"\":\"");
            escape::escape(&mut encoder.attributes, value.as_bytes());
            encoder.attributes.push(b'"');
        }
        if !encoder.attributes.is_empty() {
            encoder.attributes.push(b'}');
        }
        encoder
    }

    pub fn encode(&mut self, out: &mut Vec<u8>, piece: Piece<'_>) {
        if self.tail_of != Some((piece.stream, piece.at_ns)) {
            self.renew_tail(piece.stream, piece.at_ns);
        }
        out.extend_from_slice(b"{\"log\":\"");
        escape::escape(out, piece.text);
        if piece.ends_a_line() {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(&self.tail);
    }

    fn renew_tail(&mut self, stream: Stream, at_ns: i64) {
        self.tail.clear();
        self.tail.extend_from_slice(b"\",\"stream\":\"");
        self.tail.extend_from_slice(stream.as_str().as_bytes());
        self.tail.push(b'"');
        self.tail.extend_from_slice(&self.attributes);
        self.tail.extend_from_slice(b",\"time\":\"");
        write_ns(&mut self.tail, at_ns);
        self.tail.extend_from_slice(b"\"}\n");
        self.tail_of = Some((stream, at_ns));
    }
}

/// A record as any writer may have written it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(borrow)]
    time: std::borrow::Cow<'a, str>,
}

/// Reads one line, without its newline. `None` when it is no record.
pub(crate) fn decode(line: &[u8]) -> Option<Entry> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(Entry {
        stream: Stream::from_name(line.stream.as_bytes())?,
        at_ns: parse_ns(line.time.as_bytes())?,
        line: line.log.into_bytes(),
        attributes: line.attrs.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Cut;

    fn encoded(encoder: &mut Encoder, text: &[u8], cut: Option<Cut>) -> String {
        let mut out = Vec::new();
        encoder.encode(&mut out, Piece { stream: Stream::Stderr, at_ns: 1_500_000_000, text, cut });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_dockers_to_the_byte() {
        let line = encoded(&mut Encoder::default(), b"<hi>", None);
        assert_eq!(
            line,
            "{\"log\":\"\\u003chi\\u003e\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:01.5Z\"}\n"
        );
    }

    #[test]
    fn attributes_stand_before_the_time_and_sorted() {
        let attributes = [("b", "2"), ("a", "\"1\"")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let line = encoded(&mut Encoder::new(&attributes), b"x", Some(Cut { ordinal: 1, last: false }));
        assert_eq!(
            line,
            "{\"log\":\"x\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"\\\"1\\\"\",\"b\":\"2\"},\"time\":\"1970-01-01T00:00:01.5Z\"}\n"
        );
        let entry = decode(line.trim_end().as_bytes()).unwrap();
        assert_eq!(entry.attributes, [("a".into(), "\"1\"".into()), ("b".into(), "2".into())]);
        assert!(entry.is_partial());
    }

    #[test]
    fn what_is_no_record_is_told() {
        for line in ["", "{}", "{\"log\":\"x\",\"stream\":\"stdout\"}", "{\"log\":\"x", "null"] {
            assert!(decode(line.as_bytes()).is_none(), "{line}");
        }
    }
}
