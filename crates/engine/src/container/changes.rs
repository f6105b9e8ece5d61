//! `diff`.

use gantry_snapshots::ChangeKind as SnapshotChange;

use crate::engine::{Engine, blocking};
use crate::error::Result;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `C`
    Modified,
    /// `A`
    Added,
    /// `D`
    Deleted,
}

impl Engine {
    /// What differs between a container and its image.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<(ChangeKind, String)>> {
        let container = self.find(name)?;
        let record = container.record();
        let snapshots = std::sync::Arc::clone(self.snapshots_of(&record)?);
        let changes = blocking(move || snapshots.changes(container.id.as_str())).await?;
        // What the engine itself puts there is nobody's change.
        let own = |path: &str| {
            matches!(
                path,
                "/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf" | "/.dockerenv" | "/sbin/docker-init"
            ) || record
                .mounts
                .iter()
                .any(|point| path == point.target || path.starts_with(&format!("{}/", point.target)))
        };
        let shown = changes.into_iter().map(|change| {
            let kind = match change.kind {
                SnapshotChange::Modified => ChangeKind::Modified,
                SnapshotChange::Added => ChangeKind::Added,
                SnapshotChange::Deleted => ChangeKind::Deleted,
            };
            (kind, change.path.to_string_lossy().into_owned())
        });
        Ok(shown.filter(|(kind, path)| *kind == ChangeKind::Modified || !own(path)).collect())
    }
}
