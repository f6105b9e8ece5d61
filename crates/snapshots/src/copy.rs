//! A whole tree copied with everything that belongs to it, blocks shared where the file system can.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use gantry_archive::xattr;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};

use crate::{Error, Result};

/// Copies what is in the directory `from`, and the directory's own mode, owner and times, to the existing directory `to`.
/// Both are ours alone while this runs.
pub(crate) fn tree(from: &Path, to: &Path) -> Result<()> {
    let mut links = HashMap::new();
    children(from, to, &mut links)?;
    let meta = fs::symlink_metadata(from).map_err(Error::io("reading", from))?;
    describe(from, to, &meta)
}

/// Where the first name of each file with several went.
type Links = HashMap<(u64, u64), PathBuf>;

fn children(from: &Path, to: &Path, links: &mut Links) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::io("listing", from))? {
        let entry = entry.map_err(Error::io("listing", from))?;
        member(&entry.path(), &to.join(entry.file_name()), links)?;
    }
    Ok(())
}

fn member(from: &Path, to: &Path, links: &mut Links) -> Result<()> {
    let meta = fs::symlink_metadata(from).map_err(Error::io("reading", from))?;
    let kind = meta.file_type();
    if kind.is_dir() {
        fs::create_dir(to).map_err(Error::io("making", to))?;
        children(from, to, links)?;
        return describe(from, to, &meta);
    }
    if meta.nlink() > 1 {
        if let Some(first) = links.get(&(meta.dev(), meta.ino())) {
            return fs::hard_link(first, to).map_err(Error::io("linking", to));
        }
        links.insert((meta.dev(), meta.ino()), to.to_owned());
    }
    if kind.is_file() {
        contents(from, to)?;
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(Error::io("reading", from))?;
        std::os::unix::fs::symlink(target, to).map_err(Error::io("making", to))?;
    } else {
        let node = match () {
            () if kind.is_char_device() => FileType::CharacterDevice,
            () if kind.is_block_device() => FileType::BlockDevice,
            () if kind.is_fifo() => FileType::Fifo,
            () => return Ok(()),
        };
        rustix::fs::mknodat(CWD, to, node, Mode::from_raw_mode(0o600), meta.rdev())
            .map_err(Error::io("making", to))?;
    }
    describe(from, to, &meta)
}

fn contents(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(Error::io("opening", from))?;
    let mut target = File::create_new(to).map_err(Error::io("making", to))?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    // Uses copy_file_range where it can.
    std::io::copy(&mut source, &mut target).map_err(Error::io("copying", to))?;
    Ok(())
}

/// Owner, mode, attributes and times, in the order in which none undoes another.
fn describe(from: &Path, to: &Path, meta: &fs::Metadata) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    let failed = |what| Error::io(what, to);
    rustix::fs::chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("changing owner of"))?;
    if !meta.file_type().is_symlink() {
        fs::set_permissions(to, meta.permissions()).map_err(Error::io("changing mode of", to))?;
    }
    let (above_from, above_to) = (parent(from)?, parent(to)?);
    let (from_name, to_name) = (last(from), last(to));
    let found =
        xattr::read(above_from.as_fd(), from_name).map_err(Error::io("reading attributes of", from))?;
    for (key, value) in found {
        xattr::set(above_to.as_fd(), to_name, &key, &value).map_err(failed("setting attribute of"))?;
    }
    let both = Timestamps {
        last_access: Timespec { tv_sec: meta.atime(), tv_nsec: meta.atime_nsec() },
        last_modification: Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() },
    };
    rustix::fs::utimensat(CWD, to, &both, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("setting times of"))
}

fn parent(path: &Path) -> Result<rustix::fd::OwnedFd> {
    let dir = path.parent().unwrap_or(path);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty()).map_err(Error::io("opening", dir))
}

fn last(path: &Path) -> &[u8] {
    path.file_name().map_or(b".", OsStrExt::as_bytes)
}
