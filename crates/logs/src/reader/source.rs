//! One file of a log, opened to be read from a place.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use flate2::read::MultiGzDecoder;

use crate::index::{Index, Mark};

/// A file as it was when it was opened; it stays readable when its name goes.
#[derive(Debug)]
pub(crate) struct Opened {
    pub file: File,
    pub index: Index,
    pub compressed: bool,
}

impl Opened {
    pub fn new(file: File, index: Option<Index>, compressed: bool) -> io::Result<Opened> {
        let mut index = index
            .filter(|index| index.compressed == compressed)
            .unwrap_or_else(|| Index::unknown(compressed));
        index.cut(file.metadata()?.len());
        Ok(Opened { file, index, compressed })
    }

    /// What the kernel knows it by.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|meta| (meta.dev(), meta.ino()))
    }

    /// Its plain bytes from a mark on.
    pub fn read_from(&self, mark: Mark) -> io::Result<Source> {
        let raw = Raw { file: self.file.try_clone()?, offset: mark.packed };
        // Behind the last member there is nothing, and nothing is no gzip file.
        let packed = self.compressed && mark.packed < self.file.metadata()?.len();
        Ok(if packed { Source::Packed(Box::new(MultiGzDecoder::new(raw))) } else { Source::Plain(raw) })
    }
}

/// Bytes of a log.
#[derive(Debug)]
pub(crate) enum Source {
    Plain(Raw),
    Packed(Box<MultiGzDecoder<Raw>>),
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(raw) => raw.read(into),
            Source::Packed(packed) => packed.read(into),
        }
    }
}

/// A file, read from a place that nobody else moves.
#[derive(Debug)]
pub(crate) struct Raw {
    file: File,
    offset: u64,
}

impl Raw {
    /// Whether the file has become shorter than where we are: somebody has emptied it.
    fn was_emptied(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.len() < self.offset)
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut got = self.file.read_at(into, self.offset)?;
        if got == 0 && self.was_emptied() {
            self.offset = 0;
            got = self.file.read_at(into, 0)?;
        }
        self.offset += got as u64;
        Ok(got)
    }
}
