//! Unpacking a tar stream into a directory it can never leave.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::error::lossy;
use crate::root::{clean, os, remove_tree, split};
use crate::whiteout::{Sign, is_overlay_whiteout, make_gone};
use crate::{Entry, Error, Kind, Reader, Result, Room, Root, Time, Whiteouts, xattr};

/// How to unpack.
#[derive(Debug, Clone, Default)]
pub struct ExtractOptions {
    /// The directory inside the root that members' names are below; empty is the root itself.
    pub into: Vec<u8>,
    /// What whiteouts become.
    pub whiteouts: Whiteouts,
    /// Who owns what is unpacked.
    pub owner: Owner,
    /// Refuse to put a directory in the place of something else and the other way round (`docker cp`).
    pub keep_kinds: bool,
    /// Refuse an archive that needs more, before it takes it; none: what the disk gives.
    pub room: Option<Room>,
}

/// Who owns what is unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owner {
    /// Whom the archive says.
    #[default]
    Archive,
    /// Always this user and group.
    Fixed {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// Whoever unpacks (`--no-same-owner`).
    Caller,
    /// Whom the archive says, through a user namespace's maps. A number no map has is refused.
    Mapped {
        /// Users.
        uids: Vec<IdRange>,
        /// Groups.
        gids: Vec<IdRange>,
    },
}

/// `count` numbers from `inside` on are `outside` and on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first number in the archive.
    pub inside: u32,
    /// What it is on disk.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// What unpacking did, and what it left for when the layers below are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Bytes of files, holes included, hard links counted once.
    pub bytes: u64,
    /// Members made.
    pub entries: u64,
    /// Attributes the file system refused to take, one line each.
    pub warnings: Vec<String>,
    /// Directories no member described (the empty name is the root); they take their mode and owner from the layer below, if it has them.
    pub implied: Vec<Vec<u8>>,
    /// Hard links whose target no member made: (link, target). The target is in a layer below, or nowhere.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Unpacks all members of `archive` below `root`.
///
/// Hard links to files that are not there are left in [`Extracted::links`]; [`Extracted::refuse_links`] turns them into an error,
/// [`settle`](crate::settle) finds them in the layers below.
pub fn extract<R: Read>(archive: &mut Reader<R>, root: &Root, options: &ExtractOptions) -> Result<Extracted> {
    let into = clean(&options.into).ok_or_else(|| Error::Breakout { name: lossy(&options.into) })?;
    let mut unpacker = Unpacker {
        root,
        options,
        into,
        done: Extracted::default(),
        parent: None,
        dirs: HashMap::new(),
        made: HashSet::new(),
        buffer: vec![0; COPY],
        me: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        root_told: false,
    };
    while let Some(entry) = archive.next_entry()? {
        unpacker.member(&entry, archive)?;
    }
    unpacker.finish()
}

impl Extracted {
    /// An error if a hard link's target was nowhere.
    pub fn refuse_links(self) -> Result<Extracted> {
        match self.links.first() {
            Some((name, target)) => Err(Error::LinkTarget { name: lossy(name), target: lossy(target) }),
            None => Ok(self),
        }
    }
}

/// Contents are copied in pieces of this size.
const COPY: usize = 256 << 10;

struct Unpacker<'a> {
    root: &'a Root,
    options: &'a ExtractOptions,
    into: Vec<u8>,
    done: Extracted,
    /// The directory worked in last: members come directory by directory. Forgotten whenever something is removed, because
    /// then the same name may lead elsewhere.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Directories whose mode and times are set at the end: contents would change the times, and a read-only directory could
    /// not be filled.
    dirs: HashMap<Vec<u8>, (u32, Time)>,
    /// What this archive made; an opaque mark or whiteout only speaks of what was there before.
    made: HashSet<Vec<u8>>,
    buffer: Vec<u8>,
    me: (u32, u32),
    /// Whether a member described the root.
    root_told: bool,
}

