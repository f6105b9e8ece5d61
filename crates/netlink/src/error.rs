//! What the kernel answered when it said no.

use std::fmt;

use rustix::io::Errno;

/// A refused or failed exchange: the error number, and the kernel's own sentence where it gave one (extended ack).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The error number.
    pub errno: Errno,
    /// `NLMSGERR_ATTR_MSG`, when the kernel said why.
    pub message: Option<String>,
    /// What was attempted, for people: `create link veth1234567`.
    pub what: String,
}

impl Error {
    pub(crate) fn new(errno: Errno) -> Error {
        Error { errno, message: None, what: String::new() }
    }

    pub(crate) fn doing(mut self, what: impl Into<String>) -> Error {
        if self.what.is_empty() {
            self.what = what.into();
        }
        self
    }

    /// The thing is there already (`EEXIST`).
    pub fn is_exists(&self) -> bool {
        self.errno == Errno::EXIST
    }

    /// The thing is not there (`ENOENT`, `ENODEV`, `ESRCH`, `EADDRNOTAVAIL`).
    pub fn is_missing(&self) -> bool {
        matches!(self.errno, Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::ADDRNOTAVAIL)
    }

    /// This kernel does not know the kind of thing (`EOPNOTSUPP`, `EAFNOSUPPORT`, `EPROTONOSUPPORT`).
    pub fn is_unsupported(&self) -> bool {
        matches!(self.errno, Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.what.is_empty() {
            write!(f, "{}: ", self.what)?;
        }
        match &self.message {
            Some(message) => write!(f, "{message} ({})", self.errno),
            None => write!(f, "{}", self.errno),
        }
    }
}

impl std::error::Error for Error {}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Error {
        Error::new(errno)
    }
}

impl From<std::io::Error> for Error {
    fn from(err: std::io::Error) -> Error {
        Error::new(Errno::from_io_error(&err).unwrap_or(Errno::IO))
    }
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
