//! Packing: a directory, walked by descriptors, as a tar stream.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat, StatxFlags};
use rustix::io::Errno;

use crate::root::{clean, list, os, split};
use crate::whiteout::{OPAQUE, PREFIX};
use crate::{Entry, Error, Kind, Result, Root, Time, Whiteouts, Writer, is_overlay_whiteout, xattr};

/// Nobody could unpack a longer name (PATH_MAX). A container may have made such folders without ever naming them: they
/// end the walk before it has all descriptors open.
const NAME_MAX: usize = 4095;
/// So much of it is told.
const SHOWN: usize = 64;

/// Decides by its name in the archive whether a member is left out (with all that is below it).
pub type Skip<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// How to pack.
#[derive(Default)]
pub struct PackOptions<'a> {
    /// Whether overlayfs's whiteouts become `.wh.` names.
    pub whiteouts: Whiteouts,
    /// What the top directory or file is called in the archive; empty: its children stand at the top.
    pub rename: Vec<u8>,
    /// What is left out.
    pub skip: Option<&'a Skip<'a>>,
    /// This owner instead of the files' own.
    pub owner: Option<(u64, u64)>,
    /// Find holes and write sparse members.
    pub sparse: bool,
    /// Cut times to seconds, as Docker does in layers.
    pub whole_seconds: bool,
    /// Stay on the mount the walk begins on: of what is mounted below only the mount point is packed, empty.
    pub one_mount: bool,
}

impl std::fmt::Debug for PackOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackOptions")
            .field("rename", &self.rename)
            .field("whiteouts", &self.whiteouts)
            .finish_non_exhaustive()
    }
}

/// Writes `path` below `root` (a directory with all below it, or one file) to the archive, in order of names. Sockets
/// are left out: they mean nothing elsewhere. Files that go away meanwhile are left out too.
pub fn pack<W: Write>(
    root: &Root,
    path: &[u8],
    options: &PackOptions<'_>,
    writer: &mut Writer<W>,
) -> Result<()> {
    let path = clean(path).ok_or_else(|| Error::Breakout { name: crate::error::lossy(path) })?;
    let (dir, base) = split(&path);
    let mount = if options.one_mount { mount_of(root.as_fd(), b".", &path)? } else { None };
    let mut packer = Packer { options, writer, seen: HashMap::new(), mount };
    if base.is_empty() {
        let fd =
            root.open_at(b"", OFlags::RDONLY | OFlags::DIRECTORY, 0).map_err(Error::file("opening", b"/"))?;
        let stat = rustix::fs::fstat(&fd).map_err(Error::file("reading", b"/"))?;
        if !options.rename.is_empty() {
            packer.directory_entry(&fd, b".", &options.rename, &stat)?;
        }
        return packer.children(fd, &options.rename);
    }
    let parent = root.open_dir(dir).map_err(Error::file("opening", dir))?;
    if options.rename.is_empty() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&parent, os(base), flags, Mode::empty())
            .map_err(Error::file("opening", &path))?;
        return packer.children(fd, b"");
    }
    match packer.member(&parent, base, &options.rename)? {
        Some(folder) => packer.children(folder, &options.rename),
        None => Ok(()),
    }
}

/// A folder on the way down, and the names in it that are still to be packed.
struct Level {
    folder: OwnedFd,
    name: Vec<u8>,
    left: std::vec::IntoIter<Vec<u8>>,
}

impl Level {
    fn of(folder: OwnedFd, name: &[u8]) -> Result<Level> {
        let left = list(&folder).map_err(Error::file("listing", name))?.into_iter();
        Ok(Level { folder, name: name.to_vec(), left })
    }
}

struct Packer<'a, 'o, W> {
    options: &'a PackOptions<'o>,
    writer: &'a mut Writer<W>,
    /// The first name of each file that has several.
    seen: HashMap<(u64, u64), Vec<u8>>,
    /// The only mount to walk on, if there is such a wish and the kernel tells mounts apart (5.8).
    mount: Option<u64>,
}

impl<W: Write> Packer<'_, '_, W> {
    /// All that is below a folder. No call within a call: a stack is no place for what strangers make deep.
    fn children(&mut self, folder: OwnedFd, name: &[u8]) -> Result<()> {
        let mut way = vec![Level::of(folder, name)?];
        while let Some(level) = way.last_mut() {
            let Some(base) = level.left.next() else {
                way.pop();
                continue;
            };
            let child = join(&level.name, &base);
            if let Some(below) = self.member(&level.folder, &base, &child)? {
                way.push(Level::of(below, &child)?);
            }
        }
        Ok(())
    }

