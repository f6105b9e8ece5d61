//! A container's root seen from the host, without leaving a mount behind.
//!
//! A running container's is reached through its process. A stopped one's is mounted *detached*: the mount has no place
//! in any namespace, only a descriptor, and is gone with it, whatever happens to us.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

pub(crate) use gantry_snapshots::Access;
use gantry_snapshots::{Rootfs, Snapshotter};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Engine;
use crate::error::{Error, Result};
use crate::record::ContainerRecord;

/// Passwd and group files longer than this are read to here.
const MAX_PASSWD_BYTES: u64 = 1 << 20;

impl Engine {
    /// The snapshots that a container's own files are among.
    ///
    /// # Errors
    /// When it was made by another driver than this engine uses.
    pub(crate) fn snapshots_of(&self, record: &ContainerRecord) -> Result<&Arc<dyn Snapshotter>> {
        let snapshots = self.inner.images.snapshots();
        let (theirs, ours) = (record.snapshot_driver.as_str(), snapshots.driver());
        match theirs == ours {
            true => Ok(snapshots),
            false => Err(Error::Conflict(format!(
                "container {}: the storage driver {theirs} holds its files, and this engine uses {ours}: start it with --storage-driver={theirs}",
                record.id
            ))),
        }
    }
}

/// Opens the root of a container that does not run.
pub(crate) fn of_snapshot(rootfs: &Rootfs, access: Access) -> io::Result<OwnedFd> {
    rootfs.open(access).map_err(io::Error::other)
}

/// Opens the root of a running container, with everything that is mounted in it. `None` where the record is behind: its process
/// has ended, and the number may be another's by now.
pub(crate) fn of_process(record: &ContainerRecord) -> io::Result<Option<OwnedFd>> {
    let Some(process) = record.state.process() else { return Ok(None) };
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || -> rustix::io::Result<OwnedFd> {
        // The folder stays that process' own: once it is gone, nothing is found below.
        let own = rustix::fs::openat(CWD, format!("/proc/{}", process.pid), folder, Mode::empty())?;
        let cgroups = rustix::fs::openat(&own, "cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        io::Read::read_to_string(&mut std::fs::File::from(cgroups), &mut text).map_err(|_| Errno::SRCH)?;
        match text.contains(record.id.as_str()) {
            true => rustix::fs::openat(&own, "root", folder, Mode::empty()),
            false => Err(Errno::SRCH),
        }
    };
    match open() {
        Ok(root) => Ok(Some(root)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// Opens a path inside a root: links are followed, but never out of it.
pub(crate) fn open_inside(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { "." } else { path };
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), inside) {
            // The kernel gives up when something is renamed meanwhile.
            Err(Errno::AGAIN) => continue,
            other => return Ok(other?),
        }
    }
}

/// Reads a small file inside a root; an absent one is empty, and so is what is no file: an image may have a pipe or one
/// of the host's devices in its place.
pub(crate) fn read_inside(root: BorrowedFd<'_>, path: &str, most: u64) -> io::Result<String> {
    use std::io::Read;
    let looked = open_inside(root, path, OFlags::PATH).and_then(|found| {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        if kind == FileType::RegularFile { Ok(Some(found)) } else { Ok(None) }
    });
    match looked {
        Ok(None) => Ok(String::new()),
        Ok(Some(found)) => {
            let mut text = Vec::new();
            // The very file that was looked at, whatever the path leads to by now.
            let same = format!("/proc/self/fd/{}", found.as_raw_fd());
            std::fs::File::open(same)?.take(most).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(err) => Err(err),
    }
}

/// A root's lists of users and groups.
pub(crate) fn users(root: BorrowedFd<'_>) -> Result<(String, String)> {
    let read = |path| read_inside(root, path, MAX_PASSWD_BYTES).map_err(Error::io(path));
    Ok((read("/etc/passwd")?, read("/etc/group")?))
}

/// Makes a folder and those above it inside a root.
pub(crate) fn make_dirs_inside(root: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let mut done = String::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let parent = open_inside(root, &done, OFlags::PATH | OFlags::DIRECTORY)?;
        match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(err) => return Err(err.into()),
        }
        done.push('/');
        done.push_str(part);
    }
    Ok(())
}
