use std::io;
use std::path::{Path, PathBuf};

use gantry_errdefs::{Class, Classified};
use gantry_names::Digest;

/// What a content operation returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a content operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such blob.
    #[error("content {0}: not found")]
    NotFound(Digest),
    /// The blob's bytes no longer have the digest it is named by.
    #[error("content {digest}: damaged on disk: its bytes hash to {found}")]
    Damaged {
        /// The blob's name.
        digest: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
    /// What was written is not what was announced.
    #[error("content mismatch: expected digest {expected}, received {found}")]
    DigestMismatch {
        /// The announced digest.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// What was written is longer or shorter than announced.
    #[error("content mismatch: expected {expected} bytes, received {found}")]
    SizeMismatch {
        /// The announced size in bytes.
        expected: u64,
        /// The size of what came.
        found: u64,
    },
    /// The blob is larger than the reader is willing to hold in memory.
    #[error("content {digest}: {size} bytes are more than the {max} allowed here")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The reader's limit in bytes.
        max: u64,
    },
    /// Another writer holds this ingest key.
    #[error("ingest {0:?} is being written by somebody else")]
    Busy(String),
    /// A digest algorithm this store has no directory for.
    #[error("content {0}: only sha256 can be stored")]
    Algorithm(Digest),
    /// The file system failed.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { what, path: path.to_owned(), source }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::NotFound(_) => Class::NotFound,
            Error::DigestMismatch { .. }
            | Error::SizeMismatch { .. }
            | Error::TooLarge { .. }
            | Error::Algorithm(_) => Class::InvalidArgument,
            Error::Busy(_) => Class::Unavailable,
            Error::Damaged { .. } => Class::Internal,
            Error::Io { source, .. } => source.class(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::NotFound(_) => io::ErrorKind::NotFound,
            Error::Io { source, .. } => source.kind(),
            Error::Damaged { .. } | Error::DigestMismatch { .. } | Error::SizeMismatch { .. } => {
                io::ErrorKind::InvalidData
            }
            Error::TooLarge { .. } | Error::Busy(_) | Error::Algorithm(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
