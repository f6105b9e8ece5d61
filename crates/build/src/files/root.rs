//! A folder that nothing read or written through it can leave.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::FileError;

/// A folder as builds work in it: paths are text, and errors name them. What keeps a path inside is [`gantry_archive::Root`].
#[derive(Debug)]
pub struct Root(gantry_archive::Root);

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, FIFO or socket.
    Other,
}

/// A path's kind and metadata.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// All of what the kernel tells.
    pub stat: fs::Stat,
}

impl Entry {
    pub(super) fn of(stat: fs::Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => EntryKind::Folder,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Link,
            _ => EntryKind::Other,
        };
        Self { kind, stat }
    }
}

impl Root {
    /// Opens a folder of the host.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::io(&path.to_string_lossy())(number(&error));
        gantry_archive::Root::open(path).map(Self).map_err(failed)
    }

    /// What `path` is, links in it followed; the last one only if `follow`. `None` where nothing is.
    pub fn stat(&self, path: &str, follow: bool) -> Result<Option<Entry>, FileError> {
        let flags = if follow { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
        match self.resolve(path, flags) {
            Ok(found) => fs::fstat(&found).map(|stat| Some(Entry::of(stat))).map_err(FileError::io(path)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(FileError::io(path)(error)),
        }
    }

    /// Opens the folder at `path`, following links below this root.
    pub fn folder(&self, path: &str) -> Result<Root, FileError> {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY).map(Root::from).map_err(FileError::io(path))
    }

    /// Where this folder is, by no link: what is opened there is the same, as long as nobody moves it.
    pub fn place(&self) -> Result<PathBuf, FileError> {
        use std::os::fd::AsRawFd;
        let link = format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd());
        std::fs::read_link(&link).map_err(|error| FileError::io(&link)(number(&error)))
    }

    /// Opens the regular file at `path` for reading, following links below this root. Never waits on a FIFO.
    pub fn file(&self, path: &str) -> Result<std::fs::File, FileError> {
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK).map(Into::into).map_err(FileError::io(path))
    }

    /// Names in the folder at `path`, sorted by their bytes.
    pub fn names(&self, path: &str) -> Result<Vec<CString>, FileError> {
        let folder = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(FileError::io(path))?;
        sorted_names(folder.as_fd()).map_err(FileError::io(path))
    }

    /// The path a link names.
    pub fn link(&self, path: &str) -> Result<CString, FileError> {
        let found = self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW).map_err(FileError::io(path))?;
        fs::readlinkat(&found, c"", Vec::new()).map_err(FileError::io(path))
    }

    /// The folder at `path`, made with its parents where missing; links are followed below this root.
    pub fn make_folders(&self, path: &str, uid: u32, gid: u32) -> Result<Root, FileError> {
        let mut made = String::new();
        let mut folder = self.folder("")?;
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            made.push('/');
            made.push_str(name);
            folder = match self.resolve(&made, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(found) => Root::from(found),
                Err(Errno::NOENT) => {
                    match fs::mkdirat(&folder.0, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => {
                            let owner = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
                            fs::chownat(
                                &folder.0,
                                name,
                                Some(owner.0),
                                Some(owner.1),
                                AtFlags::SYMLINK_NOFOLLOW,
                            )
                            .map_err(FileError::io(&made))?;
                            // The process's umask must not show in an image.
                            fs::chmodat(&folder.0, name, Mode::from_raw_mode(0o755), AtFlags::empty())
                                .map_err(FileError::io(&made))?;
                        }
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(FileError::io(&made)(error)),
                    }
                    self.folder(&made)?
                }
                Err(error) => return Err(FileError::io(&made)(error)),
            };
        }
        Ok(folder)
    }

    /// Removes the file or the empty folder at `path`; the time of the folder it stood in stays.
    pub fn remove(&self, path: &str, kind: EntryKind) -> Result<(), FileError> {
        let (parent, name) = path.trim_matches('/').rsplit_once('/').unwrap_or(("", path.trim_matches('/')));
        let parent = self.folder(parent)?;
        let before = fs::fstat(&parent.0).map_err(FileError::io(path))?;
        let flags = if kind == EntryKind::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        fs::unlinkat(&parent.0, name, flags).map_err(FileError::io(path))?;
        let time = |s, ns: u64| fs::Timespec { tv_sec: s, tv_nsec: ns as _ };
        let times = fs::Timestamps {
            last_access: time(before.st_atime, before.st_atime_nsec),
            last_modification: time(before.st_mtime, before.st_mtime_nsec),
        };
        fs::utimensat(&parent.0, ".", &times, AtFlags::empty()).map_err(FileError::io(path))
    }

    /// Another descriptor of the same folder.
    pub fn reopened(&self) -> Result<OwnedFd, FileError> {
        self.fd().try_clone_to_owned().map_err(|error| FileError::io("/")(number(&error)))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.0.open_at(path.as_bytes(), flags, 0).map_err(|error| number(&error))
    }
}

fn number(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl From<OwnedFd> for Root {
    fn from(folder: OwnedFd) -> Self {
        Self(gantry_archive::Root::from_fd(folder))
    }
}

pub(super) fn sorted_names(folder: BorrowedFd<'_>) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_and_no_dots_leave_the_root() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let inside = tempfile::tempdir().unwrap();
        symlink(outside.path(), inside.path().join("out")).unwrap();
        symlink("../../../../../..", inside.path().join("up")).unwrap();
        let root = Root::open(inside.path()).unwrap();
        assert!(root.stat("out/secret", true).unwrap().is_none());
        assert!(root.stat(&format!("up{}/secret", outside.path().display()), true).unwrap().is_none());
        assert!(root.stat(&format!("../../..{}/secret", outside.path().display()), true).unwrap().is_none());
        assert!(root.file("out/secret").is_err());
    }

    #[test]
    fn folders_are_made_below_links_inside_the_root() {
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir(inside.path().join("real")).unwrap();
        symlink("/real", inside.path().join("link")).unwrap();
        let root = Root::open(inside.path()).unwrap();
        root.make_folders("/link/a/b", 0, 0).unwrap();
        assert!(inside.path().join("real/a/b").is_dir());
        assert_eq!(root.stat("link", false).unwrap().unwrap().kind, EntryKind::Link);
    }
}
