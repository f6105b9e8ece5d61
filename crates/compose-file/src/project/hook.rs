use super::{Extensions, MaybePairs};

/// A command in the container at a point of its life.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hook {
    /// The words.
    pub command: Option<Vec<String>>,
    /// The user; empty: the container's.
    pub user: String,
    /// With full privileges.
    pub privileged: bool,
    /// The folder; empty: the container's.
    pub working_dir: String,
    /// More environment.
    pub environment: MaybePairs,
    /// The user's own.
    pub extensions: Extensions,
}
