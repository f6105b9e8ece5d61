//! `docker diff`: what differs between a snapshot and what it stands on, told as Docker tells it.
//!
//! A path is *added* if it was not there, *deleted* if it is not any more, *modified* if mode, owner, device or capability
//! differ, or, of all but directories, size or time. A directory in which something changed is modified too.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use gantry_archive::{Root, Whiteouts, find_below, is_overlay_whiteout, xattr};
use rustix::fs::{Dir, FileType, OFlags, Stat};

use crate::{Change, ChangeKind, Error, Result};

/// The tree as it was.
pub(crate) struct Before<'a> {
    /// Its layers, nearest first; one for a plain tree.
    pub(crate) layers: &'a [Root],
    /// Whether the new tree shows everything (a copy), or only what was touched (an overlay's upper layer).
    pub(crate) whole: bool,
}

/// All changes, ordered by path. No call within a call: a stack is no place for what a container may make deep.
pub(crate) fn changes(new: &Root, before: &Before<'_>) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    let mut way = vec![Level::of(new, before, Vec::new(), true, None, 0)?];
    while let Some(level) = way.last_mut() {
        if let Some(name) = level.left.pop_first() {
            let path = join(&level.dir, &name);
            level.names.insert(name);
            if let Some(below) = compare(new, before, path, level.was_dir, &mut found)? {
                way.push(below);
            }
            continue;
        }
        let Some(full) = way.pop() else { break };
        full.close(before, &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// A directory on the way down.
struct Level {
    dir: Vec<u8>,
    /// Names that are still to be compared.
    left: BTreeSet<Vec<u8>>,
    /// Those that were.
    names: BTreeSet<Vec<u8>>,
    /// Whether nothing of what was here shows through.
    complete: bool,
    was_dir: bool,
    /// What is known of the directory itself.
    told: Option<ChangeKind>,
    /// How much was found before it.
    start: usize,
}

impl Level {
    fn of(
        new: &Root,
        before: &Before<'_>,
        dir: Vec<u8>,
        was_dir: bool,
        told: Option<ChangeKind>,
        start: usize,
    ) -> Result<Level> {
        let complete = before.whole || (!dir.is_empty() && is_opaque(new, &dir)?);
        let left = names(new, &dir)?;
        Ok(Level { dir, left, names: BTreeSet::new(), complete, was_dir, told, start })
    }

    /// What is gone from it, and whether that or anything else in it makes it a changed one.
    fn close(self, before: &Before<'_>, found: &mut Vec<Change>) -> Result<()> {
        if self.complete && self.was_dir {
            for name in old_names(before, &self.dir)? {
                if !self.names.contains(&name) {
                    found.push(change(&join(&self.dir, &name), ChangeKind::Deleted));
                }
            }
        }
        let inside = (found.len() > self.start).then_some(ChangeKind::Modified);
        if let Some(kind) = self.told.or(inside).filter(|_| !self.dir.is_empty()) {
            found.push(change(&self.dir, kind));
        }
        Ok(())
    }
}

/// Compares one path; gives back the directory whose contents come next, if it is one.
fn compare(
    new: &Root,
    before: &Before<'_>,
    path: Vec<u8>,
    was_dir: bool,
    found: &mut Vec<Change>,
) -> Result<Option<Level>> {
    let Ok(stat) = new.lstat(&path) else { return Ok(None) };
    let old = if was_dir { look(before, &path)? } else { None };
    if !before.whole && is_overlay_whiteout(&stat) {
        if old.is_some() {
            found.push(change(&path, ChangeKind::Deleted));
        }
        return Ok(None);
    }
    let told = match &old {
        None => Some(ChangeKind::Added),
        Some((layer, old)) => {
            let differs =
                differs(old, &stat) || capability(&before.layers[*layer], &path) != capability(new, &path);
            differs.then_some(ChangeKind::Modified)
        }
    };
    if kind(&stat) == FileType::Directory {
        let old_is_dir = old.as_ref().is_some_and(|(_, old)| kind(old) == FileType::Directory);
        return Level::of(new, before, path, old_is_dir, told, found.len()).map(Some);
    }
    if let Some(kind) = told {
        found.push(change(&path, kind));
    }
    Ok(None)
}

fn look(before: &Before<'_>, path: &[u8]) -> Result<Option<(usize, Stat)>> {
    Ok(find_below(before.layers, path, Whiteouts::Overlay)?)
}

/// The names a directory showed: all layers' together, as far down as none hides those below it.
fn old_names(before: &Before<'_>, dir: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
    let mut candidates = BTreeSet::new();
    for layer in before.layers {
        candidates.extend(names(layer, dir)?);
    }
    let mut seen = BTreeSet::new();
    for name in candidates {
        if look(before, &join(dir, &name))?.is_some() {
            seen.insert(name);
        }
    }
    Ok(seen)
}

fn names(root: &Root, dir: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let fd = match root.open_at(dir, flags, 0) {
        Ok(fd) => fd,
        // Not there, not a directory, or a symlink: it shows no names.
        Err(e) if matches!(e.raw_os_error(), Some(2 | 20 | 40)) => return Ok(BTreeSet::new()),
        Err(e) => return Err(Error::io("opening", &path_of(dir))(e)),
    };
    let mut found = BTreeSet::new();
    for entry in Dir::read_from(&fd).map_err(Error::io("listing", &path_of(dir)))? {
        let entry = entry.map_err(Error::io("listing", &path_of(dir)))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.insert(name.to_vec());
        }
    }
    Ok(found)
}

fn is_opaque(root: &Root, dir: &[u8]) -> Result<bool> {
    let fd = root.open_dir(dir).map_err(Error::io("opening", &path_of(dir)))?;
    Whiteouts::Overlay.is_opaque(fd.as_fd(), b".").map_err(Error::io("reading", &path_of(dir)))
}

fn capability(root: &Root, path: &[u8]) -> Option<Vec<u8>> {
    let at = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let dir = root.open_dir(&path[..at]).ok()?;
    xattr::read(dir.as_fd(), &path[at..]).ok()?.remove(b"security.capability".as_slice())
}

fn differs(old: &Stat, new: &Stat) -> bool {
    if old.st_mode != new.st_mode
        || old.st_uid != new.st_uid
        || old.st_gid != new.st_gid
        || old.st_rdev != new.st_rdev
    {
        return true;
    }
    kind(new) != FileType::Directory && (old.st_size != new.st_size || !same_time(old, new))
}

/// A layer may have lost its nanoseconds on the way; then whole seconds decide.
fn same_time(old: &Stat, new: &Stat) -> bool {
    let whole = old.st_mtime_nsec == 0 || new.st_mtime_nsec == 0;
    old.st_mtime == new.st_mtime && (whole || old.st_mtime_nsec == new.st_mtime_nsec)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

fn change(path: &[u8], kind: ChangeKind) -> Change {
    Change { path: path_of(path), kind }
}

fn path_of(path: &[u8]) -> std::path::PathBuf {
    std::ffi::OsString::from_vec([b"/", path].concat()).into()
}
