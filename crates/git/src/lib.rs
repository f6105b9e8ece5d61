//! Repositories of other machines, by the system's `git`.
//!
//! What it is: an address understood ([`Repository`]), the commit it stands for ([`resolve`]), and that commit's files in a
//! folder ([`check_out`]). It runs without a terminal, without the machine's and the user's settings, and speaks only
//! protocols that reach other machines. Nothing of an address is ever taken for an option.
//!
//! What it is not: a keeper of what was fetched, or a judge of how long that may take and how large it may be; that is
//! the caller's, who drops the work to end it.
//!
//! Start reading at `repository.rs`.

mod check_out;
mod command;
mod repository;

pub use check_out::{Checkout, check_out, resolve};
pub use repository::{Repository, without_password};

/// Why it did not come.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The address means nothing.
    #[error("{0}")]
    Address(String),
    /// `git` would not.
    #[error("failed to fetch remote {address}: {told}")]
    Git {
        /// Of the repository, without a password.
        address: String,
        /// Its last words.
        told: String,
    },
    /// Our own disk.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's word.
        #[source]
        cause: std::io::Error,
    },
}
