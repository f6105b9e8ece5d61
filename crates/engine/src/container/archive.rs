//! `cp`: files of a container as a tar, both ways.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_archive::{ExtractOptions, Owner, PackOptions, Root};
use jiff::Timestamp;
use rustix::fs::{FileType, OFlags};

use super::Container;
use super::mounts::clean;
use super::root::{self, Access};
use crate::admission::Verb;
use crate::bundle::user;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::{ContainerRecord, MountPoint, MountPointKind};
use crate::spec::ReadOnly;

/// Writes a tar when it is called; blocking.
pub type TarWriter = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// What `HEAD archive` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Go's `os.FileMode`.
    pub mode: u32,
    /// When it was changed.
    pub mtime: Timestamp,
    /// Where a link leads, as an absolute path in the container; empty for others.
    pub link_target: String,
}

/// A root to work in and the path in it.
struct Place {
    root: OwnedFd,
    path: String,
}

/// A container whose files may be written for as long as this lives.
struct Writable<'a> {
    record: Arc<ContainerRecord>,
    /// Its root, where a process runs in it.
    living: Option<OwnedFd>,
    _alone: Option<tokio::sync::MutexGuard<'a, ()>>,
}

impl Engine {
    /// What is at a path of a container.
    pub async fn container_path_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let (engine, path, who) = (self.clone(), path.to_owned(), name.to_owned());
        blocking(move || {
            let record = engine.find(&who)?.admit(Verb::Archive)?;
            let place = engine.place(&record, engine.living_root(&record)?, &path, Access::Read)?;
            stat(&record, &place, &path)
        })
        .await
    }

    /// What is at a path, as a tar whose members' names begin with the last part of the path.
    pub async fn container_archive(&self, name: &str, path: &str) -> Result<(PathStat, TarWriter)> {
        let (engine, path, who) = (self.clone(), path.to_owned(), name.to_owned());
        blocking(move || {
            let record = engine.find(&who)?.admit(Verb::Archive)?;
            let place = engine.place(&record, engine.living_root(&record)?, &path, Access::Read)?;
            let stat = stat(&record, &place, &path)?;
            engine.container_event(&record, "archive-path", &[]);
            let rename = stat.name.clone();
            let write: TarWriter = Box::new(move |out| {
                let root = Root::from_fd(place.root);
                let options = PackOptions { rename: rename.into_bytes(), ..PackOptions::default() };
                let mut writer = gantry_archive::Writer::new(out);
                let inner = place.path.trim_start_matches('/');
                gantry_archive::pack(&root, inner.as_bytes(), &options, &mut writer)
                    .map_err(io::Error::other)?;
                writer.finish().map(drop).map_err(io::Error::other)
            });
            Ok((stat, write))
        })
        .await
    }

    /// Unpacks a tar into a folder of a container.
    pub async fn container_extract(
        &self,
        name: &str,
        path: &str,
        no_overwrite: bool,
        copy_ids: bool,
        tar: Box<dyn Read + Send>,
    ) -> Result<()> {
        let container = self.find(name)?;
        let Writable { record, living, _alone } = self.writable(&container).await?;
        let (engine, path) = (self.clone(), path.to_owned());
        blocking(move || {
            let place = engine.place(&record, living, &path, Access::Write)?;
            if record.spec.read_only_rootfs && !below_writable_mount(&record, &path) {
                return Err(Error::Forbidden("container rootfs is marked read-only".to_owned()));
            }
            let found = root::open_inside(place.root.as_fd(), &place.path, OFlags::PATH);
            let folder = found.map_err(|_| not_found(&path, &record))?;
            let stat = rustix::fs::fstat(&folder).map_err(|err| Error::io(path.clone())(err.into()))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Err(Error::Invalid("extraction point is not a directory".to_owned()));
            }
            let owner = match copy_ids && !record.spec.user.is_empty() {
                true => {
                    let living = engine.living_root(&record)?;
                    owner_in(&record, living.map_or_else(|| engine.resting_root(&record, Access::Read), Ok)?)?
                }
                false => Owner::Archive,
            };
            let options = ExtractOptions { keep_kinds: no_overwrite, owner, ..ExtractOptions::default() };
            let decoded = gantry_archive::Decoder::new(tar).map_err(archive_error)?;
            let mut reader = gantry_archive::Reader::new(decoded);
            let readable = root::open_inside(folder.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY);
            let target = Root::from_fd(readable.map_err(Error::io(path.clone()))?);
            let done = gantry_archive::extract(&mut reader, &target, &options).map_err(archive_error)?;
            done.refuse_links().map_err(archive_error)?;
            engine.container_event(&record, "extract-to-dir", &[]);
            Ok(())
        })
        .await
    }

    /// The way to write a container's files: through its process, or where there is none, as the only one that does.
    async fn writable<'a>(&self, container: &'a Container) -> Result<Writable<'a>> {
        loop {
            let record = container.admit(Verb::Archive)?;
            if let Some(root) = self.living_root(&record)? {
                return Ok(Writable { record, living: Some(root), _alone: None });
            }
            let alone = container.files.lock().await;
            // It may have been started while this waited.
            if Arc::ptr_eq(&record, &container.record()) {
                return Ok(Writable { record, living: None, _alone: Some(alone) });
            }
        }
    }

    /// The root a path of a container is seen in: its process', its volume's when it does not run and the path is on
    /// one, else its snapshot's.
    fn place(
        &self,
        record: &ContainerRecord,
        living: Option<OwnedFd>,
        path: &str,
        access: Access,
    ) -> Result<Place> {
        if path.is_empty() {
            return Err(Error::Invalid("path cannot be empty".to_owned()));
        }
        let clean_path = clean(path);
        if let Some(root) = living {
            return Ok(Place { root, path: clean_path });
        }
        let on = record.mounts.iter().filter(|point| inside(&clean_path, &point.target).is_some());
        if let Some(point) = on.max_by_key(|point| point.target.len()) {
            let rest = inside(&clean_path, &point.target).unwrap_or_default().to_owned();
            if access == Access::Write && point.read_only != ReadOnly::No {
                return Err(Error::Forbidden("mounted volume is marked read-only".to_owned()));
            }
            let source = match point.kind {
                MountPointKind::Volume if !point.subpath.is_empty() => {
                    self.inner.volumes.subpath(&point.name, &point.subpath)?
                }
                _ => PathBuf::from(&point.source),
            };
            if matches!(point.kind, MountPointKind::Volume | MountPointKind::Bind) && source.is_dir() {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root = rustix::fs::open(&source, flags, rustix::fs::Mode::empty())
                    .map_err(io::Error::from)
                    .map_err(Error::io(format!("open {}", source.display())))?;
                return Ok(Place { root, path: rest });
            }
        }
        Ok(Place { root: self.resting_root(record, access)?, path: clean_path })
    }

    /// A container's root as its process sees it; `None` where none runs.
    pub(super) fn living_root(&self, record: &ContainerRecord) -> Result<Option<OwnedFd>> {
        root::of_process(record).map_err(Error::io(format!("open the root of container {}", record.id)))
    }

    /// A container's root without what is mounted in it.
    fn resting_root(&self, record: &ContainerRecord, access: Access) -> Result<OwnedFd> {
        let rootfs = self.snapshots_of(record)?.rootfs(record.id.as_str())?;
        root::of_snapshot(&rootfs, access)
            .map_err(Error::io(format!("open the root of container {}", record.id)))
    }
}

