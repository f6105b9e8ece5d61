//! A directory that is the root of everything done below it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawMode, ResolveFlags, Stat};

/// A directory descriptor below which names are resolved as if it were `/`: no symlink, `..` or absolute name leads out of
/// it (openat2 with RESOLVE_IN_ROOT, kernel 5.6). Resolution is the kernel's own, so there is no race to win.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// How often a resolution is tried that lost against a rename below the root.
const ATTEMPTS: usize = 32;

impl Root {
    /// Opens the directory `path` as a root.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// A root that is the directory behind `fd`.
    pub fn from_fd(fd: OwnedFd) -> Root {
        Root { fd }
    }

    /// Opens `path` below the root; `flags` get `CLOEXEC` added.
    pub fn open_at(&self, path: &[u8], flags: OFlags, mode: RawMode) -> io::Result<OwnedFd> {
        let path = relative(path);
        for _ in 0..ATTEMPTS {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(
                &self.fd,
                os(path),
                flags | OFlags::CLOEXEC,
                Mode::from_raw_mode(mode),
                resolve,
            ) {
                Err(rustix::io::Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
        Err(rustix::io::Errno::AGAIN.into())
    }

    /// Opens the directory `path`, following symlinks, as a place to work at.
    pub fn open_dir(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::DIRECTORY, 0)
    }

    /// Opens the directory `path` if no symlink is on the way; `LOOP` where one is.
    pub(crate) fn open_plain_dir(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        Ok(rustix::fs::openat2(&self.fd, os(relative(path)), flags, Mode::empty(), resolve)?)
    }

    /// The status of `path`, not following a symlink at its end.
    pub fn lstat(&self, path: &[u8]) -> io::Result<Stat> {
        let fd = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW, 0)?;
        Ok(rustix::fs::fstat(&fd)?)
    }

    /// The status of `path`, following symlinks inside the root.
    pub fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        let fd = self.open_at(path, OFlags::PATH, 0)?;
        Ok(rustix::fs::fstat(&fd)?)
    }

    /// The target of the symlink `path`.
    pub fn read_link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        let fd = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW, 0)?;
        Ok(rustix::fs::readlinkat(&fd, "", Vec::new())?.into_bytes())
    }

    /// Makes the directory `path` and what is missing above it. The last component may exist.
    pub fn make_dirs(&self, path: &[u8], mode: RawMode) -> io::Result<()> {
        let path = clean(path).ok_or(io::ErrorKind::InvalidInput)?;
        if path.is_empty() || self.open_dir(&path).is_ok() {
            return Ok(());
        }
        let (parent, name) = split(&path);
        self.make_dirs(parent, mode)?;
        match rustix::fs::mkdirat(self.open_dir(parent)?, os(name), Mode::from_raw_mode(mode)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

fn relative(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    if start == path.len() { b"." } else { &path[start..] }
}

/// The name without `.`, doubled or outer slashes, and with each `..` taken back; `None` if it leads above the root.
pub(crate) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// The directory part (maybe empty) and the last component of a clean name.
pub(crate) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|b| *b == b'/') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (b"", name),
    }
}

/// The names in an open directory (opened for reading), sorted.
pub(crate) fn list(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_is_lexical_and_never_leads_out() {
        for (name, cleaned) in
            [("a//b/./c/", "a/b/c"), ("/", ""), ("./", ""), ("a/../b", "b"), ("/etc/passwd", "etc/passwd")]
        {
            assert_eq!(clean(name.as_bytes()).as_deref(), Some(cleaned.as_bytes()), "{name}");
        }
        for name in ["..", "../x", "a/../../x", "/.."] {
            assert_eq!(clean(name.as_bytes()), None, "{name}");
        }
    }
}
