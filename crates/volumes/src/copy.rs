//! A tree copied whole: owners, modes, times, extended attributes, hard links, nodes, holes.
//!
//! Both sides are walked by open folders and never through a link, so an image cannot make the copy read or write
//! anywhere else.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

/// Enough for any attribute list Linux allows.
const XATTR_BYTES: usize = 64 << 10;
/// Deeper trees are refused rather than overflow the stack.
const MAX_DEPTH: u32 = 512;

/// Copies what is in the folder `from` into the folder `to`, and `from`'s own owner, mode and times onto `to`.
pub fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut links = HashMap::new();
    copy_folder(from, to, &mut Walk { root: to, links: &mut links, path: Vec::new() }, 0)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// Where a file with several names was copied first.
    links: &'a mut HashMap<(u64, u64), CString>,
    path: Vec<u8>,
}

impl Walk<'_> {
    fn at(&self, name: &CStr) -> CString {
        let mut path = self.path.clone();
        path.extend_from_slice(name.to_bytes());
        CString::new(path).expect("names from the kernel hold no nul")
    }
}

fn copy_folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, walk: &mut Walk<'_>, depth: u32) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("folders too deep"));
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        copy_entry(from, to, name, &stat, walk, depth)?;
    }
    let stat = fs::fstat(from)?;
    copy_attributes(from, to)?;
    own(to, &stat)?;
    Ok(fs::futimens(to, &times(&stat))?)
}

fn copy_entry(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
    walk: &mut Walk<'_>,
    depth: u32,
) -> io::Result<()> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::Directory && stat.st_nlink > 1 {
        let here = walk.at(name);
        match walk.links.entry((stat.st_dev, stat.st_ino)) {
            std::collections::hash_map::Entry::Occupied(first) => {
                return Ok(fs::linkat(walk.root, first.get().as_c_str(), to, name, AtFlags::empty())?);
            }
            std::collections::hash_map::Entry::Vacant(free) => drop(free.insert(here)),
        }
    }
    match kind {
        FileType::Directory => {
            fs::mkdirat(to, name, Mode::RWXU)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner_from = fs::openat(from, name, flags, Mode::empty())?;
            let inner_to = fs::openat(to, name, flags, Mode::empty())?;
            let length = walk.path.len();
            walk.path.extend_from_slice(name.to_bytes());
            walk.path.push(b'/');
            copy_folder(inner_from.as_fd(), inner_to.as_fd(), walk, depth + 1)?;
            walk.path.truncate(length);
            Ok(())
        }
        FileType::RegularFile => {
            let source =
                fs::openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let target = fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
            copy_bytes(&source, &target, stat.st_size)?;
            copy_attributes(source.as_fd(), target.as_fd())?;
            own(target.as_fd(), stat)?;
            Ok(fs::futimens(&target, &times(stat))?)
        }
        FileType::Symlink => {
            let goal = fs::readlinkat(from, name, Vec::new())?;
            fs::symlinkat(goal.as_c_str(), to, name)?;
            own_at(to, name, stat)
        }
        _ => {
            fs::mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev)?;
            own_at(to, name, stat)?;
            Ok(fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?)
        }
    }
}

/// Copies data and keeps holes.
fn copy_bytes(from: &OwnedFd, to: &OwnedFd, size: i64) -> io::Result<()> {
    let size = u64::try_from(size).unwrap_or(0);
    fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let data = match fs::seek(from, fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(()),
            Err(Errno::INVAL) => at,
            Err(err) => return Err(err.into()),
        };
        let end = fs::seek(from, fs::SeekFrom::Hole(data)).unwrap_or(size);
        let (mut read_at, mut write_at) = (data, data);
        while read_at < end {
            let left = usize::try_from(end - read_at).unwrap_or(usize::MAX).min(1 << 30);
            let copied = match fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), left) {
                Ok(copied) => copied,
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                    copy_by_hand(from, to, &mut read_at, &mut write_at)?
                }
                Err(err) => return Err(err.into()),
            };
            if copied == 0 {
                return Ok(());
            }
        }
        at = end;
    }
    Ok(())
}

fn copy_by_hand(from: &OwnedFd, to: &OwnedFd, read_at: &mut u64, write_at: &mut u64) -> io::Result<usize> {
    let mut buffer = vec![0; 128 << 10];
    let read = rustix::io::pread(from, &mut buffer, *read_at)?;
    let mut written = 0;
    while written < read {
        written += rustix::io::pwrite(to, &buffer[written..read], *write_at + written as u64)?;
    }
    *read_at += read as u64;
    *write_at += read as u64;
    Ok(read)
}

fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut list = vec![0; XATTR_BYTES];
    let length = match fs::flistxattr(from, &mut list) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(err) => return Err(err.into()),
    };
    let mut value = vec![0; XATTR_BYTES];
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = fs::fgetxattr(from, name, &mut value)?;
        match fs::fsetxattr(to, name, &value[..length], fs::XattrFlags::empty()) {
            // The overlay's own marks and labels of the host's policy stay behind.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}

/// Owner first: changing it clears the set-user-id bit.
fn own(file: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    fs::fchown(file, Some(fs::Uid::from_raw(stat.st_uid)), Some(fs::Gid::from_raw(stat.st_gid)))?;
    Ok(fs::fchmod(file, Mode::from_raw_mode(stat.st_mode))?)
}

fn own_at(folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (fs::Uid::from_raw(stat.st_uid), fs::Gid::from_raw(stat.st_gid));
    fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(fs::utimensat(folder, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec.cast_signed() },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() },
    }
}
