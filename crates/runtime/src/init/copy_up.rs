//! `tmpcopyup`: what the image has at a tmpfs's place is copied into it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Timestamps, Uid, chownat, fchmod, fchown, futimens, mkdirat,
    mknodat, openat, readlinkat, statat, symlinkat,
};

use super::mount::read_folder;
use crate::inside::Inside;

/// Copies the folder's content into the new mount, which is not attached yet.
pub(crate) fn copy(inside: &Inside<'_>, from: &Path, into: &OwnedFd) -> io::Result<()> {
    let source = read_folder(inside, from)?;
    let target = openat(into, ".", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    folder(&source, &target)
}

fn folder(source: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(source, target, name)?;
        }
    }
    Ok(())
}

fn one(source: &OwnedFd, target: &OwnedFd, name: &CStr) -> io::Result<()> {
    let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let plain = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copied = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(target, name, Mode::from_raw_mode(0o700))?;
            let from = openat(source, name, plain | OFlags::DIRECTORY, Mode::empty())?;
            let to = openat(target, name, plain | OFlags::DIRECTORY, Mode::empty())?;
            folder(&from, &to)?;
            to
        }
        FileType::RegularFile => {
            let from = openat(source, name, plain, Mode::empty())?;
            let flags = plain | OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
            let to = openat(target, name, flags, Mode::from_raw_mode(0o600))?;
            io::copy(&mut std::fs::File::from(from), &mut std::fs::File::from(to.try_clone()?))?;
            to
        }
        FileType::Symlink => {
            symlinkat(readlinkat(source, name, Vec::new())?, target, name)?;
            return Ok(chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?);
        }
        kind => {
            mknodat(target, name, kind, mode, stat.st_rdev)?;
            return Ok(chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?);
        }
    };
    // The owner first: changing it takes the set-user-id bit away.
    fchown(&copied, Some(uid), Some(gid))?;
    fchmod(copied.as_fd(), mode)?;
    let time = |sec, nsec| rustix::fs::Timespec { tv_sec: sec, tv_nsec: nsec };
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the fields' widths differ between architectures"
    )]
    let times = Timestamps {
        last_access: time(stat.st_atime as i64, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as i64, stat.st_mtime_nsec as _),
    };
    Ok(futimens(&copied, &times)?)
}
