//! What can go wrong with a control group.

use std::io;

use gantry_errdefs::{Class, Classified};

/// A control group that could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the hierarchy refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the file's name and the value.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// This host has not what was asked for.
    #[error("{0}")]
    Unsupported(String),
    /// What was asked can never be.
    #[error("{0}")]
    Invalid(String),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Error::Io { source, .. } if source.raw_os_error() == Some(22) => Class::InvalidArgument,
            Error::Io { source, .. } => source.class(),
            Error::Unsupported(_) => Class::NotImplemented,
            Error::Invalid(_) => Class::InvalidArgument,
        }
    }
}
