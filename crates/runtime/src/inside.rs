//! Paths of the container, resolved below a descriptor of its root: no symbolic link, no `..` and no race can
//! lead out of it (openat2 with RESOLVE_IN_ROOT; CVE-2019-16884, CVE-2021-30465).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;

/// The container's root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside<'fd> {
    root: BorrowedFd<'fd>,
}

/// `PROC_SUPER_MAGIC`.
pub(crate) const PROC: i64 = 0x9fa0;
/// `DEVPTS_SUPER_MAGIC`.
pub(crate) const DEVPTS: i64 = 0x1cd1;

impl<'fd> Inside<'fd> {
    pub(crate) fn new(root: &'fd impl AsFd) -> Self {
        Inside { root: root.as_fd() }
    }

    /// What is there, as a path descriptor; links are followed inside the root.
    pub(crate) fn find(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open(path, OFlags::PATH, ResolveFlags::empty())
    }

    /// What is there, with no link anywhere on the way.
    pub(crate) fn find_plain(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open(path, OFlags::PATH, ResolveFlags::NO_SYMLINKS)
    }

    pub(crate) fn open(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        loop {
            match openat2(self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // The tree was changed during the walk: the kernel asks to be asked again.
                Err(Errno::AGAIN) => continue,
                other => return other,
            }
        }
    }

    /// The folder, made with its parents where it is missing (mode 0755 in spite of the umask).
    pub(crate) fn folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.open(path, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty()) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let mut so_far = PathBuf::from("/");
        let mut here = self.open(Path::new("."), OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty())?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                if part == Component::ParentDir {
                    so_far.pop();
                    here = self.open(&so_far, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty())?;
                }
                continue;
            };
            so_far.push(name);
            here = match self.open(&so_far, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty()) {
                Err(Errno::NOENT) => {
                    match mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e),
                    }
                    self.open(&so_far, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty())?
                }
                other => other?,
            };
        }
        Ok(here)
    }

    /// The parent folder, made where it is missing, and the last name. `None` for the root itself.
    pub(crate) fn parent<'p>(&self, path: &'p Path) -> Result<Option<(OwnedFd, &'p Path)>, Errno> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        Ok(Some((self.folder(parent)?, Path::new(name))))
    }

    /// The file, made empty where nothing is there.
    pub(crate) fn file(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let (parent, name) = self.parent(path)?.ok_or(Errno::ISDIR)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o755)) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        self.find(path)
    }
}

pub(crate) fn kind(fd: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// The kind of file system behind the descriptor.
pub(crate) fn magic(fd: impl AsFd) -> Result<i64, Errno> {
    #[allow(clippy::unnecessary_cast, reason = "the field's width differs between architectures")]
    Ok(rustix::fs::fstatfs(fd)?.f_type as i64)
}

/// The host's `/dev/null`, and really that device: what masks a file must not be a file of somebody's
/// (CVE-2025-31133).
pub(crate) fn host_null() -> Result<OwnedFd, Errno> {
    let fd = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&fd)?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(fd) } else { Err(Errno::NODEV) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_made_outside_the_root() {
        let base = tempfile::tempdir().unwrap();
        let (root, out) = (base.path().join("root"), base.path().join("out"));
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(&out).unwrap();
        symlink(&out, root.join("abs")).unwrap();
        symlink("../../out", root.join("rel")).unwrap();
        let fd = rustix::fs::open(&root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let inside = Inside::new(&fd);
        for path in ["/abs/x/y", "/rel/x/y", "/../../out/z", "a/../../out/w"] {
            let _ = inside.folder(Path::new(path));
            let _ = inside.file(&Path::new(path).join("f"));
        }
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        assert!(inside.find_plain(Path::new("/abs")).is_err());
    }

    #[test]
    fn the_hosts_null_is_the_null_device() {
        assert!(host_null().is_ok());
    }
}
