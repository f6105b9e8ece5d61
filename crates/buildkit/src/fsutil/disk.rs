//! The folder that a receiver keeps: what is in it already needs not travel.
//!
//! Nothing that is written leaves the folder: a name's parent is opened by the kernel below the folder's descriptor
//! with no link followed, and everything is done there.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::TransferError;
use super::mode::{Kind, permissions};
use crate::proto::session::Stat;

/// The name a file has until it is whole.
const UNFINISHED: &str = ".gantry-unfinished-";

/// A folder that is made to be as a sender tells.
pub struct Disk {
    root: OwnedFd,
    path: PathBuf,
    /// The parent opened last: files come in order.
    parent: Option<(String, OwnedFd)>,
    told: BTreeSet<String>,
    previous: String,
    folders: Vec<Stat>,
    open: HashMap<u32, (File, Stat)>,
    /// Hard links, made when the files they name are whole.
    links: Vec<Stat>,
    /// Whose everything becomes in a folder that keeps what it has besides.
    added_for: Option<(u32, u32)>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Disk {
    /// A folder that is there.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(path, flags, Mode::empty()).map_err(TransferError::io("/"))?;
        Ok(Self {
            root,
            path: path.to_owned(),
            parent: None,
            told: BTreeSet::new(),
            previous: String::new(),
            folders: Vec::new(),
            open: HashMap::new(),
            links: Vec::new(),
            added_for: None,
        })
    }

    /// Keeps what the folder has besides, and gives what is written to this user and group: a person's export.
    #[must_use]
    pub fn adding_for(mut self, user: u32, group: u32) -> Self {
        self.added_for = Some((user, group));
        self
    }

    /// Takes a told file in. Whether its bytes are wanted.
    pub fn tell(&mut self, id: u32, mut stat: Stat) -> Result<bool, TransferError> {
        if let Some((user, group)) = self.added_for {
            (stat.uid, stat.gid) = (user, group);
        }
        let path = stat.path.clone();
        self.check(&path)?;
        let io = || TransferError::io(&path);
        let (parent, name) = self.parent(&path)?;
        let here = match fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(here) => Some(here),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(io()(error)),
        };
        let kind = Kind::of_wire(stat.mode);
        let same_kind = here.is_some_and(|here| Kind::of_kernel(here.st_mode) == kind);
        let wanted = match kind {
            Kind::Folder => {
                if !same_kind {
                    clear(parent.as_fd(), name, here.is_some()).map_err(io())?;
                    fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)).map_err(io())?;
                }
                self.folders.push(stat);
                false
            }
            Kind::File if !stat.linkname.is_empty() => {
                self.links.push(stat);
                false
            }
            Kind::File => {
                if here.is_some_and(|here| same(&here, &stat)) {
                    return Ok(false);
                }
                if here.is_some() && !same_kind {
                    clear(parent.as_fd(), name, true).map_err(io())?;
                }
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = fs::openat(&self.root, unfinished(id), flags, Mode::from_raw_mode(0o600));
                self.open.insert(id, (File::from(file.map_err(io())?), stat));
                true
            }
            Kind::Link => {
                clear(parent.as_fd(), name, here.is_some()).map_err(io())?;
                fs::symlinkat(stat.linkname.as_str(), &parent, name).map_err(io())?;
                dress(parent.as_fd(), name, &stat).map_err(io())?;
                false
            }
            Kind::Block | Kind::Character | Kind::Fifo => {
                clear(parent.as_fd(), name, here.is_some()).map_err(io())?;
                let number = |part: i64| u32::try_from(part).unwrap_or_default();
                let device = fs::makedev(number(stat.devmajor), number(stat.devminor));
                let mode = Mode::from_raw_mode(permissions(stat.mode));
                fs::mknodat(&parent, name, kind.file_type(), mode, device).map_err(io())?;
                dress(parent.as_fd(), name, &stat).map_err(io())?;
                false
            }
            Kind::Socket | Kind::Unknown => false,
        };
        Ok(wanted)
    }

    /// Names come in order, stay inside, and are new.
    fn check(&mut self, path: &str) -> Result<(), TransferError> {
        let plain = |name: &str| !name.is_empty() && name != "." && name != "..";
        let ours = path.starts_with(UNFINISHED);
        if path.contains('\0') || ours || !path.split('/').all(plain) {
            return Err(TransferError::Protocol(format!("invalid path {path:?}")));
        }
        if !self.previous.is_empty() && self.previous.split('/').ge(path.split('/')) {
            return Err(TransferError::Protocol(format!("changes out of order: {path:?}")));
        }
        path.clone_into(&mut self.previous);
        self.told.insert(path.to_owned());
        Ok(())
    }

    fn parent<'p>(&mut self, path: &'p str) -> Result<(OwnedFd, &'p str), TransferError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let again = |fd: &OwnedFd| fd.try_clone().map_err(TransferError::io(path));
        if let Some((last, fd)) = &self.parent
            && last == folder
        {
            return Ok((again(fd)?, name));
        }
        let below = if folder.is_empty() { "." } else { folder };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let fd =
            fs::openat2(&self.root, below, flags, Mode::empty(), how).map_err(TransferError::io(path))?;
        let copy = again(&fd)?;
        self.parent = Some((folder.to_owned(), fd));
        Ok((copy, name))
    }

    /// Bytes of a wanted file; none: it is whole. Gives whether it was the last one that was open.
    pub fn data(&mut self, id: u32, bytes: &[u8]) -> Result<bool, TransferError> {
        let unknown = || TransferError::Protocol(format!("invalid file request {id}"));
        if !bytes.is_empty() {
            let (file, stat) = self.open.get_mut(&id).ok_or_else(unknown)?;
            file.write_all(bytes).map_err(TransferError::io(&stat.path))?;
            return Ok(false);
        }
        let (_file, stat) = self.open.remove(&id).ok_or_else(unknown)?;
        let (parent, name) = self.parent(&stat.path)?;
        let io = || TransferError::io(&stat.path);
        let whole = unfinished(id);
        dress(self.root.as_fd(), &whole, &stat).map_err(io())?;
        fs::renameat(&self.root, &whole, &parent, name).map_err(io())?;
        Ok(self.open.is_empty())
    }

    /// Ends the transfer: what was not told goes, links are made, folders get their times.
    pub fn finish(&mut self) -> Result<(), TransferError> {
        for link in std::mem::take(&mut self.links) {
            self.link(&link)?;
        }
        self.parent = None;
        if self.added_for.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = fs::openat(&self.root, ".", flags, Mode::empty()).map_err(TransferError::io("/"))?;
            self.sweep(root.as_fd(), "")?;
        }
        for folder in std::mem::take(&mut self.folders).into_iter().rev() {
            let (parent, name) = self.parent(&folder.path)?;
            dress(parent.as_fd(), name, &folder).map_err(TransferError::io(&folder.path))?;
        }
        Ok(())
    }

    fn link(&mut self, stat: &Stat) -> Result<(), TransferError> {
        if !self.told.contains(&stat.linkname) {
            let text = format!("invalid link {:?} to {:?}", stat.path, stat.linkname);
            return Err(TransferError::Protocol(text));
        }
        let (from, from_name) = self.parent(&stat.linkname)?;
        let (to, name) = self.parent(&stat.path)?;
        let io = || TransferError::io(&stat.path);
        clear(to.as_fd(), name, true).map_err(io())?;
        fs::linkat(&from, from_name, &to, name, AtFlags::empty()).map_err(io())
    }

    fn sweep(&self, folder: std::os::fd::BorrowedFd<'_>, prefix: &str) -> Result<(), TransferError> {
        let io = || TransferError::io(prefix);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(folder).map_err(io())? {
            let entry = entry.map_err(io())?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push((name.to_owned(), entry.file_type()));
            }
        }
        for (name, kind) in names {
            let path = match (prefix, name.to_str()) {
                ("", Ok(name)) => name.to_owned(),
                (prefix, Ok(name)) => format!("{prefix}/{name}"),
                // Nothing with such a name was told.
                (_, Err(_)) => String::new(),
            };
            if !self.told.contains(&path) {
                clear(folder, name.as_c_str(), true).map_err(io())?;
            } else if kind == fs::FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = fs::openat(folder, name.as_c_str(), flags, Mode::empty()).map_err(io())?;
                self.sweep(below.as_fd(), &path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A transfer that was cut leaves no half file; what cannot even be removed is swept the next time.
        for id in self.open.keys() {
            let _ = fs::unlinkat(&self.root, unfinished(*id), AtFlags::empty());
        }
    }
}

