//! The failure classes every error of the house belongs to.
//!
//! An error has a class (what kind of failure, so that the server can choose a status and a caller can
//! decide), and a chain (the causes, for the log). Classes are words only: no texts, no HTTP, no codes.

use std::error::Error;
use std::io;

/// What kind of failure an error is. One table at the server maps it to an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The named thing does not exist.
    NotFound,
    /// The request fights with the thing's present state or with another request.
    Conflict,
    /// The request can never succeed as written.
    InvalidArgument,
    /// The thing is already as asked.
    NotModified,
    /// Who asks is not known.
    Unauthorized,
    /// Who asks is known and may not.
    Forbidden,
    /// Something needed is away or full just now; the same request may succeed later.
    Unavailable,
    /// This build or this machine cannot do it.
    NotImplemented,
    /// Our fault, or the kernel's.
    Internal,
}

impl Class {
    /// The class as one word for wire protocols between our own programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::NotFound => "not-found",
            Class::Conflict => "conflict",
            Class::InvalidArgument => "invalid-argument",
            Class::NotModified => "not-modified",
            Class::Unauthorized => "unauthorized",
            Class::Forbidden => "forbidden",
            Class::Unavailable => "unavailable",
            Class::NotImplemented => "not-implemented",
            Class::Internal => "internal",
        }
    }

    /// Reads what [`Class::as_str`] wrote; an unknown word is `Internal`.
    pub fn from_word(word: &str) -> Class {
        const ALL: [Class; 9] = [
            Class::NotFound,
            Class::Conflict,
            Class::InvalidArgument,
            Class::NotModified,
            Class::Unauthorized,
            Class::Forbidden,
            Class::Unavailable,
            Class::NotImplemented,
            Class::Internal,
        ];
        ALL.into_iter().find(|c| c.as_str() == word).unwrap_or(Class::Internal)
    }
}

/// An error that knows its class.
pub trait Classified: Error {
    /// The failure's class.
    fn class(&self) -> Class;
}

impl Classified for io::Error {
    fn class(&self) -> Class {
        match self.kind() {
            io::ErrorKind::NotFound => Class::NotFound,
            io::ErrorKind::AlreadyExists => Class::Conflict,
            io::ErrorKind::PermissionDenied => Class::Forbidden,
            io::ErrorKind::InvalidInput => Class::InvalidArgument,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
                Class::Unavailable
            }
            io::ErrorKind::Unsupported => Class::NotImplemented,
            _ => Class::Internal,
        }
    }
}

/// The error and its causes on one line, `a: b: c`. A cause whose text the line already ends with is not repeated.
pub fn chain(err: &dyn Error) -> String {
    let mut line = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let text = err.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = err.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error, &'static str);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.1)
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_chain_tells_each_cause_once() {
        let told = Outer(io::Error::other("disk gone"), "write blob: disk gone");
        assert_eq!(chain(&told), "write blob: disk gone");
        let untold = Outer(io::Error::other("disk gone"), "write blob");
        assert_eq!(chain(&untold), "write blob: disk gone");
    }

    #[test]
    fn every_class_survives_its_word() {
        for class in [Class::NotFound, Class::Conflict, Class::NotModified, Class::Forbidden, Class::Internal]
        {
            assert_eq!(Class::from_word(class.as_str()), class);
        }
        assert_eq!(Class::from_word("nonsense"), Class::Internal);
    }

    #[test]
    fn a_full_disk_is_unavailable() {
        assert_eq!(io::Error::from_raw_os_error(28).class(), Class::Unavailable);
    }
}
