//! Where a container's root file system comes from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The root file system, mounted inside the container's own mount namespace, so that nothing is left on the
/// host when anything dies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RootMount {
    /// `root.path` of the configuration, ready as it is.
    #[default]
    Path,
    /// An overlay of these folders.
    Overlay {
        /// Top first.
        lower: Vec<PathBuf>,
        /// Absent: a read-only view.
        upper: Option<PathBuf>,
        work: Option<PathBuf>,
        /// Further options of overlayfs, `metacopy=off` and the like.
        #[serde(default)]
        options: Vec<String>,
    },
    /// This folder instead of `root.path`.
    Dir { path: PathBuf },
}
