//! The sparse index of a log file.
//!
//! Beside each log file lies a small one that says, about every 256 KiB, how many records and which latest time come
//! before a place. It lets a reader begin near `--since` and `--tail`; it is a hint, never the truth: a reader that finds
//! it missing, short or wrong reads the log from its beginning.
//!
//! Layout, all little endian: a header of 32 bytes (`GLIX`, version 1: u32, sequence: u64, flags: u64, zero: u64), then
//! marks of 32 bytes ([`Mark`]). The sequence counts the files of one log and stays with a file when it is renamed: it
//! tells a follower which file comes next. Flag 1: the file is compressed, a gzip member per mark.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: &[u8; 4] = b"GLIX";
const VERSION: u32 = 1;
const COMPRESSED: u64 = 1;
const RECORD: usize = 32;
/// Bytes of log between two marks: what a reader skips in about a millisecond.
pub(crate) const SPACING: u64 = 256 << 10;

/// A place in a log where a record begins (or the end of the file).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The latest time of any record before the place. Records after it may be earlier all the same: clocks are set.
    pub latest_ns: i64,
    /// The place, in bytes of plain log.
    pub offset: u64,
    /// Records before it.
    pub records: u64,
    /// The place in the file: the same, or where a gzip member begins.
    pub packed: u64,
}

impl Mark {
    /// The beginning of a file.
    pub(crate) const START: Mark = Mark { latest_ns: i64::MIN, offset: 0, records: 0, packed: 0 };

    fn to_bytes(self) -> [u8; RECORD] {
        words([self.latest_ns as u64, self.offset, self.records, self.packed])
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Mark {
        let [latest, offset, records, packed] = unwords(bytes);
        Mark { latest_ns: latest as i64, offset, records, packed }
    }
}

fn words(words: [u64; 4]) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn unwords(bytes: &[u8; RECORD]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, place) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*place);
    }
    words
}

fn header(sequence: u64, compressed: bool) -> [u8; RECORD] {
    let magic = u64::from(u32::from_le_bytes(*MAGIC)) | u64::from(VERSION) << 32;
    words([magic, sequence, if compressed { COMPRESSED } else { 0 }, 0])
}

/// An index that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Which file of the log.
    pub sequence: u64,
    /// Whether its file is compressed.
    pub compressed: bool,
    /// Its marks, in order; never empty: the first is the beginning.
    pub marks: Vec<Mark>,
}

impl Index {
    /// Reads an index; `None` when it is missing or is none. Marks from the first that makes no sense on are left out.
    pub fn read(path: &Path) -> Option<Index> {
        Index::parse(&fs::read(path).ok()?)
    }

    fn parse(bytes: &[u8]) -> Option<Index> {
        let (records, _) = bytes.as_chunks::<RECORD>();
        let (first, rest) = records.split_first()?;
        let [magic, sequence, flags, _] = unwords(first);
        let compressed = flags & COMPRESSED != 0;
        if magic != unwords(&header(0, false))[0] {
            return None;
        }
        let mut marks = vec![Mark::START];
        for mark in rest.iter().map(Mark::from_bytes) {
            let last = marks[marks.len() - 1];
            let grows =
                mark.offset >= last.offset && mark.records >= last.records && mark.packed >= last.packed;
            if !grows || mark.latest_ns < last.latest_ns || (!compressed && mark.packed != mark.offset) {
                break;
            }
            marks.push(mark);
        }
        Some(Index { sequence, compressed, marks })
    }

    /// The index of a file that nobody has indexed.
    pub(crate) fn unknown(compressed: bool) -> Index {
        Index { sequence: 0, compressed, marks: vec![Mark::START] }
    }

    /// The last mark.
    pub(crate) fn last(&self) -> Mark {
        self.marks.last().copied().unwrap_or(Mark::START)
    }

    /// The last mark that has no record of `since_ns` or later before it.
    pub(crate) fn since(&self, since_ns: i64) -> Mark {
        let place = self.marks.partition_point(|mark| mark.latest_ns < since_ns);
        self.marks[place.saturating_sub(1)]
    }

    /// The last mark with at most `records` records before it.
    pub(crate) fn record(&self, records: u64) -> Mark {
        let place = self.marks.partition_point(|mark| mark.records <= records);
        self.marks[place.saturating_sub(1)]
    }

    /// Leaves out marks past a file's length.
    pub(crate) fn cut(&mut self, len: u64) {
        let place = self.marks.partition_point(|mark| mark.packed <= len);
        self.marks.truncate(place.max(1));
    }
}

/// An index being written.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    file: File,
    pub sequence: u64,
}

impl IndexWriter {
    pub fn create(path: &Path, index: &Index) -> io::Result<IndexWriter> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        file.set_len(0)?;
        let mut bytes = header(index.sequence, index.compressed).to_vec();
        for mark in index.marks.iter().skip(1) {
            bytes.extend_from_slice(&mark.to_bytes());
        }
        file.write_all(&bytes)?;
        Ok(IndexWriter { file, sequence: index.sequence })
    }

    pub fn add(&mut self, marks: &[Mark]) -> io::Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = marks.iter().flat_map(|mark| mark.to_bytes()).collect();
        self.file.write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(latest_ns: i64, offset: u64, records: u64) -> Mark {
        Mark { latest_ns, offset, records, packed: offset }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_found_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        let mut index = Index { sequence: 7, compressed: false, marks: vec![Mark::START, mark(10, 100, 5)] };
        let mut writer = IndexWriter::create(&path, &index).unwrap();
        writer.add(&[mark(20, 200, 9), mark(20, 300, 12)]).unwrap();
        index.marks.extend([mark(20, 200, 9), mark(20, 300, 12)]);
        assert_eq!(Index::read(&path).unwrap(), index);
        assert_eq!(index.since(10), Mark::START);
        assert_eq!(index.since(11), mark(10, 100, 5));
        assert_eq!(index.since(21), mark(20, 300, 12));
        assert_eq!(index.record(4), Mark::START);
        assert_eq!(index.record(9), mark(20, 200, 9));
        index.cut(250);
        assert_eq!(index.last(), mark(20, 200, 9));
    }

    #[test]
    fn marks_that_go_backwards_are_not_believed() {
        let mut bytes = header(1, false).to_vec();
        for mark in [mark(10, 100, 5), mark(10, 50, 6), mark(11, 200, 7)] {
            bytes.extend(mark.to_bytes());
        }
        assert_eq!(Index::parse(&bytes).unwrap().marks, [Mark::START, mark(10, 100, 5)]);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut index = header(1, true).to_vec();
            index.extend(&bytes);
            let index = Index::parse(&index).unwrap();
            let _ = (index.since(5), index.record(5), Index::parse(&bytes));
        }
    }
}
