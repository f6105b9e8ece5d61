//! What the whole engine tells of itself.

mod df;
mod info;

pub use df::DiskUsage;
pub use info::{Info, without_login};

/// What a prune took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names or ids.
    pub deleted: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
}
