//! What a layer leaves open when it is unpacked apart from those below it.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::error::lossy;
use crate::root::{os, split};
use crate::{Error, Extracted, Result, Root, Whiteouts, is_overlay_whiteout, xattr};

/// Finishes a layer unpacked into `root` now that the layers below it are known, nearest first: implied directories take
/// mode, owner, times and attributes of the ones they cover; hard links to files below become links to a copy of the file
/// in this layer (what overlayfs itself does at the first write).
pub fn settle(root: &Root, below: &[Root], left: &Extracted, whiteouts: Whiteouts) -> Result<()> {
    for name in &left.implied {
        if let Some((layer, stat)) = find_below(below, name, whiteouts)?
            && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        {
            take_over(root, &below[layer], name, &stat)?;
        }
    }
    for (name, target) in &left.links {
        let missing = || Error::LinkTarget { name: lossy(name), target: lossy(target) };
        if root.lstat(target).is_err() {
            let (layer, stat) = find_below(below, target, whiteouts)?.ok_or_else(missing)?;
            copy_up(root, &below[layer], target, &stat)?;
        }
        let (from, to) = (split(target), split(name));
        let open = |dir: &[u8]| root.open_dir(dir).map_err(Error::file("opening", dir));
        match rustix::fs::linkat(open(from.0)?, os(from.1), open(to.0)?, os(to.1), AtFlags::empty()) {
            // A later member of the archive took the name.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Error::file("linking", name)(error)),
        }
    }
    Ok(())
}

/// In which of the layers `below`, nearest first, a name is seen from above, and what it is there.
pub fn find_below(below: &[Root], name: &[u8], whiteouts: Whiteouts) -> Result<Option<(usize, Stat)>> {
    for (i, layer) in below.iter().enumerate() {
        match layer.lstat(name) {
            Ok(stat) if is_overlay_whiteout(&stat) => return Ok(None),
            Ok(stat) => return Ok(Some((i, stat))),
            Err(e) if !matches!(e.raw_os_error(), Some(2 | 20)) => {
                return Err(Error::file("reading", name)(e));
            }
            Err(_) => {}
        }
        // A directory above it that is gone, or shows nothing of what is below, ends the search.
        let mut above = split(name).0;
        while !above.is_empty() {
            let (dir, base) = split(above);
            if let Ok(stat) = layer.lstat(above) {
                let opaque = layer
                    .open_dir(dir)
                    .ok()
                    .is_some_and(|fd| whiteouts.is_opaque(fd.as_fd(), base).unwrap_or(false));
                if opaque || FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    return Ok(None);
                }
            }
            above = dir;
        }
    }
    Ok(None)
}

fn take_over(root: &Root, from: &Root, name: &[u8], stat: &Stat) -> Result<()> {
    let failed = |what| Error::file(what, name);
    let dir = root
        .open_at(name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)
        .map_err(Error::file("opening", name))?;
    let source = from.open_dir(name).map_err(Error::file("opening", name))?;
    rustix::fs::fchown(&dir, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .map_err(failed("changing owner of"))?;
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(stat.st_mode & 0o7777))
        .map_err(failed("changing mode of"))?;
    copy_xattrs(&source, b".", &dir, b".", name)?;
    rustix::fs::futimens(&dir, &times(stat)).map_err(failed("setting times of"))
}

fn copy_up(root: &Root, from: &Root, name: &[u8], stat: &Stat) -> Result<()> {
    let failed = |what| Error::file(what, name);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::LinkTarget { name: lossy(name), target: "not a regular file".to_owned() });
    }
    let (dir, base) = split(name);
    root.make_dirs(dir, 0o755).map_err(Error::file("making directory", dir))?;
    let parent = root.open_dir(dir).map_err(Error::file("opening", dir))?;
    let source =
        from.open_at(name, OFlags::RDONLY | OFlags::NOFOLLOW, 0).map_err(Error::file("opening", name))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target =
        rustix::fs::openat(&parent, os(base), flags, Mode::from_raw_mode(0o600)).map_err(failed("making"))?;
    let (mut reader, mut writer) = (std::fs::File::from(source), std::fs::File::from(target));
    std::io::copy(&mut reader, &mut writer).map_err(Error::file("copying", name))?;
    rustix::fs::fchown(&writer, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .map_err(failed("changing owner of"))?;
    rustix::fs::fchmod(&writer, Mode::from_raw_mode(stat.st_mode & 0o7777))
        .map_err(failed("changing mode of"))?;
    let source_parent = from.open_dir(dir).map_err(Error::file("opening", dir))?;
    copy_xattrs(&source_parent, base, &parent, base, name)?;
    rustix::fs::futimens(&writer, &times(stat)).map_err(failed("setting times of"))
}

fn copy_xattrs(
    from: &impl AsFd,
    from_name: &[u8],
    to: &impl AsFd,
    to_name: &[u8],
    name: &[u8],
) -> Result<()> {
    let found = xattr::read(from.as_fd(), from_name).map_err(Error::file("reading attributes of", name))?;
    for (key, value) in found {
        xattr::set(to.as_fd(), to_name, &key, &value).map_err(Error::file("setting attribute of", name))?;
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec.cast_signed() },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() },
    }
}
