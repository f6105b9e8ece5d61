//! What can go wrong with a control group.

use std::io;

use gantry_errdefs::{Class, Classified};

/// A control group that could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the hierarchy refused.
    #[error("{what}: {}", plain(cause))]
    Io {
        /// What was being done, with the file's name and the value.
        what: String,
        /// What the kernel said.
        cause: io::Error,
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
            Error::Io { cause, .. } if cause.raw_os_error() == Some(22) => Class::InvalidArgument,
            Error::Io { cause, .. } => cause.class(),
            Error::Unsupported(_) => Class::NotImplemented,
            Error::Invalid(_) => Class::InvalidArgument,
        }
    }
}

/// The kernel's word as Go prints it: `no such file or directory`. Part of the text, so it is no `source` too.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
