//! Files over a stream, so that only what changed travels.
//!
//! The sender tells every file in order of its path, an empty entry ends the list. The receiver asks for the bytes of
//! those that it has not, by their number in the list; they come in pieces, an empty piece ends a file. Then both say
//! that they are done. Source: tonistiigi/fsutil, `receive.go`.

mod disk;
mod mode;
mod receive;
mod send;
mod tree;

pub use disk::Disk;
pub use mode::Kind;
pub use receive::{Received, receive, take};
pub use send::{From, To, send};
pub use tree::{Filter, Listed, Owners, folder, list, stat};

/// Why files could not be sent or taken in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The stream failed.
    #[error(transparent)]
    Wire(#[from] crate::grpc::Status),
    /// The other side gave up.
    #[error("error from the other side: {0}")]
    Told(String),
    /// The other side broke the protocol, or sent a name that leaves the folder.
    #[error("{0}")]
    Protocol(String),
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

impl TransferError {
    pub(crate) fn io<E: Into<std::io::Error>>(path: &str) -> impl FnOnce(E) -> TransferError {
        let path = path.to_owned();
        move |error| TransferError::Io { path, error: error.into() }
    }
}
