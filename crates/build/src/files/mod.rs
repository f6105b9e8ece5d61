//! Files of a build: reading a context or a stage's root, choosing what an instruction names, copying it.
//!
//! Every path is resolved by the kernel below a folder's descriptor (`openat2` with `RESOLVE_IN_ROOT`), so no mix of
//! links, `..` and absolute names leaves it.

mod chmod;
mod clamp;
mod copy;
mod digest;
mod root;
mod select;
mod transfer;

pub use chmod::{Chmod, ModeError};
pub use clamp::clamp_times;
pub use copy::{CopyOptions, Owner, copy};
pub use digest::digest;
pub use root::{Entry, EntryKind, Root};
pub use select::{Selected, Selection, select};

/// Why files could not be chosen, read or written. Paths are as the Dockerfile or the tree names them.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A pattern reaches above the folder.
    #[error("forbidden path outside the build context: {0} ()")]
    Outside(String),
    /// Nothing is called that, or `.dockerignore` hides it.
    #[error("file not found in build context or excluded by .dockerignore: stat {0}: file does not exist")]
    NotFound(String),
    /// No file matches a pattern.
    #[error("no source files were specified")]
    NoneMatches,
    /// `[` without `]` and the like.
    #[error("syntax error in pattern: {0}")]
    Pattern(String),
    /// Several files cannot become one.
    #[error(
        "When using {0} with more than one source file, the destination must be a directory and end with a /"
    )]
    TargetNotFolder(&'static str),
    /// A folder cannot take a file's place, nor a file a folder's.
    #[error("cannot replace {0}: a directory and a file of one name")]
    Kinds(String),
    /// A device, FIFO or socket was named.
    #[error("{0} is neither a file nor a directory")]
    NotRegular(String),
    /// The kernel refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Its reason.
        #[source]
        error: std::io::Error,
    },
}

impl FileError {
    pub(crate) fn io<E: Into<std::io::Error>>(path: &str) -> impl FnOnce(E) -> FileError {
        let path = path.to_owned();
        move |error| FileError::Io { path, error: error.into() }
    }
}

impl gantry_errdefs::Classified for FileError {
    fn class(&self) -> gantry_errdefs::Class {
        match self {
            FileError::Io { error, .. } => gantry_errdefs::Classified::class(error),
            _ => gantry_errdefs::Class::InvalidArgument,
        }
    }
}
