//! Copying files from one root into another, with everything that belongs to them.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_dockerfile::ignore::Ignore;
use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::root::sorted_names;
use super::transfer::Transfer;
use super::{Chmod, Entry, EntryKind, FileError, Root};

/// Longest value of an extended attribute the kernel keeps.
const XATTR_LIMIT: usize = 64 << 10;

/// Who owns what was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// As in the source: COPY --from.
    Kept,
    /// One owner for all.
    Set {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// How to copy.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Owners.
    pub owner: Owner,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// What stays behind, by path below the source root.
    pub ignore: Ignore,
    /// Seconds since 1970 for every time that is newer: `SOURCE_DATE_EPOCH`.
    pub newest: Option<i64>,
}

/// Copies `source` (below `from`) to `target` (below `to`). A folder's contents go into the folder `target`, which is made
/// where missing; anything else becomes `target`, replacing a file of that name. Links in the path of `target` are
/// followed below `to`; links inside the source are copied as links.
pub fn copy(
    from: &Root,
    source: &str,
    to: &Root,
    target: &str,
    options: &CopyOptions,
) -> Result<(), FileError> {
    let missing = || FileError::NotFound(source.to_owned());
    let entry = from.stat(source, true)?.ok_or_else(missing)?;
    let mut copier = Copier { options, links: HashMap::new(), transfer: Transfer::new() };
    let (uid, gid) = copier.folder_owner();
    if entry.kind == EntryKind::Folder {
        let folder = to.make_folders(target, uid, gid)?;
        let opened = from.folder(source)?;
        return copier.contents(opened.fd(), source, folder.fd());
    }
    if entry.kind != EntryKind::File {
        return Err(FileError::NotRegular(source.to_owned())); // Reading a device or a FIFO might never end.
    }
    let (parent, name) = target.trim_end_matches('/').rsplit_once('/').unwrap_or(("", target));
    let parent = to.make_folders(parent, uid, gid)?;
    let name = CString::new(name).map_err(|_| missing())?;
    // The source may be reached over a link; the file it leads to is what is copied.
    let file = from.file(source)?;
    copier.file(&OwnedFd::from(file), &entry, source, parent.fd(), &name)
}

/// No name in an image can be longer.
const PATH_MAX: usize = 4095;
/// So much of it is told.
const SHOWN: usize = 64;

struct Copier<'a> {
    options: &'a CopyOptions,
    /// Where the first name of a file with several names went, by device and inode.
    links: HashMap<(u64, u64), (OwnedFd, CString)>,
    transfer: Transfer,
}

/// A folder on the way down, here and there.
struct Level {
    from: OwnedFd,
    to: OwnedFd,
    path: String,
    left: std::vec::IntoIter<CString>,
    /// Its name in the folder above, and what it is to look like; nothing for the topmost.
    told: Option<(CString, Entry)>,
}

impl Level {
    fn of(
        from: OwnedFd,
        to: OwnedFd,
        path: String,
        told: Option<(CString, Entry)>,
    ) -> Result<Level, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let names =
            fs::openat(&from, c".", flags, Mode::empty()).and_then(|folder| sorted_names(folder.as_fd()));
        let left = names.map_err(FileError::io(&path))?.into_iter();
        Ok(Level { from, to, path, left, told })
    }
}

