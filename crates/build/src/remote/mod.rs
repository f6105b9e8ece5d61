//! What ADD and a build's context take from other machines: files over HTTP, repositories over git.

pub mod web;

/// Why it did not come.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address means nothing.
    #[error("{0}")]
    Address(String),
    /// A server would not, or its answer is not what was promised.
    #[error("{0}")]
    Answer(String),
    /// No repository came.
    #[error(transparent)]
    Git(#[from] gantry_git::GitError),
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

impl RemoteError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> RemoteError {
        let what = what.into();
        move |cause| RemoteError::Io { what, cause }
    }
}

/// Whether a source word is not a path but an address.
pub fn is_remote(word: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| word.starts_with(scheme))
        || gantry_git::Repository::parse(word).is_some()
}