impl Unpacker<'_> {
    /// Whether there is room for one more member.
    fn fits(&self, entry: &Entry) -> Result<()> {
        let Some(room) = self.options.room else { return Ok(()) };
        if self.done.entries >= room.entries {
            return Err(room.refuse_entries().into());
        }
        let bytes = if entry.kind == Kind::File { entry.size } else { 0 };
        if bytes > room.bytes.saturating_sub(self.done.bytes) {
            return Err(Error::file("unpacking", &entry.name)(room.refuse_bytes()));
        }
        Ok(())
    }

    fn member<R: Read>(&mut self, entry: &Entry, archive: &mut Reader<R>) -> Result<()> {
        self.fits(entry)?;
        let cleaned = clean(&entry.name).ok_or_else(|| Error::Breakout { name: lossy(&entry.name) })?;
        if cleaned.is_empty() {
            return self.root_itself(entry);
        }
        let name = self.below(&cleaned);
        let (dir, base) = split(&name);
        match self.options.whiteouts.sign(base) {
            Sign::Name => {}
            Sign::Reserved => return Ok(()),
            Sign::Nonsense => return Err(Error::Malformed("a whiteout of nothing")),
            Sign::Opaque => return self.opaque(dir),
            Sign::Gone(gone) => return self.gone(dir, gone),
        }
        if self.options.whiteouts != Whiteouts::Plain
            && dir.split(|b| *b == b'/').any(|part| part.starts_with(b".wh..wh."))
        {
            return Ok(());
        }
        let parent = self.open_parent(dir)?;
        let made = self.make(entry, &parent, &name, archive);
        if self.parent.is_none() {
            self.parent = Some((dir.to_vec(), parent));
        }
        made?;
        self.done.entries += 1;
        if self.options.whiteouts == Whiteouts::Delete {
            self.made.insert(name);
        }
        Ok(())
    }

    fn below(&self, cleaned: &[u8]) -> Vec<u8> {
        match self.into.as_slice() {
            b"" => cleaned.to_vec(),
            into => [into, b"/", cleaned].concat(),
        }
    }

    /// A member that is the root (`./`): its mode, owner and times only.
    fn root_itself(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Dir {
            return Err(Error::Malformed("the root is no directory"));
        }
        self.root_told = true;
        let fd = self.root.open_dir(&self.into).map_err(Error::file("opening", &self.into))?;
        self.own(&fd, b".", entry, true)?;
        self.dirs.insert(self.into.clone(), (entry.mode, entry.mtime));
        Ok(())
    }

    /// The directory `dir`, made as far as it is missing. Taken out of the cache; the caller puts it back.
    fn open_parent(&mut self, dir: &[u8]) -> Result<OwnedFd> {
        if let Some((known, fd)) = self.parent.take()
            && known == dir
        {
            return Ok(fd);
        }
        match self.root.open_dir(dir) {
            Ok(fd) => Ok(fd),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let (above, base) = split(dir);
                let parent = self.open_parent(above)?;
                match rustix::fs::mkdirat(&parent, os(base), Mode::from_raw_mode(0o755)) {
                    Ok(()) => self.done.implied.push(dir.to_vec()),
                    // A symlink that leads nowhere: what it names cannot be made without guessing.
                    Err(error) => return Err(Error::file("making directory", dir)(error)),
                }
                self.own_new_dir(&parent, base)?;
                self.root.open_dir(dir).map_err(Error::file("opening", dir))
            }
            Err(e)
                if e.raw_os_error() == Some(Errno::NOTDIR.raw_os_error())
                    && self.options.whiteouts.is_overlay() =>
            {
                self.open_over_whiteout(dir)
                    .map_err(|error| error.unwrap_or_else(|| Error::file("opening", dir)(e)))
            }
            Err(e) => Err(Error::file("opening", dir)(e)),
        }
    }

    /// A directory this layer first said is gone and then puts something into: made anew, opaque. `Err(None)` if it is
    /// something else that is in the way.
    fn open_over_whiteout(&mut self, dir: &[u8]) -> std::result::Result<OwnedFd, Option<Error>> {
        let (above, base) = split(dir);
        if base.is_empty() {
            return Err(None);
        }
        let parent = self.open_parent(above)?;
        let stat = rustix::fs::statat(&parent, os(base), AtFlags::SYMLINK_NOFOLLOW);
        if !stat.is_ok_and(|stat| is_overlay_whiteout(&stat)) {
            return Err(None);
        }
        self.remove(&parent, dir)?;
        let made = rustix::fs::mkdirat(&parent, os(base), Mode::from_raw_mode(0o755));
        made.map_err(Error::file("making directory", dir))?;
        self.options.whiteouts.make_opaque(parent.as_fd(), base).map_err(Error::file("marking", dir))?;
        self.own_new_dir(&parent, base)?;
        Ok(self.root.open_dir(dir).map_err(Error::file("opening", dir))?)
    }

    fn own_new_dir(&self, parent: &OwnedFd, base: &[u8]) -> Result<()> {
        let (uid, gid) = match &self.options.owner {
            Owner::Archive | Owner::Mapped { .. } => self.ids(0, 0)?,
            Owner::Fixed { uid, gid } => (*uid, *gid),
            Owner::Caller => return Ok(()),
        };
        if (uid, gid) == self.me {
            return Ok(());
        }
        chown(parent, base, uid, gid).map_err(Error::file("changing owner", base))
    }

    fn make<R: Read>(
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
                self.own(parent, base, entry, false)?;
                self.set_times(parent, base, entry)
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
        let base = split(name).1;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.replacing(parent, name, || {
            rustix::fs::openat(parent, os(base), flags, Mode::from_raw_mode(0o600))
        })?;
        self.copy(entry, &fd, name, archive)?;
        self.done.bytes += entry.size;
        let (uid, gid) = self.ids_of(entry)?;
        let failed = |what| Error::file(what, name);
        rustix::fs::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(failed("changing owner of"))?;
        // After the owner: chown takes setuid bits and capabilities away.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(entry.mode)).map_err(failed("changing mode of"))?;
        self.set_xattrs(parent, base, entry)?;
        rustix::fs::futimens(&fd, &times(entry)).map_err(failed("setting times of"))
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
        self.own(parent, base, entry, false)?;
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
        self.own(parent, base, entry, false)?;
        // Not fchmod: opening a device or pipe does something. The node is new and ours, so no symlink is in the way.
        rustix::fs::chmodat(parent, os(base), Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .map_err(Error::file("changing mode of", name))?;
        self.set_times(parent, base, entry)
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

    fn remove(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        self.parent = None;
        let below = [name, b"/"].concat();
        self.dirs.retain(|dir, _| dir != name && !dir.starts_with(&below));
        remove_tree(parent.as_fd(), split(name).1).map_err(Error::file("removing", name))
    }

    fn opaque(&mut self, dir: &[u8]) -> Result<()> {
        if self.options.whiteouts.is_overlay() {
            let fd = self.open_parent(dir)?;
            self.options.whiteouts.make_opaque(fd.as_fd(), b".").map_err(Error::file("marking", dir))?;
            self.parent = Some((dir.to_vec(), fd));
            return Ok(());
        }
        self.clear(dir)
    }

    /// Deletes what was in `dir` before this archive.
    fn clear(&mut self, dir: &[u8]) -> Result<()> {
        let Ok(fd) = self.root.open_at(dir, OFlags::RDONLY | OFlags::DIRECTORY, 0) else { return Ok(()) };
        for child in crate::root::list(&fd).map_err(Error::file("listing", dir))? {
            let name = if dir.is_empty() { child } else { [dir, b"/", &child].concat() };
            let below = [name.as_slice(), b"/"].concat();
            if self.made.contains(&name) {
                self.clear(&name)?;
            } else if !self.made.iter().any(|made| made.starts_with(&below)) {
                self.remove(&fd, &name)?;
            }
        }
        Ok(())
    }

    fn gone(&mut self, dir: &[u8], base: &[u8]) -> Result<()> {
        let name = if dir.is_empty() { base.to_vec() } else { [dir, b"/", base].concat() };
        if !self.options.whiteouts.is_overlay() {
            if self.made.contains(&name) {
                return self.clear(&name);
            }
            let Ok(fd) = self.root.open_dir(dir) else { return Ok(()) };
            return self.remove(&fd, &name);
        }
        let parent = self.open_parent(dir)?;
        let made = match make_gone(parent.as_fd(), base) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                // This layer made it anew before it said that the old one is gone. A directory must not merge with the old one.
                let stat = rustix::fs::statat(&parent, os(base), AtFlags::SYMLINK_NOFOLLOW);
                match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                    Ok(FileType::Directory) => self.options.whiteouts.make_opaque(parent.as_fd(), base),
                    other => other.map(drop),
                }
            }
            Err(other) => Err(other),
        };
        self.parent = Some((dir.to_vec(), parent));
        made.map_err(Error::file("making whiteout", &name))
    }

    /// Owner and attributes of what is not opened for writing.
    fn own(&mut self, dir: &OwnedFd, base: &[u8], entry: &Entry, follow: bool) -> Result<()> {
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
        self.set_xattrs(dir, base, entry)
    }

    fn set_xattrs(&mut self, dir: &OwnedFd, base: &[u8], entry: &Entry) -> Result<()> {
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
                    self.done.warnings.push(format!(
                        "{}: {} is not kept: {error}",
                        lossy(&entry.name),
                        lossy(key)
                    ));
                }
                Err(error) => return Err(Error::file("setting attribute of", &entry.name)(error)),
            }
        }
        Ok(())
    }

    fn set_times(&self, dir: &OwnedFd, base: &[u8], entry: &Entry) -> Result<()> {
        rustix::fs::utimensat(dir, os(base), &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::file("setting times of", &entry.name))
    }

    fn ids_of(&self, entry: &Entry) -> Result<(u32, u32)> {
        let number = |n: u64| {
            u32::try_from(n).ok().filter(|n| *n != u32::MAX).ok_or(Error::Malformed("owner out of range"))
        };
        match &self.options.owner {
            Owner::Fixed { uid, gid } => Ok((*uid, *gid)),
            Owner::Caller => Ok(self.me),
            Owner::Archive | Owner::Mapped { .. } => self.ids(number(entry.uid)?, number(entry.gid)?),
        }
    }

    fn ids(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        let Owner::Mapped { uids, gids } = &self.options.owner else { return Ok((uid, gid)) };
        let unmapped = Error::Malformed("owner is outside of the user namespace's maps");
        mapped(uids, uid).zip(mapped(gids, gid)).ok_or(unmapped)
    }

    /// Modes and times of directories, deepest first.
    fn finish(mut self) -> Result<Extracted> {
        if self.options.whiteouts.is_overlay() && self.into.is_empty() && !self.root_told {
            // A layer's own root directory is what shows as the root's mode and owner.
            self.done.implied.push(Vec::new());
        }
        let mut dirs: Vec<_> = self.dirs.drain().collect();
        dirs.sort_by(|a, b| b.0.cmp(&a.0));
        for (name, (mode, mtime)) in dirs {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = match self.root.open_at(&name, flags, 0) {
                Ok(fd) => fd,
                // Replaced by a later member.
                Err(e) if matches!(e.raw_os_error(), Some(2 | 20)) => continue,
                Err(e) => return Err(Error::file("opening", &name)(e)),
            };
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))
                .map_err(Error::file("changing mode of", &name))?;
            let both = Timestamps { last_access: spec(mtime), last_modification: spec(mtime) };
            rustix::fs::futimens(&fd, &both).map_err(Error::file("setting times of", &name))?;
            self.done.implied.retain(|implied| *implied != name);
        }
        Ok(self.done)
    }
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

fn spec(time: Time) -> Timespec {
    Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) }
}
