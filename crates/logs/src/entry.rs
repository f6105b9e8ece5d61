//! One record of a log.

/// Which stream a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output, and all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Stream> {
        match name {
            b"stdout" => Some(Stream::Stdout),
            b"stderr" => Some(Stream::Stderr),
            _ => None,
        }
    }
}

/// One record: a line, or a piece of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of which stream.
    pub stream: Stream,
    /// When it was read from the container, in nanoseconds since 1970 (UTC). All pieces of a long line have the time
    /// of the first.
    pub at_ns: i64,
    /// The bytes, with the line's `\n`; without one, the line goes on in the next record of this stream.
    pub line: Vec<u8>,
    /// What `labels`, `env` and `tag` options have added, by name.
    pub attributes: Vec<(String, String)>,
}

impl Entry {
    /// Whether the line goes on in the next record of this stream (or the process ended without a newline).
    pub fn is_partial(&self) -> bool {
        self.line.last() != Some(&b'\n')
    }
}
