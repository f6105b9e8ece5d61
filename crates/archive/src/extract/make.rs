//! One member made: what has its name already goes first.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Unpacker;
use super::attributes::set_times;
use crate::error::lossy;
use crate::root::{clean, os, split};
use crate::whiteout::is_overlay_whiteout;
use crate::{Entry, Error, Kind, Reader, Result};

/// A file that was not there.
pub(super) fn new_file(parent: &OwnedFd, base: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, os(base), flags, Mode::from_raw_mode(0o600))
}

impl Unpacker<'_> {
    pub(super) fn make<R: Read>(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        archive: &mut Reader<R>,
    ) -> Result<()> {
        let base = split(name).1;
        match entry.kind {
            Kind::File => self.file(entry, parent, name, archive),
            Kind::Dir => self.dir(entry, parent, name),
            Kind::HardLink => self.hard_link(entry, parent, name),
            Kind::Symlink => {
                self.replacing(parent, name, || rustix::fs::symlinkat(os(&entry.link), parent, os(base)))?;
                self.own(parent, base, entry)?;
                set_times(parent, base, entry)
            }
            Kind::Char | Kind::Block | Kind::Fifo => self.node(entry, parent, name),
        }
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        archive: &mut Reader<R>,
    ) -> Result<()> {
        let fd = self.replacing(parent, name, || new_file(parent, split(name).1))?;
        self.copy(entry, &fd, name, archive)?;
        self.done.bytes += entry.size;
        self.attributes.of_file(&fd, parent, name, entry, &mut self.done.warnings)
    }

    fn copy<R: Read>(
        &mut self,
        entry: &Entry,
        fd: &OwnedFd,
        name: &[u8],
        archive: &mut Reader<R>,
    ) -> Result<()> {
        let writing = |error: Errno| Error::file("writing", name)(error);
        loop {
            let (mut at, n) = archive.read_extent(&mut self.buffer)?;
            if n == 0 {
                break;
            }
            let mut rest = &self.buffer[..n];
            while !rest.is_empty() {
                match rustix::io::pwrite(fd, rest, at) {
                    Ok(written) => {
                        rest = &rest[written..];
                        at += written as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(writing(error)),
                }
            }
        }
        if entry.sparse.is_some() {
            rustix::fs::ftruncate(fd, entry.size).map_err(writing)?;
        }
        Ok(())
    }

    fn dir(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        let base = split(name).1;
        let there = rustix::fs::statat(parent, os(base), AtFlags::SYMLINK_NOFOLLOW);
        let mut was_whiteout = false;
        match there {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
            Ok(stat) => {
                was_whiteout = self.options.whiteouts.is_overlay() && is_overlay_whiteout(&stat);
                self.make_dir_over(parent, name)?;
            }
            Err(Errno::NOENT) => self.make_dir(parent, name)?,
            Err(error) => return Err(Error::file("reading", name)(error)),
        }
        if was_whiteout {
            // Gone and made anew in one layer: nothing of the old one shows through.
            self.options.whiteouts.make_opaque(parent.as_fd(), base).map_err(Error::file("marking", name))?;
        }
        self.own(parent, base, entry)?;
        self.dirs.insert(name.to_vec(), (entry.mode, entry.mtime));
        Ok(())
    }

    fn make_dir(&self, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        rustix::fs::mkdirat(parent, os(split(name).1), Mode::from_raw_mode(0o700))
            .map_err(Error::file("making directory", name))
    }

    fn make_dir_over(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        if self.options.keep_kinds {
            return Err(Error::Kinds(format!(
                "cannot overwrite non-directory {:?} with directory {:?}",
                lossy(name),
                lossy(name)
            )));
        }
        self.remove(parent, name)?;
        self.make_dir(parent, name)
    }

    fn hard_link(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        let target = clean(&entry.link).ok_or_else(|| Error::Breakout { name: lossy(&entry.link) })?;
        let target = self.below(&target);
        if target == name {
            return Ok(());
        }
        let (dir, base) = split(&target);
        self.settle_above(&target)?;
        if self.root.open_plain_dir(dir).is_err() {
            self.settle()?;
        }
        let from = match self.root.open_dir(dir) {
            Ok(from) => from,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.done.links.push((name.to_vec(), target));
                return Ok(());
            }
            Err(e) => return Err(Error::file("opening", dir)(e)),
        };
        match rustix::fs::statat(&from, os(base), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(Error::Malformed("a hard link to a directory"));
            }
            Ok(stat) if !(self.options.whiteouts.is_overlay() && is_overlay_whiteout(&stat)) => {}
            Ok(_) | Err(Errno::NOENT) => {
                self.done.links.push((name.to_vec(), target));
                return Ok(());
            }
            Err(error) => return Err(Error::file("reading", &target)(error)),
        }
        let link = || rustix::fs::linkat(&from, os(base), parent, os(split(name).1), AtFlags::empty());
        self.replacing(parent, name, link)
    }

    fn node(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        let base = split(name).1;
        let (kind, what) = match entry.kind {
            Kind::Char => (FileType::CharacterDevice, "making character device (needs CAP_MKNOD)"),
            Kind::Block => (FileType::BlockDevice, "making block device (needs CAP_MKNOD)"),
            _ => (FileType::Fifo, "making named pipe"),
        };
        let device =
            if kind == FileType::Fifo { 0 } else { rustix::fs::makedev(entry.device.0, entry.device.1) };
        let make = || rustix::fs::mknodat(parent, os(base), kind, Mode::from_raw_mode(entry.mode), device);
        self.replacing_as(what, parent, name, make)?;
        self.own(parent, base, entry)?;
        // Not fchmod: opening a device or pipe does something. The node is new and ours, so no symlink is in the way.
        rustix::fs::chmodat(parent, os(base), Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .map_err(Error::file("changing mode of", name))?;
        set_times(parent, base, entry)
    }

    fn replacing<T>(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        self.replacing_as("making", parent, name, make)
    }

    /// Makes something that is no directory; what has the name already goes first.
    fn replacing_as<T>(
        &mut self,
        what: &'static str,
        parent: &OwnedFd,
        name: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {}
            other => return other.map_err(Error::file(what, name)),
        }
        if self.options.keep_kinds {
            let stat = rustix::fs::statat(parent, os(split(name).1), AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory) {
                let name = lossy(name);
                return Err(Error::Kinds(format!(
                    "cannot overwrite directory {name:?} with non-directory {name:?}"
                )));
            }
        }
        self.remove(parent, name)?;
        make().map_err(Error::file(what, name))
    }

    fn own(&mut self, parent: &OwnedFd, base: &[u8], entry: &Entry) -> Result<()> {
        self.attributes.own(parent, base, entry, false, &mut self.done.warnings)
    }

    /// Takes away what has a name, and all below it.
    pub(super) fn remove(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        self.settle()?;
        self.parent = None;
        self.dirs.remove(name);
        let below = [name, b"/"].concat();
        while let Some((dir, _)) = self.dirs.range(below.clone()..).next()
            && dir.starts_with(&below)
        {
            let dir = dir.clone();
            self.dirs.remove(&dir);
        }
        gantry_sys::tree::remove_at(parent.as_fd(), split(name).1).map_err(Error::file("removing", name))
    }
}
