//! A request that fails: a status, the text the client sees, and the chain for the log.

use crate::status::status_of;
use gantry_errdefs::{Class, Classified, chain};
use http::StatusCode;

/// Why a request is not answered with what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The answer's status.
    pub status: StatusCode,
    /// The text in `{"message": ...}`.
    pub message: String,
}

impl Failure {
    /// A failure of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Failure { status: status_of(class), message: message.into() }
    }

    /// 400: the request can never succeed as written.
    pub fn invalid(message: impl Into<String>) -> Self {
        Failure::new(Class::InvalidArgument, message)
    }

    /// 500: our fault. Also what Go answers for numbers in queries that are none.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure::new(Class::Internal, message)
    }

    /// 501: this engine cannot do it, for the reason given.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Failure::new(Class::NotImplemented, message)
    }

    /// 404 as Docker answers a path it does not have.
    pub fn no_such_page() -> Self {
        Failure::new(Class::NotFound, "page not found")
    }

    /// The same failure with words in front, as Go's `errors.Wrap` puts them.
    pub fn context(mut self, words: impl std::fmt::Display) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }
}

/// The whole chain is the text: that is what Docker's `err.Error()` prints.
impl<E: Classified> From<E> for Failure {
    fn from(err: E) -> Self {
        Failure::new(err.class(), chain(&err))
    }
}
