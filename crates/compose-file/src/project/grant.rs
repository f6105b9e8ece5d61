use std::fmt;

use super::Extensions;

/// A secret or config that a service (or a build) gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grant {
    /// Its name in the project.
    pub source: String,
    /// The path in the container; a bare name of a secret stands in `/run/secrets`.
    pub target: String,
    /// The owner's number; empty: the container's user.
    pub uid: String,
    /// The group's number; empty: the container's group.
    pub gid: String,
    /// The permission bits.
    pub mode: Option<FileMode>,
    /// The user's own.
    pub extensions: Extensions,
}

/// Permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0{:o}", self.0)
    }
}
