//! Mount points that a step's mounts made: they are not the step's work, and leave with the mounts.

use crate::files::{EntryKind, FileError, Root};

/// The kernel's own file systems are mounted there anyway; nothing of what is made below them stays.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Paths that were not there before the step.
#[derive(Debug)]
pub(crate) struct Stubs(Vec<String>);

impl Stubs {
    /// Notes what the targets of the mounts lack.
    pub(crate) fn note<'a>(root: &Root, targets: impl Iterator<Item = &'a str>) -> Result<Self, FileError> {
        let mut missing = Vec::new();
        for target in targets {
            if OWN.iter().any(|own| target == *own || target.starts_with(&format!("{own}/"))) {
                continue;
            }
            let names: Vec<&str> = target.split('/').filter(|name| !name.is_empty()).collect();
            for depth in 1..=names.len() {
                let path = names[..depth].join("/");
                if root.stat(&path, true)?.is_none() && !missing.contains(&path) {
                    missing.push(path);
                }
            }
        }
        // The deepest first.
        missing.sort_by_key(|path| std::cmp::Reverse(path.matches('/').count()));
        Ok(Self(missing))
    }

    /// Removes those that are still empty: what the step has put there stays.
    pub(crate) fn remove(&self, root: &Root) -> Result<(), FileError> {
        for path in &self.0 {
            let Some(entry) = root.stat(path, false)? else { continue };
            let empty = match entry.kind {
                EntryKind::Folder => root.names(path)?.is_empty(),
                EntryKind::File => entry.stat.st_size == 0,
                EntryKind::Link | EntryKind::Other => false,
            };
            if empty {
                root.remove(path, entry.kind)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_step_made_stays_and_what_the_mounts_made_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("there")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let targets = ["/there/cache", "/run/secrets/token", "/out", "/dev/x"];
        let stubs = Stubs::note(&root, targets.into_iter()).unwrap();
        for name in ["there/cache", "run/secrets", "out"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("run/secrets/token"), "").unwrap();
        std::fs::write(at("out/kept"), "x").unwrap();
        stubs.remove(&root).unwrap();
        assert!(at("there").exists() && at("out/kept").exists());
        assert!(!at("there/cache").exists() && !at("run").exists());
    }
}
