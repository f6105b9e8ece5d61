//! A tree of files removed, however deep somebody has made it.
//!
//! A container makes folders in folders without end: it never has to name them by a path. The standard library's removal
//! calls itself for each and keeps each open, until the stack or the descriptors are at their end, and with them the
//! engine. Here one folder is open at a time, and what is left to do above it is a list.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Names of one folder that are kept at once.
const AT_ONCE: usize = 4096;

/// Removes the folder `path` with all that is below it; a link is removed, not followed.
///
/// # Errors
/// Where it is not there, or the kernel says no.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    let (above, name) = match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) if above.as_os_str().is_empty() => (Path::new("."), name),
        (Some(above), Some(name)) => (above, name),
        _ => return Err(Errno::INVAL.into()),
    };
    let above = openat(CWD, above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    statat(&above, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(remove_at(above.as_fd(), name.as_bytes())?)
}

/// Removes `name` in `above` with all that is below it, whatever it is. Missing is success.
///
/// # Errors
/// What the kernel says; `STALE` where somebody moved a folder away while it was emptied.
pub fn remove_at(above: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let Some(mut here) = remove_or_open(above, name)? else { return Ok(()) };
    // The folders on the way down, each with what is still in it and where it was found.
    let mut way = vec![Level { name: name.to_vec(), left: Names::read(&here)?, above: None }];
    while let Some(level) = way.last_mut() {
        if level.left.some.is_empty() && level.left.more {
            level.left = Names::read(&here)?;
        }
        if let Some(name) = level.left.some.pop() {
            if let Some(below) = remove_or_open(here.as_fd(), &name)? {
                way.push(Level { name, left: Names::read(&below)?, above: Some(identity(&fstat(&here)?)) });
                here = below;
            }
            continue;
        }
        let Some(empty) = way.pop() else { break };
        let Some(wanted) = empty.above else {
            return gone(unlinkat(above, os(&empty.name), AtFlags::REMOVEDIR));
        };
        let back = openat(&here, "..", FOLDER, Mode::empty())?;
        // Had it been moved meanwhile, this would be somebody else's folder.
        if identity(&fstat(&back)?) != wanted {
            return Err(Errno::STALE);
        }
        gone(unlinkat(&back, os(&empty.name), AtFlags::REMOVEDIR))?;
        here = back;
    }
    Ok(())
}

struct Level {
    name: Vec<u8>,
    left: Names,
    /// The folder it is in; the topmost is in the caller's.
    above: Option<(u64, u64)>,
}

/// Removes what is no folder, or an empty one; opens one that is not.
fn remove_or_open(above: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Option<OwnedFd>> {
    match unlinkat(above, os(name), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR) => {}
        Err(Errno::PERM) if is_folder(above, name) => {}
        Err(other) => return Err(other),
    }
    match unlinkat(above, os(name), AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        Err(other) => return Err(other),
    }
    match openat(above, os(name), FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some),
    }
}

fn is_folder(above: BorrowedFd<'_>, name: &[u8]) -> bool {
    let stat = statat(above, os(name), AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Names in a folder: some of them, where there are very many, so that nobody fills our memory with them.
struct Names {
    some: Vec<Vec<u8>>,
    more: bool,
}

impl Names {
    fn read(folder: &OwnedFd) -> rustix::io::Result<Names> {
        let mut some = Vec::new();
        for entry in Dir::read_from(folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            some.push(name);
            if some.len() == AT_ONCE {
                return Ok(Names { some, more: true });
            }
        }
        Ok(Names { some, more: false })
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn gone(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("gantry-tree-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_tree_goes_with_all_that_is_in_it_and_links_lead_nowhere() {
        let base = scratch("links");
        let (tree, kept) = (base.join("tree"), base.join("kept"));
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::create_dir_all(tree.join("a/d")).unwrap();
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        std::fs::write(tree.join("a/b/file"), "x").unwrap();
        std::fs::hard_link(kept.join("file"), tree.join("a/hard")).unwrap();
        symlink(&kept, tree.join("a/b/c/link")).unwrap();
        symlink(&kept, base.join("link")).unwrap();
        remove_dir_all(&tree).unwrap();
        remove_dir_all(&base.join("link")).unwrap();
        assert_eq!(remove_dir_all(&tree).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "x");
        remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_folder_of_more_names_than_are_kept_goes_too() {
        let base = Path::new("/dev/shm").join(format!("gantry-tree-wide-{}", std::process::id()));
        for folder in ["", "a", "b"] {
            std::fs::create_dir(base.join(folder)).unwrap();
            for number in 0..AT_ONCE + 1 {
                std::fs::write(base.join(folder).join(number.to_string()), "").unwrap();
            }
        }
        remove_dir_all(&base).unwrap();
        assert!(!base.exists());
    }

    /// Deeper than there are descriptors, and than a stack has room for.
    #[test]
    fn a_tree_without_end_goes_too() {
        // In memory: disks are slow with so many folders.
        let base = Path::new("/dev/shm").join(format!("gantry-tree-deep-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut here = openat(CWD, &base, flags, Mode::empty()).unwrap();
        for _ in 0..30_000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = openat(&here, "d", flags, Mode::empty()).unwrap();
        }
        drop(here);
        remove_dir_all(&base).unwrap();
        assert!(!base.exists());
    }
}