fn unfinished(id: u32) -> String {
    format!("{UNFINISHED}{id}")
}

/// Whether what is here is what was told, so far as one can see without reading.
fn same(here: &fs::Stat, told: &Stat) -> bool {
    let time = here.st_mtime.saturating_mul(1_000_000_000).saturating_add(here.st_mtime_nsec as i64);
    Kind::of_kernel(here.st_mode) == Kind::File
        && here.st_size == told.size
        && time == told.mod_time
        && here.st_mode & 0o7777 == permissions(told.mode)
        && (here.st_uid, here.st_gid) == (told.uid, told.gid)
        && here.st_nlink == 1
}

/// Owner, mode and time.
fn dress(parent: std::os::fd::BorrowedFd<'_>, name: &str, stat: &Stat) -> rustix::io::Result<()> {
    let owner = (fs::Uid::from_raw(stat.uid), fs::Gid::from_raw(stat.gid));
    fs::chownat(parent, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
    if Kind::of_wire(stat.mode) != Kind::Link {
        fs::chmodat(parent, name, Mode::from_raw_mode(permissions(stat.mode)), AtFlags::empty())?;
    }
    let time = Timespec {
        tv_sec: stat.mod_time.div_euclid(1_000_000_000),
        tv_nsec: stat.mod_time.rem_euclid(1_000_000_000),
    };
    let times = Timestamps { last_access: time, last_modification: time };
    fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Removes whatever has a name, all that is below it included.
fn clear<N: rustix::path::Arg + Copy>(
    parent: std::os::fd::BorrowedFd<'_>,
    name: N,
    is_there: bool,
) -> rustix::io::Result<()> {
    if !is_there {
        return Ok(());
    }
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = fs::openat(parent, name, flags, Mode::empty())?;
            let mut names = Vec::new();
            for entry in fs::Dir::read_from(&folder)? {
                let entry = entry?;
                if entry.file_name() != c"." && entry.file_name() != c".." {
                    names.push(entry.file_name().to_owned());
                }
            }
            for below in &names {
                clear(folder.as_fd(), below.as_c_str(), true)?;
            }
            fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
        }
        Err(error) => Err(error),
    }
}