    /// Packs one name; gives back the folder whose children come next, if it is one.
    fn member(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8]) -> Result<Option<OwnedFd>> {
        if self.options.skip.is_some_and(|skip| skip(name)) {
            return Ok(None);
        }
        let stat = match rustix::fs::statat(dir, os(base), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::file("reading", name)(error)),
        };
        if self.options.whiteouts.is_overlay() && is_overlay_whiteout(&stat) {
            let (above, base) = split(name);
            let gone = [PREFIX, base].concat();
            return self.mark(join(above, &gone), &stat).map(|()| None);
        }
        if self.mount.is_some() && mount_of(dir.as_fd(), base, name)? != self.mount {
            return self.mount_point(dir, base, name, &stat).map(|()| None);
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(dir, base, name, &stat),
            FileType::RegularFile => self.file(dir, base, name, &stat).map(|()| None),
            _ => self.other(dir, base, name, &stat).map(|()| None),
        }
    }

    /// A link, a device or a pipe.
    fn other(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()),
        };
        let mut entry = self.entry(dir, base, name, stat, kind)?;
        if kind == Kind::Symlink {
            let target =
                rustix::fs::readlinkat(dir, os(base), Vec::new()).map_err(Error::file("reading", name))?;
            entry.link = target.into_bytes();
        } else if kind != Kind::Fifo {
            entry.device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        }
        self.linked(&mut entry, stat);
        self.writer.append_bytes(&entry, b"")
    }

    /// The place something is mounted at, without what is mounted there.
    fn mount_point(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory_entry(dir, base, name, stat),
            _ => {
                let mut entry = Entry::new(name, Kind::File, stat.st_mode & 0o7777);
                entry.mtime = self.time(stat);
                self.writer.append_bytes(&entry, b"")
            }
        }
    }

    /// An empty file that says something by its name; dated as what it stands for.
    fn mark(&mut self, name: Vec<u8>, stat: &Stat) -> Result<()> {
        let mut entry = Entry::new(name, Kind::File, 0);
        entry.mtime = self.time(stat);
        self.writer.append_bytes(&entry, b"")
    }

    fn directory(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat) -> Result<Option<OwnedFd>> {
        if name.len() > NAME_MAX {
            return Err(Error::file("packing", &name[..SHOWN])(Errno::NAMETOOLONG));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(dir, os(base), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::file("opening", name)(error)),
        };
        self.directory_entry(dir, base, name, stat)?;
        if self.options.whiteouts.is_opaque(dir.as_fd(), base).map_err(Error::file("reading", name))? {
            self.mark(join(name, OPAQUE), stat)?;
        }
        Ok(Some(fd))
    }

    fn directory_entry(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        let mut entry = self.entry(dir, base, name, stat, Kind::Dir)?;
        if !entry.name.ends_with(b"/") {
            entry.name.push(b'/');
        }
        self.writer.append_bytes(&entry, b"")
    }

    fn file(&mut self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        let mut entry = self.entry(dir, base, name, stat, Kind::File)?;
        if self.linked(&mut entry, stat) {
            return self.writer.append_bytes(&entry, b"");
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(dir, os(base), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(Error::file("opening", name)(error)),
        };
        entry.size = u64::try_from(stat.st_size).unwrap_or(0);
        // Fewer blocks than bytes: there are holes.
        if self.options.sparse && (stat.st_blocks as u64).saturating_mul(512) < entry.size {
            entry.sparse = data_map(&fd, entry.size).map_err(Error::file("reading", name))?;
        }
        match entry.sparse.clone() {
            None => self.writer.append(&entry, &mut File::from(fd)),
            Some(map) => {
                self.writer.append(&entry, &mut Extents { file: File::from(fd), map, at: 0, within: 0 })
            }
        }
    }

    /// Whether this file was packed before under another name; the entry becomes a link to that.
    fn linked(&mut self, entry: &mut Entry, stat: &Stat) -> bool {
        if stat.st_nlink < 2 {
            return false;
        }
        match self.seen.entry((stat.st_dev, stat.st_ino)) {
            std::collections::hash_map::Entry::Occupied(first) => {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first.get());
                entry.device = (0, 0);
                entry.xattrs.clear();
                true
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(entry.name.clone());
                false
            }
        }
    }

    fn entry(&self, dir: &OwnedFd, base: &[u8], name: &[u8], stat: &Stat, kind: Kind) -> Result<Entry> {
        let mut entry = Entry::new(name, kind, stat.st_mode & 0o7777);
        (entry.uid, entry.gid) =
            self.options.owner.unwrap_or((u64::from(stat.st_uid), u64::from(stat.st_gid)));
        entry.mtime = self.time(stat);
        entry.xattrs = xattr::read(dir.as_fd(), base).map_err(Error::file("reading attributes of", name))?;
        Ok(entry)
    }

    fn time(&self, stat: &Stat) -> Time {
        let nanos = if self.options.whole_seconds { 0 } else { stat.st_mtime_nsec as u32 };
        Time { secs: stat.st_mtime, nanos }
    }
}

/// The number of the mount `name` in `dir` is on; `None` where the kernel does not tell.
fn mount_of(dir: std::os::fd::BorrowedFd<'_>, base: &[u8], name: &[u8]) -> Result<Option<u64>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = match rustix::fs::statx(dir, os(base), flags, StatxFlags::MNT_ID) {
        Ok(stat) => stat,
        // It goes away as we look; the walk notices by itself.
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(Error::file("reading", name)(error)),
    };
    Ok((stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id))
}

/// A name below a directory's; the top may be nothing, or `/` itself.
fn join(dir: &[u8], base: &[u8]) -> Vec<u8> {
    match dir {
        b"" => base.to_vec(),
        dir if dir.ends_with(b"/") => [dir, base].concat(),
        dir => [dir, b"/", base].concat(),
    }
}

/// Where a file's data lies; `None` if the file system does not tell.
fn data_map(fd: &OwnedFd, size: u64) -> rustix::io::Result<Option<Vec<(u64, u64)>>> {
    let mut map = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Ok(start) => start.min(size),
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error),
        };
        let end = rustix::fs::seek(fd, SeekFrom::Hole(start))?.min(size);
        if end <= start {
            break;
        }
        map.push((start, end - start));
        at = end;
    }
    Ok(Some(map))
}

/// A sparse file's data, one extent after another.
struct Extents {
    file: File,
    map: Vec<(u64, u64)>,
    at: usize,
    within: u64,
}

impl std::io::Read for Extents {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some((offset, len)) = self.map.get(self.at).copied() {
            let left = len - self.within;
            if left == 0 {
                self.at += 1;
                self.within = 0;
                continue;
            }
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n =
                std::os::unix::fs::FileExt::read_at(&self.file, &mut buffer[..want], offset + self.within)?;
            self.within += n as u64;
            return Ok(n);
        }
        Ok(0)
    }
}