/// `cp -a` gives what comes in to the container's user, by the container's own files.
fn owner_in(record: &ContainerRecord, root: OwnedFd) -> Result<Owner> {
    let (passwd, group) = root::users(root.as_fd())?;
    let user = user::resolve(&record.spec.user, &[], &passwd, &group)?;
    Ok(Owner::Fixed { uid: user.uid, gid: user.gid })
}

/// The rest of a path below a mount.
fn inside<'a>(path: &'a str, target: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(target)?;
    if rest.is_empty() {
        return Some("/");
    }
    rest.starts_with('/').then_some(rest)
}

fn below_writable_mount(record: &ContainerRecord, path: &str) -> bool {
    let path = clean(path);
    let on = |point: &&MountPoint| inside(&path, &point.target).is_some();
    record.mounts.iter().filter(on).any(|point| point.read_only == ReadOnly::No)
}

fn not_found(path: &str, record: &ContainerRecord) -> Error {
    Error::NotFound(format!("Could not find the file {path} in container {}", record.name))
}

fn archive_error(err: gantry_archive::Error) -> Error {
    use gantry_errdefs::{Class, Classified};
    match err.class() {
        Class::Internal | Class::Unavailable => Error::Unavailable(gantry_errdefs::chain(&err)),
        _ => Error::Invalid(gantry_errdefs::chain(&err)),
    }
}

fn stat(record: &ContainerRecord, place: &Place, asked: &str) -> Result<PathStat> {
    // A trailing slash or dot asks for the folder a link leads to; without, for the link itself.
    let follow = asked.ends_with('/') || asked.ends_with("/.");
    let flags = if follow { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    let file = root::open_inside(place.root.as_fd(), &place.path, flags).map_err(|err| match err.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => not_found(asked, record),
        _ => Error::Io { what: asked.to_owned(), cause: err },
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|err| Error::io(asked)(err.into()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut link_target = String::new();
    if kind == FileType::Symlink {
        let goal =
            rustix::fs::readlinkat(&file, "", Vec::new()).map_err(|err| Error::io(asked)(err.into()))?;
        let goal = goal.to_string_lossy();
        let parent = place.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        link_target = if goal.starts_with('/') { clean(&goal) } else { clean(&format!("{parent}/{goal}")) };
    }
    // `docker cp NAME:/dir/. there` asks for what is in the folder: its members begin with `./`.
    let name = match asked {
        "." => ".".to_owned(),
        _ if asked.ends_with("/.") => ".".to_owned(),
        _ => clean(asked).rsplit_once('/').map_or(String::new(), |(_, name)| name.to_owned()),
    };
    let mtime = Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0));
    Ok(PathStat {
        name: if name.is_empty() { "/".to_owned() } else { name },
        size: stat.st_size,
        mode: go_mode(stat.st_mode),
        mtime: mtime.unwrap_or(Timestamp::UNIX_EPOCH),
        link_target,
    })
}

/// The kernel's mode bits as Go's `os.FileMode` has them.
fn go_mode(mode: u32) -> u32 {
    let mut go = mode & 0o777;
    go |= match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        _ => 0,
    };
    for (bit, theirs) in [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)] {
        if mode & bit != 0 {
            go |= theirs;
        }
    }
    go
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        assert_eq!(go_mode(0o100_755), 0o755);
        assert_eq!(go_mode(0o040_755), 0o755 | 1 << 31);
        assert_eq!(go_mode(0o120_777), 0o777 | 1 << 27);
        assert_eq!(go_mode(0o104_755), 0o755 | 1 << 23);
    }

    #[test]
    fn a_path_is_below_its_mount_only_whole() {
        assert_eq!(inside("/data/x", "/data"), Some("/x"));
        assert_eq!(inside("/data", "/data"), Some("/"));
        assert_eq!(inside("/database", "/data"), None);
    }
}