impl Copier<'_> {
    fn folder_owner(&self) -> (u32, u32) {
        match self.options.owner {
            Owner::Kept => (0, 0),
            Owner::Set { uid, gid } => (uid, gid),
        }
    }

    fn contents(&mut self, from: BorrowedFd<'_>, path: &str, to: BorrowedFd<'_>) -> Result<(), FileError> {
        let again = |folder: BorrowedFd<'_>| folder.try_clone_to_owned().map_err(FileError::io(path));
        let mut way = vec![Level::of(again(from)?, again(to)?, path.to_owned(), None)?];
        // No call within a call: a stack is no place for what a step may make deep.
        while let Some(level) = way.last_mut() {
            if let Some(name) = level.left.next() {
                let shown = name.to_string_lossy();
                let path = match level.path.as_str() {
                    "" => shown.into_owned(),
                    above => format!("{above}/{shown}"),
                };
                let below = self.entry(level.from.as_fd(), &name, &path, level.to.as_fd())?;
                way.extend(below);
                continue;
            }
            let Some(full) = way.pop() else { break };
            // Last, so that the folder's own times survive its filling.
            if let (Some((name, entry)), Some(above)) = (&full.told, way.last()) {
                self.finish(above.to.as_fd(), name, entry, &full.path)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        name: &CStr,
        path: &str,
        to: BorrowedFd<'_>,
    ) -> Result<Option<Level>, FileError> {
        let excluded = self.options.ignore.excludes(path);
        if excluded && !self.options.ignore.may_take_back_below(path) {
            return Ok(None);
        }
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(FileError::io(path))?;
        let entry = Entry::of(stat);
        match entry.kind {
            EntryKind::Folder => return self.folder(from, name, entry, path, to).map(Some),
            _ if excluded => {}
            EntryKind::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = fs::openat(from, name, flags, Mode::empty()).map_err(FileError::io(path))?;
                self.file(&file, &entry, path, to, name)?;
            }
            EntryKind::Link => {
                make_room(to, name, path)?;
                let target = fs::readlinkat(from, name, Vec::new()).map_err(FileError::io(path))?;
                fs::symlinkat(&target, to, name).map_err(FileError::io(path))?;
                self.finish(to, name, &entry, path)?;
            }
            EntryKind::Other => {
                make_room(to, name, path)?;
                let mode = Mode::from_raw_mode(entry.stat.st_mode & 0o7777);
                let kind = fs::FileType::from_raw_mode(entry.stat.st_mode);
                if kind == fs::FileType::Socket {
                    return Ok(None); // A socket is nothing without its listener.
                }
                fs::mknodat(to, name, kind, mode, entry.stat.st_rdev).map_err(FileError::io(path))?;
                self.finish(to, name, &entry, path)?;
            }
        }
        Ok(None)
    }

    /// Makes a folder; what it is filled with comes next.
    fn folder(
        &self,
        from: BorrowedFd<'_>,
        name: &CStr,
        entry: Entry,
        path: &str,
        to: BorrowedFd<'_>,
    ) -> Result<Level, FileError> {
        // Made by a step without ever being named: it ends the walk before it has all descriptors open.
        if path.len() > PATH_MAX {
            let shown: String = path.chars().take(SHOWN).collect();
            return Err(FileError::io(&shown)(Errno::NAMETOOLONG));
        }
        match fs::mkdirat(to, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW).map_err(FileError::io(path))?;
                if Entry::of(there).kind != EntryKind::Folder {
                    return Err(FileError::Kinds(path.to_owned()));
                }
            }
            Err(error) => return Err(FileError::io(path)(error)),
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let below = |folder: BorrowedFd<'_>| fs::openat(folder, name, flags, Mode::empty());
        let (source, target) =
            (below(from).map_err(FileError::io(path))?, below(to).map_err(FileError::io(path))?);
        Level::of(source, target, path.to_owned(), Some((name.to_owned(), entry)))
    }

    fn file(
        &mut self,
        source: &OwnedFd,
        entry: &Entry,
        path: &str,
        to: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), FileError> {
        let identity = (entry.stat.st_dev, entry.stat.st_ino);
        if let Some((folder, first)) = self.links.get(&identity) {
            make_room(to, name, path)?;
            return fs::linkat(folder, first, to, name, AtFlags::empty()).map_err(FileError::io(path));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || fs::openat(to, name, flags, Mode::from_raw_mode(0o600));
        // Where nothing stands, which is nearly everywhere, nothing is to be removed.
        let target = match create() {
            Err(Errno::EXIST) => {
                make_room(to, name, path)?;
                create()
            }
            other => other,
        };
        let target = target.map_err(FileError::io(path))?;
        self.transfer.copy(source, &target).map_err(FileError::io(path))?;
        attributes(source, &target).map_err(FileError::io(path))?;
        if entry.stat.st_nlink > 1 {
            let folder = to.try_clone_to_owned().map_err(FileError::io(path))?;
            self.links.insert(identity, (folder, name.to_owned()));
        }
        self.finish(to, name, entry, path)
    }

    /// Owner, permission bits, times.
    fn finish(&self, to: BorrowedFd<'_>, name: &CStr, entry: &Entry, path: &str) -> Result<(), FileError> {
        let stat = &entry.stat;
        let (uid, gid) = match self.options.owner {
            Owner::Kept => (stat.st_uid, stat.st_gid),
            Owner::Set { uid, gid } => (uid, gid),
        };
        let no_follow = AtFlags::SYMLINK_NOFOLLOW;
        fs::chownat(to, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), no_follow)
            .map_err(FileError::io(path))?;
        if entry.kind != EntryKind::Link {
            let folder = entry.kind == EntryKind::Folder;
            let mode = match &self.options.chmod {
                Some(chmod) => chmod.apply(stat.st_mode, folder),
                None => stat.st_mode & 0o7777,
            };
            // After the owner: changing an owner clears setuid.
            fs::chmodat(to, name, Mode::from_raw_mode(mode), AtFlags::empty())
                .map_err(FileError::io(path))?;
        }
        let mut modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        if let Some(newest) = self.options.newest.filter(|newest| *newest < modified.tv_sec) {
            modified = Timespec { tv_sec: newest, tv_nsec: 0 };
        }
        let times = Timestamps { last_access: modified, last_modification: modified };
        fs::utimensat(to, name, &times, no_follow).map_err(FileError::io(path))
    }
}

