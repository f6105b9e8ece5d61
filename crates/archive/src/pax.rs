//! PAX extended headers: `"%d %s=%s\n"` records (POSIX pax, "pax Extended Header").

use std::collections::BTreeMap;

use crate::{Entry, Error, Result, Time};

/// The most bytes one extended header, or all global ones together, may have. Go's archive/tar draws the same line.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

const SCHILY_XATTR: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE_XATTR: &[u8] = b"LIBARCHIVE.xattr.";

/// Records by key. Repeated sparse 0.0 records are gathered as they come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) map: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` in the order they stood.
    pub(crate) sparse_pairs: Vec<u64>,
}

impl Records {
    /// Reads the records of one extended header over those that are here.
    pub(crate) fn parse(&mut self, mut bytes: &[u8]) -> Result<()> {
        const BAD: Error = Error::Malformed("bad PAX record");
        while !bytes.is_empty() {
            let space = bytes.iter().take(8).position(|b| *b == b' ').ok_or(BAD)?;
            let len = decimal(&bytes[..space]).and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
            if len <= space + 1 || len > bytes.len() || bytes[len - 1] != b'\n' {
                return Err(BAD);
            }
            let record = &bytes[space + 1..len - 1];
            let equals = record.iter().position(|b| *b == b'=').filter(|at| *at > 0).ok_or(BAD)?;
            self.put(&record[..equals], &record[equals + 1..])?;
            bytes = &bytes[len..];
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse_pairs.push(decimal(value).ok_or(Error::Malformed("bad sparse map"))?);
            }
            b"path" | b"linkpath" | b"uname" | b"gname" if value.contains(&0) => {
                return Err(Error::Malformed("NUL in a PAX name"));
            }
            _ => {
                self.map.insert(key.to_vec(), value.to_vec());
            }
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        let pairs = std::mem::size_of_val(self.sparse_pairs.as_slice()) as u64;
        self.map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>() + pairs
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.map.get(key.as_bytes()).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.get(key)
            .map(|value| decimal(value).ok_or(Error::Malformed("bad number in a PAX record")))
            .transpose()
    }

    fn time(&self, key: &str) -> Result<Option<Time>> {
        self.get(key)
            .map(|value| parse_time(value).ok_or(Error::Malformed("bad time in a PAX record")))
            .transpose()
    }

    /// Lets the records overrule what the header block said. The size is the reader's business.
    pub(crate) fn apply(&self, entry: &mut Entry) -> Result<()> {
        let replace = |key: &str, into: &mut Vec<u8>| {
            if let Some(value) = self.get(key) {
                *into = value.to_vec();
            }
        };
        replace("path", &mut entry.name);
        replace("linkpath", &mut entry.link);
        replace("uname", &mut entry.uname);
        replace("gname", &mut entry.gname);
        entry.uid = self.number("uid")?.unwrap_or(entry.uid);
        entry.gid = self.number("gid")?.unwrap_or(entry.gid);
        entry.mtime = self.time("mtime")?.unwrap_or(entry.mtime);
        entry.atime = self.time("atime")?.or(entry.atime);
        entry.ctime = self.time("ctime")?.or(entry.ctime);
        for (key, value) in &self.map {
            if let Some(name) = key.strip_prefix(LIBARCHIVE_XATTR) {
                let (name, value) = (percent_decoded(name), base64_decoded(value));
                let value = value.ok_or(Error::Malformed("bad extended attribute"))?;
                entry.xattrs.entry(name).or_insert(value);
            }
        }
        for (key, value) in &self.map {
            if let Some(name) = key.strip_prefix(SCHILY_XATTR).filter(|name| !name.is_empty()) {
                entry.xattrs.insert(name.to_vec(), value.clone());
            }
        }
        entry.xattrs.retain(|name, _| !name.contains(&0));
        Ok(())
    }
}

/// One record with its own length in front of it.
pub(crate) fn format_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut len = body + body.to_string().len();
    if body + len.to_string().len() != len {
        len = body + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The records of an entry's extended attributes.
pub(crate) fn xattr_key(name: &[u8]) -> Vec<u8> {
    [SCHILY_XATTR, name].concat()
}

pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`; digits beyond the nanosecond are cut.
fn parse_time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let secs = i64::try_from(decimal(whole.as_bytes())?).ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(match (negative, nanos) {
        (false, nanos) => Time { secs, nanos },
        (true, 0) => Time { secs: -secs, nanos: 0 },
        (true, nanos) => Time { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// The shortest text that reads back as `time`.
pub(crate) fn format_time(time: Time) -> String {
    let (sign, secs, nanos) = match (time.secs < 0, time.nanos) {
        (true, 0) => ("-", time.secs.unsigned_abs(), 0),
        (true, nanos) => ("-", (time.secs + 1).unsigned_abs(), 1_000_000_000 - nanos),
        (false, nanos) => ("", time.secs.unsigned_abs(), nanos),
    };
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    format!("{sign}{secs}.{nanos:09}").trim_end_matches('0').to_owned()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// Base 64 with or without padding.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let (mut out, mut bits, mut held) = (Vec::with_capacity(text.len() * 3 / 4), 0u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_read_back(pairs in proptest::collection::btree_map("[a-z.]{1,20}", proptest::collection::vec(any::<u8>(), 1..200), 0..6)) {
            let mut text = Vec::new();
            for (key, value) in &pairs {
                format_record(&mut text, key.as_bytes(), value);
            }
            let mut records = Records::default();
            let named = ["path", "linkpath", "uname", "gname"];
            prop_assume!(!pairs.keys().any(|key| named.contains(&key.as_str())));
            records.parse(&text).unwrap();
            let back: BTreeMap<String, Vec<u8>> = records.map.into_iter().map(|(k, v)| (String::from_utf8(k).unwrap(), v)).collect();
            prop_assert_eq!(back, pairs);
        }

        #[test]
        fn times_read_back(secs in -10_000_000_000i64..10_000_000_000, nanos in 0u32..1_000_000_000) {
            let time = Time { secs, nanos };
            prop_assert_eq!(parse_time(format_time(time).as_bytes()), Some(time));
        }

        #[test]
        fn any_bytes_are_records_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Records::default().parse(&bytes);
        }
    }

    #[test]
    fn lengths_around_the_digit_edges_count_themselves() {
        for len in 80..110 {
            let mut text = Vec::new();
            format_record(&mut text, b"path", &vec![b'a'; len]);
            let told: usize = std::str::from_utf8(&text).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(told, text.len());
        }
    }

    #[test]
    fn libarchive_attributes_are_decoded() {
        let mut records = Records::default();
        let mut text = Vec::new();
        format_record(&mut text, b"LIBARCHIVE.xattr.user.a%20b", b"aGVsbG8");
        records.parse(&text).unwrap();
        let mut entry = Entry::file("f", 0);
        records.apply(&mut entry).unwrap();
        assert_eq!(entry.xattrs[b"user.a b".as_slice()], b"hello");
    }
}
