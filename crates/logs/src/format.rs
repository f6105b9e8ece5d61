//! The two formats behind one face.

use crate::lines::Piece;
use crate::{Config, Driver, Entry, json_file, local};

/// What the beginning of some bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A record of so many bytes.
    Record(usize),
    /// Perhaps a record, once there are more bytes.
    More,
    /// No record; after this many bytes there may be one.
    Damage(usize),
}

/// A longer line is no record of anybody's: 16 KiB of text, each byte escaped to six, and attributes.
const LONGEST_LINE: usize = 1 << 20;

/// Looks at the record that some bytes begin with.
pub(crate) fn frame(driver: Driver, bytes: &[u8]) -> Frame {
    match driver {
        Driver::Local => local::frame(bytes),
        Driver::JsonFile | Driver::None => match memchr::memchr(b'\n', bytes) {
            Some(end) => Frame::Record(end + 1),
            None if bytes.len() > LONGEST_LINE => Frame::Damage(bytes.len()),
            None => Frame::More,
        },
    }
}

/// Reads a record that [`frame`] found. `None` when it is damaged.
pub(crate) fn decode(driver: Driver, record: &[u8]) -> Option<Entry> {
    match driver {
        Driver::Local => local::decode(record),
        Driver::JsonFile | Driver::None => json_file::decode(record.strip_suffix(b"\n").unwrap_or(record)),
    }
}

/// Writes records.
#[derive(Debug)]
pub(crate) enum Encoder {
    JsonFile(json_file::Encoder),
    Local(local::Encoder),
}

impl Encoder {
    pub fn new(config: &Config) -> Encoder {
        match config.driver {
            Driver::Local => Encoder::Local(local::Encoder::new(&config.attributes)),
            Driver::JsonFile | Driver::None => Encoder::JsonFile(json_file::Encoder::new(&config.attributes)),
        }
    }

    pub fn encode(&mut self, out: &mut Vec<u8>, piece: Piece<'_>) {
        match self {
            Encoder::JsonFile(encoder) => encoder.encode(out, piece),
            Encoder::Local(encoder) => encoder.encode(out, piece),
        }
    }
}
