//! Records out of a stream of bytes.

use std::io::{self, Read};

use crate::Driver;
use crate::format::{Frame, frame};

/// Bytes asked for at once.
const READ: usize = 64 << 10;
/// A record may begin in this much of a buffer in which none was found whole.
const KEEP: usize = 32 << 10;

/// Cuts records from a reader, skipping what is none.
#[derive(Debug)]
pub(crate) struct Records<R> {
    driver: Driver,
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// A record's bytes, and how many bytes that are no record came before it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub bytes: &'a [u8],
    pub skipped: u64,
}

impl<R: Read> Records<R> {
    pub fn new(driver: Driver, source: R) -> Records<R> {
        Records { driver, source, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// The next record; `None` at the end of what there is. Then more may come: ask again.
    pub fn next_record(&mut self) -> io::Result<Option<Record<'_>>> {
        let mut skipped = 0;
        loop {
            match frame(self.driver, &self.buffer[self.start..self.end]) {
                Frame::Record(len) => {
                    let from = self.start;
                    self.start += len;
                    return Ok(Some(Record { bytes: &self.buffer[from..from + len], skipped }));
                }
                Frame::More => {
                    if self.fill()? == 0 {
                        return Ok(None);
                    }
                }
                Frame::Damage(len) => {
                    let whole_buffer = len == self.end - self.start;
                    let more = whole_buffer && self.fill()? > 0;
                    let len = if more { len.saturating_sub(KEEP).max(1) } else { len };
                    self.start += len;
                    skipped += len as u64;
                }
            }
        }
    }

    /// Bytes of a record that has begun and not ended.
    pub fn unfinished(&self) -> usize {
        self.end - self.start
    }

    /// Forgets an unfinished record.
    pub fn skip_unfinished(&mut self) {
        self.start = self.end;
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.buffer.resize(self.end + READ, 0);
        let got = loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += got;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and "nothing just now" in between.
    struct Drops<'a>(&'a [u8], bool);
    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Ok(0);
            }
            let n = self.0.len().min(3).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn records_are_whole_however_bytes_come() {
        let mut records = Records::new(Driver::JsonFile, Drops(b"one\ntwo\nunfinished", false));
        let mut got = Vec::new();
        for _ in 0..40 {
            if let Some(record) = records.next_record().unwrap() {
                got.push(record.bytes.to_vec());
            }
        }
        assert_eq!(got, [b"one\n", b"two\n"]);
        assert_eq!(records.unfinished(), 10);
    }
}