/// Removes a file that stands where another goes; a folder there is refused.
fn make_room(to: BorrowedFd<'_>, name: &CStr, path: &str) -> Result<(), FileError> {
    match fs::unlinkat(to, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(FileError::Kinds(path.to_owned())),
        Err(error) => Err(FileError::io(path)(error)),
    }
}

/// Extended attributes a layer keeps: capabilities and the user's own.
fn attributes(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    // Most files have none: that is asked without a buffer.
    let none: &mut [u8] = &mut [];
    match fs::flistxattr(from, none) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let mut names = vec![0u8; XATTR_LIMIT];
    let length = fs::flistxattr(from, &mut names)?;
    let mut value = vec![0u8; XATTR_LIMIT];
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        if name != b"security.capability" && !name.starts_with(b"user.") {
            continue;
        }
        let size = fs::fgetxattr(from, name, &mut value)?;
        match fs::fsetxattr(to, name, &value[..size], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn options() -> CopyOptions {
        CopyOptions { owner: Owner::Kept, chmod: None, ignore: Ignore::default(), newest: None }
    }

    fn roots() -> (tempfile::TempDir, tempfile::TempDir, Root, Root) {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let roots = (Root::open(from.path()).unwrap(), Root::open(to.path()).unwrap());
        (from, to, roots.0, roots.1)
    }

    #[test]
    fn a_tree_is_copied_with_links_modes_and_times() {
        let (source, target, from, to) = roots();
        let at = |name: &str| source.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/one"), "1").unwrap();
        std::fs::hard_link(at("d/one"), at("d/two")).unwrap();
        symlink("/nowhere", at("d/link")).unwrap();
        std::fs::set_permissions(at("d/one"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        std::fs::File::open(at("d/one")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        copy(&from, "", &to, "/app", &options()).unwrap();
        let got = |name: &str| std::fs::symlink_metadata(target.path().join("app/d").join(name)).unwrap();
        assert_eq!((got("one").mode() & 0o7777, got("one").mtime()), (0o4751, 0));
        assert_eq!(got("one").ino(), got("two").ino());
        assert_eq!(std::fs::read_link(target.path().join("app/d/link")).unwrap().to_str(), Some("/nowhere"));
    }

    #[test]
    fn a_file_replaces_a_file_and_never_a_folder_and_never_through_a_link() {
        let (source, target, from, to) = roots();
        std::fs::write(source.path().join("f"), "new").unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), target.path().join("f")).unwrap();
        copy(&from, "f", &to, "/f", &options()).unwrap();
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
        assert_eq!(std::fs::read_to_string(target.path().join("f")).unwrap(), "new");
        std::fs::create_dir(target.path().join("d")).unwrap();
        assert!(matches!(copy(&from, "f", &to, "/d", &options()), Err(FileError::Kinds(_))));
    }

    #[test]
    fn excluded_files_stay_behind_and_excluded_folders_are_searched_for_exceptions() {
        let (source, target, from, to) = roots();
        for name in ["a/keep", "a/drop", "b/drop"] {
            let path = source.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let ignore = Ignore::parse("*\n!a/keep").unwrap();
        copy(&from, "", &to, "", &CopyOptions { ignore, ..options() }).unwrap();
        assert!(target.path().join("a/keep").exists());
        assert!(!target.path().join("a/drop").exists());
        assert!(!target.path().join("b").exists());
    }
}
