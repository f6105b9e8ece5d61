use std::io;

use gantry_errdefs::{Class, Classified};

/// What an archive operation returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why reading, writing, unpacking or packing an archive failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not tar.
    #[error("invalid tar header")]
    Header,
    /// The archive ends inside a member.
    #[error("unexpected EOF")]
    Truncated,
    /// A member is not well formed.
    #[error("invalid tar archive: {0}")]
    Malformed(&'static str),
    /// A member is larger in some respect than any honest archive has it.
    #[error("invalid tar archive: {what} exceeds {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// A member's name, or a hard link's target, points outside the root.
    #[error("{name:?} is outside of the archive's root")]
    Breakout {
        /// The name, as far as it is text.
        name: String,
    },
    /// A hard link's target is neither in the archive nor below.
    #[error("hard link {name:?}: no such file: {target:?}")]
    LinkTarget {
        /// The link.
        name: String,
        /// What it should be a link to.
        target: String,
    },
    /// A directory would take the place of something else, or the other way round. Docker's text.
    #[error("{0}")]
    Kinds(String),
    /// Making or reading one file of the tree failed.
    #[error("{what} {name:?}")]
    File {
        /// What was being done.
        what: &'static str,
        /// The file, relative to the root.
        name: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A compression this build does not read.
    #[error("{0} archives are not supported; use gzip, zstd, xz, bzip2 or none")]
    Compression(&'static str),
    /// The stream below failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    pub(crate) fn file<E: Into<io::Error>>(what: &'static str, name: &[u8]) -> impl FnOnce(E) -> Error {
        move |source| Error::File { what, name: lossy(name), source: source.into() }
    }
}

pub(crate) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::Header
            | Error::Truncated
            | Error::Malformed(_)
            | Error::Limit { .. }
            | Error::Breakout { .. }
            | Error::Kinds(_)
            | Error::LinkTarget { .. } => Class::InvalidArgument,
            Error::Compression(_) => Class::NotImplemented,
            Error::File { source, .. } | Error::Io(source) => source.class(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Io(inner) => inner,
            Error::Truncated => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            Error::File { ref source, .. } => io::Error::new(source.kind(), error),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
