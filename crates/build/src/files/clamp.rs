//! Times that are not newer than a given one: `SOURCE_DATE_EPOCH`.

use rustix::fs::{AtFlags, Timespec, Timestamps};

use super::{EntryKind, FileError, Root};

/// Cuts the times of everything below `root`, and of itself, to `newest` (seconds since 1970).
pub fn clamp_times(root: &Root, newest: i64) -> Result<(), FileError> {
    let mut open = vec![String::new()];
    // Folders last, and the deepest first: what happens inside of one touches its time.
    let mut folders = Vec::new();
    while let Some(path) = open.pop() {
        let Some(entry) = root.stat(&path, false)? else { continue };
        if entry.kind == EntryKind::Folder {
            for name in root.names(&path)? {
                let name = name.to_string_lossy();
                open.push(if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") });
            }
        }
        if entry.stat.st_mtime >= newest {
            folders.push(path);
        }
    }
    let time = Timespec { tv_sec: newest, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    for path in folders.iter().rev() {
        let name = if path.is_empty() { "." } else { path };
        rustix::fs::utimensat(root.fd(), name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(FileError::io(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn only_newer_times_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/new"), "x").unwrap();
        std::fs::write(at("old"), "x").unwrap();
        let old = std::fs::File::open(at("old")).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(5)).unwrap();
        clamp_times(&Root::open(folder.path()).unwrap(), 100).unwrap();
        let time = |name: &str| std::fs::symlink_metadata(at(name)).unwrap().mtime();
        assert_eq!((time("d"), time("d/new"), time("old")), (100, 100, 5));
    }
}
