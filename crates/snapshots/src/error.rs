use std::io;
use std::path::{Path, PathBuf};

use gantry_errdefs::{Class, Classified};

/// What a snapshot operation returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a snapshot operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No snapshot of that name or key.
    #[error("snapshot {0}: not found")]
    NotFound(String),
    /// The name or key is taken.
    #[error("snapshot {0}: already exists")]
    Exists(String),
    /// A parent must be committed.
    #[error("snapshot {0}: cannot be a parent: it is not committed")]
    NotCommitted(String),
    /// Only an active snapshot can be written to or committed.
    #[error("snapshot {0}: is not active")]
    NotActive(String),
    /// Other snapshots stand on it.
    #[error("snapshot {name}: in use by {child}")]
    HasChildren {
        /// The snapshot that was to be removed.
        name: String,
        /// One that stands on it.
        child: String,
    },
    /// The file system below cannot limit a snapshot's size. Docker's text.
    #[error("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")]
    NoQuota,
    /// The driver has no such thing at all.
    #[error("{driver}: {what}")]
    Unsupported {
        /// The driver asked.
        driver: &'static str,
        /// What it cannot do.
        what: String,
    },
    /// No driver of that name.
    #[error("driver not supported: {0}; use overlay or native")]
    UnknownDriver(String),
    /// A path in a root that is not there.
    #[error("{}: no such file or directory", .0.display())]
    NoPath(PathBuf),
    /// Copying into something that is no directory. Docker's text.
    #[error("extraction point is not a directory")]
    NotADirectory,
    /// The directory is written by another version of us.
    #[error("{}: layout version {found:?} is not {expected:?}", path.display())]
    Version {
        /// The snapshots' root.
        path: PathBuf,
        /// What its version file says.
        found: String,
        /// What this build writes.
        expected: &'static str,
    },
    /// A layer's tar stream was not good, or could not be unpacked or packed.
    #[error(transparent)]
    Archive(#[from] gantry_archive::Error),
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
    pub(crate) fn io<'a, E: Into<io::Error>>(
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(E) -> Error + 'a {
        move |source| Error::Io { what, path: path.to_owned(), source: source.into() }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::NotFound(_) | Error::NoPath(_) => Class::NotFound,
            Error::Exists(_) | Error::HasChildren { .. } => Class::Conflict,
            Error::NotCommitted(_)
            | Error::NotActive(_)
            | Error::NoQuota
            | Error::UnknownDriver(_)
            | Error::NotADirectory => Class::InvalidArgument,
            Error::Unsupported { .. } => Class::NotImplemented,
            Error::Version { .. } => Class::Internal,
            Error::Archive(error) => error.class(),
            Error::Io { source, .. } => source.class(),
        }
    }
}
