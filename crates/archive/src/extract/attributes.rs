//! Owner, mode, attributes and times of what is unpacked.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{IdRange, Owner};
use crate::error::lossy;
use crate::root::{os, split};
use crate::{Entry, Error, Result, Time, xattr};

/// Whose everything becomes. Shared by the threads that make files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    pub owner: &'a Owner,
    /// Who unpacks: what is made is theirs already.
    pub me: (u32, u32),
}

impl Attributes<'_> {
    /// Owner and attributes of what is not opened for writing. What the file system refuses is told in `warnings`.
    pub(super) fn own(
        &self,
        dir: &OwnedFd,
        base: &[u8],
        entry: &Entry,
        follow: bool,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let (uid, gid) = self.ids_of(entry)?;
        let owned = match follow {
            true => rustix::fs::chownat(
                dir,
                "",
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::EMPTY_PATH,
            ),
            false => chown(dir, base, uid, gid),
        };
        owned.map_err(Error::file("changing owner of", &entry.name))?;
        self.set_xattrs(dir, base, entry, warnings)
    }

    fn set_xattrs(
        &self,
        dir: &OwnedFd,
        base: &[u8],
        entry: &Entry,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        for (key, value) in &entry.xattrs {
            // A layer must not speak to the overlay it becomes part of.
            if xattr::is_foreign(key) {
                continue;
            }
            match xattr::set(dir.as_fd(), base, key, value) {
                Ok(()) => {}
                Err(error)
                    if error == Errno::NOTSUP || (error == Errno::PERM && key.starts_with(b"user.")) =>
                {
                    warnings.push(format!("{}: {} is not kept: {error}", lossy(&entry.name), lossy(key)));
                }
                Err(error) => return Err(Error::file("setting attribute of", &entry.name)(error)),
            }
        }
        Ok(())
    }

    /// All of a file that is open for writing and full.
    pub(super) fn of_file(
        &self,
        fd: &OwnedFd,
        parent: &OwnedFd,
        name: &[u8],
        entry: &Entry,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let (uid, gid) = self.ids_of(entry)?;
        let failed = |what| Error::file(what, name);
        rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(failed("changing owner of"))?;
        // After the owner: chown takes setuid bits and capabilities away.
        rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(failed("changing mode of"))?;
        self.set_xattrs(parent, split(name).1, entry, warnings)?;
        rustix::fs::futimens(fd, &times(entry)).map_err(failed("setting times of"))
    }

    /// A directory that no member describes.
    pub(super) fn own_new_dir(&self, parent: &OwnedFd, base: &[u8]) -> Result<()> {
        let (uid, gid) = match self.owner {
            Owner::Archive | Owner::Mapped { .. } => self.ids(0, 0)?,
            Owner::Fixed { uid, gid } => (*uid, *gid),
            Owner::Caller => return Ok(()),
        };
        if (uid, gid) == self.me {
            return Ok(());
        }
        chown(parent, base, uid, gid).map_err(Error::file("changing owner", base))
    }

    fn ids_of(&self, entry: &Entry) -> Result<(u32, u32)> {
        let number = |n: u64| {
            u32::try_from(n).ok().filter(|n| *n != u32::MAX).ok_or(Error::Malformed("owner out of range"))
        };
        match self.owner {
            Owner::Fixed { uid, gid } => Ok((*uid, *gid)),
            Owner::Caller => Ok(self.me),
            Owner::Archive | Owner::Mapped { .. } => self.ids(number(entry.uid)?, number(entry.gid)?),
        }
    }

    fn ids(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        let Owner::Mapped { uids, gids } = self.owner else { return Ok((uid, gid)) };
        let unmapped = Error::Malformed("owner is outside of the user namespace's maps");
        mapped(uids, uid).zip(mapped(gids, gid)).ok_or(unmapped)
    }
}

/// Times of what is not opened.
pub(super) fn set_times(dir: &OwnedFd, base: &[u8], entry: &Entry) -> Result<()> {
    rustix::fs::utimensat(dir, os(base), &times(entry), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(Error::file("setting times of", &entry.name))
}

fn chown(dir: &OwnedFd, base: &[u8], uid: u32, gid: u32) -> rustix::io::Result<()> {
    rustix::fs::chownat(
        dir,
        os(base),
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

fn mapped(ranges: &[IdRange], id: u32) -> Option<u32> {
    let range =
        ranges.iter().find(|range| id.checked_sub(range.inside).is_some_and(|at| at < range.count))?;
    range.outside.checked_add(id - range.inside)
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps { last_access: spec(entry.atime.unwrap_or(entry.mtime)), last_modification: spec(entry.mtime) }
}

pub(super) fn spec(time: Time) -> Timespec {
    Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) }
}
